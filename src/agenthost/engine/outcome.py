"""What performing a command led to, on its way into the journal."""

import asyncio

import msgspec
from msgspec import Struct

from agenthost.core.events import Event
from agenthost.core.ports import LedgerEntry, Settlement


class Outcome(Struct):
    """Events to commit together with what belongs to them. `committed` is set when they are.

    `files` are changes to the task's workspace, path to digest, None where removed.
    """

    events: tuple[Event, ...]
    reserve: tuple[LedgerEntry, ...] = ()
    settle: tuple[Settlement, ...] = ()
    files: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    committed: asyncio.Future[bool] | None = None
