"""What models' providers do besides answering: embeddings, moderation, pictures, speech. `model` is a model's name then
(`openai:text-embedding-3-small`), not an agent's. It is passed through: no task is
made of it; it is in the ledger of whoever asks, and within their budgets of the day."""

import base64
import re
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.api import HostApi
from agenthost.core.errors import NotFound, Unavailable
from agenthost.core.media import media_type
from agenthost.core.models import Usage
from agenthost.core.offers import Drawing, Moderation, Speech, Transcript
from agenthost.core.parts import Part, TextPart
from agenthost.core.ports import Abilities
from agenthost.faces.http.bodies import MOST_JSON, answer, pieces, read
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.openai.content import Piece, parts_of
from agenthost.faces.http.openai.errors import Refused, decoded, unsupported, wrong
from agenthost.faces.http.openai.record import Json
from agenthost.faces.http.openai.serving import Serving
from agenthost.faces.http.uploads import MULTIPART, Upload

T = TypeVar("T")

_TEXTS = 2048
"""Texts of one request, as in OpenAI's API."""
_SIZE = re.compile(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}")
_MOST_SOUND = 25 * 1024 * 1024
_MODERATION = "openai:omni-moderation-latest"
_SOUNDS = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac"}


class EmbeddingsBody(Struct):
    """What is to become vectors."""

    model: str
    input: str | list[Any]
    encoding_format: str = "float"
    dimensions: int | None = None


class ModerationBody(Struct):
    """What is to be looked at."""

    input: str | list[str | Piece]
    model: str = _MODERATION


class ImagesBody(Struct):
    """A picture that is wanted."""

    prompt: str
    model: str = ""
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    response_format: str | None = None
    stream: bool | None = None


class SpeechBody(Struct):
    """What is to be spoken."""

    model: str
    input: str
    voice: str | dict[str, Any] = ""
    response_format: str = "mp3"
    speed: float = 1.0
    instructions: str | None = None


async def embeddings(serving: Serving, request: Request) -> Response:
    """A vector for each text."""
    asked: EmbeddingsBody = decoded(await read(request, MOST_JSON), EmbeddingsBody)
    if asked.dimensions is not None:
        raise unsupported("dimensions", "Vectors have the length that the model gives them.")
    if asked.encoding_format not in ("float", "base64"):
        raise wrong("encoding_format", f"'{asked.encoding_format[:40]}' is neither float nor base64.")
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if not texts or len(texts) > _TEXTS or any(text == "" for text in texts):
        raise wrong("input", f"give 1 to {_TEXTS:,} texts, none of them empty.")
    if not all(isinstance(text, str) for text in texts):
        # Tokens mean something to one model alone, and nobody here knows which.
        raise wrong("input", "give texts, not tokens (of LangChain: check_embedding_ctx_length=False).")
    made = await _used(api_of(request), asked.model, lambda found: found.embed(texts))
    data = [
        {"object": "embedding", "index": at, "embedding": _vector(vector, asked.encoding_format)}
        for at, vector in enumerate(made.vectors)
    ]
    usage = {"prompt_tokens": made.usage.input, "total_tokens": made.usage.input}
    return answer({"object": "list", "data": data, "model": asked.model, "usage": usage})


def _vector(vector: tuple[float, ...], format: str) -> Any:
    return vector if format == "float" else base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def moderations(serving: Serving, request: Request) -> Response:
    """Whether something breaks a provider's rules: one result for each text, or one for pieces of content together."""
    asked: ModerationBody = decoded(await read(request, MOST_JSON), ModerationBody)
    wanted: list[tuple[Part, ...]] = []
    given = [asked.input] if isinstance(asked.input, str) else asked.input
    content = [each for each in given if isinstance(each, Piece)]
    if content and len(content) < len(given):
        raise wrong("input", "give texts or pieces of content, not both.")
    if content:
        wanted.append(await parts_of(serving.taking(request), content, "input"))
    else:
        wanted += [(TextPart(text),) for text in given if isinstance(text, str)]
    if not wanted or len(wanted) > _TEXTS or "" in given:
        raise wrong("input", f"give 1 to {_TEXTS:,} texts, or pieces of content.")

    async def look(found: Abilities) -> list[Json]:
        return [_judged(await found.moderate(parts)) for parts in wanted]

    results = await _used(api_of(request), asked.model, look)
    return answer({"id": f"modr-{time.time_ns():x}", "model": asked.model, "results": results})


def _judged(made: Moderation) -> Json:
    return {
        "flagged": made.flagged,
        "categories": {name: made.flagged and score >= 0.5 for name, score in made.scores.items()},
        "category_scores": made.scores,
        "category_applied_input_types": {name: [] for name in made.scores},
    }


async def images(serving: Serving, request: Request) -> Response:
    """Make a picture."""
    asked: ImagesBody = decoded(await read(request, MOST_JSON), ImagesBody)
    if asked.n not in (None, 1):
        raise unsupported("n", "There is one picture to a request; ask again for another.")
    if asked.stream:
        raise unsupported("stream", "A picture comes when it is whole.")
    if asked.response_format == "url":
        raise wrong("response_format", "pictures come as b64_json.")
    if _given(asked.size) and not _SIZE.fullmatch(asked.size or ""):
        raise wrong("size", f"'{(asked.size or '')[:40]}' is no size such as 1024x1024.")
    drawing = Drawing(asked.prompt, _given(asked.size), _given(asked.quality))
    made = await _used(api_of(request), asked.model, lambda found: found.draw(drawing))
    picture = {"b64_json": base64.b64encode(made.content).decode(), "revised_prompt": made.revised or None}
    kind = made.media_type.removeprefix("image/")
    return answer(
        {"created": int(time.time()), "data": [picture], "output_format": kind, "usage": _usage(made.usage)}
    )  # fmt: skip


def _given(value: str | None) -> str:
    return "" if value in (None, "auto") else value


async def speech(serving: Serving, request: Request) -> Response:
    """Words as sound."""
    asked: SpeechBody = decoded(await read(request, MOST_JSON), SpeechBody)
    if not 0.25 <= asked.speed <= 4:
        raise wrong("speed", f"{asked.speed:g} is not between 0.25 and 4.")
    voice = asked.voice if isinstance(asked.voice, str) else str(asked.voice.get("id", ""))
    wanted = Speech(asked.input, voice, asked.response_format, asked.speed, asked.instructions or "")
    made = await _used(api_of(request), asked.model, lambda found: found.speak(wanted))
    return Response(made.content, media_type=made.media_type or _SOUNDS.get(asked.response_format, "audio/pcm"))


async def transcriptions(serving: Serving, request: Request) -> Response:
    """What was said in a recording."""
    media = request.headers.get("content-type", "")
    if not media.lower().startswith(MULTIPART):
        raise wrong("file", "send a form (multipart/form-data) with `file` and `model`.")
    upload = Upload(media, pieces(request, _MOST_SOUND))
    await upload.begin()
    sound = b"".join([piece async for piece in upload.pieces()])
    fields = upload.fields
    if "model" not in fields:
        raise Refused("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    format = fields.get("response_format", "json")
    if format not in ("json", "text", "verbose_json"):
        raise wrong("response_format", f"'{format[:40]}' is none of json, text, verbose_json.")
    if fields.get("stream", "false").lower() == "true":
        raise unsupported("stream", "A transcript comes when it is whole.")
    kind, language = media_type(upload.name, sound), fields.get("language", "")
    said = await _used(api_of(request), fields["model"], lambda found: found.transcribe(sound, kind, language))
    if format == "text":
        return Response(said.text + "\n", media_type="text/plain")
    return answer(_heard(said, format == "verbose_json"))


def _heard(said: Transcript, verbose: bool) -> Json:
    told: Json = {"text": said.text}
    if said.usage.total:
        told["usage"] = {"type": "tokens"} | _usage(said.usage)
    if verbose:
        told |= {"task": "transcribe", "language": said.language, "duration": said.duration, "segments": []}
    return told


async def _used(api: HostApi, model: str, use: Callable[[Abilities], Coroutine[Any, Any, T]]) -> T:
    """What comes of an ability of a model's provider. Raises Refused where there is none."""
    try:
        return await use(await api.abilities(model))
    except (NotFound, Unavailable) as error:
        told = f"The model '{model[:200]}' does not exist here, or can't do this: {error.message}"
        raise Refused(told, "model", "model_not_found", 404) from error


def _usage(usage: Usage) -> Json:
    return {"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total}
