"""Reads a task's journal into its evidence pack."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from agenthost.core.commands import CallTool, Command, RunCommand, StartChild
from agenthost.core.definitions import Bundle
from agenthost.core.events import Answered, Asked, ChildResult, Finished, Recorded, RunResult
from agenthost.core.evidence import Criterion, EvidencePack, Shown, journal_hash
from agenthost.core.ids import child_id
from agenthost.core.parts import DataPart, text_of
from agenthost.host.records import spec_of
from agenthost.programs.agent import AgentProgram, AgentState
from agenthost.programs.checking import receipts
from agenthost.programs.checking.receipts import Receipt
from agenthost.programs.supervisor import judgement
from agenthost.programs.supervisor.judgement import Judgement

_CHECK = re.compile(r"c(\d+)-(\d+)b?")
_CLAIMS = 4000


def pack(events: Sequence[Recorded], bundle: Bundle, below: Sequence[EvidencePack] = ()) -> EvidencePack:
    """What shows how the task of a journal ended, or stands now. `below` are the packs of the tasks below it."""
    spec = spec_of(events)
    reading = _Agent(events, bundle) if spec.kind == "agent" else _Steps(events)
    last = events[-1].event
    verdict = last.verdict if isinstance(last, Finished) else None
    cited = {*reading.checks, *(verdict.evidence if verdict else ())}
    cited |= {event for one in reading.criteria for event in one.evidence}
    return EvidencePack(
        task=spec.id,
        name=spec.name,
        kind=spec.kind,
        rule=reading.rule,
        outcome=verdict.outcome if verdict else "",
        reason=verdict.reason if verdict else "",
        began=events[0].at,
        ended=events[-1].at if verdict else 0.0,
        events=len(events),
        journal=journal_hash(events),
        criteria=reading.criteria,
        shown=tuple(reading.shown[event] for event in sorted(cited) if event in reading.shown),
        rounds=reading.rounds,
        files=dict(sorted(reading.files.items())),
        judges=reading.judges,
        claims=text_of(last.parts)[:_CLAIMS] if isinstance(last, Finished) else "",
        below=tuple(below),
        imported=spec.imported.task if spec.imported is not None else "",
    )


def proves(bundle: Bundle, events: Sequence[Recorded]) -> bool:
    """Whether a task has something to prove: criteria, checks, or a workflow's commands."""
    spec = spec_of(events)
    if spec.kind != "agent":
        return spec.kind == "workflow" and any(_is_run(one) for one in events)
    completion = bundle.agents[spec.name].manifest.spec.completion
    return bool(completion.criteria or (completion.checks and "checks" in completion.needs))


class _Steps:
    """A workflow's journal: the commands of its steps."""

    rule = ""
    rounds = 0
    judges: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()

    def __init__(self, events: Sequence[Recorded]) -> None:
        self.files: dict[str, str | None] = {}
        self.shown: dict[int, Shown] = {}
        opened: dict[str, Command] = {}
        for one in events:
            event = one.event
            if isinstance(event, Asked):
                opened[event.command.id] = event.command
            elif isinstance(event, Answered) and event.command in opened:
                command = opened.pop(event.command)
                self.files |= getattr(event.answer, "changes", {})
                found = receipts.receipt(one.seq, one.at, command, event.answer, False)
                if found is not None and isinstance(command, RunCommand):
                    self.shown[one.seq] = _shown(found, event.answer, found.exit_code == 0, "")
        self.checks = tuple(self.shown)


class _Agent:
    """An agent's journal, read as its program reads it."""

    def __init__(self, events: Sequence[Recorded], bundle: Bundle) -> None:
        self._program = AgentProgram(bundle)
        spec = spec_of(events)
        pinned = bundle.agents[spec.name]
        self._completion = pinned.manifest.spec.completion
        self._code = {tool.name for tools in pinned.tools.values() for tool in tools if tool.sandbox}
        self.rule = self._completion.rule
        self.shown: dict[int, Shown] = {}
        self.judges: tuple[str, ...] = ()
        self._judgement: Judgement | None = None
        self._checks: dict[int, tuple[int, int]] = {}
        state = self._program.initial(spec)
        for one in events:
            state = self._step(state, one)
        self.rounds = state.rounds
        self.files: dict[str, str | None] = state.changed
        self.checks = tuple(self._checks)
        self.criteria = tuple(self._criterion(number) for number in range(1, len(self._completion.criteria) + 1))

    def _step(self, state: AgentState, one: Recorded) -> AgentState:
        event = one.event
        entry = state.open.get(event.command) if isinstance(event, Answered) else None
        made = _CHECK.fullmatch(event.command) if isinstance(event, Answered) else None
        round, results = state.rounds + 1, len(state.proof.results)
        state = self._program.apply(state, one)
        if not isinstance(event, Answered) or entry is None:
            return state
        command = entry.command
        if isinstance(command, StartChild) and command.kind == "supervisor":
            self._judged(one.task, command, event.answer)
            return state
        code = isinstance(command, CallTool) and command.tool in self._code
        found = receipts.receipt(one.seq, one.at, command, event.answer, code)
        if found is None:
            return state
        ok, why = found.ok, ""
        if made is not None:
            # Where its round begins anew, it was the last that passed.
            grown = len(state.proof.results) > results
            ok, why = (state.proof.results[-1]["ok"], state.proof.results[-1]["reason"]) if grown else (True, "")
            found = msgspec.structs.replace(found, kind="check", round=round)
            self._checks[one.seq] = (round, int(made[2]))
        self.shown[one.seq] = _shown(found, event.answer, ok, why)
        return state

    def _judged(self, task: str, command: StartChild, answer: Any) -> None:
        self.judges = (*self.judges, child_id(task, command.id))
        if isinstance(answer, ChildResult):
            data = next((part.data for part in answer.parts if isinstance(part, DataPart)), None)
            self._judgement = judgement.read(data) or self._judgement

    def _criterion(self, number: int) -> Criterion:
        text = self._completion.criteria[number - 1]
        places = [place for place, check in enumerate(self._completion.checks) if number in check.proves]
        if places:
            return self._proved(number, text, places)
        found = self._judgement
        one = found.criteria[number - 1] if found and len(found.criteria) >= number else None
        if one is None:
            return Criterion(number, text)
        refused = tuple((piece.event, piece.why) for piece in one.refused)
        return Criterion(number, text, one.met, one.evidence, one.missing, refused, one.by)

    def _proved(self, number: int, text: str, places: list[int]) -> Criterion:
        """A criterion that checks prove, by the last round that made them."""
        last = max((round for round, place in self._checks.values() if place in places), default=0)
        newest = {place: event for event, (round, place) in self._checks.items() if round == last}
        events = tuple(sorted(newest[place] for place in places if place in newest))
        missing = "; ".join(self.shown[event].reason for event in events if not self.shown[event].ok)
        met = bool(events) and len(events) == len(places) and not missing
        return Criterion(
            number, text, met, events if met else (), missing or ("" if met else "not checked"), by="checks"
        )


def _shown(found: Receipt, answer: Any, ok: bool, why: str) -> Shown:
    facts = found.facts
    files = found.changes
    if found.kind == "look":
        files = dict(answer.facts.get("files", {}))
    elif isinstance(answer, RunResult):
        facts = facts | {"seconds": answer.duration} | ({"limit": answer.limit} if answer.limit else {})
    return Shown(
        found.event, found.at, found.kind, found.what, ok, why, found.exit_code, found.output, files, facts, found.round
    )


def _is_run(one: Recorded) -> bool:
    return isinstance(one.event, Asked) and isinstance(one.event.command, RunCommand)
