"""People and keys for one caller: who may look after whom is decided here. What is done is in the audit log."""

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from agenthost.core.access import RIGHTS, Caller, DeedFilter, Key, Person, Right
from agenthost.core.administration import (
    Fate,
    KeyInfo,
    Me,
    NewKey,
    NewPerson,
    PersonChange,
    PersonInfo,
    SignInLink,
)
from agenthost.core.errors import AgentHostError, Conflict, Forbidden, NotFound, Unauthenticated, Unusable
from agenthost.host.entry.entrance import Entrance, may_grow
from agenthost.host.entry.passwords import check_password
from agenthost.host.entry.secrets import digest_of, new_secret
from agenthost.host.guarded import deed, forbidden, note_refused

MOST_KEYS = 100
MOST_TEXT = 200
_ID = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")

CancelAll = Callable[[Person, str, str], Awaitable[None]]
"""Cancels every unfinished task of somebody: theirs, by whom, why."""


class Administrator:
    """Fulfils core.administration.Administration. Made for each request, and cheap."""

    def __init__(self, caller: Caller, entrance: Entrance, cancel_all: CancelAll) -> None:
        self._caller = caller
        self._entrance = entrance
        self._register = entrance.register
        self._cancel_all = cancel_all

    # --- who asks ---

    async def whoami(self) -> Me:
        person = await self._register.person(self._caller.person, self._caller.namespace)
        return Me(_told(person), self._caller.rights, self._caller.via)

    async def _need_own(self, what: str, deed_of: str = "", thing: str = "") -> None:
        """Raises Forbidden. That they tried what is noted (`deed_of`) is in the audit log as well."""
        if not self._caller.may("own"):
            if deed_of:
                accounts, refused = self._register.accounts, self._entrance.refused
                await note_refused(accounts, refused, self._caller, deed_of, thing)
            raise forbidden(self._caller, "own", what)

    async def _somebody(self, id: str, what: str, deed_of: str = "") -> Person:
        """The caller, or somebody they may look after. Who may not learns nothing about who there is."""
        id = id or self._caller.person
        if id != self._caller.person:
            await self._need_own(what, deed_of, id)
        return await self._register.person(id, self._caller.namespace)

    @asynccontextmanager
    async def _noted(self, what: str, thing: str) -> AsyncGenerator[None]:
        outcome = "done"
        try:
            yield
        except AgentHostError as error:
            outcome = error.code
            raise
        finally:
            await self._register.accounts.note([deed(self._caller, what, thing, outcome)])

    # --- people ---

    async def people(self) -> list[PersonInfo]:
        await self._need_own("list people")
        return [_told(person) for person in await self._register.accounts.people(self._caller.namespace)]

    async def person(self, id: str) -> PersonInfo:
        return _told(await self._somebody(id, "look at other people"))

    async def add_person(self, person: NewPerson) -> PersonInfo:
        await self._need_own("add people", "person.add", f"{person.id} {person.role}")
        async with self._noted("person.add", f"{person.id} {person.role}"):
            if not _ID.fullmatch(person.id):
                raise Unusable(
                    f"'{person.id[:80]}' can't be an id; use a-z, 0-9 and . _ @ + -, at most 64 characters, such as 'ann' or 'ann@example.org'"
                )
            await self._never_was(person.id)
            made = Person(
                person.id,
                person.role,
                time.time(),
                _text("name", person.name),
                self._caller.namespace,
                await self._hash(person.id, person.password) if person.password else "",
                _subject(person.subject),
            )
            await self._register.add(made)
        return _told(made)

    async def _never_was(self, id: str) -> None:
        gone = await self._register.accounts.deeds(
            DeedFilter(self._caller.namespace, what="person.delete", thing=id, limit=20)
        )
        if any(deed.outcome == "done" for deed in gone):
            raise Conflict(
                f"'{id}' was the id of somebody who was removed, and what they did stays theirs; choose another id"
            )

    async def change_person(self, id: str, change: PersonChange) -> PersonInfo:
        await self._need_own("change people", "person.change", f"{id} {_said(change)}".strip())
        before = await self._register.person(id, self._caller.namespace)
        async with self._noted("person.change", f"{id} {_said(change)}".strip()):
            after = await self._register.change(id, lambda person: _changed(person, change))
            if after.disabled and not before.disabled:
                self._entrance.forget_links(id)
                if change.tasks == "cancel":
                    await self._cancel_all(after, self._caller.person, f"{id} may not use the host any more")
        return _told(after)

    async def set_password(self, id: str, password: str, old: str = "") -> None:
        person = await self._somebody(id, "set other people's passwords", "person.password")
        async with self._noted("person.password", person.id):
            if person.id == self._caller.person:
                self._need_growth("set a password")
                await self._need_old(person, old)
            hashed = await self._hash(person.id, password) if password else ""
            await self._register.change(person.id, lambda now: replace(now, password=hashed))
            self._entrance.forget_links(person.id)
            await self._register.end_sessions(person.id, self._by("session"))

    def _need_growth(self, what: str) -> None:
        """A key or a session that may less than its person must not become one that may all."""
        if not may_grow(self._caller) or set(self._caller.rights) != set(RIGHTS[self._caller.role]):
            raise Forbidden(f"what you signed in with may not {what}; sign in with a browser, or use the owner's token")

    async def _need_old(self, person: Person, old: str) -> None:
        if not person.password or self._caller.via in ("socket", "token"):
            return
        if not await self._entrance.is_password(person, old, self._caller.at):
            raise Forbidden("the old password is wrong; give it as `old`, or have an owner set another")

    async def _hash(self, person: str, password: str) -> str:
        check_password(password, self._entrance.settings.password_least, person)
        return await self._entrance.passwords.hash(password)

    async def delete_person(self, id: str, tasks: Fate = "cancel") -> None:
        await self._need_own("remove people", "person.delete", id)
        person = await self._register.person(id, self._caller.namespace)
        async with self._noted("person.delete", id):
            await self._register.delete(person)
            self._entrance.forget_links(id)
            if tasks == "cancel":
                await self._cancel_all(person, self._caller.person, f"{id} was removed")

    async def sign_in_link(self, person: str = "") -> SignInLink:
        found = await self._somebody(person, "make sign-in links for other people", "session.link")
        async with self._noted("session.link", found.id):
            if found.disabled:
                raise Unusable(f"'{found.id}' is disabled; `agenthost people change {found.id} --enable` first")
            own = found.id == self._caller.person
            if own:
                self._need_growth("make sign-in links")
            return self._entrance.link(found.id)

    # --- keys ---

    async def keys(self, person: str = "") -> list[KeyInfo]:
        found = await self._somebody(person, "list other people's keys")
        now = time.time()
        keys = await self._register.accounts.keys(found.id)
        return [self._shown(key) for key in keys if not key.expires or key.expires > now]

    async def make_key(
        self, name: str = "", person: str = "", rights: tuple[Right, ...] = (), expires: float = 0.0
    ) -> NewKey:
        whose = await self._somebody(person, "make keys for other people", "key.new")
        name = _text("name", name)
        secret, now = new_secret(), time.time()
        async with self._noted("key.new", f"{whose.id} {name}".strip()):
            if expires and expires <= now:
                raise Unusable("`expires` has passed already; give a time to come, in seconds since the epoch, or 0")
            given = self._given(whose, rights)
            hashed = digest_of(secret)
            until, own = await self._until(expires), self._by("key")
            key = Key(f"k{hashed[:11]}", whose.id, hashed, now, name, given, until, secret[-4:], maker=own)
            await self._register.put_key(key, MOST_KEYS)
        return NewKey(secret, self._shown(key))

    def _given(self, person: Person, wanted: tuple[Right, ...]) -> tuple[Right, ...]:
        """The rights of a new key: what its person has, and what its maker may give."""
        most: list[Right] = [
            right for right in RIGHTS[person.role] if person.id != self._caller.person or self._caller.may(right)
        ]
        beyond = [right for right in wanted if right not in most]
        if beyond:
            raise Forbidden(
                f"a key of yours for '{person.id}' can't have the right '{beyond[0]}'; at most: {', '.join(most)}"
            )
        return tuple(right for right in most if right in wanted or not wanted)

    async def _until(self, expires: float) -> float:
        """A key that a key makes ends with it: to take one back takes back all that it could make."""
        own = self._by("key")
        if not own:
            return expires
        for key in await self._register.accounts.keys(self._caller.person):
            if key.id == own:
                return min(expires or key.expires, key.expires) if key.expires else expires
        raise Unauthenticated("the key that you came with was taken back this moment")

    async def revoke_key(self, id: str, person: str = "") -> None:
        found = await self._somebody(person, "take other people's keys back", "key.revoke")
        async with self._noted("key.revoke", f"{found.id} {id[:40]}"):
            if not await self._register.drop_key(found.id, id):
                raise NotFound(f"'{found.id}' has no key or session '{id[:40]}'; `agenthost keys list` shows them")

    def _by(self, kind: str) -> str:
        """The id of the key (or session) that was asked with, empty where it was something else."""
        what, _, id = self._caller.via.partition(":")
        return id if what == kind else ""

    def _shown(self, key: Key) -> KeyInfo:
        current = bool(key.id) and key.id in (self._by("key"), self._by("session"))
        return KeyInfo(
            key.id, key.person, key.created, key.rights, key.name, key.expires, key.hint, key.session, current
        )


def _told(person: Person) -> PersonInfo:
    return PersonInfo(
        person.id,
        person.role,
        person.created,
        person.name,
        bool(person.password),
        person.subject,
        person.disabled,
    )


def _changed(person: Person, change: PersonChange) -> Person:
    return replace(
        person,
        role=person.role if change.role is None else change.role,
        name=person.name if change.name is None else _text("name", change.name),
        subject=person.subject if change.subject is None else _subject(change.subject),
        disabled=person.disabled if change.disabled is None else change.disabled,
    )


def _said(change: PersonChange) -> str:
    """What was changed, for the audit log."""
    told = {"role": change.role, "name": change.name, "subject": change.subject, "disabled": change.disabled}
    return ", ".join(f"{name}={value}" for name, value in told.items() if value is not None)


def _text(what: str, text: str) -> str:
    if len(text) > MOST_TEXT or not text.isprintable():
        raise Unusable(
            f"the {what} is longer than {MOST_TEXT} characters, or has some that can't be shown; give another"
        )
    return text


def _subject(text: str) -> str:
    issuer, _, subject = text.partition(" ")
    if text and (not issuer.startswith(("https://", "http://")) or not subject or " " in subject or len(text) > 1000):
        raise Unusable(
            "a subject is an OpenID provider's issuer, a blank, and its subject, such as 'https://id.example 1234'"
        )
    return text
