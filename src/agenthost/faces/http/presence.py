"""Requests that go on for long, and whether their callers may still make them.

Somebody who is disabled or deleted, or whose key is taken back or expires, or who has another role now, loses what they had
open, whatever protocol it is: at once where this process was told of it, within seconds where it has to see it. A request
that isn't answered yet has a moment to end by itself: it may be the one by which its own maker took the key back.
"""

import asyncio
import hashlib
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

from agenthost.core.access import Caller
from agenthost.core.api import Reception
from agenthost.core.errors import AgentHostError, Unauthenticated

LOOK = 1.0
"""Seconds between two looks, while anything is open."""
LEAST = 0.05
"""Seconds that there are between two looks, however often somebody is changed."""
STAY = "agenthost.stay"
"""In the scope, where somebody was let in: see `staying`."""
ANSWERING = "agenthost.answering"
"""In the scope: whether the answer to the connection's request has begun."""


def always() -> bool:
    """Of what goes on for somebody and is no request that would end by itself."""
    return True


class Guest:
    """One request: by what it was let in, how it is ended, whether its answer has begun. `lost`: since when it is known that
    its maker may make it no more."""

    __slots__ = ("abort", "address", "answering", "caller", "lost", "secret")

    def __init__(
        self,
        secret: str,
        address: str,
        caller: Caller,
        abort: Callable[[], object],
        answering: Callable[[], bool] = always,
    ) -> None:
        self.secret = secret
        self.address = address
        self.caller = caller
        self.abort = abort
        self.answering = answering
        self.lost = 0.0


class Presence:
    """Who is here. `watch` runs as long as the server does."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._here: set[Guest] = set()
        self._somebody = asyncio.Event()
        self._changed = asyncio.Event()
        reception.heed(self._changed.set)

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
            await asyncio.sleep(LEAST)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()
            # Before the look: what changes meanwhile is for the next one.
            self._changed.clear()
            if self._here:
                await self._look()
            else:
                self._somebody.clear()

    async def _look(self) -> None:
        at = asyncio.get_running_loop().time()
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
                if guest not in self._here or (now is not None and _means(now) == _means(guest.caller)):
                    continue
                guest.lost = guest.lost or at
                if at - guest.lost >= LOOK or guest.answering():
                    self._here.discard(guest)
                    guest.abort()


@contextmanager
def staying(scope: MutableMapping[str, Any], end: Callable[[], object]) -> Generator[None]:
    """While this is open, `end` is called as soon as whoever made the request may make it no more: for what goes on
    when the request's connection has gone."""
    if STAY not in scope:
        yield
        return
    presence: Presence = scope[STAY][0]
    let_in: Guest = scope[STAY][1]
    guest = Guest(let_in.secret, let_in.address, let_in.caller, end)
    presence.enter(guest)
    try:
        yield
    finally:
        presence.leave(guest)


def excuse(scope: MutableMapping[str, Any]) -> None:
    """Let a request be answered whatever becomes of its maker meanwhile: who deletes themselves is told what came of it."""
    if STAY in scope:
        presence: Presence = scope[STAY][0]
        presence.leave(scope[STAY][1])


def _means(caller: Caller) -> tuple[object, ...]:
    return caller.person, caller.role, caller.rights, caller.namespace
