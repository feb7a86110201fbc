"""The engine of one host: takes tasks over, works on them, and keeps their leases."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.access import OWNER
from agenthost.core.commands import Verdict
from agenthost.core.errors import AgentHostError, LostLease, NewerVersion, Temporary
from agenthost.core.events import Claimed, Created, Finished, Recorded
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Append, Filter, InboxItem, Program
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.core.telling import Committed
from agenthost.engine import children, intake
from agenthost.engine.birth import Birth
from agenthost.engine.owner import Owner
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.engine.services import Services
from agenthost.engine.signal import Signal
from agenthost.engine.slots import Seat, Slots
from agenthost.engine.supervisor import Supervisor

PAGE = 1000
"""Events read at once when a task is restored."""

LAPSED = 100
"""Tasks of engines that are gone, taken over at one heartbeat."""


TAKEN = 100
"""Tasks that are taken over before others have their turn."""


class Work(Struct):
    """A task that this engine works on: by whom, its owner once it has one, and whether something came. `away`: all that goes
    on in it waits for people."""

    poked: Signal
    worker: asyncio.Task[None] | None = None
    owner: Owner | None = None
    seat: Seat | None = None
    away: bool = False

    def leave(self) -> None:
        """Give the slot back."""
        if self.seat is not None:
            self.seat.leave()


class Engine:
    """Works on tasks until it is closed. `owner` names this engine among all that share the store."""

    def __init__(self, parts: Parts, settings: EngineSettings, owner: str) -> None:
        self._parts = parts
        self._settings = settings
        self._work: dict[str, Work] = {}
        self._supervisor = Supervisor(self._report)
        self.services = Services(parts, settings, owner, self._supervisor, self._submit)
        self.slots = Slots(self._most)
        self._closing = False
        self._until = 0.0

    # --- start and end ----------------------------------------------------------------------------

    async def start(self, alone: bool) -> int:
        """Take over every unfinished task whose owner is gone and go on with it; how many those are.

        `alone`: this engine holds the home, so all other owners are gone, whatever their leases say.
        """
        await self.begin(alone)
        return await self.take_over()

    async def begin(self, alone: bool) -> None:
        """The beginning of `start`, after which new tasks are taken."""
        now = self._parts.clock()
        await self._prolong(now)
        if alone:
            await self._parts.store.retire(self.services.owner, now)
        self._supervisor.start("heartbeat", self._beat())

    async def take_over(self) -> int:
        """The rest of `start`. Other work goes on meanwhile."""
        rows = await self._parts.store.claimable(self.services.owner, self._parts.clock(), 1_000_000)
        for number, row in enumerate(rows, 1):
            self.submit(row.id)
            if not number % TAKEN:
                await asyncio.sleep(0)
        return len(rows)

    async def drain(self, seconds: float) -> int:
        """Begin nothing more, and wait so long at most until what was begun is in the journal; how many tasks had
        something left then. What still goes on ends with `close`."""
        self._closing = True
        owners = [work.owner for work in self._work.values() if work.owner is not None]
        busy = [self._supervisor.start(f"{owner.spec.id} drains", owner.drained()) for owner in owners if owner.drain()]
        if not busy:
            return 0
        try:
            return len((await asyncio.wait(busy, timeout=seconds))[1])
        finally:
            for waiting in busy:
                waiting.cancel()

    async def close(self) -> None:
        """Stop working. What runs is in the journal and goes on at the next start."""
        self._closing = True
        await self._supervisor.close()
        # A lease that is over now lets another host go on at once.
        try:
            await self._parts.store.heartbeat(self.services.owner, self._parts.clock())
        except AgentHostError as error:
            self._parts.log.warning("lease not ended", error=error.message)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            now = self._parts.clock()
            late = now >= self._until
            try:
                await self._prolong(now)
                if late:
                    await self._drop_lost()
                for row in await self._parts.store.claimable(self.services.owner, now, LAPSED):
                    if row.owner:
                        self.submit(row.id)
            except Temporary as error:
                self._parts.log.warning("heartbeat failed", error=error.message)

    async def _prolong(self, now: float) -> None:
        await self._parts.store.heartbeat(self.services.owner, now + self._settings.lease)
        self._until = now + self._settings.lease

    async def _drop_lost(self) -> None:
        """The lease was over for a while: stop what somebody else has taken over meanwhile."""
        for task, work in list(self._work.items()):
            row = await self._parts.store.task(task)
            if work.owner is not None and work.worker is not None and row is not None and row.epoch != work.owner.epoch:
                self._parts.log.warning("lease lost", task=task, error="it has another owner by now")
                work.worker.cancel()

    def _report(self, name: str, error: BaseException) -> None:
        self.services.fault(name, error)

    def _most(self, key: str) -> int:
        if not key:
            return self._settings.tasks
        namespace, _, role = key.partition(":")
        return max(1, self._parts.programs.replicas(namespace, role))

    # --- tasks ------------------------------------------------------------------------------------

    async def create(self, spec: TaskSpec, files: Mapping[str, str] | None = None) -> TaskRow | None:
        """Make a root task and work on it; its row, None where it is there already. `files`: what its
        workspace begins with, path to digest."""
        return await self.services.create(spec, files=files)

    def submit(self, task: str) -> None:
        """Have a task worked on; where it is being worked on, it looks into its inbox."""
        self._submit(task, None)

    async def put(self, item: InboxItem) -> bool:
        """Put something into a task's inbox and have it seen; False where it came before or the task has ended."""
        try:
            # Whoever hangs up in between must not leave it there unseen.
            brought = self._supervisor.start(f"{item.id} for {item.task}", self._bring(item))
        except RuntimeError:  # this engine ends, and the next one sees it
            return await self._parts.store.put(item)
        taken = await asyncio.shield(brought)
        if isinstance(taken, AgentHostError):
            raise taken
        return taken

    async def _bring(self, item: InboxItem) -> bool | AgentHostError:
        try:
            async with self.services.doors.bring(item.task):
                taken = await self._parts.store.put(item)
                if taken:
                    self.submit(item.task)
                return taken
        except AgentHostError as error:
            return error

    def working(self) -> list[str]:
        """The tasks that are being worked on."""
        return sorted(self._work)

    def _submit(self, task: str, birth: Birth | None) -> None:
        work = self._work.get(task)
        if work is None and not self._closing:
            work = self._work[task] = Work(Signal())
            work.worker = self._supervisor.start(task, self._guarded(task, work, birth))
            return
        if work is not None:
            work.poked.set()
            if work.owner is not None:
                work.owner.poke()
        if birth is not None:
            self._supervisor.start(f"{task} is made", self._make(birth))

    async def _make(self, birth: Birth) -> None:
        """Make a task without a step; whoever wants it hears what came of it."""
        with suppress(AgentHostError):
            await birth.write()
            # Who was at work when it was asked for may have looked before it was there, and be gone.
            self._submit(birth.row.id, None)

    async def _guarded(self, task: str, work: Work, birth: Birth | None) -> None:
        """The fence around a task's worker: what fails here holds this task and no other."""
        try:
            while True:
                try:
                    await self._work_on(task, work, birth)
                    if work.owner is None or work.owner.ended:
                        return
                    # It came to rest: whoever had it go on at that moment was not heard by its owner.
                    birth, work.owner = None, None
                    self.services.bus.look_again(task)
                except Temporary as error:
                    self._parts.log.warning("failed, again soon", task=task, error=error.message)
                    birth, work.owner = None, None
                    await asyncio.sleep(error.delay or self._settings.store_delay)
        except LostLease as error:
            self._parts.log.info("not the owner", task=task, error=error.message)
        except NewerVersion as error:
            await self._dead_letter(task, error.message, birth)
        except Exception as error:  # noqa: BLE001 - a task's worker is one of the three fences
            self.services.fault(task, error)
            await self._dead_letter(task, f"{type(error).__name__}: {error}", birth)
        finally:
            if birth is not None:
                birth.fail(Temporary("the host is stopping and takes no new work", code="closing"))
            del self._work[task]
            self.services.ended(task)

    async def _dead_letter(self, task: str, reason: str, birth: Birth | None) -> None:
        self._parts.log.error("task held", task=task, reason=reason)
        try:
            if birth is not None:
                await birth.write()
            if not await self._end_unread(task, reason):
                await self.services.steady(lambda: self._parts.store.hold(task, "dead-letter", reason))
        except AgentHostError as error:
            self._parts.log.error("hold failed", task=task, error=error.message)
        self.services.bus.look_again(task)

    async def _cancel_below(self, row: TaskRow, cancel: InboxItem) -> None:
        before = ""
        while rows := await self._parts.store.tasks(Filter(row.namespace, root=row.root, before=before, limit=PAGE)):
            for below in rows:
                if below.id.startswith(f"{row.id}.") and below.state not in FINAL:
                    await self.put(msgspec.structs.replace(cancel, task=below.id, id="cancel:parent"))
            before = rows[-1].id

    async def _end_unread(self, task: str, reason: str) -> bool:
        """End a task that can't go on where somebody has cancelled it: that needs no program, and so it always works."""
        store = self._parts.store
        cancels = [item for item in await store.inbox(task) if item.kind == "cancel"]
        if not cancels:
            return False
        now = self._parts.clock()
        row = await store.claim(task, self.services.owner, now)
        await self._cancel_below(row, cancels[0])
        verdict = Verdict("canceled", f"cancelled while it was held: {reason}")
        # In the journal's own words, so that whoever can read it decides the same end.
        asked = msgspec.structs.replace(intake.cancel_of(cancels[0]), reason=verdict.reason)
        events = [
            Recorded(task, row.seq + 1 + at, now, event)
            for at, event in enumerate((Claimed(row.epoch, self.services.owner), asked, Finished(verdict)))
        ]
        send = [children.report_of(row, verdict, now)] if row.parent else []
        append = Append(task, row.epoch, (), "canceled", now, "canceled", verdict.reason, send=tuple(send))
        await self.services.append(append, await self.services.codec.encode(events))
        self.services.committed(Committed(events, row.name, row.state, "canceled"), send)
        return True

    async def _work_on(self, task: str, work: Work, birth: Birth | None) -> None:
        store = self._parts.store
        if birth is None:
            row = await self._to_do(task, work)
            if row is None:
                return
            first = await store.events(task, 0, 1)
            created = await self.services.codec.decode(task, first[0])
        else:
            row, created = birth.row, birth.created
        assert isinstance(created.event, Created)
        spec = created.event.spec
        # A message that waits for its task waits for no place among them.
        key = f"{spec.namespace}:{spec.role}" if spec.role else None if spec.parent or spec.kind == "routing" else ""
        # A role's replicas are the host's own to give; what root tasks there are is somebody's choice.
        who = "" if key or spec.person == OWNER else f"{spec.namespace}/{spec.person}"
        work.seat = Seat(self.slots, key, who) if key is not None else None
        try:
            if work.seat is not None and birth is not None and not work.seat.again().done():
                await birth.write()
            if await self._take_seat(task, work, work.seat) or await self._to_do(task, work) is not None:
                await self._own(work, row, created, birth)
        finally:
            work.leave()

    async def _to_do(self, task: str, work: Work) -> TaskRow | None:
        """The row of a task that there is something to do for. One that is paused ends all the same where it was cancelled."""
        while True:
            work.poked.clear()
            row = await self._parts.store.task(task)
            if row is None or row.state in FINAL:
                return None
            if not row.hold or (row.hold == "paused" and await self._stops(task, row)):
                work.poked.set()
                return row
            if not work.poked.is_set():
                return None

    async def _stops(self, task: str, paused: TaskRow | None = None) -> bool:
        """Whether somebody cancelled a task or, where it isn't known to be `paused`, had it rest."""
        kinds = {item.kind for item in await self._parts.store.inbox(task)}
        if "cancel" in kinds or "pause" not in kinds or paused is not None:
            return "cancel" in kinds
        row = await self._parts.store.task(task)
        return row is not None and row.hold == "paused"

    def _rests(self, task: str, work: Work) -> None:
        """Give a task's slot back where all of it waits for people, and with it those of the tasks above that wait for it."""
        below = work.owner.below() if work.owner is not None else None
        if below is None or not all(child in self._work and self._work[child].away for child in below):
            return
        work.away = True
        work.leave()
        above = task.rpartition(".")[0]
        if above in self._work:
            self._rests(above, self._work[above])

    async def _back(self, task: str, work: Work) -> None:
        """Have a task's slot again before it goes on, after those of the tasks above it."""
        if work.away:
            parts = task.split(".")
            for above in [".".join(parts[:length]) for length in range(1, len(parts))]:
                if (over := self._work.get(above)) is not None:
                    over.away = False
                    await self._take_seat(task, work, over.seat)
        work.away = False
        await self._take_seat(task, work, work.seat)

    async def _take_seat(self, task: str, work: Work, seat: Seat | None) -> bool:
        """Wait for a slot where one is needed, or for a cancel or a pause, which need none; whether nobody had to wait."""
        turn = seat.again() if seat is not None else None
        if turn is None or turn.done():
            return True
        while not turn.done():
            if work.poked.is_set():
                work.poked.clear()
                if await self._stops(task):
                    break
                continue
            waiting = self._supervisor.start(f"{task} waits for a slot", work.poked.wait())
            try:
                await asyncio.wait({turn, waiting}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
        # What was seen here is still in the inbox, for the owner.
        work.poked.set()
        return False

    async def _own(self, work: Work, row: TaskRow, created: Recorded, birth: Birth | None) -> None:
        assert isinstance(created.event, Created)
        if self._closing:
            if birth is not None:
                await birth.write()
            return
        spec = created.event.spec
        program = await self._parts.programs.program(spec)
        state = program.apply(program.initial(spec), created)
        if birth is None:
            row = await self._parts.store.claim(row.id, self.services.owner, self._parts.clock())
            state = await self._restore(program, state, row.id)
            # Whoever had the task before may have changed its files elsewhere.
            self.services.files.dirty(spec.workspace)
        if self._closing:
            # Its calls would be cut off the moment after, and paid for again.
            if birth is not None:
                await birth.write()
            return
        owner = work.owner = Owner(self.services, row, state, program, birth)
        owner.away, owner.back = partial(self._rests, row.id, work), partial(self._back, row.id, work)
        if work.poked.is_set():
            owner.poke()
        await owner.run(birth is None)
        if owner.ended:
            await self.services.release(spec)

    async def _restore(self, program: Program[Any], state: Any, task: str) -> Any:
        """Bring a program's state up to the end of the journal, by `apply` alone."""
        after = 1
        while True:
            page = await self._parts.store.events(task, after, PAGE)
            for stored in page:
                state = program.apply(state, await self.services.codec.decode(task, stored))
            if len(page) < PAGE:
                return state
            after = page[-1].seq
