"""Requests that go on for long, and whether their callers may still make them.

Somebody who is disabled, or whose key is taken back or expires, or who has another role now, loses what they had open
within seconds, whatever protocol it is.
"""

import asyncio
import hashlib
from collections.abc import Callable

from agenthost.core.access import Caller
from agenthost.core.api import Reception
from agenthost.core.errors import AgentHostError, Unauthenticated

LOOK = 1.0
"""Seconds between two looks, while anything is open."""


class Guest:
    """One request: by what it was let in, and how its connection is ended."""

    __slots__ = ("abort", "address", "caller", "secret")

    def __init__(self, secret: str, address: str, caller: Caller, abort: Callable[[], None]) -> None:
        self.secret = secret
        self.address = address
        self.caller = caller
        self.abort = abort


class Presence:
    """Who is here. `watch` runs as long as the server does."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._here: set[Guest] = set()
        self._somebody = asyncio.Event()

    def __len__(self) -> int:
        return len(self._here)

    def enter(self, guest: Guest) -> None:
        """A request begins."""
        self._here.add(guest)
        self._somebody.set()

    def leave(self, guest: Guest) -> None:
        """A request has ended."""
        self._here.discard(guest)

    async def watch(self) -> None:
        """Look again and again, and end what may not be any more. Idle while nobody is here."""
        while True:
            await self._somebody.wait()
            await asyncio.sleep(LOOK)
            if not self._here:
                self._somebody.clear()
                continue
            await self._look()

    async def _look(self) -> None:
        by_secret: dict[bytes, list[Guest]] = {}
        for guest in self._here:
            by_secret.setdefault(hashlib.sha256(guest.secret.encode("utf-8", "replace")).digest(), []).append(guest)
        for guests in by_secret.values():
            try:
                now = await self._reception.known(guests[0].secret, guests[0].address)
            except Unauthenticated:
                now = None
            except AgentHostError:
                continue  # the store is busy: nobody is thrown out for that
            for guest in guests:
                if guest in self._here and (now is None or _means(now) != _means(guest.caller)):
                    guest.abort()


def _means(caller: Caller) -> tuple[object, ...]:
    return caller.person, caller.role, caller.rights, caller.namespace
