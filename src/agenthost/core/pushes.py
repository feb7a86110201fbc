"""Addresses that are told what becomes of a task (A2A's push notification configs), and the port that keeps them."""

from typing import Protocol

import msgspec
from msgspec import Struct


class Push(Struct, frozen=True, omit_defaults=True):
    """One address of one task. `agent`: of whose address it was given; `base`: the URL that the host was reached at.

    `token`, and `credentials` for the scheme `scheme`, go along with each notification; both are sealed. `version` is
    the protocol's that the other side speaks. `seen` says up to where the journals of the task's tree were told, by
    task; `done`: there is nothing more to tell."""

    task: str
    id: str
    url: str
    namespace: str
    person: str
    created: float
    agent: str = ""
    base: str = ""
    token: str = ""
    scheme: str = ""
    credentials: str = ""
    version: str = "1.0"
    seen: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    done: bool = False


class Pushes(Protocol):
    """Keeps addresses. What it returned for is on disk. Its conformance suite is `agenthost.testing.pushes`."""

    async def put(self, push: Push) -> None:
        """Keep one; one of the same task and id is replaced."""
        ...

    async def of(self, task: str) -> list[Push]:
        """Those of a task, in the order of their making, then of their ids."""
        ...

    async def open(self) -> list[Push]:
        """All that have something to be told yet, in the same order."""
        ...

    async def told(self, task: str, id: str, seen: dict[str, int], done: bool) -> None:
        """Note up to where one was told; nothing where it is gone."""
        ...

    async def delete(self, task: str, id: str) -> bool:
        """Forget one; False where there was none."""
        ...
