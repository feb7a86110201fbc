"""Whose a token is: the owner's, out of the home's file, or a key of somebody's."""

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import OWNER, RIGHTS, Accounts, Caller, Key, Person, Right
from agenthost.core.administration import Administration
from agenthost.core.api import HostApi, Linked
from agenthost.core.errors import BadInput, NotFound, Unauthenticated
from agenthost.core.ports import Store
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.secrets import digest_of, new_secret
from agenthost.host.guarded import GuardedHost, Owners

TOKEN_FILE = "token"
_REMEMBERED = 10_000
_FOR = 5.0
"""Seconds for which a key is believed without another look: another process may have taken it back."""


def owners_token(home: Path) -> str:
    """The owner's token out of the home's file, made with mode 0600 where there is none. Raises BadInput where others can
    read it, or it is none. To change it, remove the file and start the host again."""
    file = home / TOKEN_FILE
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as made:
            made.write(new_secret() + "\n")
            made.flush()
            os.fsync(made.fileno())
    if file.stat().st_mode & 0o077:
        raise BadInput(f"others can read the owner's token: run `chmod 600 {file}`, or remove it to have a new one")
    token = file.read_text("utf-8").strip()
    if len(token) < 20:
        raise BadInput(f"{file} holds no token; remove it to have a new one made")
    return token


class Doors(Struct, frozen=True):
    """What stands behind a reception: how people come in, what looks after them for a caller, what a link opens."""

    entrance: Entrance
    admin: Callable[[Caller], Administration]
    linked: Callable[[str], Awaitable[Linked]]


class Reception:
    """The port `core.api.Reception` over a host and its accounts. `token` is the owner's. `doors` is what stands
    behind it."""

    def __init__(self, host: HostApi, store: Store, token: str, doors: Doors) -> None:
        self._host = host
        self._doors = doors
        self._accounts = doors.entrance.register.accounts
        self._settings = doors.entrance.settings
        self._owners = Owners(store)
        self._owner = bytes.fromhex(digest_of(token))
        self._known: OrderedDict[str, tuple[float, Key, Person]] = OrderedDict()
        self._changes = 0
        self._heed: list[Callable[[], None]] = []
        doors.entrance.register.heed(self.forget)

    async def known(self, token: str, address: str) -> Caller:
        digest = digest_of(token)
        if hmac.compare_digest(bytes.fromhex(digest), self._owner):
            return Caller(via="token", at=address)
        key, person = await self._look_up(digest)
        if key.expires and key.expires <= time.time():
            raise Unauthenticated("this token has expired; make a new one")
        if person.disabled:
            raise Unauthenticated("this person may not use the host any more")
        if key.session:
            await self._keep_alive(digest, key, person)
        rights: list[Right] = [right for right in RIGHTS[person.role] if right in key.rights]
        via = f"{'session' if key.session else 'key'}:{key.id}"
        return Caller(person.id, person.role, tuple(rights), person.namespace, via, address)

    def api(self, caller: Caller) -> HostApi:
        # Who comes by the local socket is the user that the host's files belong to.
        if caller.via == "socket":
            return self._host
        return GuardedHost(self._host, caller, self._accounts, self._owners)

    def admin(self, caller: Caller) -> Administration:
        return self._doors.admin(caller)

    async def linked(self, secret: str, address: str) -> tuple[Caller, Linked]:
        file = await self._doors.linked(secret)
        person = await self._accounts.person(file.person)
        if person is None or person.disabled:
            raise NotFound("whoever made this link may not use the host any more")
        if file.key and not any(key.id == file.key for key in await self._accounts.keys(file.person)):
            raise NotFound("the key that this link was made with has ended, and the link with it")
        return Caller(person.id, person.role, ("read",), person.namespace, "link", address), file

    def forget(self) -> None:
        """Look every key up again: one was changed or taken back."""
        self._changes += 1
        self._known.clear()
        for changed in self._heed:
            changed()

    def heed(self, changed: Callable[[], None]) -> None:
        self._heed.append(changed)

    async def _keep_alive(self, digest: str, key: Key, person: Person) -> None:
        """A session that is used goes on, up to its longest; written down now and then."""
        now, idle = time.time(), self._settings.session_idle
        until = min(now + idle, key.created + self._settings.session_most)
        if until - key.expires < idle / 20:
            return
        longer = replace(key, expires=until)
        remembered = self._known.get(digest)
        if remembered is not None:
            self._known[digest] = (remembered[0], longer, person)
        if not await self._accounts.extend_key(key.id, until):
            self._known.pop(digest, None)
            raise Unauthenticated("this session has ended; sign in again")

    async def _look_up(self, digest: str) -> tuple[Key, Person]:
        now = time.monotonic()
        found = self._known.get(digest)
        if found is None or found[0] < now:
            changes = self._changes
            looked_up = await self._accounts.key(digest)
            if looked_up is None:
                self._known.pop(digest, None)
                raise Unauthenticated("nobody has this token; was it taken back, or is it another host's?")
            if self._changes != changes:
                # Somebody was changed while this was read: it is told once, and read again the next time.
                return looked_up
            found = self._known[digest] = (now + _FOR, *looked_up)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found[1], found[2]


async def ensure_owner(accounts: Accounts) -> None:
    """Have the person whose host it is be there."""
    if await accounts.person(OWNER) is None:
        await accounts.put_person(Person(OWNER, "owner", time.time(), "Owner"))
