"""What a workflow remembers between two events."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.commands import Command, Finish, RunCommand
from agenthost.programs.base import BaseState

What = Literal["if", "foreach", "values", "approval", "act", "timeout", "passes", "delay", "feedback", "output"]
"""What a command of a step is for."""

Outcome = Literal["partly", "blocked", "unachievable", "needs-person"]

NO_ITEM = -1


class Route(Struct, frozen=True):
    """Whose a command is: the step, which of its items (`NO_ITEM`: the step itself) and what for."""

    step: str
    item: int
    what: What


class Item(Struct):
    """One run of a step: its only one, or that of one item of its `foreach`.

    `command` is what it performs, rendered once; `tries` counts its retries. `reason` is why it
    failed. `final`: no retry and no return can help. `question`: the first line of the approval before it, where the
    manifest says one.
    """

    value: Any = None
    command: Command | None = None
    question: str = ""
    tries: int = 0
    timed_out: bool = False
    ended: bool = False
    result: dict[str, Any] | None = None
    reason: str = ""
    outcome: Outcome = "unachievable"
    final: bool = False
    code: str = ""
    evidence: int = 0


class StepState(Struct):
    """Where a step is. `result` is what expressions see of its last attempt that ended.

    `returning`: it failed and sends the work back. `dropped`: it is set back by such a step, and
    what it had under way is waited for.

    `attempt` counts from 1 once it has begun. `left` is how many items have not ended. `returns`
    is how often it has sent the work back, and `notes` say why, the last few of them. `telling` is
    the feedback that waits until everything that is set back has stopped (None: not rendered yet).
    """

    phase: Literal["waiting", "running", "returning", "dropped", "ended"] = "waiting"
    attempt: int = 0
    items: list[Item] = msgspec.field(default_factory=list[Item])
    left: int = 0
    result: dict[str, Any] | None = None
    feedback: str = ""
    telling: str | None = None
    returns: int = 0
    notes: list[str] = msgspec.field(default_factory=list[str])
    evidence: list[int] = msgspec.field(default_factory=list[int])


class WorkflowState(BaseState, kw_only=True):
    """A workflow's inputs, its steps, and what it wants asked.

    `pending` is what is to be asked and is not yet; sandbox commands stand in `queue`, because they
    go one at a time. `routes` say whose each pending or open command is. `files` are the contents
    that steps wrote, path to digest. `sources` are, by step, what its results go by that a stranger can have written.
    """

    inputs: dict[str, Any]
    steps: dict[str, StepState]
    pending: dict[str, Command] = msgspec.field(default_factory=dict[str, Command])
    queue: dict[str, RunCommand] = msgspec.field(default_factory=dict[str, RunCommand])
    routes: dict[str, Route] = msgspec.field(default_factory=dict[str, Route])
    files: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    sources: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    finish: Finish | None = None

    def want(self, command: Command, route: Route | None = None) -> None:
        """Have a command asked; its answer goes to `route`, or to nobody."""
        if isinstance(command, RunCommand):
            self.queue[command.id] = command
        else:
            self.pending[command.id] = command
        if route is not None:
            self.routes[command.id] = route

    def unwant(self, id: str) -> bool:
        """Take back a command that is not asked yet; whether there was one."""
        found = self.queue.pop(id, None) or self.pending.pop(id, None)
        return found is not None

    def open_id(self, id: str) -> str:
        """Under which id a command is open: another one where a person had it done again."""
        return next((renamed for renamed, original in self.again_of.items() if original == id), id)

    def wrote(self, changes: dict[str, str | None]) -> None:
        """Remember what a step did to the files."""
        for path, digest in changes.items():
            if digest is None:
                self.files.pop(path, None)
            else:
                self.files[path] = digest
