"""The exchange as a model without tool calls is shown it: calls and their results as words."""

from collections.abc import Callable, Sequence

import msgspec

from agenthost.core.models import Turn
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall, ToolSpec

Written = Callable[[str, tuple[ToolCall, ...]], str]
"""How a turn of the model's is written: of its words and its calls."""


def as_words(turns: Sequence[Turn], written: Written) -> tuple[Turn, ...]:
    """Turns without calls: the model's own as `written`, results as what a user says, those of one round together."""
    said: list[Turn] = []
    results: list[Part] = []
    for turn in turns:
        if turn.role == "tool":
            results += _result(turn)
            continue
        if turn.role == "user" and results:
            said.append(Turn("user", (*results, *turn.parts)))
            results = []
            continue
        if results:
            said.append(Turn("user", tuple(results)))
            results = []
        if turn.role == "assistant":
            others = tuple(part for part in turn.parts if not isinstance(part, TextPart))
            said.append(Turn("assistant", (TextPart(written(turn.text, turn.calls)), *others)))
        else:
            said.append(turn)
    if results:
        said.append(Turn("user", tuple(results)))
    return tuple(said)


def described(tools: Sequence[ToolSpec]) -> str:
    """Tools for a model to read: names, what they are for, their arguments as JSON Schema."""
    lines: list[str] = []
    for tool in tools:
        parameters = msgspec.json.encode(tool.parameters or {"type": "object", "properties": {}}).decode()
        lines += [f"- {tool.name}: {tool.description.strip()}", f"  arguments: {parameters}"]
    return "\n".join(lines)


def object_of(call: ToolCall) -> str:
    """A call as the JSON object that the model is told to write; arguments that were no JSON stand as text."""
    try:
        arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return msgspec.json.encode({"name": call.name, "arguments": call.arguments}).decode(errors="replace")
    return msgspec.json.encode({"name": call.name, "arguments": arguments}).decode()


def _result(turn: Turn) -> list[Part]:
    failed = " It failed." if turn.error else ""
    head = TextPart(f"Result of the call of {turn.name or turn.call_id}.{failed}")
    return [head, *(turn.parts or (TextPart("(no output)"),))]
