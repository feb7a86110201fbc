"""The exchange as pydantic-ai's messages: files read, results with their calls, a provider's own state put back."""

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic_ai.messages import (
    BinaryContent,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from agenthost.core.models import ModelRequest as Request
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, Part
from agenthost.models.openai.content import Picture, Read, Words, said
from agenthost.models.openai.names import wire_name
from agenthost.models.providers.state import restored

_WHOLE = ("application/pdf", "audio/", "video/")
"""Files beside pictures and text that some of these providers read; one that doesn't says so."""


async def messages(turns: Sequence[Turn], read: Read, provider: str) -> list[ModelMessage]:
    """The turns as messages. Results and what is said after them make one request. Raises Permanent (`bad-request`)."""
    made: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for turn in turns:
        if turn.role == "assistant":
            if parts:
                made.append(ModelRequest(parts=parts))
                parts = []
            made.append(_response(turn, provider))
        elif turn.role == "tool":
            parts.append(await _result(turn, read))
        else:
            parts.append(UserPromptPart(content=await _content(turn.parts, read)))
    made.append(ModelRequest(parts=parts))
    return made


def parameters(request: Request, native: bool) -> ModelRequestParameters:
    """Tools, instructions and the wanted output. `native`: the model keeps to a schema by itself; else it is told."""
    schema = request.output_schema
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=wire_name(tool.name),
                description=tool.description,
                parameters_json_schema=tool.parameters or {"type": "object", "properties": {}},
            )
            for tool in request.tools
        ],
        output_mode="text" if schema is None else "native" if native else "prompted",
        output_object=OutputObjectDefinition(json_schema=schema, name="answer") if schema is not None else None,
        instruction_parts=[InstructionPart(content=request.instructions)] if request.instructions else None,
    )


def _response(turn: Turn, provider: str) -> ModelResponse:
    calls = [ToolCallPart(wire_name(call.name), _arguments(call.arguments), call.id) for call in turn.calls]
    kept = restored(turn, calls, provider)
    if kept is not None:
        return kept
    parts: list[ModelResponsePart] = [TextPart(turn.text)] if turn.text else []
    return ModelResponse(parts=[*parts, *calls])


def _arguments(text: str) -> dict[str, Any]:
    """A past call's arguments. What the model wrote badly travels inside an object: providers take nothing else."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"malformed": text}


async def _result(turn: Turn, read: Read) -> ToolReturnPart:
    content = await _content(turn.parts, read)
    return ToolReturnPart(
        wire_name(turn.name), content or "(no output)", turn.call_id, outcome="failed" if turn.error else "success"
    )


async def _content(parts: tuple[Part, ...], read: Read) -> Any:
    """Words alone as one text, else a list of texts and files."""
    pieces: list[UserContent] = []
    for part in parts:
        if isinstance(part, FilePart) and part.media_type.startswith(_WHOLE):
            pieces.append(BinaryContent(await read(part.digest), media_type=part.media_type))
            continue
        entry = (await said((Turn("user", (part,)),), read))[0]
        pieces += [_piece(piece) for piece in entry.pieces]
    if all(isinstance(piece, str) for piece in pieces):
        return "\n".join(str(piece) for piece in pieces)
    return pieces


def _piece(piece: Words | Picture) -> UserContent:
    if isinstance(piece, Words):
        return piece.text
    return BinaryContent.from_data_uri(piece.url)
