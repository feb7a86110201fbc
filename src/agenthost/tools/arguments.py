"""Checks a tool's arguments against its JSON Schema, and says what is wrong in a line that a model can act on."""

from typing import Any, Protocol

import msgspec

from agenthost.core.ports import Tool, ToolContext
from agenthost.core.schemas import plainly_fits
from agenthost.core.tools import ToolResult, ToolSpec, text_result

_MOST = 3


class _Mistake(Protocol):
    @property
    def message(self) -> str: ...
    @property
    def json_path(self) -> str: ...


class _Validator(Protocol):
    def iter_errors(self, instance: Any) -> "list[_Mistake]": ...


class Arguments:
    """A tool's parameters, ready to check: the validator is built at the first check and kept."""

    def __init__(self, spec: ToolSpec) -> None:
        self._spec = spec
        self._validator: _Validator | None = None

    def mistake(self, arguments: object) -> str | None:
        """What is wrong with `arguments` and what to give, None where they fit."""
        if not isinstance(arguments, dict):
            return f"the arguments of {self._spec.name} must be a JSON object; {self._wanted()}"
        if plainly_fits(self._spec.parameters or {"type": "object"}, arguments):
            return None
        if self._validator is None:
            self._validator = _validator(self._spec.parameters)
        found = sorted(self._validator.iter_errors(arguments), key=lambda mistake: mistake.json_path)
        if not found:
            return None
        told = "; ".join(_told(mistake) for mistake in found[:_MOST])
        more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
        return f"the arguments of {self._spec.name} don't fit: {told}{more}. {self._wanted()}"

    def _wanted(self) -> str:
        properties: dict[str, Any] = self._spec.parameters.get("properties", {})
        required: list[str] = self._spec.parameters.get("required", [])
        if not properties:
            return "It takes none."
        names = [name if name in required else f"{name} (optional)" for name in properties]
        return f"It takes: {', '.join(names)}."


def _validator(parameters: dict[str, Any]) -> _Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(parameters or {"type": "object"})  # pyright: ignore[reportReturnType]


def _told(mistake: _Mistake) -> str:
    place = mistake.json_path.removeprefix("$").removeprefix(".")
    message = (
        mistake.message if len(mistake.message) <= 200 else mistake.message[:100] + " ... " + mistake.message[-80:]
    )
    return f"{place}: {message}" if place else message


UNKNOWN = "unknown"
"""Who described a tool of which its adapter doesn't say."""


class Checked:
    """A tool whose arguments are checked before each call; the tool itself sees only what fits its schema. `source`: who
    described it where it doesn't say so itself, empty for the host. Whoever joins tools has to say: of a host's own tool
    is believed what it says of itself, of no other's."""

    def __init__(self, tool: Tool, source: str) -> None:
        self._tool = tool
        self._source = source
        self._arguments = Arguments(tool.spec)

    @property
    def spec(self) -> ToolSpec:
        """The tool's own, with who described it."""
        spec = self._tool.spec
        return spec if spec.source or not self._source else msgspec.structs.replace(spec, source=self._source)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        """Call the tool; an error result where the arguments don't fit."""
        mistake = self._arguments.mistake(arguments)
        if mistake is not None:
            return text_result(mistake, error=True)
        return await self._tool.call(arguments, context)

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """The tool's own."""
        return await self._tool.check(key, arguments)


def described(tool: Tool) -> ToolSpec:
    """What a tool says of itself, by a source that is unknown where nobody who joins tools has said which."""
    spec = tool.spec
    return spec if spec.source or isinstance(tool, Checked) else msgspec.structs.replace(spec, source=UNKNOWN)
