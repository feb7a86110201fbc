"""Doing a task over: what came of deciding its journal again, what a task goes on from, what it is tried with."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agenthost.core.budgets import Spend

Unrecorded = Literal["stop", "error"]
"""What becomes of a trial whose model wants something that nobody recorded: it ends, or the model is told that it failed."""


class Difference(Struct, frozen=True):
    """One value in which the journal and the program differ; `place` is where, as `arguments.path`."""

    place: str
    journal: Any
    program: Any


class ReplayReport(Struct, frozen=True, omit_defaults=True):
    """A journal decided again: how many events and commands it has; where the first difference is, if any.

    `seq` is the event at which it differs, `difference` says how in words, `differences` value by value (the first
    few). `given`: so many events at the beginning were not decided again, because the task went on from them with other
    definitions.
    """

    task: str
    events: int
    commands: int
    agrees: bool
    difference: str = ""
    seq: int = 0
    differences: tuple[Difference, ...] = ()
    given: int = 0


class FileReport(Struct, frozen=True, omit_defaults=True):
    """An exported task, decided again: its file, what it was, a report for it and for each task below it.

    `unread` says why the file can't be read; then there is nothing else."""

    file: str
    task: str = ""
    name: str = ""
    reports: tuple[ReplayReport, ...] = ()
    unread: str = ""

    @property
    def agrees(self) -> bool:
        return not self.unread and all(report.agrees for report in self.reports)


class ForkOrder(Struct, frozen=True, omit_defaults=True):
    """A new task that goes on from an event of another: `at` is the event's number (0: the last one before its end),
    `text` is said to it first. `definitions`: those that it was started with, or those of now. `key`: the same key
    forks a task once. `conversation`: the thread that it belongs to; that of the other task is none of its own. `person`, `namespace` and `via` are the host's to say."""

    at: Annotated[int, Meta(ge=0, le=2**53)] = 0
    text: str = ""
    definitions: Literal["pinned", "current"] = "pinned"
    person: str = "owner"
    namespace: str = "default"
    via: str = ""
    key: str = ""
    conversation: str = ""


class TrialOrder(Struct, frozen=True, omit_defaults=True):
    """A task once more with another model, against what its tools answered then. What was recorded is that of the task
    `task`, or of the export that was put here as a file (`file`: its content hash). `person`, `namespace` and `via` are
    the host's to say."""

    model: str
    task: str = ""
    file: str = ""
    unrecorded: Unrecorded = "stop"
    person: str = "owner"
    namespace: str = "default"
    via: str = ""


class CallSeen(Struct, frozen=True, omit_defaults=True):
    """A call of a tool, a command, a delegation or a question: its name, its arguments, what it came to.

    `state`: `recorded` where a trial's was answered from the recording, `not recorded` where it couldn't be."""

    name: str
    arguments: Any = None
    result: str = ""
    error: bool = False
    state: str = ""


class Turned(Struct, frozen=True, omit_defaults=True):
    """One turn of a model: what it said and called, and what it used (cost in USD)."""

    text: str = ""
    calls: tuple[CallSeen, ...] = ()
    failure: str = ""
    spent: Spend = Spend()
    model: str = ""


class Pair(Struct, frozen=True, omit_defaults=True):
    """The same turn then and now; None where there was none. `differs`: in what (`text`, `calls`, `arguments`, `results`,
    `missing`)."""

    task: str
    turn: int
    then: Turned | None = None
    now: Turned | None = None
    differs: tuple[str, ...] = ()


class Ended(Struct, frozen=True, omit_defaults=True):
    """How it ended, with what, and for how much. `output` is its words and its data as JSON."""

    task: str
    state: str = ""
    outcome: str = ""
    reason: str = ""
    output: str = ""
    spent: Spend = Spend()


class Contrast(Struct, frozen=True):
    """A trial beside what it was recorded from: turn by turn, and both ends."""

    model: str
    then: Ended
    now: Ended
    pairs: tuple[Pair, ...] = ()
