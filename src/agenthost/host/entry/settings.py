"""What a person sets about signing in: `[access]` and `[oidc.NAME]`."""

from typing import Annotated

import msgspec
from msgspec import Struct

from agenthost.core.access import Role

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

DAY = 86_400.0


class AccessSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Passwords and sessions, `[access]`. Times in seconds.

    `password_least`: characters of a new password (NIST SP 800-63B asks for 8 at the very least). `session_idle`: a
    browser that doesn't come for so long is signed out, `session_most`: after so long in any case. `link_lasts`: how
    long a sign-in link may be used. `tries`: wrong passwords of one person from one address within `tries_within`;
    `address_tries`: of all people from one address; `person_tries`: of one person from everywhere.
    """

    password_least: Annotated[int, msgspec.Meta(ge=8, le=128)] = 10
    session_idle: Seconds = 7 * DAY
    session_most: Seconds = 30 * DAY
    link_lasts: Seconds = 600.0
    tries: Positive = 5
    tries_within: Seconds = 300.0
    address_tries: Positive = 30
    person_tries: Positive = 100


class OidcSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """An OpenID provider, `[oidc.NAME]`.

    `issuer`: its address, from which all else is found (`/.well-known/openid-configuration`). `client_secret`: the
    name of a stored secret; empty for a public client. `role`: of somebody who comes for the first time; empty: nobody
    is added, only who was added with their subject comes in. `domains`: of verified e-mail addresses that may come for the
    first time; `groups`: of which one is needed then (empty: no such demand). `roles`: a group and the role that it
    gives, looked at whenever somebody signs in; the highest counts. `groups_claim`: where the groups stand.
    `title`: what the sign-in page calls it. `algorithms`: how ID tokens may be signed.
    """

    issuer: str
    client_id: str
    client_secret: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    role: Role | None = None
    domains: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: dict[str, Role] = msgspec.field(default_factory=dict[str, Role])
    groups_claim: str = "groups"
    title: str = ""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
