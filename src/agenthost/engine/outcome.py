"""What performing a command led to, on its way into the journal."""

import asyncio

import msgspec
from msgspec import Struct

from agenthost.core.events import Event
from agenthost.core.ports import LedgerEntry, Settlement


class Outcome(Struct):
    """Events about one command, to be committed together with what belongs to them.

    `files` are changes to the task's workspace, path to digest, None where removed. `committed` is set
    once they are in the journal, to whether the command was still open for them and, for one that goes
    on, is so now.
    """

    command: str
    events: tuple[Event, ...]
    reserve: tuple[LedgerEntry, ...] = ()
    settle: tuple[Settlement, ...] = ()
    files: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    committed: asyncio.Future[bool] | None = None

    def tell(self, taken: bool) -> None:
        """Let the one who waits go on."""
        if self.committed is not None and not self.committed.done():
            self.committed.set_result(taken)
