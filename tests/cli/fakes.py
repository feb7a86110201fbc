"""A host that plays recorded journals, and a door to it. The real host's own tests are elsewhere; here the
command line is tested against everything that a host may say."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agenthost.cli.connect import Reached
from agenthost.core.access import OWNER
from agenthost.core.api import (
    Applied,
    Artifact,
    Finding,
    Health,
    HostApi,
    HostInfo,
    LiveDelta,
    ManifestProblem,
    ModelLine,
    OpenQuestion,
    Order,
    TaskDetail,
)
from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask
from agenthost.core.errors import BadInput, NotFound, nearest
from agenthost.core.events import Answered, Asked, Created, Finished, Recorded
from agenthost.core.evidence import Criterion, EvidencePack, Shown, journal_hash
from agenthost.core.grants import Always
from agenthost.core.ids import digest
from agenthost.core.machines import Waiting
from agenthost.core.parts import FilePart, Message
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.core.replaying import CallSeen, Contrast, Ended, ForkOrder, Pair, ReplayReport, TrialOrder, Turned
from agenthost.core.tasks import TaskRow
from tests.cli.recorded import BEGAN, ROOT, Item

STATES = {"done": "completed", "canceled": "canceled"}


class FakeHost(HostApi):
    """Plays `items`; what comes after a reply is told by `replied`."""

    def __init__(self, items: list[Item], replied: Callable[[], list[Item]] | None = None) -> None:
        self.items = items
        self.replied = replied
        self.files: dict[str, bytes] = {}
        self.orders: list[Order] = []
        self.said: list[str] = []
        self.cancelled: list[str] = []
        self.kept: dict[str, str] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.problems: list[ManifestProblem] = []
        self.findings: list[Finding] = []
        self.waiting: tuple[Waiting, ...] = ()
        self.forked: list[ForkOrder] = []
        self.tried: list[TrialOrder] = []
        self.closed = False

    @property
    def recorded(self) -> list[Recorded]:
        return [item for item in self.items if isinstance(item, Recorded)]

    async def info(self) -> HostInfo:
        return HostInfo("0.1.0", "/home", 1, serving=True, waiting=self.waiting)

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        if not content and not media_type:
            raise BadInput(f"'{name}' is empty")
        self.files[digest(content)] = content
        return FilePart(digest(content), media_type or "text/plain", len(content), name)

    async def get_file(self, digest: str) -> bytes:
        return self.files[digest]

    async def start(self, order: Order) -> TaskRow:
        if order.name not in ("sketch-to-code", "coder"):
            raise NotFound(f"there is no agent or workflow '{order.name}'. {nearest(order.name, ['coder'])}")
        self.orders.append(order)
        return self.row(ROOT)

    async def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        for item in list(self.items):
            yield item
        if self.replied is not None:
            while not self.said:
                await asyncio.sleep(0.01)
            for item in self.replied():
                self.items.append(item)
                yield item

    async def find(self, prefix: str) -> str:
        if prefix == "last" or ROOT.startswith(prefix):
            return ROOT
        raise NotFound(f"there is no task '{prefix}'. {nearest(prefix, [ROOT])}")

    def row(self, task: str) -> TaskRow:
        mine = [item for item in self.recorded if item.task == task]
        spec = next((item.event.spec for item in mine if isinstance(item.event, Created)), None)
        end = next((item.event for item in mine if isinstance(item.event, Finished)), None)
        asks = any(question.task == task for question in self.asked())
        state: Any = STATES.get(end.verdict.outcome, "failed") if end else "input-required" if asks else "working"
        return TaskRow(
            task,
            spec.kind if spec else "agent",
            spec.name if spec else "coder",
            state,
            BEGAN,
            mine[-1].at if mine else BEGAN,
            outcome=end.verdict.outcome if end else "",
            reason=end.verdict.reason if end else "",
            seq=len(mine),
        )

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        return self.asked()

    def asked(self) -> list[OpenQuestion]:
        answered = {item.event.command for item in self.recorded if isinstance(item.event, Answered)}
        return [
            OpenQuestion(item.task, item.event.command, item.at)
            for item in self.recorded
            if isinstance(item.event, Asked) and isinstance(item.event.command, Ask)
            if item.event.command.id not in answered
        ]

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        rows = [self.row(ROOT)]
        return [row for row in rows if not wanted.states or row.state in wanted.states]

    async def task(self, task: str) -> TaskDetail:
        children = dict.fromkeys(item.task for item in self.recorded if item.task != task)
        rows = tuple(self.row(child) for child in children)
        return TaskDetail(self.row(task), rows, tuple(self.asked()), Spend(3, 4500, 0.02), "trace-1")

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]:
        return [item for item in self.recorded if item.task == task and item.seq > after][:limit]

    async def say(self, task: str, message: Message) -> None:
        raise NotImplementedError

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        found = self.asked()
        if not found:
            raise BadInput(f"task {task} has no open question")
        self.said.append(text)
        return found[0]

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None:
        self.cancelled.append(reason)

    async def artifacts(self, task: str) -> list[Artifact]:
        return [Artifact(f"out/{name[:14]}.py", name, len(content)) for name, content in self.files.items()]

    async def ledger(self, task: str) -> list[LedgerEntry]:
        spent, worst = Spend(1, 1540, 0.0049), Spend(1, 9000, 0.05)
        return [
            LedgerEntry(ROOT, "m1", 1, "coder", "openai:gpt-5.5", BEGAN, worst, spent=spent, settled=True),
            LedgerEntry(ROOT, "m2", 1, "checker", "openai:gpt-5.5", BEGAN, worst),
        ]

    async def export(self, task: str) -> bytes:
        return b"PK zip"

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        self.forked.append(order)
        return self.row(ROOT)

    async def try_again(self, order: TrialOrder) -> TaskRow:
        self.tried.append(order)
        return self.row(ROOT)

    async def contrast(self, trial: str) -> Contrast:
        then = Turned("as it was", (CallSeen("send", {"to": "ann"}, "sent"),), spent=Spend(1, 40, 0.01))
        now = Turned(
            "as it is", (CallSeen("send", {"to": "bob"}, "told", True, "not recorded"),), spent=Spend(1, 50, 0.02)
        )
        ends = Ended(ROOT, "completed", "done", "", "yes"), Ended(trial, "canceled", "canceled", "not recorded", "")
        return Contrast(
            "other", *ends, (Pair("", 1, then, now, ("text", "arguments")), Pair("", 2, then, None, ("missing",)))
        )

    async def evidence(self, task: str) -> EvidencePack:
        events = await self.events(task)
        shown = (Shown(4, 1.0, "check", "pytest | tee", exit_code=0, output="sha256:o", round=1),)
        criteria = (
            Criterion(1, "It runs.", True, (4,), by="checks"),
            Criterion(2, "It is nice.", False, missing="ugly"),
        )
        return EvidencePack(
            task,
            "coder",
            "agent",
            "checks",
            "partly",
            "ugly",
            1.0,
            2.0,
            len(events),
            journal_hash(events),
            criteria,
            shown,
        )

    async def replay(self, task: str) -> list[ReplayReport]:
        return [ReplayReport(ROOT, 12, 5, True), ReplayReport(f"{ROOT}.a", 3, 1, False, "asked for less", 2)]

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        return ([], self.problems) if self.problems else ([Applied("Agent", name, "created") for name in texts], [])

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        if kind == "agent":
            return self.agents
        back = {"id": "check", "onFail": {"goto": "code", "max": 4}}
        return {
            "sketch-to-code": {
                "metadata": {"name": "sketch-to-code"},
                "spec": {"input": {"sketch": {"type": "file"}}, "steps": [{"id": "code"}, back]},
            }
        }

    async def delete(self, kind: str, name: str) -> None:
        raise NotFound(f"there is no {kind} '{name}'")

    async def models(self, provider: str = "") -> list[ModelLine]:
        return [ModelLine("openai:gpt-5.5", "openai", True, 400_000, True, 1.25, 10.0, calling="native")]

    async def set_secret(self, name: str, value: str) -> None:
        if value:
            self.kept[name] = value
        elif self.kept.pop(name, None) is None:
            raise NotFound(f"there is no secret '{name}'")

    async def secrets(self) -> list[str]:
        return sorted(self.kept)

    async def doctor(self) -> list[Finding]:
        return self.findings

    async def health(self) -> Health:
        return Health("ok", ())

    async def close(self) -> None:
        self.closed = True


class FakeDoor:
    """Opens to one host. `own`: as if it lived in this process."""

    def __init__(self, host: HostApi, home: Path, own: bool = True) -> None:
        self.api = host
        self.home = home
        self.own = own
        self.worked: list[bool] = []

    @asynccontextmanager
    async def host(self, work: bool = False) -> AsyncGenerator[Reached]:
        self.worked.append(work)
        try:
            yield Reached(self.api, self.own)
        finally:
            await self.api.close()

    @asynccontextmanager
    async def serve(self, host: str | None = None, port: int | None = None) -> AsyncGenerator[Reached]:
        yield Reached(self.api, True)
