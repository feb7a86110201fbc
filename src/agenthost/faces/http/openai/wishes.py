"""What both APIs let a client wish for beside the words: tools, the form of the answer, limits."""

from typing import Any, cast

from msgspec import Struct

from agenthost.core.tools import ToolSpec
from agenthost.faces.http.openai.errors import Refused, unsupported, wrong


class Function(Struct):
    """A function of the client's, as chat completions describe it."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(Struct):
    """A tool of chat completions."""

    type: str
    function: Function | None = None


class ResponsesTool(Struct):
    """A tool of responses."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Schema(Struct):
    """The form of an answer in JSON."""

    name: str = ""
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ChatFormat(Struct):
    """`response_format`."""

    type: str
    json_schema: Schema | None = None


class TextFormat(Struct):
    """`text.format`."""

    type: str
    name: str = ""
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class TextWish(Struct):
    """`text` of responses."""

    format: TextFormat | None = None
    verbosity: str | None = None


MOST_STOPS = 4
"""Stop sequences that a chat may have, as in OpenAI's API."""

Tools = tuple[ToolSpec, ...]
_ANY: dict[str, Any] = {"type": "object", "properties": {}}


def chat_tools(tools: list[ChatTool] | None) -> Tools:
    """The client's tools. Raises Refused for what is no function."""
    made: list[ToolSpec] = []
    for at, tool in enumerate(tools or ()):
        if tool.type != "function" or tool.function is None:
            raise _no_function(tool.type, at)
        function = tool.function
        made.append(ToolSpec(function.name, function.description or "", function.parameters or dict(_ANY)))
    return tuple(made)


def responses_tools(tools: list[ResponsesTool] | None) -> Tools:
    """The client's tools. Raises Refused for what is no function."""
    made: list[ToolSpec] = []
    for at, tool in enumerate(tools or ()):
        if tool.type != "function" or not tool.name:
            raise _no_function(tool.type, at)
        made.append(ToolSpec(tool.name, tool.description or "", tool.parameters or dict(_ANY)))
    return tuple(made)


def chosen(tools: Tools, choice: Any, parallel: bool | None) -> tuple[Tools, list[str]]:
    """The tools to offer for a `tool_choice`, and what the model is told of it: a choice is a wish, nothing enforces it."""
    told = ["Call at most one tool in one answer."] if parallel is False and tools else []
    if choice in (None, "auto"):
        return tools, told
    if choice == "none":
        return (), []
    if not tools:
        raise Refused("'tool_choice' is only allowed when 'tools' are given.", "tool_choice", "invalid_value")
    if choice == "required":
        return tools, [*told, "Before you answer, call at least one of the tools."]
    name = _named(choice)
    found = tuple(tool for tool in tools if tool.name == name)
    if not found:
        raise wrong("tool_choice", f"there is no tool '{name}' among 'tools'.")
    return found, [*told, f"Before you answer, call the tool `{name}`."]


def _named(choice: Any) -> str:
    if isinstance(choice, dict):
        wanted = cast(dict[str, Any], choice)
        function = cast(dict[str, Any], wanted["function"]) if isinstance(wanted.get("function"), dict) else wanted
        if wanted.get("type") == "function" and isinstance(function.get("name"), str):
            return function["name"]
    raise wrong("tool_choice", "give 'auto', 'none', 'required' or a function by name.")


def chat_output(format: ChatFormat | None) -> dict[str, Any] | None:
    """The JSON Schema that an answer must keep to; None for words."""
    if format is None:
        return None
    schema = format.json_schema
    return _output(format.type, schema.schema if schema else None, "response_format")


def text_output(wish: TextWish | None) -> dict[str, Any] | None:
    """The same, of responses."""
    if wish is None or wish.format is None:
        return None
    return _output(wish.format.type, wish.format.schema, "text.format")


def _output(kind: str, schema: dict[str, Any] | None, where: str) -> dict[str, Any] | None:
    match kind:
        case "text":
            return None
        case "json_object":
            return {"type": "object"}
        case "json_schema" if schema is not None:
            return schema
        case "json_schema":
            raise Refused(f"Missing required parameter: '{where}.schema'.", where, "missing_required_parameter")
        case _:
            raise wrong(f"{where}.type", f"'{kind}' is none of text, json_object, json_schema.")


def temperature(value: float | None) -> float | None:
    """How freely the model chooses its words."""
    if value is not None and not 0 <= value <= 2:
        raise wrong("temperature", f"{value:g} is not between 0 and 2.")
    return value


def limit(value: int | None, param: str) -> int:
    """Most tokens of one answer; 0 for the agent's own limit."""
    if value is not None and value < 1:
        raise wrong(param, f"{value} is less than 1.")
    return value or 0


def stops(value: str | list[str] | None) -> tuple[str, ...]:
    """The words at which an answer ends. Raises Refused."""
    found = (value,) if isinstance(value, str) else tuple(value or ())
    if len(found) > MOST_STOPS:
        raise wrong("stop", f"{len(found)} sequences are too many; give at most {MOST_STOPS}.")
    if "" in found:
        raise wrong("stop", "a sequence is empty.")
    return found


def _no_function(kind: str, at: int) -> Refused:
    if kind == "function":
        return Refused(f"Missing required parameter: 'tools[{at}].function'.", "tools", "missing_required_parameter")
    return unsupported(
        f"tools[{at}].type", f"'{kind}' is none of this host's: tools of its own stand in the agent's manifest."
    )
