"""A host that only pretends to work, in memory: for tests of what is written against `HostApi`.

It keeps the promises of the port (journals with numbers of their own, questions, keys, errors) and
performs nothing. Its agents: `quick` answers and ends, `asking` asks a person first, `slow` goes on
until it is cancelled, `family` has a child that does its work.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import msgspec
import yaml

from agenthost.core.access import OWNER, Deed, DeedFilter
from agenthost.core.api import (
    Applied,
    Artifact,
    Finding,
    Health,
    HostApi,
    HostInfo,
    Incoming,
    Linked,
    LiveDelta,
    ManifestProblem,
    ManifestVersion,
    ModelDetail,
    ModelLine,
    News,
    OpenQuestion,
    Order,
    Placed,
    SettingLine,
    TaskDetail,
)
from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask, CallModel, StartChild, Verdict, View
from agenthost.core.errors import BadInput, Conflict, NotFound, Stale, nearest
from agenthost.core.events import (
    Answered,
    Asked,
    CancelAsked,
    ChildResult,
    Claimed,
    Created,
    Event,
    Finished,
    Paused,
    Received,
    Recorded,
    Reply,
    Resumed,
)
from agenthost.core.evidence import EvidencePack, journal_hash
from agenthost.core.grants import Always
from agenthost.core.ids import child_id, root_id, task_id
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.lifecycle import FINAL, State
from agenthost.core.machines import MachineFacts, Need, Waiting
from agenthost.core.models import Delta, Fitness, ModelAnswer, ModelCard
from agenthost.core.parts import FilePart, Message, TextPart, text_message
from agenthost.core.ports import Abilities, Filter, LedgerEntry
from agenthost.core.replaying import Contrast, Ended, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.host.desk import CHANGEABLE, place, read_changes
from agenthost.host.library import version_of
from agenthost.host.settings import Settings
from agenthost.models.abilities import NoAbilities
from agenthost.models.fitness.found import as_found

ZIP_OF_NOTHING = b"PK\x05\x06" + bytes(18)
AGENTS = ("quick", "asking", "slow", "family")


class MemoryHost(HostApi):
    """See the module. `append` and `delta` make something happen to a task by hand. `offers`: what providers of models
    do besides answering, by a model's name."""

    def __init__(self, serving: bool = False) -> None:
        self.offers: dict[str, Abilities] = {}
        self.rows: dict[str, TaskRow] = {}
        self.journals: dict[str, list[Recorded]] = {}
        self.blobs: dict[str, bytes] = {}
        self.placed: list[Recorded] = []
        self.versions_of: dict[tuple[str, str], list[ManifestVersion]] = {}
        self.artifacts_of: dict[str, dict[str, str]] = {}
        self.links: dict[str, Linked] = {}
        self.deeds: list[Deed] = []
        self.settings: dict[str, float] = {}
        self._more = asyncio.Event()
        self.followers = 0
        self._serving = serving
        self._kinds: dict[str, dict[str, dict[str, Any]]] = {
            "agent": {name: {"kind": "Agent", "metadata": {"name": name}} for name in AGENTS},
            "workflow": {},
            "schedule": {},
        }
        self._secrets: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._questions: dict[str, OpenQuestion] = {}
        self._queues: list[tuple[str, asyncio.Queue[LiveDelta | None]]] = []
        self._count = 0
        self._fitness: Fitness | None = None

    # --- making things happen ---

    def append(self, task: str, event: Event, state: State | None = None) -> Recorded:
        """Add an event to a task's journal, and tell who follows."""
        journal = self.journals[task]
        recorded = Recorded(task, len(journal) + 1, float(len(journal) + 1), event)
        journal.append(recorded)
        self.placed.append(recorded)
        self._more.set()
        row = self.rows[task]
        self.rows[task] = msgspec.structs.replace(row, seq=recorded.seq, state=state or row.state, updated=recorded.at)
        self._tell(task, None)
        return recorded

    def delta(self, task: str, command: str, delta: Delta, attempt: int = 1) -> None:
        """Tell who follows about a provisional piece of an answer."""
        self._tell(task, LiveDelta(task, command, attempt, delta))

    def finish(self, task: str, text: str = "", outcome: State = "completed") -> None:
        """End a task."""
        verdict = Verdict("canceled" if outcome == "canceled" else "done", text)
        self.append(task, Finished(verdict, (TextPart(text),)), outcome)
        self.rows[task] = msgspec.structs.replace(self.rows[task], outcome=verdict.outcome, reason=text)

    def _tell(self, task: str, item: LiveDelta | None) -> None:
        for root, queue in self._queues:
            if task == root or task.startswith(root + "."):
                queue.put_nowait(item)

    def _create(self, id: str, order: Order, parent: str = "") -> TaskRow:
        message = text_message("person", order.text)
        spec = TaskSpec(id, "agent", order.name, "sha256:0", message, order.inputs, order.title, parent=parent)
        self.rows[id] = TaskRow(
            id,
            "agent",
            order.name,
            "submitted",
            1.0,
            1.0,
            parent=parent,
            root=root_id(id),
            title=order.title,
            conversation=order.conversation,
        )
        self.journals[id] = []
        self.append(id, Created(spec))
        self.append(id, Claimed(1, "memory"), "working")
        return self.rows[id]

    def _answer(self, task: str, text: str) -> None:
        self.append(task, Asked(CallModel("m1", "pretended", View(0, 1))))
        self.delta(task, "m1", Delta(text))
        self.append(task, Answered("m1", ModelAnswer((TextPart(text),))))
        self.finish(task, text)

    def _work(self, task: str, order: Order) -> None:
        if order.name == "quick":
            self._answer(task, f"You said: {order.text}")
        elif order.name == "asking":
            ask = Ask("a1", "input", "What shall it be?")
            recorded = self.append(task, Asked(ask), "input-required")
            self._questions[task] = OpenQuestion(task, ask, recorded.at)
        elif order.name == "family":
            child = child_id(task, "c1")
            self.append(task, Asked(StartChild("c1", "agent", "quick")))
            self._create(child, Order("quick", order.text), task)
            self._answer(child, f"You said: {order.text}")
            self.append(task, Answered("c1", ChildResult(child, Verdict("done"))))
            self.finish(task, "The child did it")

    def _known(self, task: str) -> TaskRow:
        row = self.rows.get(task)
        if row is None:
            raise NotFound(f"there is no task '{task}'. {nearest(task, list(self.rows))}", task=task)
        return row

    # --- HostApi ---

    async def info(self) -> HostInfo:
        waiting = (Waiting("somebody", Need(memory=1 << 20, cpu=0.5), 1.0),)
        return HostInfo("0", "memory", os.getpid(), self._serving, MachineFacts(1.5, 1 << 30), waiting)

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        if not content:
            raise BadInput(f"the file '{name}' is empty; give one with something in it")
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return FilePart(digest, media_type or "application/octet-stream", len(content), name)

    async def take_file(self, name: str, pieces: AsyncIterable[bytes], media_type: str = "") -> FilePart:
        return await self.put_file(name, b"".join([piece async for piece in pieces]), media_type)

    async def file_size(self, digest: str) -> int:
        return len(await self.get_file(digest))

    async def read_file(self, digest: str, start: int, length: int) -> bytes:
        return (await self.get_file(digest))[start : start + length]

    async def link(self, file: Linked) -> str:
        await self.get_file(file.digest)
        secret = f"link{len(self.links)}"
        self.links[secret] = file
        return secret

    async def get_file(self, digest: str) -> bytes:
        if digest not in self.blobs:
            raise NotFound(f"there is no file {digest}")
        return self.blobs[digest]

    async def start(self, order: Order) -> TaskRow:
        if order.name not in self._kinds["agent"]:
            raise NotFound(f"there is no agent or workflow '{order.name}'. {nearest(order.name, AGENTS)}")
        if order.key in self._keys:
            return self.rows[self._keys[order.key]]
        self._count += 1
        id = task_id(1_700_000_000_000 + self._count, self._count)
        if order.key:
            self._keys[order.key] = id
        self._create(id, order)
        self._work(id, order)
        return self.rows[id]

    async def place(self, came: Incoming, person: str = "owner", namespace: str = "default") -> Placed:
        return await place(self, came)

    async def news(self, after: int, limit: int = 500, person: str = "", namespace: str = "default") -> News:
        found = tuple(enumerate(self.placed[after : after + limit], after + 1))
        return News(found, max(after, min(after + limit, len(self.placed))))

    async def watch(
        self, after: int | None = None, person: str = "", namespace: str = "default"
    ) -> AsyncIterator[tuple[int, Recorded]]:
        at = len(self.placed) if after is None else after
        while True:
            self._more.clear()
            for item in (await self.news(at)).items:
                yield item
                at = item[0]
            if at >= len(self.placed):
                await self._more.wait()

    async def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        self._known(task)
        seen = dict(after or {})
        queue: asyncio.Queue[LiveDelta | None] = asyncio.Queue()
        entry = (task, queue)
        self._queues.append(entry)
        self.followers += 1
        try:
            while True:
                for recorded in self._unseen(task, seen, tree):
                    seen[recorded.task] = recorded.seq
                    yield recorded
                if self.rows[task].state in FINAL and not self._unseen(task, seen, tree):
                    return
                item = await queue.get()
                if item is not None:
                    yield item
        finally:
            self.followers -= 1
            self._queues.remove(entry)

    def _unseen(self, task: str, seen: dict[str, int], tree: bool) -> list[Recorded]:
        wanted = [id for id in self.journals if id == task or (tree and id.startswith(task + "."))]
        return [recorded for id in wanted for recorded in self.journals[id][seen.get(id, 0) :]]

    async def find(self, prefix: str) -> str:
        roots = sorted(id for id in self.rows if "." not in id)
        if prefix == "last" and roots:
            return roots[-1]
        found = [id for id in self.rows if id.startswith(prefix)]
        if prefix in found or len(found) == 1:
            return prefix if prefix in found else found[0]
        if found:
            raise BadInput(f"{len(found)} tasks begin with '{prefix}'; give more of its id")
        raise NotFound(f"no task begins with '{prefix}'")

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        by_change = wanted.order == "updated"

        def place(row: TaskRow) -> tuple[float, str]:
            return row.updated if by_change else 0.0, row.id

        end = (wanted.before_change if by_change else 0.0, wanted.before)
        rows = [row for row in self._listed(wanted) if not wanted.before or place(row) < end]
        return sorted(rows, key=place, reverse=True)[: wanted.limit]

    async def count_tasks(self, wanted: Filter) -> int:
        return len(self._listed(wanted))

    def _listed(self, wanted: Filter) -> list[TaskRow]:
        return [
            row
            for row in self.rows.values()
            if (not wanted.states or row.state in wanted.states)
            and (not wanted.roots_only or not row.parent)
            and (not wanted.root or row.root == wanted.root)
            and (not wanted.name or row.name == wanted.name)
            and (not wanted.parent or row.parent == wanted.parent)
            and (not wanted.conversation or row.conversation == wanted.conversation)
            and wanted.text.lower() in row.title.lower()
            and row.updated >= wanted.changed_since
        ]

    async def task(self, task: str) -> TaskDetail:
        row = self._known(task)
        children = tuple(child for child in self.rows.values() if child.parent == task)
        questions = tuple(q for q in self._questions.values() if q.task == task or q.task.startswith(task + "."))
        return TaskDetail(row, children, questions, Spend(turns=1))

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        self._known(task)
        return self.journals[task][after : after + limit]

    async def say(self, task: str, message: Message) -> None:
        if self._known(task).state in FINAL:
            raise BadInput(f"the task {task} has ended; start another one")
        self.append(task, Received(message))

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        self._known(task)
        asked = self._questions.pop(task, None)
        if asked is None:
            raise BadInput(f"the task {task} asks nothing")
        self.append(task, Answered(asked.ask.id, Reply(text, by, via)), "working")
        self.finish(task, text)
        return asked

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        return list(self._questions.values())

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        if self._known(task).state not in FINAL:
            self._questions.pop(task, None)
            self.append(task, CancelAsked(by, reason))
            self.finish(task, reason or f"cancelled by {by}", "canceled")

    async def pause(self, task: str, by: str = "owner", reason: str = "") -> None:
        row = self._known(task)
        if row.state in FINAL:
            raise Conflict(f"the task {task} has ended; there is nothing to pause")
        if not row.hold:
            self.append(task, Paused(by, reason))
            self.rows[task] = msgspec.structs.replace(self.rows[task], hold="paused", reason=f"paused by {by}")

    async def resume(self, task: str, by: str = "owner") -> None:
        if self._known(task).hold != "paused":
            raise Conflict(f"the task {task} isn't paused")
        self.append(task, Resumed(by))
        self.rows[task] = msgspec.structs.replace(self.rows[task], hold="", reason="")

    async def artifacts(self, task: str) -> list[Artifact]:
        self._known(task)
        files = self.artifacts_of.get(task, {})
        return [Artifact(path, digest, len(self.blobs[digest])) for path, digest in sorted(files.items())]

    async def artifact(self, task: str, path: str) -> Artifact:
        found = [each for each in await self.artifacts(task) if each.path == path]
        if not found:
            raise NotFound(f"the task '{task}' has no file '{path}'")
        return found[0]

    async def evidence(self, task: str) -> EvidencePack:
        self._known(task)
        row, events = self.rows[task], self.journals[task]
        ended = row.updated if row.state in FINAL else 0.0
        return EvidencePack(
            task,
            row.name,
            row.kind,
            "quiet",
            row.outcome,
            row.reason,
            row.created,
            ended,
            len(events),
            journal_hash(events),
        )

    async def ledger(self, task: str) -> list[LedgerEntry]:
        self._known(task)
        return [LedgerEntry(task, "m1", 1, self.rows[task].name, "pretended", 1.0, Spend(turns=1))]

    async def export(self, task: str) -> bytes:
        self._known(task)
        return ZIP_OF_NOTHING

    async def replay(self, task: str) -> list[ReplayReport]:
        self._known(task)
        return [ReplayReport(task, len(self.journals[task]), 1, True)]

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        known = self._known(task)
        return await self.start(Order(known.name, order.text or known.title, person=order.person))

    async def try_again(self, order: TrialOrder) -> TaskRow:
        # Every export is of the one agent that is quick.
        name = self._known(order.task).name if order.task else "quick"
        return await self.start(Order(name, "once more", person=order.person))

    async def contrast(self, trial: str) -> Contrast:
        self._known(trial)
        return Contrast("pretended", Ended(trial), Ended(trial))

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        found: list[tuple[str, str, dict[str, Any]]] = []
        problems: list[ManifestProblem] = []
        for file, text in texts.items():
            value: Any = yaml.safe_load(text)
            kind = str(value.get("kind", "")).lower()
            if kind in self._kinds:
                found.append((kind, value["metadata"]["name"], value))
            else:
                problems.append(ManifestProblem(file, 1, 1, "kind", f"'{kind}' is no kind"))
        if problems:
            return [], problems
        return [self._apply(*each, dry_run) for each in found], []

    def _apply(self, kind: str, name: str, value: dict[str, Any], dry_run: bool) -> Applied:
        before = self._kinds[kind].get(name)
        if not dry_run:
            self._kinds[kind][name] = value
            if before != value:
                self._keep(kind, name, value)
        return Applied(kind, name, "created" if before is None else "unchanged" if before == value else "changed")

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        if kind not in self._kinds:
            raise NotFound(f"there is no kind '{kind}'. {nearest(kind, list(self._kinds))}")
        return dict(self._kinds[kind])

    def _keep(self, kind: str, name: str, value: dict[str, Any] | None) -> None:
        kept = self.versions_of.setdefault((kind, name), [])
        version = "" if value is None else version_of(value)
        kept.append(ManifestVersion(len(kept) + 1, float(len(kept) + 1), version, value))

    async def manifest(self, kind: str, name: str) -> ManifestVersion:
        if name not in await self.manifests(kind):
            raise NotFound(f"there is no {kind} '{name}'. {nearest(name, list(self._kinds[kind]))}")
        return (await self.versions(kind, name, limit=1))[0]

    async def versions(self, kind: str, name: str, before: int = 0, limit: int = 50) -> list[ManifestVersion]:
        if (kind, name) not in self.versions_of:
            if name not in await self.manifests(kind):
                raise NotFound(f"there is no {kind} '{name}'. {nearest(name, list(self._kinds[kind]))}")
            self._keep(kind, name, self._kinds[kind][name])
        found = [each for each in self.versions_of[kind, name] if not before or each.number < before]
        return found[::-1][:limit]

    async def put_manifest(
        self, kind: str, name: str, text: str, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        await self._need_version(kind, name, expected)
        return await self.apply({name: text})

    async def _need_version(self, kind: str, name: str, expected: str | None) -> None:
        there = name in await self.manifests(kind)
        now = (await self.manifest(kind, name)).version if there else ""
        if expected is not None and expected != now and not (expected == "*" and now):
            raise Stale(f"the {kind} '{name}' has another version by now; read it again, and change that")

    async def roll_back(
        self, kind: str, name: str, number: int, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        found = [each for each in await self.versions(kind, name) if each.number == number]
        if not found:
            raise NotFound(f"the {kind} '{name}' has no version {number}")
        return await self.put_manifest(kind, name, yaml.safe_dump(found[0].manifest), expected)

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]:
        return [UsageLine(len(self.rows), 0, 0.0)]

    async def audit(self, wanted: DeedFilter) -> list[Deed]:
        found = [deed for deed in self.deeds if not wanted.before or deed.place < wanted.before]
        return found[::-1][: wanted.limit]

    async def changeable(self) -> list[SettingLine]:
        return [SettingLine(name, self.settings.get(name, 1.0), 1.0) for name in CHANGEABLE]

    async def change(self, values: dict[str, float | None]) -> list[SettingLine]:
        read_changes(Settings(), values)
        self.settings |= {name: value for name, value in values.items() if value is not None}
        for name in [name for name, value in values.items() if value is None]:
            self.settings.pop(name, None)
        return await self.changeable()

    async def delete(self, kind: str, name: str, expected: str | None = None) -> None:
        await self._need_version(kind, name, expected)
        if name not in await self.manifests(kind):
            raise NotFound(f"there is no {kind} '{name}'. {nearest(name, list(self._kinds[kind]))}")
        await self.versions(kind, name)
        del self._kinds[kind][name]
        self._keep(kind, name, None)

    async def models(self, provider: str = "") -> list[ModelLine]:
        if provider not in ("", "memory"):
            raise NotFound(f"there is no model provider '{provider}'. {nearest(provider, ['memory'])}")
        return [ModelLine("pretended", "memory", True)]

    async def model(self, name: str) -> ModelDetail:
        if name in self.offers:
            return ModelDetail(name, (), self.offers[name].card, self.offers[name].card)
        if name != "pretended":
            raise NotFound(f"there is no model '{name}'. {nearest(name, ['pretended'])}")
        card = ModelCard(name)
        return ModelDetail(name, (), card, as_found(card, self._fitness), self._fitness)

    async def abilities(self, name: str, person: str = "", namespace: str = "") -> Abilities:
        await self.model(name)
        return self.offers.get(name) or NoAbilities(name)

    async def probe(
        self, name: str, quick: bool = False, context: int = 0, person: str = "", namespace: str = ""
    ) -> AsyncIterator[str | Fitness]:
        await self.model(name)
        yield "it is only pretended"
        self._fitness = Fitness(name, 1.0, "fenced", native=False)
        yield self._fitness

    async def set_secret(self, name: str, value: str) -> None:
        self._secrets[name] = value

    async def secrets(self) -> list[str]:
        return sorted(self._secrets)

    async def doctor(self) -> list[Finding]:
        return [Finding("ok", "memory")]

    async def health(self) -> Health:
        return Health("ok", ())

    async def close(self) -> None:
        return None
