"""What a tool is, as agents and programs see it."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.parts import Part, TextPart, text_of


class ToolSpec(Struct, frozen=True, omit_defaults=True):
    """A tool's name, what it is for, its parameters (JSON Schema) and what a crash may do with it.

    `read_only` and `idempotent` mean what MCP's readOnlyHint and idempotentHint mean: such a
    call may be made again after a crash. `approval`: a person must agree before each call.
    `workspace`: it works on the task's files; such calls in one workspace go one after another.
    `sandbox`: it runs code in the task's sandbox, so that a call isn't made again where that has a network.

    Of where values come from (docs/untrusted.md): `targets` are the arguments that say whom or what a call reaches
    or changes, None where nobody said. `keys` are fields of its results that the service itself sets and that tell
    records apart (an id, a sender's address). `trusted`: its results hold nothing that a stranger can have written.
    `source`: who described it, where that is not this host (`mcp:SERVER`, `plugin:NAME`).
    """

    name: str
    description: str
    parameters: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    read_only: bool = False
    idempotent: bool = False
    approval: bool = False
    workspace: bool = False
    sandbox: bool = False
    targets: tuple[str, ...] | None = None
    keys: tuple[str, ...] = ()
    trusted: bool = False
    source: str = ""

    @property
    def repeatable(self) -> bool:
        """Whether a call that was started and not answered may be made again."""
        return self.read_only or self.idempotent


class ToolCall(Struct, frozen=True):
    """A model's wish to call a tool. `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolResult(Struct, frozen=True, tag="tool-result", omit_defaults=True):
    """What came of a tool call. `error` marks a result that tells the model what went wrong.

    `changes`: what it did to the workspace, path to content digest, None where it removed. `tokens` and `cost`
    (USD): what a call really used that reserved its worst case (`ToolContext.reserve`); without a cost that stands.
    `exit_code`: of the command, where the call ran one in the sandbox.
    """

    parts: tuple[Part, ...]
    error: bool = False
    changes: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    tokens: int = 0
    cost: float | None = None
    exit_code: int | None = None

    @property
    def text(self) -> str:
        """The words of the result."""
        return text_of(self.parts)


def text_result(text: str, error: bool = False) -> ToolResult:
    """A tool result of words only."""
    return ToolResult((TextPart(text),), error)
