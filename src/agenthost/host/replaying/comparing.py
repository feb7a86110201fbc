"""A journal decided again from its events: what the program would ask for, against what was asked for."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec

from agenthost.core.commands import Command, Finish, Verdict
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Asked, Claimed, Created, Finished, Recorded, Started
from agenthost.core.ports import Program
from agenthost.core.replaying import Difference, ReplayReport
from agenthost.core.tasks import TaskRow, TaskSpec

C = TypeVar("C", Command, Finish, Command | Finish)
Redact = Callable[[bytes], bytes]
MOST_DIFFERENCES = 10
"""Values that a report names."""
SHOWN = 120
"""Characters of a value in the words of a report."""

_FAILS = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
    AgentHostError,
)
"""What a program raises on events that it couldn't have led to."""


def replay(
    program: Program[Any], spec: TaskSpec, events: Sequence[Recorded], redact: Redact = lambda body: body
) -> ReplayReport:
    """Decide a journal again from its events, perform nothing, and compare what is asked.

    Where a run of `asked` begins, the program decides from the state before it: its commands must be the ones that were
    journalled, in order; `finished` must be what it wants at that point. Between two steps it must want nothing, unless its
    owner was about to stop (then the next owner asks, after `claimed`). `redact` takes out of what the program wants what was
    taken out of the journal: a manifest may have the value of a secret in it.
    """
    over = _Replay(program, spec, len(events), redact)
    return over.run(events)


def gap(row: TaskRow, events: Sequence[Recorded]) -> ReplayReport | None:
    """What is missing from a journal, or was added to it, told from its numbers; None where it is whole."""
    for number, recorded in enumerate(events, 1):
        if recorded.seq != number:
            return ReplayReport(row.id, len(events), 0, False, f"the journal has no event {number}", number)
    if not events or not isinstance(events[0].event, Created):
        return ReplayReport(row.id, len(events), 0, False, "the journal doesn't begin with the task's making", 1)
    # A step may have been committed between the reading of the row and that of the journal.
    if len(events) < row.seq:
        why = f"the task has {row.seq} events, and its journal only {len(events)}"
        return ReplayReport(row.id, len(events), 0, False, why, len(events) + 1)
    return None


class _Replay:
    def __init__(self, program: Program[Any], spec: TaskSpec, events: int, redact: Redact) -> None:
        self._redact = redact
        self._program = program
        self._spec = spec
        self._events = events
        self._given = spec.forked.seq if spec.forked is not None and spec.forked.redefined else 0
        self._commands = 0
        self._waiting: list[Command | Finish] = []
        self._asking = False
        self._owing: tuple[int, Command | Finish] | None = None

    def run(self, events: Sequence[Recorded]) -> ReplayReport:
        state: Any = None
        before: Recorded | None = None
        try:
            state = self._program.initial(self._spec)
            for recorded in events:
                if recorded.seq > self._given and (wrong := self._look(state, before, recorded)) is not None:
                    return wrong
                before = recorded
                state = self._program.apply(state, recorded)
        except _FAILS as error:
            told = error.message if isinstance(error, AgentHostError) else f"{type(error).__name__}: {error}"
            return self._differs(f"the program fails: {told}", before.seq if before else 1)
        if self._asking and self._waiting and not isinstance(events[-1].event, Finished):
            return self._unasked(self._waiting[0], len(events))
        return ReplayReport(self._spec.id, self._events, self._commands, True, given=self._given)

    def _look(self, state: Any, before: Recorded | None, recorded: Recorded) -> ReplayReport | None:
        """What differs at an event, told from the state before it."""
        event = recorded.event
        if before is not None and before.at != recorded.at and not self._asking:
            self._between(state, before.seq)
        if isinstance(event, Claimed):
            self._owing = None
        if isinstance(event, Asked | Finished):
            if self._owing is not None:
                seq, command = self._owing
                return self._differs(f"the program asks for {_named(command)} here, and the journal doesn't", seq)
            if not self._asking:
                self._waiting, self._asking = list(self._program.decide(state)), True
            if (wrong := self._take(event, recorded.seq)) is not None:
                return wrong
            self._commands += 1
        elif not isinstance(event, Started):
            if self._asking and self._waiting:
                return self._unasked(self._waiting[0], recorded.seq)
            self._asking = False
        return None

    def _between(self, state: Any, seq: int) -> None:
        """Between two steps: what the program wants now should have been asked for in the one before."""
        if self._owing is None:
            wanted = self._program.decide(state)
            self._owing = (seq, wanted[0]) if wanted else None

    def _take(self, event: Asked | Finished, seq: int) -> ReplayReport | None:
        """Take what was journalled from what the program wants now; the difference, if there is one."""
        if isinstance(event, Finished):
            return self._ends(event, seq)
        if not self._waiting:
            return self._differs(
                f"the journal has the command {_named(event.command)}; the program asks for nothing", seq
            )
        command = self._waiting.pop(0)
        if command == event.command or (command := self._clean(command)) == event.command:
            return None
        found = differences(event.command, command)
        if not found and type(command) is type(event.command):
            return None  # but for lists that are tuples: JSON knows one of them
        if isinstance(command, Finish) or (type(command), command.id) != (type(event.command), event.command.id):
            told = f"the journal has the command {_named(event.command)}; the program asks for {_named(command)}"
        else:
            told = f"the command {_named(command)} is another: {_told(found[0])}, the program asks for {shown(found[0].program)}"
        return self._differs(told, seq, found)

    def _ends(self, event: Finished, seq: int) -> ReplayReport | None:
        finish = next((command for command in self._waiting if isinstance(command, Finish)), None)
        finish = None if finish is None else self._clean(finish)
        if finish is None:
            return self._differs("the journal says that the task ended; the program would go on", seq)
        if finish.verdict != event.verdict:
            told = f"the journal's verdict is {_verdict(event.verdict)}; the program's is {_verdict(finish.verdict)}"
            return self._differs(told, seq, differences(event.verdict, finish.verdict, "verdict"))
        if (finish.parts, finish.artifacts) != (event.parts, event.artifacts):
            found = differences(event.parts, finish.parts, "parts")
            found += differences(event.artifacts, finish.artifacts, "artifacts")
            if not found:
                return None
            told = f"{_told(found[0])}, and in the program's {shown(found[0].program)}"
            return self._differs(f"the journal's output is not the program's: {told}", seq, found)
        return None

    def _clean(self, wanted: C) -> C:
        """What a program wants, without secrets."""
        body = msgspec.json.encode(wanted)
        clean = self._redact(body)
        return wanted if clean == body else msgspec.json.decode(clean, type=type(wanted))

    def _unasked(self, command: Command | Finish, seq: int) -> ReplayReport:
        return self._differs(f"the program asks also for {_named(command)}, and the journal doesn't", seq)

    def _differs(self, why: str, seq: int, found: list[Difference] | None = None) -> ReplayReport:
        few = tuple((found or [])[:MOST_DIFFERENCES])
        return ReplayReport(self._spec.id, self._events, self._commands, False, why, seq, few, self._given)


def differences(journal: Any, program: Any, place: str = "") -> list[Difference]:
    """Where two records differ, value by value."""
    found: list[Difference] = []
    _walk(msgspec.to_builtins(journal), msgspec.to_builtins(program), place, found)
    return found


def _walk(journal: Any, program: Any, place: str, found: list[Difference]) -> None:
    if journal == program:
        return
    if isinstance(journal, dict) and isinstance(program, dict):
        one, other = cast("dict[str, Any]", journal), cast("dict[str, Any]", program)
        for key in sorted({*one, *other}, key=str):
            _walk(one.get(key), other.get(key), f"{place}.{key}" if place else str(key), found)
    elif isinstance(journal, list | tuple) and isinstance(program, list | tuple):
        these, those = cast("Sequence[Any]", journal), cast("Sequence[Any]", program)
        for at in range(max(len(these), len(those))):
            mine = these[at] if at < len(these) else None
            theirs = those[at] if at < len(those) else None
            _walk(mine, theirs, f"{place}.{at}" if place else str(at), found)
    else:
        found.append(Difference(place, journal, program))


def shown(value: Any) -> str:
    """A value in a few characters."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _told(found: Difference) -> str:
    return f"{found.place} is {shown(found.journal)} in the journal"


def _named(command: Command | Finish) -> str:
    if isinstance(command, Finish):
        return f"the end ({_verdict(command.verdict)})"
    about = getattr(command, "tool", "") or getattr(command, "model", "") or getattr(command, "name", "")
    tag = command.__struct_config__.tag
    return f"{command.id} ({tag}{' ' + about if about else ''})"


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.outcome}{': ' + verdict.reason if verdict.reason else ''}"
