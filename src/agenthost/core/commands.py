"""What a program asks for. Each command has an id that is stable and unique within its task.

A command is small: what it is about (a conversation, an expression's names) is rendered from
the program's state when it is performed, so that a task's journal grows by the same few hundred
bytes a step however long the task is.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.checks import Look, ReportLook
from agenthost.core.parts import Part
from agenthost.core.trust import Given


class View(Struct, frozen=True, omit_defaults=True):
    """Which part of the exchange a model is shown: turns `start` to before `end`.

    Tool results before turn `shortened` are shown in short form.
    """

    start: int
    end: int
    shortened: int = 0


class CallModel(Struct, frozen=True, tag="call-model", omit_defaults=True):
    """Call a model. The request is rendered by the program from its state.

    `worst` is the most tokens of input that the call may use (an estimate from above).
    `fallbacks` are models to call while the first can't be had. `purpose`: `turn`, `summary`, `script`, `judge`,
    `reading` (of the person's words by themselves).
    """

    id: str
    model: str
    view: View
    purpose: str = "turn"
    max_output: int = 4096
    worst: int = 0
    fallbacks: tuple[str, ...] = ()

    @property
    def repeatable(self) -> bool:
        return True


class CallTool(Struct, frozen=True, tag="call-tool", omit_defaults=True):
    """Call a tool. `call_id` is the model's name for the call; `safe` may be repeated after a crash."""

    id: str
    tool: str
    arguments: dict[str, Any]
    call_id: str = ""
    safe: bool = False

    @property
    def repeatable(self) -> bool:
        return self.safe


class Probe(Struct, frozen=True, omit_defaults=True):
    """A look at a service by HTTP: GET `path` on `port` until `status` comes and the body has `body` (a
    regular expression), or `within` seconds are over."""

    port: int
    path: str = "/"
    status: int = 200
    body: str = ""
    within: float = 20.0


class RunCommand(Struct, frozen=True, tag="run-command", omit_defaults=True):
    """Run a shell command in the task's sandbox and workspace. `timeout` in seconds.

    `policy` overrides the sandbox policy by field. Without network it may be repeated: the
    workspace is restored first. With `probe` the command is a service that the host looks at and then
    ends; the exit code is 0 where the look found what it should. With `report` the file that it names is removed before
    the command begins, and looked at after it: what is there then was written by this run.
    """

    id: str
    command: str
    timeout: float | None = None
    network: bool = False
    probe: Probe | None = None
    policy: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    report: ReportLook | None = None

    @property
    def repeatable(self) -> bool:
        return not self.network


class Inspect(Struct, frozen=True, tag="inspect"):
    """Have the host look at something itself: a file, an address outside. It changes nothing."""

    id: str
    look: Look

    @property
    def repeatable(self) -> bool:
        return True


class Evaluate(Struct, frozen=True, tag="evaluate", omit_defaults=True):
    """Evaluate expressions, or call a function of the agent's script. Names are rendered from state.

    `expressions`: name to expression, all in one session. `function`: the script's function to
    call; `step` is how many of its requests to the host are answered already.
    """

    id: str
    expressions: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    function: str = ""
    step: int = 0

    @property
    def repeatable(self) -> bool:
        return True


class StartChild(Struct, frozen=True, tag="start-child", omit_defaults=True):
    """Start a child task and wait for its end.

    `kind` and `name` say what it runs (of the bundle that the parent pinned); of a `supervisor`, `name` is the agent whose
    work it judges. `role` is the
    workflow's role whose replicas bound how many run at once. `workspace`: `shared` works in the
    parent's files, `copy` in a copy of its own that is merged when the child is done. `trust` is what it inherits
    of where values come from; None where all that it is told is from the person, the manifest or the host.
    """

    id: str
    kind: Literal["agent", "workflow", "supervisor"]
    name: str
    parts: tuple[Part, ...] = ()
    inputs: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    role: str = ""
    workspace: Literal["shared", "copy"] = "shared"
    trust: Given | None = None

    @property
    def repeatable(self) -> bool:
        return True


class Ask(Struct, frozen=True, tag="ask", omit_defaults=True):
    """Ask a person. `options` are the answers offered (none: free text). `about` is the command
    that the question is about. `expires`: seconds after which `default` counts as the answer. `by`: who may answer
    (`core.questions.may_answer`), empty for whoever may work on the task.

    Kind `tool`: who gave the work runs the tool `tool` with `arguments`, and says what came of it; `call` is the
    model's name for the call. Kind `approval`: `tool` (of a workflow's step `step:ID`) is what will be done with
    `arguments`; `reason` says why a person is asked, where it isn't that such calls always need it; `untrusted` that the
    call comes of untrusted content, so that only a grant that says so answers it."""

    id: str
    kind: Literal["input", "approval", "auth", "doubt", "tool"]
    question: str
    options: tuple[str, ...] = ()
    default: str = ""
    expires: float | None = None
    about: str = ""
    tool: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    call: str = ""
    by: tuple[str, ...] = ()
    reason: str = ""
    untrusted: bool = False

    @property
    def repeatable(self) -> bool:
        return True


class Wait(Struct, frozen=True, tag="wait"):
    """Wait until a time (seconds since the epoch)."""

    id: str
    until: float

    @property
    def repeatable(self) -> bool:
        return True


class Stop(Struct, frozen=True, tag="stop"):
    """Stop an open command; it is answered with the failure `stopped`."""

    id: str
    target: str

    @property
    def repeatable(self) -> bool:
        return True


class Verdict(Struct, frozen=True, omit_defaults=True):
    """How a task ended and why. `evidence` are the sequence numbers of the events that show it.

    `code` is the failure's code where one ended it (`budget`, `auth`, `scripted-unreadable`, ...).
    """

    outcome: Literal["done", "partly", "blocked", "unachievable", "needs-person", "canceled"]
    reason: str = ""
    evidence: tuple[int, ...] = ()
    code: str = ""


class Finish(Struct, frozen=True, tag="finish", omit_defaults=True):
    """End the task with a verdict and its output. `sources`: what was read on the way that a stranger can have written."""

    verdict: Verdict
    parts: tuple[Part, ...] = ()
    artifacts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


Command = CallModel | CallTool | RunCommand | Inspect | Evaluate | StartChild | Ask | Wait | Stop
