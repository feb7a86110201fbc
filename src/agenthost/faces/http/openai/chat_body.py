"""The body of `POST /v1/chat/completions`, read and understood."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.ids import digest
from agenthost.core.models import Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall
from agenthost.faces.http.openai import wishes
from agenthost.faces.http.openai.content import Content, Taking, parts_of, text_of
from agenthost.faces.http.openai.errors import Refused, decoded, unsupported, wrong
from agenthost.faces.http.openai.given import Given, words

MOST_ANSWERS = 8
"""Answers to one request (`n`)."""


class CalledFunction(Struct):
    name: str
    arguments: str = ""


class Called(Struct):
    """A tool call of an assistant's message."""

    id: str
    function: CalledFunction
    type: str = "function"


class ChatMessage(Struct):
    """One message of a chat."""

    role: str
    content: Content = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None


class StreamOptions(Struct):
    include_usage: bool | None = None


class ChatBody(Struct):
    """What may be asked for. What isn't named here is ignored, as the API's growth wants it."""

    model: str
    messages: list[ChatMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[wishes.ChatTool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: wishes.ChatFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    functions: Any = None
    web_search_options: Any = None
    metadata: dict[str, str] | None = None
    user: str | None = None


class Chat(Struct):
    """A request for a chat completion. `results`: what came of the tool calls that stand last, by call id; `said`:
    messages after them. `keys` are those of every beginning of the chat (see `chat_key`), the longest last, by how
    many messages it has. `stops` end the answer that is told; `answers`: how many are wanted."""

    given: Given
    stream: bool
    usage: bool
    results: dict[str, str]
    said: list[Turn]
    keys: dict[int, str]
    named: bool
    stops: tuple[str, ...] = ()
    answers: int = 1


async def read(taking: Taking, body: bytes) -> Chat:
    """The request in a body. Raises Refused."""
    asked: ChatBody = decoded(body, ChatBody)
    _check(asked)
    turns, instructions = await _turns(taking, asked.messages)
    if not turns and instructions:
        # Who gives nothing else wants an answer to that.
        turns.append(Turn("user", words(instructions.pop())))
    if not turns:
        raise Refused("Invalid 'messages': there is no message to answer.", "messages", "invalid_value")
    tools, told = wishes.chosen(wishes.chat_tools(asked.tools), asked.tool_choice, asked.parallel_tool_calls)
    limit = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    metadata = asked.metadata or {}
    keys = _keys(asked.model, asked.messages)
    named = metadata.get("conversation", "")
    notes = {"metadata": metadata, "user": asked.user} if metadata or asked.user else {}
    given = Given(
        model=asked.model,
        turns=turns,
        instructions="\n\n".join([*instructions, *told]),
        tools=tools,
        output=wishes.chat_output(asked.response_format),
        temperature=wishes.temperature(asked.temperature),
        max_output=wishes.limit(limit, "max_completion_tokens" if asked.max_tokens is None else "max_tokens"),
        conversation=named or next(reversed(keys.values()), ""),
        notes=notes,
    )
    usage = asked.stream_options is not None and bool(asked.stream_options.include_usage)
    results, said = _results(turns)
    stops = wishes.stops(asked.stop)
    return Chat(given, bool(asked.stream), usage, results, said, keys, bool(named), stops, asked.n or 1)


def _check(asked: ChatBody) -> None:
    if asked.n is not None and not 1 <= asked.n <= MOST_ANSWERS:
        raise wrong("n", f"{asked.n} is not between 1 and {MOST_ANSWERS}: each answer is a task of its own.")
    if asked.logprobs:
        raise unsupported("logprobs", "An agent's answer has no log probabilities.")
    if asked.functions:
        raise unsupported("functions", "Use 'tools' instead.")
    if asked.web_search_options is not None:
        raise unsupported("web_search_options", "Give the agent a tool that searches.")
    if asked.modalities and set(asked.modalities) != {"text"}:
        raise unsupported("modalities", "Answers are text.")
    if not asked.messages:
        raise Refused("Invalid 'messages': empty array.", "messages", "empty_array")


async def _turns(taking: Taking, messages: list[ChatMessage]) -> tuple[list[Turn], list[str]]:
    turns: list[Turn] = []
    instructions: list[str] = []
    names: dict[str, str] = {}
    open: set[str] = set()
    for at, message in enumerate(messages):
        where = f"messages[{at}].content"
        if message.role != "tool" and open:
            raise _unanswered(open)
        match message.role:
            case "system" | "developer":
                instructions.append(text_of(message.content, where))
            case "user":
                turns.append(Turn("user", await parts_of(taking, message.content, where)))
            case "assistant":
                said = text_of(message.content, where) or message.refusal or ""
                calls = tuple(
                    ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
                )
                names |= {call.id: call.name for call in calls}
                open = {call.id for call in calls}
                if said or calls:
                    turns.append(Turn("assistant", words(said), calls))
            case "tool":
                id = message.tool_call_id or ""
                if id not in open:
                    raise wrong(f"messages[{at}].tool_call_id", f"no call '{id}' of the message before is open.")
                open.discard(id)
                result = words(text_of(message.content, where)) or (TextPart(""),)
                turns.append(Turn("tool", result, call_id=id, name=names[id]))
            case role:
                raise wrong(f"messages[{at}].role", f"'{role}' is none of system, developer, user, assistant, tool.")
    if open:
        raise _unanswered(open)
    return turns, instructions


def _unanswered(open: set[str]) -> Refused:
    return Refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(sorted(open))}",
        "messages",
        "invalid_value",
    )


def _results(turns: list[Turn]) -> tuple[dict[str, str], list[Turn]]:
    """What came of the calls of the assistant's last message, and what was said after that."""
    last = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role == "assistant"), -1)
    after = turns[last + 1 :]
    results = {turn.call_id: turn.text for turn in after if turn.role == "tool"}
    return results, [turn for turn in after if turn.role == "user"] if results else []


def _keys(model: str, messages: list[ChatMessage]) -> dict[int, str]:
    """A key of the chat up to each of its user's messages: of two requests the same where all is that was said."""
    keys: dict[int, str] = {}
    told: list[Any] = [model]
    before = ""
    for at, message in enumerate(messages):
        told.append((message.role, _bare(message.content), [call.id for call in message.tool_calls or ()]))
        if message.role in ("user", "tool"):
            before = digest(before.encode() + msgspec.json.encode(told))
            told = []
            keys[at + 1] = "chat-" + before[7:39]
    return keys


def _bare(content: Content) -> Any:
    if isinstance(content, list) and all(piece.text is not None for piece in content):
        return "\n".join(piece.text or "" for piece in content).strip()
    return content.strip() if isinstance(content, str) else content
