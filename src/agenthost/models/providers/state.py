"""What a provider wants back in the next request and our turns have no words for: signed thinking, signatures of
calls and texts. It is kept as the opaque `state` of an answer, in the order in which the provider said it.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart

from agenthost.core.models import Turn

MOST = 256 * 1024
"""Characters of one answer's state. A longer one is let go, and then thinking is left off until the next answer."""


class _Entry(Struct, frozen=True, omit_defaults=True):
    """A part of an answer. Text is kept as its length, calls by their order: both stand in the turn itself."""

    kind: Literal["text", "call", "thinking"]
    length: int = 0
    content: str = ""
    signature: str | None = None
    id: str | None = None
    by: str | None = None
    details: dict[str, Any] | None = None


class _State(Struct, frozen=True, omit_defaults=True):
    """`provider` is the one that said it (nobody else is shown it), `system` whose signatures these are."""

    provider: str
    system: str | None
    entries: tuple[_Entry, ...]


def kept(response: ModelResponse, provider: str) -> str:
    """The state of an answer; empty where the provider wants nothing back."""
    entries = tuple(entry for part in response.parts if (entry := _entry(part)) is not None)
    if not any(entry.kind == "thinking" or entry.signature or entry.details for entry in entries):
        return ""
    state = _State(provider, response.canonical_system, entries)
    text = msgspec.json.encode(state).decode()
    return text if len(text) <= MOST else ""


def restored(turn: Turn, calls: Sequence[ToolCallPart], provider: str) -> ModelResponse | None:
    """The answer as the provider gave it, with `calls` in the places of its calls; None where nothing was kept,
    another provider said it, or the turn is no longer what was said."""
    if not turn.state:
        return None
    try:
        state = msgspec.json.decode(turn.state, type=_State)
    except msgspec.DecodeError:
        return None
    texts = sum(entry.length for entry in state.entries)
    if state.provider != provider or texts != len(turn.text):
        return None
    if sum(entry.kind == "call" for entry in state.entries) != len(calls):
        return None
    parts: list[ModelResponsePart] = []
    text, left = turn.text, list(calls)
    for entry in state.entries:
        parts.append(_part(entry, text, left))
        text = text[entry.length :]
    name = next((entry.by for entry in state.entries if entry.by), provider)
    return ModelResponse(parts=parts, provider_name=name, canonical_system=state.system)


def thinks(turn: Turn, provider: str) -> bool:
    """Whether the turn still holds the thinking of this provider."""
    if not turn.state:
        return False
    state = msgspec.json.decode(turn.state, type=_State)
    return state.provider == provider and any(entry.kind == "thinking" for entry in state.entries)


def _entry(part: ModelResponsePart) -> _Entry | None:
    if isinstance(part, TextPart):
        return _Entry("text", len(part.content), id=part.id, by=part.provider_name, details=part.provider_details)
    if isinstance(part, ToolCallPart):
        return _Entry("call", id=part.id, by=part.provider_name, details=part.provider_details)
    if isinstance(part, ThinkingPart):
        return _Entry(
            "thinking",
            0,
            part.content,
            part.signature,
            part.id,
            part.provider_name,
            part.provider_details,
        )
    return None


def _part(entry: _Entry, text: str, calls: list[ToolCallPart]) -> ModelResponsePart:
    named: dict[str, Any] = {"id": entry.id, "provider_name": entry.by, "provider_details": entry.details}
    if entry.kind == "thinking":
        return ThinkingPart(entry.content, signature=entry.signature, **named)
    if entry.kind == "text":
        return TextPart(text[: entry.length], **named)
    call = calls.pop(0)
    return ToolCallPart(call.tool_name, call.args, call.tool_call_id, **named)
