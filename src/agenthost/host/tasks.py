"""Use-cases of tasks that are there: shown, followed, spoken to, cancelled, taken along."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress

import msgspec

from agenthost.core.api import Artifact, LiveDelta, OpenQuestion, TaskDetail
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, BadInput, Conflict, NotFound, Unusable
from agenthost.core.events import Recorded, Reply
from agenthost.core.evidence import EvidencePack
from agenthost.core.grants import Always
from agenthost.core.ids import digest, root_id
from agenthost.core.importing import IMPORTED
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import FilePart, Message
from agenthost.core.ports import Filter, InboxItem, LedgerEntry
from agenthost.core.questions import APPROVE, ends, for_good, reply_id
from agenthost.core.redact import Redactor
from agenthost.core.replaying import Contrast, ReplayReport
from agenthost.core.tasks import TaskRow
from agenthost.core.traces import trace_id
from agenthost.host import answering, following, records
from agenthost.host.adapters import Adapters
from agenthost.host.budgets.allowances import asks_for_budget
from agenthost.host.budgets.desk import Desk as BudgetDesk
from agenthost.host.desk import Desk
from agenthost.host.grants.book import Giver, check
from agenthost.host.grants.joined import joined as grants
from agenthost.host.library import Library
from agenthost.host.proof import desk as proof
from agenthost.host.replaying.desk import Replaying
from agenthost.host.settings import Settings
from agenthost.programs.answers import approved

MOST_QUESTIONS = 200
"""Open questions that are listed at once."""


class TaskDesk(Desk):
    """What people do with tasks once they are there."""

    budgets: BudgetDesk

    def __init__(self, adapters: Adapters, library: Library, given: Settings) -> None:
        super().__init__(adapters, library, given)
        self._redactor = Redactor({})
        self._working = False
        self._book, self.grants = grants(adapters, self._redact)
        self._replaying = Replaying(
            adapters.store, adapters.blobs, adapters.models, library, self.events_of, self._redact, self._alike
        )

    def _redact(self, body: bytes) -> bytes:
        return self._redactor.raw(body)

    def _alike(self, body: bytes) -> bytes:
        return self._redactor.alike(body)

    async def _need_files(self, digests: set[str]) -> None:
        """Refuse what names files that aren't there. From now on those that are stay, for a while (`Blobs.remove`)."""
        for named in digests:
            await self._adapters.blobs.size(named)

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        """What has happened and happens, until the task has ended."""
        return following.follow(self.engine, self._adapters.store, task, after, tree, self._redact)

    async def find(self, prefix: str) -> str:
        """The one task whose id begins so; `last` is the newest root task."""
        store = self._adapters.store
        if not prefix:
            raise BadInput("name a task: its id, the beginning of it, or `last`; `agenthost tasks list` shows them")
        if prefix == "last":
            rows = await store.tasks(Filter(roots_only=True, limit=1))
            if not rows:
                raise NotFound("there is no task yet; `agenthost run` starts one")
            return rows[0].id
        row = await store.task(prefix)
        if row is not None:
            return row.id
        found = await store.find(prefix)
        if not found:
            raise NotFound(f"there is no task '{prefix}'; `agenthost tasks list` shows those that there are")
        if len(found) > 1:
            raise BadInput(f"several tasks begin with '{prefix}': {', '.join(found)}; give more of the id")
        return found[0]

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        """Tasks, newest first, or those that changed last."""
        return await self._adapters.store.tasks(wanted)

    async def task(self, task: str) -> TaskDetail:
        """A task with what is below it, its questions and what it has used."""
        row, *below = await following.tree_of(self._adapters.store, task)
        spent = await records.spent(self._adapters.store, task)
        return TaskDetail(row, tuple(below), tuple(await self._questions(row, below)), spent, trace_id(row.id))

    async def _row(self, task: str) -> TaskRow:
        return await following.the_row(self._adapters.store, task)

    async def _questions(self, row: TaskRow, below: list[TaskRow]) -> list[OpenQuestion]:
        """Those that nobody has answered: an answer that waits in the inbox counts, and so does a cancel."""
        found: list[OpenQuestion] = []
        cancelled: set[str] = set()
        for waiting in (row, *below):
            if waiting.state in FINAL or waiting.hold in ("dead-letter", IMPORTED):
                continue
            items = await self._adapters.store.inbox(waiting.id)
            if waiting.parent in cancelled or any(item.kind == "cancel" for item in items):
                cancelled.add(waiting.id)
            elif waiting.state in ("input-required", "auth-required"):
                found += await self._asked_by(waiting.id, {item.id for item in items})
        return found

    async def _asked_by(self, task: str, came: set[str]) -> list[OpenQuestion]:
        try:
            opened = records.open_commands(await self.events_of(task))
        except AgentHostError:
            return []  # a journal that can't be read stops its own task, and the owner says why
        return [
            OpenQuestion(task, ask, at, ends(ask, at))
            for ask, at in opened
            if isinstance(ask, Ask) and reply_id(ask.id) not in came
        ]

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        """Every open question of a namespace, the oldest first."""
        wanted = Filter(namespace, states=("input-required", "auth-required"), limit=MOST_QUESTIONS)
        found: list[OpenQuestion] = []
        for row in await self._adapters.store.tasks(wanted):
            if not row.hold:
                items = await self._adapters.store.inbox(row.id)
                if not any(item.kind == "cancel" for item in items):
                    found += await self._asked_by(row.id, {item.id for item in items})
        return sorted(found, key=lambda open: (open.at, open.task))[:MOST_QUESTIONS]

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        """A part of a task's journal."""
        await self._row(task)
        stored = await self._adapters.store.events(task, after, limit)
        return [await self.engine.services.codec.decode(task, event) for event in stored]

    async def events_of(self, task: str) -> list[Recorded]:
        """A task's whole journal."""
        found: list[Recorded] = []
        while True:
            page = await self.events(task, found[-1].seq if found else 0)
            found += page
            if len(page) < 1000:
                return found

    async def _events_until(self, task: str, until: int) -> list[Recorded]:
        found: list[Recorded] = []
        while (after := found[-1].seq if found else 0) < until:
            page = await self.events(task, after, min(1000, until - after))
            if not page:
                break
            found += page
        return found

    async def say(self, task: str, message: Message) -> None:
        """A message for a running task."""
        await self._need_files({part.digest for part in message.parts if isinstance(part, FilePart)})
        # Whoever writes chooses the message's id: it must not stand for an answer, a cancel or a child's end.
        id = f"message:{message.id or secrets.token_hex(8)}"
        body = msgspec.json.encode(message)
        item = InboxItem(task, id, "message", body, time.time())
        taken = await self._put(item)
        row = taken or await self._row(task)
        if taken is None and row.state in FINAL:
            # It ended in that moment: whoever says it decides what to do.
            raise Conflict(f"the task '{task}' has ended ({row.state}); start a new one")
        if taken is not None and row.kind == "workflow":
            await self._say_below(item)

    async def _say_below(self, said: InboxItem) -> None:
        """A workflow has nobody who listens: the runs of its roles that go on hear it, and those to come with their prompt."""
        flows = {said.task}
        for below in await following.tree_of(self._adapters.store, said.task):
            if below.parent in flows and below.state not in FINAL:
                with suppress(Conflict):  # it has ended meanwhile
                    await self._put(msgspec.structs.replace(said, task=below.id))
                if below.kind == "workflow":
                    flows.add(below.id)

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        """Answer an open question of a task or of one below it."""
        rows = await following.tree_of(self._adapters.store, task)
        asked = answering.named(await self._questions(rows[0], rows[1:]), question)
        if not asked:
            raise await self._none_open(rows, question)
        if len(asked) > 1:
            names = ", ".join(f"{open.task}/{open.ask.id}" for open in asked)
            raise Conflict(f"the task '{task}' has several open questions ({names}); say which with --question")
        chosen = asked[0]
        answering.need_owner(chosen.ask, by, rows[0].person)
        text = answering.option(chosen.ask, text)
        if always is None and chosen.ask.kind == "approval" and for_good(text):
            always = Always()
        if always is not None:
            check(chosen.ask, text, always)
            text = APPROVE
        raises = asks_for_budget(chosen.ask) and approved(Reply(text))
        # Before the answer: the task asks for room again as soon as it has it.
        async with self.budgets.raised_for(chosen.ask) if raises else nullcontext():
            if not await self._put(answering.item(chosen, text, by, via)):
                raise await self._none_open(rows, f"{chosen.task}/{chosen.ask.id}")
        if always is not None:
            row = next(row for row in rows if row.id == chosen.task)
            grant = await self._book.give(chosen, row, always, Giver(by, via))
            chosen = msgspec.structs.replace(chosen, grant=grant)
        return chosen

    async def _none_open(self, rows: list[TaskRow], question: str) -> Conflict:
        """Why a question can't be answered: who was first, where somebody was."""
        given = await answering.last_answer(self._adapters.store, rows, question, self.events_of)
        if given is not None:
            return answering.answered_already(given)
        named, task = f" '{question}'" if question else "", rows[0].id
        return Conflict(
            f"the task '{task}' has no open question{named}; what it waits for: agenthost tasks show {task}"
        )

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        """Have a task, and everything below it, end. One that is held ends too, also where it can't be read."""
        row, *below = await following.tree_of(self._adapters.store, task)
        if row.state in FINAL:
            raise Conflict(f"the task '{task}' has ended ({row.state}); there is nothing to cancel")
        need_here(row)
        body = msgspec.json.encode({"by": by, "reason": reason})
        await self._put(InboxItem(task, f"cancel:{secrets.token_hex(8)}", "cancel", body, time.time()))
        for held in (row, *below):
            # One that rests is taken over by no host that comes after this one; those below end with the task itself.
            resting = held.hold == "paused" and held.id == task
            if (held.hold == "dead-letter" or resting) and held.state not in FINAL:
                await self._adapters.store.hold(held.id, "", "")
                if self._working:
                    self.engine.submit(held.id)

    async def pause(self, task: str, by: str = "owner", reason: str = "") -> None:
        """Have a task, and everything below it, begin nothing more until it is resumed."""
        tree = await self._going(task, "pause")
        why = f"paused by {by}" + (f": {reason}" if reason else "")
        body = msgspec.json.encode({"by": by, "reason": reason})
        for row in tree:
            if not row.hold:
                await self._adapters.store.hold(row.id, "paused", why)
                with suppress(Conflict):  # it has ended meanwhile
                    await self._put(InboxItem(row.id, f"pause:{secrets.token_hex(8)}", "pause", body, time.time()))

    async def resume(self, task: str, by: str = "owner") -> None:
        """Have a paused task, and everything below it, go on."""
        tree = await self._going(task, "resume")
        if all(row.hold != "paused" for row in tree):
            raise Conflict(f"the task '{task}' isn't paused; it goes on")
        for row in tree:
            if row.hold == "paused":
                with suppress(Conflict):
                    body = msgspec.json.encode({"by": by})
                    await self._put(InboxItem(row.id, f"resume:{secrets.token_hex(8)}", "resume", body, time.time()))
                await self._adapters.store.hold(row.id, "", "")
                if self._working:
                    self.engine.submit(row.id)

    async def _going(self, task: str, what: str) -> list[TaskRow]:
        """A task and those below it that haven't ended."""
        row, *below = await following.tree_of(self._adapters.store, task)
        if row.state in FINAL:
            raise Conflict(f"the task '{task}' has ended ({row.state}); there is nothing to {what}")
        need_here(row)
        if row.hold == "dead-letter":
            raise Conflict(
                f"the task '{task}' can't go on ({row.reason}); there is nothing to {what}, but it can be cancelled"
            )
        return [row, *(each for each in below if each.state not in FINAL)]

    async def _put(self, item: InboxItem) -> TaskRow | None:
        """Put something into a task's inbox, and what the task was then; None where it came before. Where this host doesn't work on
        tasks, the next one that does takes it."""
        row = await self._row(item.task)
        if row.state in FINAL:
            raise Conflict(f"the task '{item.task}' has ended ({row.state}); start a new one")
        need_here(row)
        item = msgspec.structs.replace(item, body=self._redact(item.body))
        taken = await (self.engine.put(item) if self._working else self._adapters.store.put(item))
        return row if taken else None

    async def artifacts(self, task: str) -> list[Artifact]:
        """The files of a task's workspace, and its evidence once it has ended."""
        row, first = await self._row(task), await self.events(task, 0, 1)
        files = await self._adapters.store.files(records.spec_of(first).workspace) | await self._proof(row, first)
        return [Artifact(path, named, await self._adapters.blobs.size(named)) for path, named in sorted(files.items())]

    async def artifact(self, task: str, path: str) -> Artifact:
        """One file of a task's workspace, or of its evidence."""
        row, first = await self._row(task), await self.events(task, 0, 1)
        kept = await self._proof(row, first) if path in proof.FILES else {}
        found = (await self._adapters.store.files(records.spec_of(first).workspace) | kept).get(path)
        if found is None:
            raise NotFound(f"the task '{task}' has no file '{path}'; list its artifacts")
        return Artifact(path, found, await self._adapters.blobs.size(found))

    async def evidence(self, task: str) -> EvidencePack:
        """What shows how a task ended."""
        row, *below = await following.tree_of(self._adapters.store, task)
        return await proof.evidence(self.events_of, self.library, row, below)

    async def evidence_files(self, row: TaskRow) -> set[str]:
        """The content hashes of a task's evidence, as it was handed out if anybody wanted it."""
        try:
            first = await self.events(row.id, 0, 1)
            if not first or row.state not in FINAL or not await proof.has_files(self.library, first, row):
                return set()
            return {digest(content) for content in proof.files(await self.evidence(row.id)).values()}
        except AgentHostError:
            return set()  # of a journal that can't be read there never was any

    async def _proof(self, row: TaskRow, first: list[Recorded]) -> dict[str, str]:
        """The files of a task's evidence by content hash. They are made when somebody wants them, and are always the same."""
        if row.state not in FINAL or not await proof.has_files(self.library, first, row):
            return {}
        made: dict[str, str] = {}
        try:
            pack = await self.evidence(row.id)
        except Unusable:
            return {}
        for path, content in proof.files(pack).items():
            made[path] = await self._adapters.blobs.put(content)
            await self._adapters.accounts.own_file(row.namespace, row.person, made[path])
        return made

    async def ledger(self, task: str) -> list[LedgerEntry]:
        """Every attempt at a model call of a task and what is below it."""
        await self._row(task)
        entries = await self._adapters.store.ledger(root_id(task))
        return [entry for entry in entries if following.within(task, entry.task, True)]

    async def export(self, task: str) -> bytes:
        """A task with everything below it as one file."""
        return await self._replaying.export(task)

    async def replay(self, task: str) -> list[ReplayReport]:
        """Decide a task's journal, and those below it, again."""
        return await self._replaying.replay(task)

    async def contrast(self, trial: str) -> Contrast:
        """What a trial did, beside what was recorded."""
        return await self._replaying.contrast(trial)


def need_here(row: TaskRow) -> None:
    """Raise Conflict for a task that was being done elsewhere: nobody goes on with it here."""
    if row.hold == IMPORTED:
        raise Conflict(f"the task '{row.id}' is an import and rests for good; go on from it: tasks fork {row.id}")
