"""What went into a response, as items."""

from typing import Any

from agenthost.core.commands import Ask
from agenthost.core.events import Answered, Asked, Received, Reply
from agenthost.core.models import Turn
from agenthost.core.parts import DataPart, FilePart, Part, TextPart
from agenthost.faces.http.openai.content import json_text
from agenthost.faces.http.openai.ids import Place, call_id
from agenthost.faces.http.openai.record import text_part
from agenthost.faces.http.openai.story import Story

Json = dict[str, Any]


def inputs(told: Story, place: Place, before: int = 0) -> list[Json]:
    """The items that the response at a place was given, the oldest first, without so many turns that were said before."""
    if place.seq:
        return _answers(told, place)
    spec = told.spec
    turns = [*(spec.terms.history if spec.terms is not None else ())]
    if spec.message.parts:
        turns.append(Turn("user", spec.message.parts))
    new = list(enumerate(turns))[before:]
    return [item for at, turn in new for item in items_of(turn, f"{place.task}_i{at}")]


def _answers(told: Story, place: Place) -> list[Json]:
    """The replies and messages with which a task was gone on with."""
    asks = {
        recorded.event.command.id: recorded.event.command
        for recorded in told.events
        if isinstance(recorded.event, Asked) and isinstance(recorded.event.command, Ask)
    }
    found: list[Json] = []
    for recorded in told.events[place.seq : told.until(place.seq)]:
        event, id = recorded.event, f"{recorded.task}_e{recorded.seq}"
        if isinstance(event, Received):
            found += items_of(Turn("user", event.message.parts), id)
        elif isinstance(event, Answered) and isinstance(event.answer, Reply) and event.command in asks:
            ask, text = asks[event.command], event.answer.text
            if ask.kind == "tool":
                found.append(_output(call_id(place.task, ask.id), text, id))
            else:
                found += items_of(Turn("user", (TextPart(text),)), id)
    return found


def items_of(turn: Turn, id: str) -> list[Json]:
    """A turn as items; `id` is what their ids end with."""
    if turn.role == "tool":
        return [_output(turn.call_id, turn.text, id)]
    said = turn.role == "assistant"
    content = [_content(part, said) for part in turn.parts]
    items: list[Json] = []
    if content:
        items.append(
            {"id": f"msg_{id}", "type": "message", "role": turn.role, "status": "completed", "content": content}
        )
    items += [
        {
            "id": f"fc_{id}_{call.id}",
            "type": "function_call",
            "status": "completed",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in turn.calls
    ]
    return items


def _output(call: str, text: str, id: str) -> Json:
    return {"id": f"fco_{id}", "type": "function_call_output", "status": "completed", "call_id": call, "output": text}


def _content(part: Part, said: bool) -> Json:
    if isinstance(part, FilePart):
        if part.media_type.startswith("image/"):
            return {"type": "input_image", "detail": "auto", "file_id": part.digest, "image_url": None}
        return {"type": "input_file", "file_id": part.digest, "filename": part.name}
    text = json_text(part.data) if isinstance(part, DataPart) else part.text
    return text_part(text) if said else {"type": "input_text", "text": text}
