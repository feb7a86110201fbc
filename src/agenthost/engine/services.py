"""What owners share: the ports, the ledger, followers, and the ways from one task to another."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from agenthost.core.budgets import Limits
from agenthost.core.commands import Ask, Command, StartChild
from agenthost.core.errors import AgentHostError, NotFound, Temporary
from agenthost.core.events import ChildResult, Created, Recorded, Reply
from agenthost.core.ids import child_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Append, InboxItem, StoredEvent
from agenthost.core.questions import HOST, TIME_LIMIT, reply_id
from agenthost.core.tasks import Scope, TaskRow, TaskSpec
from agenthost.core.telling import Committed
from agenthost.engine import children
from agenthost.engine.accounts import Accounts
from agenthost.engine.birth import Birth
from agenthost.engine.bus import Bus
from agenthost.engine.codec import Codec
from agenthost.engine.doors import Doors
from agenthost.engine.files import Files
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.engine.performer import Performer
from agenthost.engine.supervisor import Supervisor

Submit = Callable[[str, Birth | None], None]
T = TypeVar("T")


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
        self.doors = Doors()
        self.codec = Codec(parts.blobs, parts.redact)
        self.files = Files(parts.store, parts.workspaces, parts.sandbox)
        self.accounts = Accounts(parts.models, parts.programs)
        self.performer = Performer(parts, settings, self.files, self.accounts, self.bus)
        self._ends: dict[str, list[asyncio.Future[None]]] = {}

    # --- the store --------------------------------------------------------------------------------

    async def steady(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the store until it answers: a full disk delays a task and loses nothing."""
        wait = self.settings.store_delay
        while True:
            try:
                return await call()
            except Temporary as error:
                self.parts.log.warning("store failed, again soon", error=error.message, code=error.code)
                await asyncio.sleep(error.delay or wait)
                wait = min(wait * 2, self.settings.store_delay_most)

    async def append(self, append: Append, stored: Sequence[StoredEvent], birth: Birth | None = None) -> None:
        """Commit a step with its events; the first of a new task makes it."""
        redact = self.parts.redact
        if append.reason or append.send:
            # What stands beside the events is as free of secrets as they are.
            reason = redact(append.reason.encode()).decode()
            send = tuple(msgspec.structs.replace(item, body=redact(item.body)) for item in append.send)
            append = msgspec.structs.replace(append, reason=reason, send=send)

        if birth is not None and not birth.made.done():
            # Whoever wants the task hears of a full disk at once, and decides.
            await birth.write(msgspec.structs.replace(append, events=await self.codec.shelve(stored)))
            return

        async def commit() -> None:
            events = await self.codec.shelve(stored)
            await self.parts.store.append(msgspec.structs.replace(append, events=events))

        await self.steady(commit)

    async def create(
        self, spec: TaskSpec, copies: Sequence[tuple[str, str]] = (), files: Mapping[str, str] | None = None
    ) -> TaskRow | None:
        """Make a task that this engine owns, and have it worked on; None where it is there already."""
        created = Recorded(spec.id, 1, self.parts.clock(), Created(spec))
        new = await children.new_task(created, spec, self.codec, self.owner)

        def born() -> None:
            if not spec.parent:
                self.bus.begin(spec.id)
            self.committed(Committed([created], spec.name, "", new.row.state), ())

        birth = Birth(self.parts.store, new, created, (copies, files or {}), born)
        self.submit(spec.id, birth)
        if await asyncio.shield(birth.made):
            return new.row
        self.submit(spec.id, None)
        return None

    def committed(self, done: Committed, sent: Sequence[InboxItem]) -> None:
        """A step is in the journal: show it, and wake whoever got mail."""
        self.bus.committed(done.events)
        if self.parts.committed is not None:
            self.parts.committed(done)
        for item in sent:
            self.submit(item.task, None)

    def fault(self, what: str, error: BaseException) -> None:
        """Something failed that has no name: it is in the log with where it came from."""
        self.parts.log.error("fault", what=what, error=repr(error), exc_info=error)

    # --- from task to task ------------------------------------------------------------------------

    async def start_child(self, parent: TaskSpec, command: StartChild) -> None:
        """Make a child (once, however often it is asked for) and have it worked on."""
        source = Scope(child_id(parent.id, command.id), _NO_LIMITS, f"{parent.namespace}/{command.kind}/{command.name}")
        spec = children.child_spec(parent, command, self.parts.programs.limits(source))
        copies = children.copies(parent, spec)
        await self.steady(lambda: self.create(spec, copies))

    async def cancel_child(self, parent: TaskSpec, command: StartChild, reason: str) -> bool:
        """Ask a child to end; its report comes as that of any other end. False where there is no such child."""
        child = child_id(parent.id, command.id)
        body = children.item_body(by=f"task:{parent.id}", reason=reason)
        item = InboxItem(child, "cancel:parent", "cancel", body, self.parts.clock())
        try:
            await self.steady(lambda: self.parts.store.put(item))
        except NotFound:
            return False
        self.submit(child, None)
        return True

    async def pause_child(self, parent: TaskSpec, command: StartChild) -> None:
        """Have a child rest with its parent, where it doesn't by now: it was made while that came to rest."""
        child, store = child_id(parent.id, command.id), self.parts.store
        row = await self.steady(lambda: store.task(child))
        if row is None or row.state in FINAL or row.hold:
            return
        body = children.item_body(by=f"task:{parent.id}", reason="")
        item = InboxItem(child, f"pause:{parent.id}:{row.seq}", "pause", body, self.parts.clock())
        await self.steady(lambda: store.hold(child, "paused", "paused with the task above it"))
        await self.steady(lambda: store.put(item))
        self.submit(child, None)

    async def end_children(self, parent: TaskSpec, commands: Sequence[StartChild], reason: str) -> None:
        """End children, all at once, and wait until they have ended. One that is held ends no other."""
        asked = [child_id(parent.id, command.id) for command in commands]
        waiting = {child: self._end_of(child) for child in asked}
        # Writes go in order: where the making of a child was cut off, it is there by now or never will be.
        for command in commands:
            await self.cancel_child(parent, command, reason)
        for child, ended in waiting.items():
            while await self._goes_on(child):
                if ended.done():
                    # It came to rest at that moment, and was told to end since; or it has ended, as the next look shows.
                    ended = self._end_of(child)
                    continue
                # Another engine that works on it can't tell this one: then it is looked up now and then.
                await asyncio.wait([ended], timeout=self.settings.heartbeat)
            ended.cancel()

    async def expire(self, task: str, ask: Ask) -> None:
        """Nobody has answered a question in time: its default is the answer, unless somebody's comes first."""
        body = children.item_body(question=ask.id, text=ask.default, by=HOST, via=TIME_LIMIT)
        item = InboxItem(task, reply_id(ask.id), "reply", body, self.parts.clock())
        await self.steady(lambda: self.parts.store.put(item))
        self.submit(task, None)

    async def granted(self, spec: TaskSpec, command: Command, seq: int) -> Reply | None:
        """The answer to an approval that a grant gives; None where a person is asked."""
        if self.parts.grants is None or not isinstance(command, Ask) or command.kind != "approval":
            return None
        grants = self.parts.grants
        return await self.steady(lambda: grants.answer(spec, command, seq))

    def _end_of(self, task: str) -> asyncio.Future[None]:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(task, []).append(ended)
        return ended

    async def _goes_on(self, task: str) -> bool:
        row = await self.steady(lambda: self.parts.store.task(task))
        return row is not None and row.state not in FINAL and row.hold != "dead-letter"

    def ended(self, task: str) -> None:
        """A task is no longer worked on: those who wait for its end go on."""
        self.bus.forget(task)
        for waiting in self._ends.pop(task, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def merge(self, parent: TaskSpec, result: ChildResult, pending: Mapping[str, str | None]) -> ChildResult:
        """Merge what a child changed in its copy of the files into its parent's, on which `pending` is
        about to be committed. The parent's folder is out of date (`files.dirty`) once the merge is committed."""
        changes, conflicts = await self.steady(
            lambda: self.files.merge(f"{result.task}@base", result.task, parent.workspace, pending)
        )
        return msgspec.structs.replace(result, changes=changes, conflicts=conflicts)

    async def release(self, spec: TaskSpec) -> None:
        """A task has ended: the folder of files that were its own is let go; the files stay in the store."""
        if spec.workspace and (not spec.parent or spec.workspace_base):
            try:
                await self.files.forget(spec.workspace)
            except AgentHostError as error:
                self.parts.log.warning("a workspace's folder stays", task=spec.id, error=error.message)


_NO_LIMITS = Limits()
