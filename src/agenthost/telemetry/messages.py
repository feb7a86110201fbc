"""What was said, as the conventions write messages: JSON. Only where the settings want content in spans."""

from collections.abc import Sequence
from typing import Any

import msgspec

from agenthost.core.events import Finished
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import FilePart, Message, Part, TextPart


def answered(answer: ModelAnswer, reason: str) -> str:
    """A model's answer."""
    calls = [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.calls
    ]
    return _json([{"role": "assistant", "parts": [*_parts(answer.parts), *calls], "finish_reason": reason}])


def said(message: Message) -> str:
    """What a task was started with."""
    return _json([{"role": "user", "parts": _parts(message.parts)}])


def came_of(finished: Finished) -> str:
    """What a task ended with."""
    return _json([{"role": "assistant", "parts": _parts(finished.parts), "finish_reason": "stop"}])


def parts(given: Sequence[Part]) -> str:
    """Parts by themselves."""
    return _json(_parts(given))


def _parts(given: Sequence[Part]) -> list[dict[str, Any]]:
    return [_part(part) for part in given]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case FilePart():
            return {"type": "file", "mime_type": part.media_type, "file_id": part.digest}
        case _:
            return {"type": "data", "content": part.data}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
