"""Signing in: a browser's session begins with a password, a link or an OpenID provider's word, and ends."""

import time
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from agenthost.core.access import ALL_RIGHTS, Caller, Deed, Key, Person, Right
from agenthost.core.administration import SignInLink
from agenthost.core.errors import AgentHostError, Temporary, Unauthenticated
from agenthost.core.ids import digest
from agenthost.host.entry.passwords import Passwords
from agenthost.host.entry.register import Register, with_password
from agenthost.host.entry.secrets import digest_of, new_secret
from agenthost.host.entry.settings import AccessSettings
from agenthost.wire.tries import Tries, network_of

MOST_SESSIONS = 50
_LINKS = 1000
_REFUSED = 100
"""Lines an hour and person of the audit log about what they might not do."""
_WRONG = "the name or the password is wrong"

How = Literal["password", "link", "oidc"]


class Session(Struct, frozen=True):
    """A session that began: `secret` goes into the browser's cookie, and nowhere else."""

    secret: str
    key: Key


class _Link(Struct, frozen=True):
    person: str
    rights: tuple[Right, ...]
    expires: float


class Entrance:
    """Knows who may come in. `url`: under which address browsers reach this host, empty where it isn't known. `refused`
    bounds what is written down of those who tried what they may not."""

    def __init__(self, register: Register, settings: AccessSettings) -> None:
        self.register = register
        self.settings = settings
        self.passwords = Passwords()
        self.url = ""
        within = settings.tries_within
        self._pairs = Tries(settings.tries, within)
        self._addresses = Tries(settings.address_tries, within)
        self._persons = Tries(settings.person_tries, within)
        self._links: dict[str, _Link] = {}
        self.refused = Tries(_REFUSED, 3600.0)

    # --- links ---

    def link(self, person: str, rights: tuple[Right, ...] = ALL_RIGHTS) -> SignInLink:
        """A link that signs a browser in as somebody, once and soon, with no more than `rights`."""
        now = time.time()
        self._links = {code: link for code, link in self._links.items() if link.expires > now}
        while len(self._links) >= _LINKS:
            del self._links[next(iter(self._links))]
        code = new_secret()
        expires = now + self.settings.link_lasts
        self._links[digest_of(code)] = _Link(person, rights, expires)
        return SignInLink(f"{self.url}/sign-in?code={code}", expires)

    def forget_links(self, person: str) -> None:
        """No link of somebody counts any more."""
        self._links = {code: link for code, link in self._links.items() if link.person != person}

    def forget(self, person: str) -> None:
        """Somebody was removed: no link of theirs counts, and what was remembered of them is looked up again."""
        self.forget_links(person)
        self.register.changed()

    async def by_link(self, code: str, address: str) -> Session:
        """Sign in by a link's code. Raises Unauthenticated where it was used, is too old, or never was; Temporary."""
        network = network_of(address)
        self._addresses.take(network, "too many sign-ins were tried from your address")
        link = self._links.pop(digest_of(code), None)
        person = await self.register.accounts.person(link.person) if link else None
        if link is None or link.expires <= time.time() or person is None or person.disabled:
            await self._note(person.id if person else "", "link", address, "unauthenticated")
            raise Unauthenticated(
                "this link was used already, or is too old; `agenthost people link` at the host's machine makes another"
            )
        self._addresses.forgive(network)
        return await self.begin(person, "link", address, link.rights)

    # --- passwords ---

    async def by_password(self, id: str, password: str, address: str) -> Session:
        """Sign in by a password. Raises Unauthenticated without a word about who there is, Temporary after too many tries."""
        id = id.strip()
        network = network_of(address)
        pair = f"{network} {digest(id.encode('utf-8', 'surrogatepass'))}"
        for tries, name in ((self._addresses, network), (self._persons, pair.partition(" ")[2]), (self._pairs, pair)):
            tries.take(name, "too many wrong passwords")
        person = await self.register.accounts.person(id)
        usable = person is not None and not person.disabled
        kept = person.password if person is not None and usable else ""
        try:
            right = await self.passwords.check(kept, password)
        except AgentHostError:
            self._forgive(network, pair)
            raise
        if not right or person is None:
            await self._note(id[:100], "password", address, "unauthenticated")
            raise Unauthenticated(_WRONG)
        self._forgive(network, pair)
        if self.passwords.is_old(kept):
            with suppress(Temporary):
                renewed = await self.passwords.hash(password)
                await self.register.change(id, lambda now: with_password(now, renewed) if now.password == kept else now)
        return await self.begin(person, "password", address)

    async def is_password(self, person: Person, password: str, address: str) -> bool:
        """Whether that is their password; limited in tries as signing in is. Raises Temporary."""
        network = network_of(address)
        pair = f"{network} {digest(person.id.encode())}"
        self._pairs.take(pair, "too many wrong passwords")
        right = await self.passwords.check(person.password, password)
        if right:
            self._pairs.forgive(pair)
        return right

    def _forgive(self, network: str, pair: str) -> None:
        self._addresses.forgive(network)
        self._persons.forgive(pair.partition(" ")[2])
        self._pairs.forgive(pair)

    # --- sessions ---

    async def begin(self, person: Person, how: How, address: str, rights: tuple[Right, ...] = ALL_RIGHTS) -> Session:
        """A new session of somebody who was recognized. Its secret is new: nobody can have chosen it before."""
        secret, now = new_secret(), time.time()
        expires = now + min(self.settings.session_idle, self.settings.session_most)
        hashed = digest_of(secret)
        key = Key(hashed[:12], person.id, hashed, now, f"{how} {address}".strip(), rights, expires, session=True)
        await self.register.put_key(key, MOST_SESSIONS)
        await self._note(person.id, how, address, "done", person.namespace)
        return Session(secret, key)

    async def alive(self, secret: str) -> Person | None:
        """Whose session it is that a cookie tells of; None where it has ended."""
        found = await self.register.accounts.key(digest_of(secret))
        if found is None or not found[0].session or found[0].expires <= time.time() or found[1].disabled:
            return None
        return found[1]

    async def end(self, secret: str) -> None:
        """End the session that a cookie tells of, where there is one."""
        found = await self.register.accounts.key(digest_of(secret))
        if found is not None and found[0].session:
            await self.register.drop_key(found[1].id, found[0].id)

    async def _note(self, person: str, how: How, address: str, outcome: str, namespace: str = "default") -> None:
        deed = Deed(time.time(), person, "session.begin", how, "", address, outcome, namespace)
        await self.register.accounts.note([deed])


def may_grow(caller: Caller) -> bool:
    """Whether somebody may give themselves another way in that can do all that they may: not by a key, which was made for
    less, and may have leaked."""
    return not caller.via.startswith("key:")
