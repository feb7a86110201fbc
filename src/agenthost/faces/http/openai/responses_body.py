"""The body of `POST /v1/responses`, read and understood."""

from typing import Any

from msgspec import Struct

from agenthost.core.errors import NotFound
from agenthost.core.models import Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall
from agenthost.faces.http.openai import story, wishes
from agenthost.faces.http.openai.content import Content, Taking, json_text, parts_of, text_of
from agenthost.faces.http.openai.errors import Refused, decoded, unsupported, wrong
from agenthost.faces.http.openai.given import Given, words
from agenthost.faces.http.openai.ids import read_call, read_message


class Item(Struct):
    """One item of the input, of any type."""

    type: str = "message"
    role: str = ""
    content: Content = None
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: Content = None
    id: str | None = None


class Named(Struct):
    """A conversation by its id."""

    id: str


class ResponsesBody(Struct):
    """What may be asked for. What isn't named here is ignored, as the API's growth wants it."""

    model: str
    input: str | list[Item]
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | Named | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    tools: list[wishes.ResponsesTool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    text: wishes.TextWish | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    prompt: Any = None


class Asking(Struct):
    """A request for a response. `results`: outputs of calls that stand last, by call id; `said`: messages after them.
    `before` is the response that it goes on from."""

    given: Given
    body: ResponsesBody
    results: dict[str, str]
    said: list[Turn]
    before: str

    @property
    def stored(self) -> bool:
        return self.body.store is not False


async def read(taking: Taking, content: bytes) -> Asking:
    """The request in a body. Raises Refused."""
    asked: ResponsesBody = decoded(content, ResponsesBody)
    _check(asked)
    reading = Reading(taking)
    if isinstance(asked.input, str):
        reading.turns += [Turn("user", words(asked.input))]
    else:
        for at, item in enumerate(asked.input):
            await reading.add(item, f"input[{at}]")
    if not reading.turns and reading.instructions:
        # Who gives nothing else wants an answer to that.
        reading.turns.append(Turn("user", words(reading.instructions.pop())))
    if not reading.turns and not reading.results:
        raise Refused("Invalid 'input': there is nothing to answer.", "input", "invalid_value")
    tools, told = wishes.chosen(wishes.responses_tools(asked.tools), asked.tool_choice, asked.parallel_tool_calls)
    named = asked.conversation.id if isinstance(asked.conversation, Named) else asked.conversation or ""
    notes: dict[str, Any] = {"metadata": asked.metadata} if asked.metadata else {}
    notes |= {
        name: value
        for name, value in {
            "user": asked.user,
            "background": asked.background or None,
            "store": asked.store,
            "previous": asked.previous_response_id,
            "conversation": named or None,
        }.items()
        if value is not None
    }
    given = Given(
        model=asked.model,
        turns=reading.turns,
        instructions="\n\n".join(filter(None, [asked.instructions or "", *reading.instructions, *told])),
        tools=tools,
        output=wishes.text_output(asked.text),
        temperature=wishes.temperature(asked.temperature),
        max_output=wishes.limit(asked.max_output_tokens, "max_output_tokens"),
        conversation=named,
        notes=notes | {"kind": "response"},
    )
    return Asking(given, asked, reading.results, reading.after, asked.previous_response_id or "")


def _check(asked: ResponsesBody) -> None:
    if asked.prompt is not None:
        raise unsupported("prompt", "An agent's instructions stand in its manifest; add yours by 'instructions'.")
    if asked.top_logprobs:
        raise unsupported("top_logprobs", "An agent's answer has no log probabilities.")
    if asked.previous_response_id and asked.conversation:
        raise Refused(
            "Only one of 'previous_response_id' and 'conversation' can be given.",
            "previous_response_id",
            "mutually_exclusive_parameters",
        )
    if asked.background and asked.store is False:
        raise Refused("A background response must be stored.", "store", "invalid_value")


class Reading:
    """Items become turns: words and calls of the assistant that stand together are one."""

    def __init__(self, taking: Taking) -> None:
        self.turns: list[Turn] = []
        self.instructions: list[str] = []
        self.results: dict[str, str] = {}
        self.after: list[Turn] = []
        self._taking = taking
        self._names: dict[str, str] = {}

    async def add(self, item: Item, where: str) -> None:
        """Read one. Raises Refused; `where` names it then."""
        match item.type:
            case "message" if item.role in ("system", "developer"):
                self.instructions.append(text_of(item.content, f"{where}.content"))
            case "message" if item.role == "user":
                self._said(Turn("user", await parts_of(self._taking, item.content, f"{where}.content")))
            case "message" if item.role == "assistant":
                self._assistant(words(text_of(item.content, f"{where}.content")), ())
            case "message":
                raise wrong(f"{where}.role", f"'{item.role}' is none of system, developer, user, assistant.")
            case "function_call":
                self._assistant((), (ToolCall(item.call_id, item.name, item.arguments),))
            case "function_call_output":
                self._result(item.call_id, text_of(item.output, f"{where}.output"))
            case "item_reference":
                await self._referred(item.id or "", where)
            case "reasoning":
                pass
            case other:
                raise wrong(f"{where}.type", f"this host has no items of the type '{other}'.")

    def _said(self, turn: Turn) -> None:
        self.turns.append(turn)
        if self.results:
            self.after.append(turn)

    def _assistant(self, parts: tuple[TextPart, ...], calls: tuple[ToolCall, ...]) -> None:
        if not parts and not calls:
            return
        self.results, self.after = {}, []
        self._names |= {call.id: call.name for call in calls}
        if self.turns and self.turns[-1].role == "assistant":
            last = self.turns.pop()
            parts, calls = (*last.parts, *parts), (*last.calls, *calls)  # type: ignore[assignment]
        self.turns.append(Turn("assistant", parts, calls))

    def _result(self, id: str, text: str) -> None:
        self.results[id] = text
        self.turns.append(Turn("tool", (TextPart(text),), call_id=id, name=self._names.get(id, "")))

    async def _referred(self, id: str, where: str) -> None:
        """An item of an earlier response, by its id."""
        if id.startswith("rs_"):
            return
        call, said = read_call(id), read_message(id)
        task = call[0] if call else said.task if said else ""
        try:
            told = await story.load(self._taking.api, task)
        except NotFound:
            told = None
        if told is not None and call is not None and call[1] in told.asked():
            ask = told.asked()[call[1]]
            self._assistant((), (ToolCall(id.replace("fc_", "call_", 1), ask.tool, json_text(ask.arguments)),))
        elif told is not None and said is not None:
            self._assistant(words(told.words(said.seq)), ())
        else:
            raise Refused(f"Item with id '{id}' not found.", f"{where}.id", "item_not_found", 404)
