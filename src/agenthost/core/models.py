"""What is asked of a model and what it answers, whichever wire carries it."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.parts import Part, text_of
from agenthost.core.tools import ToolCall, ToolSpec

Effort = Literal["", "none", "minimal", "low", "medium", "high"]
"""How hard a reasoning model thinks; empty leaves it to the provider."""

Calling = Literal["native", "grammar", "fenced"]
"""How a model is made to call tools: by the provider's own mechanism; by output that a grammar holds to the
shape of calls; or by text in fences that we read."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one call, as the provider counted them; `cached` (read from the provider's cache) and
    `cache_written` are part of `input`, `reasoning` is part of `output`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    cache_written: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.cache_written + other.cache_written,
        )


class Turn(Struct, frozen=True, omit_defaults=True):
    """One entry of the exchange with a model.

    role `user`: `parts`. role `assistant`: `parts` and `calls`. role `tool`: `parts`, the result
    of the call `call_id` of tool `name`; `error` where the result tells of a failure. `state` is the answer's.
    `origin` says where the parts are from, where a stranger can have written them; empty for the person, the
    manifest and the host.
    """

    role: Literal["user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    name: str = ""
    error: bool = False
    state: str = ""
    origin: str = ""

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
    effort: Effort = ""


class ModelAnswer(Struct, frozen=True, tag="model-answer", omit_defaults=True):
    """What a model said. `stop`: `end`, `calls`, `length` (cut at max_output), `refusal`.

    `model` is the one that answered (a fallback, or a dated version of what was asked for). `state` is what its
    adapter wants to see again with this turn (signed thinking), for nobody else to read; at most 256 KiB.
    """

    parts: tuple[Part, ...]
    calls: tuple[ToolCall, ...] = ()
    stop: Literal["end", "calls", "length", "refusal"] = "end"
    usage: Usage = Usage()
    model: str = ""
    state: str = ""

    @property
    def text(self) -> str:
        return text_of(self.parts)


class Delta(Struct, frozen=True, omit_defaults=True):
    """A piece of an answer while it is made. Provisional: `reset` takes back all of this call so far.

    `notice` is for people and no part of the answer: what a command waits for, or is doing before it
    begins (loading a model, pulling an image, waiting for memory).
    """

    text: str = ""
    reasoning: str = ""
    call: ToolCall | None = None
    reset: bool = False
    notice: str = ""


class Tier(Struct, frozen=True, omit_defaults=True):
    """What every token of a request costs whose input has more than `above` tokens, as in ModelCard."""

    above: int
    input_price: float
    output_price: float
    cached_price: float | None = None
    cache_write_price: float | None = None


class ModelCard(Struct, frozen=True, omit_defaults=True):
    """What a model can do and costs. Prices in USD per million tokens; None is unknown.

    `tiers`, by rising `above`: dearer prices of long requests. A cache price that is None is the input's.

    `window` and `max_output` are in tokens. `image_tokens` is the worst case for one image. `calling`
    is how it is made to call tools. `background`: its answers are made at the provider whether anybody waits
    or not, and can be fetched later (`core.ports.Resumable`). `image_price`: USD at most for one picture that it makes;
    `minute_price`: for a minute of sound that it hears; `character_price`: for a million characters that it speaks.
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
    cache_write_price: float | None = None
    calling: Calling = "native"
    background: bool = False
    tiers: tuple[Tier, ...] = ()
    image_price: float | None = None
    minute_price: float | None = None
    character_price: float | None = None


class Fitness(Struct, frozen=True, omit_defaults=True):
    """What a probe found that a model really does, whatever its card claims. None: it wasn't tried.

    `native` and `parallel`: tool calls by the provider's mechanism, one and several in one answer. `schema`: answers
    keep to a JSON schema that the request carries. `fenced`: calls written in fences, as told in words, can be read.
    `leaked`: it writes its calls as text in a form of its own, which is read all the same. `images`: it sees what is in
    a picture. `window`: tokens up to which a hidden word was found again at every depth; `window_cut`: the least size
    at which it wasn't (0: never). Speeds in tokens a second; `first_token` in seconds. `calling` is what follows for the loop. `notes` are for people. `at`: seconds since the epoch.
    """

    model: str
    at: float
    calling: Calling = "native"
    native: bool | None = None
    parallel: bool | None = None
    schema: bool | None = None
    fenced: bool | None = None
    leaked: bool | None = None
    images: bool | None = None
    window: int = 0
    window_cut: int = 0
    prompt_speed: float = 0.0
    output_speed: float = 0.0
    first_token: float = 0.0
    notes: tuple[str, ...] = ()
