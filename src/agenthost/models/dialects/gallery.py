"""The gallery of malformed calls and answers, as data: see gallery.yaml."""

from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall, ToolSpec


class SentCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A call as the provider marked it; `arguments` is the text that came."""

    name: str
    arguments: str
    id: str = ""


class Sent(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer as the provider sent it."""

    content: str = ""
    tool_calls: tuple[SentCall, ...] = ()
    reasoning: str = ""
    finish: Literal["stop", "tool_calls", "length"] = "stop"


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """What was said before."""

    role: Literal["user", "tool"]
    text: str


class Out(Struct, frozen=True, forbid_unknown_fields=True):
    """What must come out: words, and calls with the value of their arguments, or the text that can't be read."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One shape. `offered` are the tools' parameters by name."""

    sent: Sent
    out: Out
    tools: tuple[str, ...] | None = None
    said: tuple[Said, ...] = (Said("user", "Do it."),)
    told: bool = False
    offered: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict[str, dict[str, Any]])

    def request(self) -> ModelRequest:
        """The request that the answer is to."""
        turns: list[Turn] = []
        for number, each in enumerate(self.said):
            if each.role == "tool":
                call = ToolCall(f"before-{number}", "read_file", "{}")
                turns.append(Turn("assistant", calls=(call,)))
                turns.append(Turn("tool", (TextPart(each.text),), call_id=call.id, name=call.name))
            else:
                turns.append(Turn("user", (TextPart(each.text),)))
        names = list(self.offered) if self.tools is None else self.tools
        tools = tuple(ToolSpec(name, f"The tool {name}.", self.offered[name]) for name in names)
        return ModelRequest("m", "Be brief.", tuple(turns), tools)

    def answer(self) -> ModelAnswer:
        """The answer as an adapter hands it on."""
        sent = self.sent
        calls = tuple(
            ToolCall(call.id or f"call_{number}", call.name, call.arguments)
            for number, call in enumerate(sent.tool_calls)
        )
        parts = (TextPart(sent.content),) if sent.content else ()
        stop = "length" if sent.finish == "length" else "calls" if calls else "end"
        return ModelAnswer(parts, calls, stop)


class _Gallery(Struct, frozen=True, forbid_unknown_fields=True):
    tools: dict[str, dict[str, Any]]
    cases: dict[str, Case]


@lru_cache(1)
def gallery() -> dict[str, Case]:
    """Every shape by its name."""
    text = files("agenthost.models.dialects").joinpath("gallery.yaml").read_text(encoding="utf-8")
    read = msgspec.convert(yaml.safe_load(text), _Gallery)
    return {name: msgspec.structs.replace(case, offered=read.tools) for name, case in read.cases.items()}
