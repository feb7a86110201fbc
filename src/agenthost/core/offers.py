"""What providers offer besides answering: embeddings, moderation, pictures, speech, files, batches."""

from typing import Literal

import msgspec
from msgspec import Struct

from agenthost.core.errors import Failure
from agenthost.core.models import ModelAnswer, Usage


class Embeddings(Struct, frozen=True, omit_defaults=True):
    """A vector for each text, in order, all of one length."""

    vectors: tuple[tuple[float, ...], ...]
    model: str = ""
    usage: Usage = Usage()


class Moderation(Struct, frozen=True, omit_defaults=True):
    """Whether what was shown breaks the provider's rules, and how sure it is of each of its categories (0 to 1)."""

    flagged: bool
    scores: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    model: str = ""


class Media(Struct, frozen=True, omit_defaults=True):
    """A file that a provider made. `cost` in USD, None where unknown. `revised`: the words that it really drew from."""

    content: bytes
    media_type: str
    model: str = ""
    usage: Usage = Usage()
    cost: float | None = None
    revised: str = ""


class Drawing(Struct, frozen=True, omit_defaults=True):
    """A picture that is wanted. `size` is `WIDTHxHEIGHT` in pixels or empty; `images` (bytes and media type) are what is to be changed."""

    prompt: str
    size: str = ""
    quality: str = ""
    images: tuple[tuple[bytes, str], ...] = ()


class Speech(Struct, frozen=True, omit_defaults=True):
    """Words that are to be spoken. `format`: mp3, wav, opus, flac, aac, pcm. `speed` 1 is the voice's own."""

    text: str
    voice: str = ""
    format: str = "mp3"
    speed: float = 1.0
    manner: str = ""


class Transcript(Struct, frozen=True, omit_defaults=True):
    """What was said. `duration` in seconds, 0 where unknown."""

    text: str
    language: str = ""
    duration: float = 0.0
    model: str = ""
    usage: Usage = Usage()


class ProviderFile(Struct, frozen=True, omit_defaults=True):
    """A file that a provider keeps. `size` in bytes, times in seconds since the epoch."""

    id: str
    name: str
    size: int
    purpose: str = ""
    created: float = 0.0


class BatchAnswer(Struct, frozen=True, omit_defaults=True):
    """One request of a batch: its answer, or why there is none."""

    answer: ModelAnswer | None = None
    failure: Failure | None = None


class Batch(Struct, frozen=True, omit_defaults=True):
    """Many requests that a provider answers in its own time. `answers` by the requests' names, once it has ended."""

    id: str
    state: Literal["waiting", "running", "ended", "failed", "canceled", "expired"]
    total: int = 0
    done: int = 0
    failed: int = 0
    created: float = 0.0
    answers: dict[str, BatchAnswer] = msgspec.field(default_factory=dict[str, BatchAnswer])
    reason: str = ""
