"""What is worth telling of a task: each a fact with the task it is about and when it was (seconds since the epoch)."""

from typing import Any

from msgspec import Struct

from agenthost.core.commands import Ask
from agenthost.core.errors import Failure
from agenthost.core.events import RunResult
from agenthost.core.models import Usage
from agenthost.core.parts import FilePart


class Moment(Struct, frozen=True, kw_only=True):
    """About which task, and when."""

    task: str
    at: float


class Began(Moment, frozen=True, kw_only=True):
    """A task came to be, with what was said to it and the files it was given."""

    text: str = ""
    files: tuple[FilePart, ...] = ()


class Said(Moment, frozen=True, kw_only=True):
    """A model answered. `cost` in USD, None where the price is unknown; `calls` tools are called next."""

    text: str
    model: str
    usage: Usage
    seconds: float
    cost: float | None = None
    calls: int = 0
    stop: str = "end"


class Called(Moment, frozen=True, kw_only=True):
    """A tool was called and answered with `text`; `error` where it tells of a failure."""

    tool: str
    arguments: dict[str, Any]
    text: str
    error: bool
    seconds: float


class Wrote(Moment, frozen=True, kw_only=True):
    """An agent wrote a file of the workspace."""

    path: str
    content: str


class Ran(Moment, frozen=True, kw_only=True):
    """A command ran in the sandbox."""

    command: str
    result: RunResult
    step: str = ""


class WentBack(Moment, frozen=True, kw_only=True):
    """A workflow does a step again: which attempt it is, of how many (0: unknown)."""

    step: str
    role: str
    attempt: int
    most: int


class Retried(Moment, frozen=True, kw_only=True):
    """Something failed for now and is tried again after `delay` seconds."""

    what: str
    attempt: int
    failure: Failure
    delay: float


class Failed(Moment, frozen=True, kw_only=True):
    """A command has no result."""

    what: str
    failure: Failure


class Asks(Moment, frozen=True, kw_only=True):
    """The task waits for a person."""

    ask: Ask


class Heard(Moment, frozen=True, kw_only=True):
    """A person answered a question."""

    text: str
    by: str


class Told(Moment, frozen=True, kw_only=True):
    """A message came for the running task."""

    text: str
    sender: str


class Note(Moment, frozen=True, kw_only=True):
    """Something worth knowing that changes nothing."""

    text: str


class Ended(Moment, frozen=True, kw_only=True):
    """A task ended; how stands in the view."""
