"""Who may do what: people, their roles, keys and sessions, and the port that keeps them.

Every request is somebody's (`Caller`). What a role may do is the table `RIGHTS`; a key may have less than its person,
never more. Whose a thing is decides the rest: see `Caller.sees`.
"""

from typing import Literal, Protocol, get_args

from msgspec import Struct

Role = Literal["owner", "operator", "user", "read-only"]
Right = Literal["read", "work", "manage", "own"]
"""`read`: look. `work`: give work, answer, cancel, upload. `manage`: agents, workflows, models, everybody's tasks, the
host's health. `own`: people, keys, secrets, the audit log, deletion."""

RIGHTS: dict[Role, tuple[Right, ...]] = {
    "owner": ("read", "work", "manage", "own"),
    "operator": ("read", "work", "manage"),
    "user": ("read", "work"),
    "read-only": ("read",),
}
ROLES: tuple[Role, ...] = get_args(Role)
ALL_RIGHTS: tuple[Right, ...] = get_args(Right)
OWNER = "owner"
"""The id of the person whose host it is: there from the first start, and never removed."""


class Caller(Struct, frozen=True, omit_defaults=True):
    """Who asks. `via` says how they were known: `socket`, `token`, `key:ID`, `session:ID`; `schedule:ID` is what they had
    asked for before. `at`: from which address.
    `caused`: the traceparent of their request."""

    person: str = OWNER
    role: Role = "owner"
    rights: tuple[Right, ...] = ALL_RIGHTS
    namespace: str = "default"
    via: str = "socket"
    at: str = ""
    caused: str = ""

    def may(self, right: Right) -> bool:
        """Whether they have a right."""
        return right in self.rights

    def sees(self, namespace: str, person: str) -> bool:
        """Whether they may look at what is somebody's. A user sees what is their own; every other role sees all of
        its namespace."""
        return namespace == self.namespace and (person == self.person or self.role != "user")


class Person(Struct, frozen=True, omit_defaults=True):
    """Somebody who may use the host. `password` is an argon2 hash, empty where they have none. `subject` is who they
    are for an OpenID provider: its issuer, a blank, its subject. `created` in seconds since the epoch."""

    id: str
    role: Role
    created: float
    name: str = ""
    namespace: str = "default"
    password: str = ""
    subject: str = ""
    disabled: bool = False


class Key(Struct, frozen=True, omit_defaults=True):
    """An API key: `digest` is the SHA-256 of its secret (32 random bytes, so that no slow hash is needed), in hex.

    `rights` bound what its person may do with it. `expires` in seconds since the epoch, 0 for never. `hint`: the last
    characters of the secret, for people to know it again. `session` is true for a browser's, which ends with it. `maker`:
    the id of the key that it was made with, empty where it was made with none: it goes with that one."""

    id: str
    person: str
    digest: str
    created: float
    name: str = ""
    rights: tuple[Right, ...] = ALL_RIGHTS
    expires: float = 0.0
    hint: str = ""
    session: bool = False
    maker: str = ""


class Deed(Struct, frozen=True, omit_defaults=True):
    """One line of the audit log: who did what to which thing, when (seconds since the epoch), from where, what allowed
    it (`via`: a key, a session, the socket), and what came of it (`done`, or the code of the error)."""

    at: float
    person: str
    what: str
    thing: str = ""
    via: str = ""
    address: str = ""
    outcome: str = "done"
    namespace: str = "default"
    place: int = 0


class DeedFilter(Struct, frozen=True, omit_defaults=True):
    """Which lines of the audit log are wanted, newest first. `before`: the `place` that the last page ended with."""

    namespace: str = "default"
    person: str = ""
    what: str = ""
    thing: str = ""
    before: int = 0
    limit: int = 50


class Accounts(Protocol):
    """Keeps people, keys, the audit log, and whose files are whose. What it returned for is on disk.

    Its conformance suite is `agenthost.testing.accounts`."""

    async def person(self, id: str) -> Person | None: ...

    async def person_of(self, subject: str) -> Person | None:
        """Who an OpenID provider's subject is."""
        ...

    async def people(self, namespace: str = "default") -> list[Person]: ...

    async def put_person(self, person: Person) -> None:
        """Keep somebody, new or changed. Raises BadInput where the subject is another's."""
        ...

    async def delete_person(self, id: str) -> bool:
        """Remove somebody with their keys; False where there is nobody."""
        ...

    async def key(self, digest: str) -> tuple[Key, Person] | None:
        """The key with that digest and whose it is; None where there is none."""
        ...

    async def keys(self, person: str) -> list[Key]: ...

    async def put_key(self, key: Key) -> None: ...

    async def extend_key(self, id: str, expires: float) -> bool:
        """Have a key that is there last until then; False where it has gone meanwhile."""
        ...

    async def delete_key(self, person: str, id: str) -> bool:
        """Take a key back, with all that were made with it; False where that person has none of that id."""
        ...

    async def sweep(self, now: float) -> int:
        """Remove what has expired; how many keys that were."""
        ...

    async def note(self, deeds: "list[Deed]") -> None:
        """Add lines to the audit log. Nothing ever changes or removes one."""
        ...

    async def deeds(self, wanted: DeedFilter) -> list[Deed]: ...

    async def own_file(self, namespace: str, person: str, digest: str) -> None:
        """Remember that somebody gave a file."""
        ...

    async def has_file(self, namespace: str, person: str, digest: str) -> bool:
        """Whether somebody gave that file, or it is one of a workspace of their tasks. An empty `person` is anybody."""
        ...
