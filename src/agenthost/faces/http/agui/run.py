"""One run from its first event to its last."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from ag_ui.core import (
    PROTOCOL_VERSION,
    BaseEvent,
    CustomEvent,
    RunAgentInput,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunFinishedOutcome,
    RunFinishedSuccessOutcome,
    RunStartedEvent,
    SubagentErrorEvent,
    SubagentFinishedEvent,
    SubagentStartedEvent,
    TokenUsage,
)

from agenthost.core.api import HostApi, LiveDelta, OpenQuestion, TaskDetail
from agenthost.core.events import Recorded
from agenthost.core.parts import DataPart
from agenthost.faces.http.agui import asking
from agenthost.faces.http.agui.finding import Found
from agenthost.faces.http.agui.given import OURS
from agenthost.faces.http.agui.teller import Teller

PAGE = 500
_SUBAGENTS = (SubagentStartedEvent, SubagentFinishedEvent, SubagentErrorEvent)


@asynccontextmanager
async def _released(items: AsyncIterator[Recorded | LiveDelta]) -> AsyncGenerator[AsyncIterator[Recorded | LiveDelta]]:
    """`items`, and the host told as soon as nobody wants more of them."""
    try:
        yield items
    finally:
        if (close := getattr(items, "aclose", None)) is not None:
            await close()


class Run:
    """A run over a task that was found. `told`: whether its end was made."""

    def __init__(self, api: HostApi, given: RunAgentInput, found: Found, warnings: list[str]) -> None:
        self.task = found.task
        self.told = False
        self._api = api
        self._given = given
        self._found = found
        self._warnings = warnings
        self._teller = Teller(given, found.task)
        # What speaks 1.0 says so (spec, "Versioning").
        self._declared = bool(given.protocol_version)

    async def events(self) -> AsyncIterator[BaseEvent]:
        """Everything that the other side is told, in order. Clients from before 1.0 give up at an event that they don't
        know: they are told what those below say and do as if it were the agent's own."""
        async for event in self._all():
            if self._declared or not isinstance(event, _SUBAGENTS):
                yield event

    async def _all(self) -> AsyncIterator[BaseEvent]:
        given = self._given
        yield RunStartedEvent(
            thread_id=given.thread_id,
            run_id=given.run_id,
            parent_run_id=given.parent_run_id,
            protocol_version=PROTOCOL_VERSION,
        )
        for warning in self._warnings:
            yield CustomEvent(name=f"{OURS}.warning", value=warning)
        if self._found.before:
            self._teller.absorb(await self._before())
        for event in self._teller.begin(self._found.again):
            yield event
        async for event in self._rest():
            yield event

    async def _rest(self) -> AsyncIterator[BaseEvent]:
        teller = self._teller
        if teller.waits and (detail := await self._settled()) is not None:
            for event in self._stopped(detail):
                yield event
            return
        if teller.ended is None:
            async with _released(self._api.follow(self.task, dict(self._found.before))) as items:
                async for item in items:
                    for event in teller.take(item):
                        yield event
                    if teller.ended is not None:
                        break
                    if teller.waits and (detail := await self._settled()) is not None:
                        for event in self._stopped(detail):
                            yield event
                        return
        detail = await self._api.task(self.task)
        for event in await self._ended(detail) if teller.ended is not None else [self._held(detail)]:
            yield event

    async def _before(self) -> list[Recorded]:
        """What happened before this run came to the task, in order."""
        found: list[Recorded] = []
        for task, last in self._found.before.items():
            at = 0
            while at < last:
                page = await self._api.events(task, at, min(PAGE, last - at))
                if not page:
                    break
                at = page[-1].seq
                found += page
        return sorted(found, key=lambda each: each.at)

    async def _settled(self) -> TaskDetail | None:
        """The task, where nothing happens any more before somebody answers: every event was seen, no answer is under way."""
        detail = await self._api.task(self.task)
        seen = self._teller.seen
        if any(row.seq > seen.get(row.id, 0) for row in (detail.row, *detail.children)):
            return None
        asked = {asking.named(each.task, each.ask.id) for each in detail.questions}
        return detail if asked == self._teller.asks() else None

    def _stopped(self, detail: TaskDetail) -> list[BaseEvent]:
        """The end of a run whose task waits: for a person (an interrupt), or for tools of the front end alone."""
        asked = [each for each in detail.questions if each.ask.kind != "tool"]
        by_task: dict[str, list[str]] = {}
        for each in asked:
            by_task.setdefault(each.task, []).append(asking.named(each.task, each.ask.id))
        events = self._teller.stop(detail, by_task)
        if asked:
            interrupts = [asking.interrupt(each, self._about(each)) for each in asked]
            outcome: RunFinishedOutcome = RunFinishedInterruptOutcome(interrupts=interrupts)
        else:
            outcome = self._succeeded()
        return [*events, self._finish(outcome, detail)]

    def _about(self, question: OpenQuestion) -> str:
        return self._teller.about(question.task, question.ask)

    async def _ended(self, detail: TaskDetail) -> list[BaseEvent]:
        ended = self._teller.ended
        assert ended is not None
        verdict = ended.verdict
        events = self._teller.end(detail, [artifact.path for artifact in await self._api.artifacts(self.task)])
        if verdict.outcome == "done":
            data = [part.data for part in ended.parts if isinstance(part, DataPart)]
            return [*events, self._finish(self._succeeded(), detail, data[0] if data else None)]
        if verdict.outcome == "canceled" or verdict.code == "budget":
            return [*events, self._finish(RunFinishedCancelledOutcome(), detail)]
        return [*events, self._failed(verdict.reason, verdict.code or verdict.outcome)]

    def _succeeded(self) -> RunFinishedSuccessOutcome:
        """Clients from before 1.0, which declare no version, refuse an outcome that names calls; they know them by having
        no result."""
        pending = self._teller.spoken.pending if self._declared else []
        return RunFinishedSuccessOutcome(pending_tool_call_ids=pending or None)

    def _held(self, detail: TaskDetail) -> BaseEvent:
        """The task stands still, and nothing that the front end could say moves it."""
        return self._failed(detail.row.reason or f"the task is held ({detail.row.hold})", detail.row.hold or "held")

    def _finish(self, outcome: RunFinishedOutcome, detail: TaskDetail, result: object = None) -> BaseEvent:
        self.told = True
        row = detail.row
        return RunFinishedEvent(
            thread_id=self._given.thread_id,
            run_id=self._given.run_id,
            outcome=outcome,
            result=result,
            usage=self._usage(),
            metadata={OURS: {"task": row.id, "state": row.state, "outcome": row.outcome, "reason": row.reason}},
        )

    def _failed(self, message: str, code: str) -> BaseEvent:
        self.told = True
        return RunErrorEvent(message=message, code=code, usage=self._usage(), metadata={OURS: {"task": self.task}})

    def _usage(self) -> list[TokenUsage] | None:
        """The tokens of this run's calls, by model. A part of a total that is 0 wasn't counted by anybody."""
        return [
            TokenUsage(
                model=model,
                input_tokens=used.input,
                output_tokens=used.output,
                total_tokens=used.total,
                reasoning_tokens=used.reasoning or None,
                cached_input_tokens=used.cached or None,
                cache_write_input_tokens=used.cache_written or None,
            )
            for model, used in self._teller.usage.items()
        ] or None
