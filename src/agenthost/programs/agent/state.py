"""What an agent remembers between two events. It does not grow with the task's history once the
exchange fills the model's window: what is older lives on in the head's summary."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.commands import Command, Finish, Verdict, Wait
from agenthost.core.models import Turn
from agenthost.core.parts import Message, Part
from agenthost.core.tools import ToolCall, ToolResult
from agenthost.programs.base import BaseState
from agenthost.programs.checking.proof import Proof
from agenthost.programs.trust.state import Provenance

Phase = Literal["baseline", "script", "prepare", "summary", "turn", "calls", "checks", "judged"]


class Pending(Struct):
    """A call that is wished for: the id of its command, the command while a person is asked about it, its result and,
    where a stranger can have written of that, its origin. `reading`: it waits until the person's words were read."""

    call: ToolCall
    id: str
    command: Command | None = None
    result: ToolResult | None = None
    origin: str = ""
    reading: bool = False


class AgentState(BaseState, kw_only=True):
    """The exchange so far and where in the loop the agent is. `wanted` is what to ask for next.

    The exchange: `turns[0]` is turn number `base`; what was before it lives on in `head`. Tool results
    before turn `shortened` are shown short. `sizes` are the estimated tokens of each turn as it is shown,
    `context` their sum; `fresh` is the part of it from turn `counted` on, which no provider has counted
    yet. `ratio` is how many tokens the provider counted for each that was estimated. `ceiling` is the
    most tokens that the provider is believed to take, learnt from a refusal (0: nothing learnt).
    `opened` is the number of the turn that is the task's own message. `picture` names one that the model can't see.
    """

    phase: Phase = "turn"
    wanted: list[Command] = msgspec.field(default_factory=list[Command])
    finish: Finish | None = None
    waiting: list[Message] = msgspec.field(default_factory=list[Message])

    turns: list[Turn] = msgspec.field(default_factory=list[Turn])
    sizes: list[int] = msgspec.field(default_factory=list[int])
    base: int = 0
    shortened: int = 0
    context: int = 0
    counted: int = 0
    fresh: int = 0
    ratio: float = 1.0
    ceiling: int = 0
    head: Turn | None = None
    head_size: int = 0
    opened: int | None = None
    picture: str = ""
    provenance: Provenance = msgspec.field(default_factory=Provenance)

    model_calls: int = 0
    summaries: int = 0
    poor_summaries: int = 0
    squeezes: int = 0
    pending: list[Pending] = msgspec.field(default_factory=list[Pending])
    tool_calls: int = 0
    wrong: int = 0
    reasks: int = 0
    cuts: int = 0
    partial: str = ""
    last_text: str = ""
    last_seq: int = 0
    written: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    evaluations: int = 0
    stage: str = ""
    stage_turns: int = 0
    moves: int = 0
    closing: bool = False
    extra_instructions: str = ""
    prepared: tuple[str, ...] = ()

    rounds: int = 0
    check: int = 0
    check_failures: list[str] = msgspec.field(default_factory=list[str])
    check_reasons: list[str] = msgspec.field(default_factory=list[str])
    evidence: list[int] = msgspec.field(default_factory=list[int])
    output: tuple[Part, ...] = ()
    proof: Proof = msgspec.field(default_factory=Proof)

    script_message: Message | None = None
    script_answers: list[dict[str, Any]] = msgspec.field(default_factory=list[dict[str, Any]])
    script_requests: int = 0
    script_prompt: str = ""
    script_schema: dict[str, Any] | None = None
    script_parts: tuple[Part, ...] = ()

    def want(self, command: Command) -> None:
        """Ask for a command at the next decision."""
        self.wanted.append(command)

    def wrote(self, changes: dict[str, str | None]) -> None:
        """Files were written, or removed: what is gone is forgotten, so that this does not grow with history."""
        for path, digest in changes.items():
            if digest is None:
                self.written.pop(path, None)
            else:
                self.written[path] = digest

    def replan(self) -> None:
        """Take back what is wanted and not asked for yet; waits stand."""
        self.wanted = [command for command in self.wanted if isinstance(command, Wait)]

    def end(
        self,
        outcome: Any,
        reason: str,
        code: str = "",
        evidence: tuple[int, ...] = (),
        parts: tuple[Part, ...] = (),
    ) -> None:
        """End the task. Without a `code` it is an end of the work's own, which a message that comes in
        the same moment takes back."""
        self.wanted.clear()
        self.finish = Finish(Verdict(outcome, reason, evidence, code), parts, sources=tuple(self.provenance.sources))
