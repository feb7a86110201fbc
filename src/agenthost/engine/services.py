"""What owners share: the ports, the ledger, followers, and the ways from one task to another."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from agenthost.core.budgets import Limits
from agenthost.core.commands import StartChild
from agenthost.core.events import ChildResult, Recorded
from agenthost.core.ids import child_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Append, InboxItem
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.engine import children
from agenthost.engine.accounts import Accounts
from agenthost.engine.bus import Bus
from agenthost.engine.codec import Codec
from agenthost.engine.files import Files
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.engine.performer import Performer
from agenthost.engine.supervisor import Supervisor

Submit = Callable[[str], None]


class Services:
    """Made once by an engine. `submit` has a task worked on, or poked where it is being worked on."""

    def __init__(
        self, parts: Parts, settings: EngineSettings, owner: str, supervisor: Supervisor, submit: Submit
    ) -> None:
        self.parts = parts
        self.settings = settings
        self.owner = owner
        self.supervisor = supervisor
        self.submit = submit
        self.bus = Bus()
        self.codec = Codec(parts.blobs, parts.redact)
        self.files = Files(parts.store, parts.workspaces)
        self.accounts = Accounts(parts.models, parts.programs)
        self.performer = Performer(parts, settings, self.files, self.accounts, self.bus)
        self._ends: dict[str, list[asyncio.Future[None]]] = {}

    async def append(self, append: Append, events: Sequence[Recorded]) -> None:
        """Commit a step with its events."""
        stored = [await self.codec.encode(recorded.seq, recorded.at, recorded.event) for recorded in events]
        await self.parts.store.append(msgspec.structs.replace(append, events=tuple(stored)))

    def committed(self, events: Sequence[Recorded], sent: Sequence[InboxItem], name: str) -> None:
        """Events are in the journal: show them, and wake whoever got mail."""
        self.bus.committed(events)
        if self.parts.committed is not None:
            for recorded in events:
                self.parts.committed(recorded, name)
        for item in sent:
            self.submit(item.task)

    def fault(self, what: str, error: BaseException) -> None:
        """Something failed that has no name: it is in the log with where it came from."""
        self.parts.log.error("fault", what=what, error=repr(error), exc_info=error)

    # --- from task to task ------------------------------------------------------------------------

    async def start_child(self, parent: TaskSpec, command: StartChild) -> None:
        """Make a child (once, however often it is asked for) and have it worked on."""
        source = Scope(child_id(parent.id, command.id), _NO_LIMITS, f"{parent.namespace}/{command.kind}/{command.name}")
        spec = children.child_spec(parent, command, self.parts.programs.limits(source))
        new = await children.new_task(spec, self.codec, self.parts.clock())
        await self.parts.store.create(new, children.copies(parent, spec))
        self.submit(spec.id)

    async def cancel_child(self, parent: TaskSpec, command: StartChild, reason: str) -> None:
        """Ask a child to end; its report comes as that of any other end."""
        child = child_id(parent.id, command.id)
        body = children.item_body(by=f"task:{parent.id}", reason=reason)
        await self.parts.store.put(InboxItem(child, "cancel:parent", "cancel", body, self.parts.clock()))
        self.submit(child)

    async def end_child(self, parent: TaskSpec, command: StartChild, reason: str) -> None:
        """End a child and wait until it has ended."""
        child = child_id(parent.id, command.id)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(child, []).append(ended)
        row = await self.parts.store.task(child)
        if row is None or row.state in FINAL or row.hold:
            self._ends.pop(child, None)
            return
        await self.cancel_child(parent, command, reason)
        await ended

    def ended(self, task: str) -> None:
        """A task is no longer worked on: those who wait for its end go on."""
        for waiting in self._ends.pop(task, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def merge(self, parent: TaskSpec, result: ChildResult) -> ChildResult:
        """Merge what a child changed in its copy of the files into its parent's."""
        changes, conflicts = await self.files.merge(f"{result.task}@base", result.task, parent.workspace)
        self.files.dirty(parent.workspace)
        return msgspec.structs.replace(result, changes=changes, conflicts=conflicts)


_NO_LIMITS = Limits()
