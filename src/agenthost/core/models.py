"""What is asked of a model and what it answers, whichever wire carries it."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.parts import Part, text_of
from agenthost.core.tools import ToolCall, ToolSpec


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one call, as the provider counted them; `cached` are part of `input`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


class Turn(Struct, frozen=True, omit_defaults=True):
    """One entry of the exchange with a model.

    role `user`: `parts`. role `assistant`: `parts` and `calls`. role `tool`: `parts`, the result
    of the call `call_id` of tool `name`; `error` where the result tells of a failure.
    """

    role: Literal["user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""
    error: bool = False

    @property
    def text(self) -> str:
        return text_of(self.parts)


class ModelRequest(Struct, frozen=True, omit_defaults=True):
    """One call of a model. `output_schema` asks for an answer that is JSON of that schema.

    `max_output` is in tokens. `key` is the idempotency key: stable over repetitions of one call.
    `metadata` is for adapters and logs (task, agent, purpose), never for the model.
    """

    model: str
    instructions: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_schema: dict[str, Any] | None = None
    max_output: int = 4096
    temperature: float | None = None
    key: str = ""
    metadata: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class ModelAnswer(Struct, frozen=True, tag="model-answer", omit_defaults=True):
    """What a model said. `stop`: `end`, `calls`, `length` (cut at max_output), `refusal`.

    `model` is the one that answered (a fallback, or a dated version of what was asked for).
    """

    parts: tuple[Part, ...]
    calls: tuple[ToolCall, ...] = ()
    stop: Literal["end", "calls", "length", "refusal"] = "end"
    usage: Usage = Usage()
    model: str = ""

    @property
    def text(self) -> str:
        return text_of(self.parts)


class Delta(Struct, frozen=True, omit_defaults=True):
    """A piece of an answer while it is made. Provisional: `reset` takes back all of this call so far."""

    text: str = ""
    reasoning: str = ""
    call: ToolCall | None = None
    reset: bool = False


class ModelCard(Struct, frozen=True, omit_defaults=True):
    """What a model can do and costs. Prices in USD per million tokens; None is unknown.

    `window` and `max_output` are in tokens. `image_tokens` is the worst case for one image.
    """

    name: str
    window: int = 128_000
    max_output: int = 8_192
    images: bool = True
    tools: bool = True
    structured: bool = True
    input_price: float | None = None
    output_price: float | None = None
    cached_price: float | None = None
    image_tokens: int = 1_600
