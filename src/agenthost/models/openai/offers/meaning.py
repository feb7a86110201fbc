"""Embeddings and moderation. Sources: OpenAI's API reference, "Embeddings" and "Moderations"."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.models import Turn, Usage
from agenthost.core.offers import Embeddings, Moderation
from agenthost.core.parts import Part
from agenthost.core.paying import requests_of
from agenthost.models.attempts import BYTES_A_TOKEN
from agenthost.models.openai.content import Picture, Read, said
from agenthost.models.openai.offers.asking import Asking


class _Vector(Struct):
    embedding: tuple[float, ...]
    index: int | None = None


class _Counted(Struct):
    prompt_tokens: int | None = None


class _Vectors(Struct):
    data: list[_Vector]
    model: str | None = None
    usage: _Counted | None = None


class _Judged(Struct):
    flagged: bool
    category_scores: dict[str, float | None] | None = None


class _Results(Struct):
    results: list[_Judged]
    model: str | None = None


_vectors = msgspec.json.Decoder(_Vectors)
_results = msgspec.json.Decoder(_Results)


async def embed(asking: Asking, model: str, texts: Sequence[str]) -> Embeddings:
    """A vector for each text, asked for in as many requests as it takes."""
    vectors: list[tuple[float, ...]] = []
    used, answered = 0, model
    for some in requests_of(texts):
        given = sum(len(text.encode()) for text in some) // BYTES_A_TOKEN + 1
        content = await asking.post("embeddings", "embeddings", {"model": model, "input": some}, given)
        body = asking.read(content, _vectors)
        if len(body.data) != len(some):
            raise asking.bad(f"it holds {len(body.data)} vectors for {len(some)} texts")
        if sorted(vector.index for vector in body.data if vector.index is not None) == list(range(len(some))):
            body.data.sort(key=lambda vector: vector.index or 0)
        vectors.extend(vector.embedding for vector in body.data)
        used += (body.usage.prompt_tokens if body.usage is not None else None) or given
        answered = body.model or answered
    if len({len(vector) for vector in vectors}) > 1 or not all(vectors):
        raise asking.bad("its vectors are empty or not of one length")
    return Embeddings(tuple(vectors), answered, Usage(used))


async def moderate(asking: Asking, model: str, parts: Sequence[Part], read: Read) -> Moderation:
    """One verdict on everything shown: flagged where any of it is, and the highest score of each category."""
    shown = (await said((Turn("user", tuple(parts)),), read))[0]
    inputs = _inputs(shown.text, shown.pictures)
    if not inputs:
        raise BadInput("there is nothing to be judged: give words or a picture")
    flagged, scores, answered = False, dict[str, float](), model
    for given in inputs:
        tokens = len(shown.text.encode()) // BYTES_A_TOKEN
        content = await asking.post("moderation", "moderations", {"model": model, "input": given}, tokens)
        body = asking.read(content, _results)
        if not body.results:
            raise asking.bad("it holds no verdict")
        answered = body.model or answered
        for judged in body.results:
            flagged = flagged or judged.flagged
            for name, score in (judged.category_scores or {}).items():
                scores[name] = max(scores.get(name, 0.0), score or 0.0)
    return Moderation(flagged, scores, answered)


def _inputs(text: str, pictures: Sequence[Picture]) -> list[Any]:
    """Words alone go as they are, which every server takes; with pictures, one to a request, as OpenAI wants it."""
    words: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    if not pictures:
        return [text] if text else []
    shown = [{"type": "image_url", "image_url": {"url": picture.url}} for picture in pictures]
    return [[*words, shown[0]], *([picture] for picture in shown[1:])]
