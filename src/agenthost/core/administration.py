"""People and their keys, as one caller may look after them: one's own, and with the right `own` everybody's."""

from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.access import ALL_RIGHTS, Right, Role

Fate = Literal["cancel", "keep"]
"""What becomes of the unfinished tasks of somebody who may not use the host any more."""


class PersonInfo(Struct, frozen=True, omit_defaults=True):
    """Somebody who may use the host, as others are told of them: `password` only says whether there is one. `created`
    in seconds since the epoch; `subject`: who they are for an OpenID provider (its issuer, a blank, its subject)."""

    id: str
    role: Role
    created: float
    name: str = ""
    password: bool = False
    subject: str = ""
    disabled: bool = False


class NewPerson(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Somebody to be added."""

    id: str
    role: Role = "user"
    name: str = ""
    password: str = ""
    subject: str = ""


class PersonChange(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be changed of somebody; None leaves it as it is. `tasks`: what becomes of their unfinished tasks where
    this disables them."""

    role: Role | None = None
    name: str | None = None
    subject: str | None = None
    disabled: bool | None = None
    tasks: Fate = "cancel"


class KeyInfo(Struct, frozen=True, omit_defaults=True):
    """A key or a browser's session (`session`), without its secret; `hint`: the secret's last characters. Times in
    seconds since the epoch; `expires` 0 for never. `current`: the one that this was asked with."""

    id: str
    person: str
    created: float
    rights: tuple[Right, ...]
    name: str = ""
    expires: float = 0.0
    hint: str = ""
    session: bool = False
    current: bool = False


class NewKey(Struct, frozen=True):
    """A key that was made. Its secret is told here, and never again."""

    secret: str
    key: KeyInfo


class SignInLink(Struct, frozen=True):
    """Signs a browser in, once, until `expires` (seconds since the epoch). `url` begins with `/` where the host doesn't
    know under which address browsers reach it."""

    url: str
    expires: float


class Me(Struct, frozen=True, omit_defaults=True):
    """Who asks, by what (`via`: `socket`, `token`, `key:ID`, `session:ID`), and what they may do by it. `csrf`: what a
    browser's page sends as `X-CSRF-Token` with all that changes something."""

    person: PersonInfo
    rights: tuple[Right, ...] = ALL_RIGHTS
    via: str = ""
    csrf: str = ""


class Administration(Protocol):
    """The use-cases. All raise Forbidden where the caller may not, NotFound for somebody or something that isn't there."""

    async def whoami(self) -> Me: ...

    async def people(self) -> list[PersonInfo]: ...

    async def person(self, id: str) -> PersonInfo: ...

    async def add_person(self, person: NewPerson) -> PersonInfo:
        """Raises Conflict where the id or the subject is somebody's, or was."""
        ...

    async def change_person(self, id: str, change: PersonChange) -> PersonInfo: ...

    async def set_password(self, id: str, password: str, old: str = "") -> None:
        """Set or, with an empty one, remove a password; all other sessions of theirs end. `old` is asked of whoever
        changes their own and isn't at the host's own machine."""
        ...

    async def delete_person(self, id: str, tasks: Fate = "cancel") -> None:
        """Remove somebody with their keys and sessions. What they did stays theirs, and the id is nobody's again."""
        ...

    async def sign_in_link(self, person: str = "") -> SignInLink:
        """A link that signs a browser in as the caller, or as somebody."""
        ...

    async def keys(self, person: str = "") -> list[KeyInfo]:
        """Keys and sessions of the caller, or of somebody."""
        ...

    async def make_key(self, name: str, person: str, rights: tuple[Right, ...], expires: float) -> NewKey:
        """A key for the caller, or for somebody; `rights` none: all that its person has and its maker may give;
        `expires` in seconds since the epoch, 0 for never."""
        ...

    async def revoke_key(self, id: str, person: str = "") -> None:
        """Take a key back, or end a session; it counts at once."""
        ...
