"""An ID token, checked as OpenID Connect Core 1.0, section 3.1.3.7 wants it. The one door to joserfc."""

import hmac
import time
from typing import Any, cast

from agenthost.core.errors import Unauthenticated
from agenthost.host.entry.settings import OidcSettings

LEEWAY = 60
"""Seconds by which clocks may differ."""
OLDEST = 600
"""Seconds since a token was issued: it comes straight from the provider, so that an old one is a stolen one."""
_KINDS = {"RSA", "EC", "OKP"}


class UnknownKey(Unauthenticated):
    """The token is signed by a key that the provider hasn't published, or has published since we looked."""


def check_id_token(token: str, keys: dict[str, Any], settings: OidcSettings, nonce: str) -> dict[str, Any]:
    """The claims of an ID token. Raises UnknownKey, or Unauthenticated for whatever else is wrong with it."""
    from joserfc import jwt
    from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError, MissingKeyError
    from joserfc.jwk import KeySet

    try:
        # Without shared secrets among the keys a token can't be signed with what everybody can read.
        public = [key for key in keys["keys"] if key.get("kty") in _KINDS and key.get("use", "sig") == "sig"]
        found = KeySet.import_key_set(cast(Any, {"keys": public}))
        claims = jwt.decode(token, found, algorithms=list(settings.algorithms)).claims
    except (InvalidKeyIdError, MissingKeyError, BadSignatureError):
        raise UnknownKey("its signature is by no key of the provider's") from None
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unauthenticated(f"it is no token that is signed as it must be ({type(error).__name__})") from None
    _check(claims, settings, nonce)
    return claims


def _check(claims: dict[str, Any], settings: OidcSettings, nonce: str) -> None:
    now = time.time()
    audience = claims.get("aud")
    several = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    subject, told = claims.get("sub"), claims.get("nonce")
    wrong = ""
    if claims.get("iss") != settings.issuer:
        wrong = "another issuer"
    elif settings.client_id not in several:
        wrong = "another audience"
    elif claims.get("azp", settings.client_id) != settings.client_id or (len(several) > 1 and "azp" not in claims):
        wrong = "another authorized party"
    elif (
        not isinstance(subject, str) or not subject or len(subject) > 255 or not subject.isprintable() or " " in subject
    ):
        wrong = "no subject"
    elif not _seconds(claims, "exp") or claims["exp"] <= now - LEEWAY:
        wrong = "expired"
    elif not _seconds(claims, "iat") or not now - OLDEST - LEEWAY <= claims["iat"] <= now + LEEWAY:
        wrong = "issued at another time"
    elif "nbf" in claims and (not _seconds(claims, "nbf") or claims["nbf"] > now + LEEWAY):
        wrong = "not valid yet"
    elif not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
        wrong = "another nonce: it answers another sign-in"
    if wrong:
        raise Unauthenticated(f"its ID token has {wrong}")


def _seconds(claims: dict[str, Any], name: str) -> bool:
    value = claims.get(name)
    return isinstance(value, int | float) and not isinstance(value, bool)
