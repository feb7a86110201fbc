"""What pydantic-ai's models say, as our answer and deltas."""

from typing import Literal

import msgspec
from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)
from pydantic_ai.usage import RequestUsage

from agenthost.core.models import Delta, ModelAnswer, Usage
from agenthost.core.tools import ToolCall
from agenthost.models.openai.wire import parts_of
from agenthost.models.providers.state import kept


def delta(event: ModelResponseStreamEvent) -> Delta | None:
    """What is told of a piece of a stream. Calls are told whole, at the end."""
    if isinstance(event, PartStartEvent):
        part = event.part
        if isinstance(part, TextPart) and part.content:
            return Delta(text=part.content)
        if isinstance(part, ThinkingPart) and part.content:
            return Delta(reasoning=part.content)
    elif isinstance(event, PartDeltaEvent):
        if isinstance(event.delta, TextPartDelta) and event.delta.content_delta:
            return Delta(text=event.delta.content_delta)
        if isinstance(event.delta, ThinkingPartDelta) and event.delta.content_delta:
            return Delta(reasoning=event.delta.content_delta)
    return None


def answer(response: ModelResponse, names: dict[str, str], provider: str) -> ModelAnswer:
    """The answer. `names` leads from the wire's names of tools back to ours."""
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    calls = tuple(
        ToolCall(part.tool_call_id, names.get(part.tool_name, part.tool_name), _arguments(part))
        for part in response.parts
        if isinstance(part, ToolCallPart)
    )
    return ModelAnswer(
        parts_of(text),
        calls,
        _stop(response, bool(calls)),
        usage_of(response.usage),
        response.model_name or "",
        kept(response, provider),
    )


def usage_of(usage: RequestUsage) -> Usage:
    """Tokens as the provider counted them; what was cached and written to the cache is part of the input."""
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.output_reasoning_tokens,
        usage.cache_write_tokens,
    )


def _arguments(part: ToolCallPart) -> str:
    if part.args is None or isinstance(part.args, str):
        return part.args or "{}"
    return msgspec.json.encode(part.args).decode()


def _stop(response: ModelResponse, calls: bool) -> Literal["end", "calls", "length", "refusal"]:
    match response.finish_reason:
        case "length":
            return "length"
        case "content_filter":
            return "refusal"
        case _:
            return "calls" if calls else "end"
