"""What an agent remembers between two events."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.commands import Command, Finish
from agenthost.core.models import Turn
from agenthost.core.tools import ToolCall, ToolResult
from agenthost.programs.base import BaseState

Phase = Literal["start", "turn", "model", "calls", "checks", "summary", "stage", "evaluating", "script"]


class Pending(Struct):
    """A call that the model wished for: what to ask next for it (None: it is asked), and its result."""

    call: ToolCall
    next: Command | None = None
    result: ToolResult | None = None


class AgentState(BaseState, kw_only=True):
    """The exchange so far and where in the loop the agent is.

    `turns[0]` is turn number `base` of the exchange; what was before it lives on in `summary`.
    `sizes` are the estimated tokens of each turn, `context` their sum as they are shown now.
    `ratio` is how many tokens the model counted for each that was estimated.
    """

    phase: Phase = "start"
    turns: list[Turn] = msgspec.field(default_factory=list[Turn])
    sizes: list[int] = msgspec.field(default_factory=list[int])
    base: int = 0
    shortened: int = 0
    context: int = 0
    ratio: float = 1.0
    summary: str = ""
    waiting: list[Turn] = msgspec.field(default_factory=list[Turn])

    model_calls: int = 0
    evaluations: int = 0
    pending: list[Pending] = msgspec.field(default_factory=list[Pending])
    tool_calls: int = 0

    stage: str = ""
    stage_turns: int = 0
    extra_instructions: str = ""
    prepared: tuple[str, ...] = ()

    rounds: int = 0
    check: int = 0
    check_failures: list[str] = msgspec.field(default_factory=list[str])
    evidence: list[int] = msgspec.field(default_factory=list[int])
    reasks: int = 0
    cuts: int = 0
    wrong: int = 0
    partial: str = ""
    value: Any = None
    squeezes: int = 0
    last_text: str = ""
    last_seq: int = 0
    written: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])

    script_answers: list[dict[str, Any]] = msgspec.field(default_factory=list[dict[str, Any]])
    script_next: Command | None = None
    script_prompt: str = ""
    script_schema: dict[str, Any] | None = None

    finish: Finish | None = None
