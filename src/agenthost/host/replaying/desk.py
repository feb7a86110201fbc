"""What a host offers of its own tasks: decided again, taken along, gone on with from an event, tried with another model."""

import asyncio
import io
import secrets
import time
from asyncio import Lock
from collections.abc import Awaitable, Callable

import msgspec

from agenthost.core.api import Order
from agenthost.core.budgets import Spend
from agenthost.core.errors import AgentHostError, Conflict, NotFound, Temporary, Unusable
from agenthost.core.events import Answered
from agenthost.core.ids import root_id, task_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.manifests.agent import REMOTE
from agenthost.core.parts import text_message
from agenthost.core.ports import Append, Blobs, InboxItem, Models, NewTask, Store
from agenthost.core.questions import Asking
from agenthost.core.replaying import Contrast, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.tasks import TaskRow, TaskSpec, Trial
from agenthost.engine.engine import Engine
from agenthost.host.following import the_row, tree_of, within
from agenthost.host.library import Library
from agenthost.host.orders import id_for
from agenthost.host.records import spec_of
from agenthost.host.replaying.contrasting import contrast
from agenthost.host.replaying.distrust import Distrust, is_foreign, need_known
from agenthost.host.replaying.forking import Copy, Forking, Wanted
from agenthost.host.replaying.gathering import Read, gather
from agenthost.host.replaying.reading import read
from agenthost.host.replaying.recording import Recording, library_of, replay_one
from agenthost.host.replaying.trying import StandIn, redefined, trial_of
from agenthost.host.replaying.writing import write

NO_LIMITS = Asking()
REMEMBERED = 4
"""Recordings of trials that are kept in memory."""


class Replaying:
    """`read` gives a task's journal; `redact` takes secrets out, `alike` does and keeps sizes."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        models: Models,
        library: Library,
        read: Read,
        redact: Callable[[bytes], bytes],
        alike: Callable[[bytes], bytes],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._models = models
        self._library = library
        self._read = read
        self._redact = redact
        self._alike = alike
        self._exporting = Lock()
        self._loaded: dict[Trial, Recording] = {}

    async def export(self, task: str) -> bytes:
        """A task with everything below it as one file."""
        recording = await gather(self._store, self._blobs, task, self._read)
        # One at a time: an export is held in memory.
        async with self._exporting:
            return await write(recording, self._blobs, self._redact, self._alike)

    async def replay(self, task: str) -> list[ReplayReport]:
        """Decide a task's journal, and those below it, again."""
        rows = await tree_of(self._store, task)
        return [await replay_one(self._library, row, await self._read(row.id), self._redact) for row in rows]

    # --- forks ------------------------------------------------------------------------------------

    async def fork(self, task: str, order: ForkOrder, engine: Engine, asking: Asking = NO_LIMITS) -> TaskRow:
        """A new task that goes on from an event of another, and is worked on. `asking`: how questions are asked here."""
        await the_row(self._store, task)
        recording = await gather(self._store, self._blobs, root_id(task), self._read)
        old, now = spec_of(recording.journals[task]), time.time()
        foreign = is_foreign(old)
        if foreign:
            need_known(recording, order)
        bundle = ""
        if foreign or order.definitions == "current":
            bundle = await self._definitions(old, order.namespace, foreign)
        # What was cut off is made again, under the same id: what is there already stays as it is.
        named = Order(old.name, key=f"fork\0{task}\0{order.key}", person=order.person, namespace=order.namespace)
        id = id_for(named) if order.key else task_id(int(now * 1000), secrets.randbits(35))
        wanted = Wanted(id, order.at, now, order.person, order.namespace, order.via, bundle, order.conversation)
        distrust = Distrust(asking, self._library.limits) if foreign else None
        forking = Forking(recording, task, wanted, distrust)
        spec = forking.spec(spent_until(recording, task, forking.kept))
        root, waiting = forking.copy(spec, await self._library.program(spec))
        below: list[Copy] = []
        parents = [(spec, command) for command in waiting]
        while parents:
            child = forking.child(*parents.pop())
            if child is not None:
                made, under = forking.copy_child(child, await self._library.program(child))
                below.append(made)
                parents += [(child, command) for command in under]
        await self._need_files(root, *below)
        # Nobody works on a child before its parent is there.
        for copy in below:
            await self._make(copy, engine, "paused")
        await self._make(root, engine, "")
        for copy in below:
            if copy.report is not None:
                await self._store.put(copy.report)
        if order.text:
            said = msgspec.json.encode(text_message(order.person, order.text))
            await self._store.put(InboxItem(id, "message:fork", "message", self._redact(said), now))
        for copy in below:
            if copy.row.state not in FINAL:
                await self._store.hold(copy.row.id, "", "")
        for copy in (root, *below):
            engine.submit(copy.row.id)
        return await the_row(self._store, id)

    async def _definitions(self, old: TaskSpec, namespace: str, foreign: bool) -> str:
        """The definitions of now that a fork goes by."""
        try:
            return await self._library.pin(old.kind, old.name, old.model, namespace)
        except NotFound as error:
            if not foreign:
                raise
            raise NotFound(
                f"{error.message} A fork of an import goes by the definitions of this host: apply those that it needs"
            ) from error

    async def _need_files(self, *copies: Copy) -> None:
        for copy in copies:
            for path, digest in copy.files.items():
                try:
                    await self._blobs.size(digest)
                except Temporary:
                    raise
                except AgentHostError as error:
                    raise Conflict(
                        f"it can't be forked there: the content of '{path}' is gone ({error.message})"
                    ) from error

    async def _make(self, copy: Copy, engine: Engine, hold: str) -> None:
        created, *rest = await engine.services.codec.encode(copy.events)
        row = msgspec.structs.replace(copy.row, state="submitted", hold=hold, outcome="", reason="")
        done = copy.row
        first = Append(
            row.id, row.epoch, tuple(rest), done.state, done.updated, outcome=done.outcome, reason=done.reason
        )
        await self._store.create(NewTask(row, created), copy.copies, copy.files, first)

    # --- trials -----------------------------------------------------------------------------------

    async def try_again(self, order: TrialOrder, engine: Engine) -> TaskRow:
        """A task once more with another model, against what was recorded."""
        if bool(order.task) == bool(order.file):
            raise Unusable("say what is to be tried: a `task` of this host, or the `file` of an export")
        if order.model.startswith(REMOTE):
            raise Unusable("a trial goes to a model; an agent elsewhere might do things there")
        card = (await self._models.model(order.model)).card
        trial = Trial(order.task, order.file, order.unrecorded)
        recording = await self._load(trial)
        old = spec_of(recording.journals[recording.task])
        bundle = await library_of(recording).bundle(old.bundle)
        name, body = redefined(bundle, order.model, card).encode()
        await self._store.put_definition(name, body)
        id = task_id(int(time.time() * 1000), secrets.randbits(35))
        trial = msgspec.structs.replace(trial, task=recording.task)
        spec = trial_of(old, id, name, trial)
        spec = msgspec.structs.replace(spec, person=order.person, namespace=order.namespace, via=order.via)
        made = await engine.create(spec, spec.files)
        return made if made is not None else await the_row(self._store, id)

    async def contrast(self, task: str) -> Contrast:
        """What a trial did, beside what was recorded."""
        now = await gather(self._store, self._blobs, task, self._read)
        spec = spec_of(now.journals[task])
        if spec.trial is None or spec.parent:
            raise Unusable(f"the task '{task}' is no trial; begin one: agenthost tasks replay {task} --model NAME")
        bundle = await self._library.bundle(spec.bundle)
        model = next((agent.manifest.spec.model for agent in bundle.agents.values()), "")
        return contrast(await self._load(spec.trial), now, model)

    async def _load(self, trial: Trial) -> Recording:
        """What was recorded. Raises NotFound, and BadInput for a file that is no export."""
        found = self._loaded.get(trial)
        if found is None:
            if not trial.file:
                found = await gather(self._store, self._blobs, trial.task, self._read)
            else:
                content = io.BytesIO(await self._blobs.get(trial.file))
                export = await asyncio.to_thread(read, content)
                for digest in export.contents:
                    await self._blobs.put(await asyncio.to_thread(export.content, digest))
                found = export.recording
            if all(row.state in FINAL for row in found.rows):
                while len(self._loaded) >= REMEMBERED:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[trial] = found
        return found

    def stand_in(self, put: Callable[[InboxItem], Awaitable[object]]) -> StandIn:
        """Who answers for what a trial may not do; `put` puts something into an inbox and has it seen."""
        return StandIn(self._load, self._read, put)


def spent_until(recording: Recording, task: str, kept: int) -> Spend:
    """What a task and those below it had spent at an event, for what was answered by then; what isn't settled at its
    worst case."""
    until = recording.journals[task][kept - 1].at
    answered = {
        (id, recorded.event.command)
        for id, events in recording.journals.items()
        if within(task, id, True)
        for recorded in events
        if isinstance(recorded.event, Answered) and (recorded.seq <= kept if id == task else recorded.at <= until)
    }
    total = Spend()
    for entry in recording.ledger:
        if (entry.task, entry.command) in answered:
            total += entry.spent if entry.settled and entry.spent is not None else entry.worst
    return total
