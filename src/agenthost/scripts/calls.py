"""The functions of the host that a script may call, and what they are asked with."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agenthost.core.events import ScriptRequest
from agenthost.scripts.values import plain


class Signature(Struct, frozen=True):
    """A host function: its parameters in order, how many must be given, and whether other names may be."""

    parameters: tuple[str, ...]
    required: int
    others: bool = False


HOST: dict[str, Signature] = {
    "call_model": Signature(("prompt", "schema"), 1),
    "call_tool": Signature(("name",), 1, others=True),
    "ask": Signature(("question", "options", "kind"), 1),
    "make_artifact": Signature(("name", "text"), 2),
    "log": Signature(("text",), 1),
}

_DEFAULTS: dict[str, Any] = {"schema": None, "options": [], "kind": "input"}


def usage(name: str) -> str:
    """How a host function is called, for a message."""
    signature = HOST[name]
    words = [
        parameter if index < signature.required else f"{parameter}={_DEFAULTS[parameter]}"
        for index, parameter in enumerate(signature.parameters)
    ]
    return f"{name}({', '.join([*words, *(['**arguments'] if signature.others else [])])})"


def request(name: str, arguments: Sequence[Any], named: dict[str, Any]) -> ScriptRequest:
    """The request that a call stands for. A tool's own arguments come under `arguments`.

    Raises TypeError for a call that doesn't fit, Permanent for a value that is no JSON.
    """
    signature = HOST[name]
    if len(arguments) > len(signature.parameters):
        raise TypeError(f"too many arguments: {usage(name)}")
    given = dict(zip(signature.parameters, arguments, strict=False))
    others: dict[str, Any] = {}
    for key, value in named.items():
        if key in given and not signature.others:
            raise TypeError(f"'{key}' is given twice: {usage(name)}")
        if key in signature.parameters and key not in given:
            given[key] = value
        elif signature.others:
            others[key] = value
        else:
            raise TypeError(f"there is no argument '{key}': {usage(name)}")
    for parameter in signature.parameters[: signature.required]:
        if parameter not in given:
            raise TypeError(f"'{parameter}' is missing: {usage(name)}")
    filled = {parameter: given.get(parameter, _DEFAULTS.get(parameter)) for parameter in signature.parameters}
    if signature.others:
        filled["arguments"] = others
    return ScriptRequest(name, {key: plain(value, f"{name}'s {key}") for key, value in filled.items()})
