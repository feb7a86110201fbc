"""Signatures as Standard Webhooks has them (standardwebhooks.com, specification 1.0.0): scheme `v1`, HMAC-SHA256."""

import base64
import hashlib
import hmac
import secrets

from agenthost.core.errors import Unusable

PREFIX = "whsec_"
LEAST, MOST = 24, 64
"""Bytes that a secret has, by the specification."""


def new_secret() -> str:
    """A new secret: 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """A secret that somebody brought. Raises BadInput."""
    try:
        size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except ValueError:  # also what is no ASCII
        size = 0
    if not secret.startswith(PREFIX) or not LEAST <= size <= MOST:
        raise Unusable(
            f"a webhook's secret is {PREFIX} and {LEAST} to {MOST} random bytes in base64; leave it out to have one made"
        )
    return secret


def headers(secret: str, id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery. `at` in whole seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
