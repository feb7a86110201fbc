"""How near messages are to tasks in meaning, by an embedding model: the cosine of their vectors."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from agenthost.core.ports import Abilities
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Similar
from agenthost.programs.routing.ranking import topic_text

AT_ONCE = 64
"""Texts that are sent in one call."""

DIGITS = 3
"""Of a cosine: what one processor computes is then what another does."""

Vector = Sequence[float]


async def nearness(abilities: Abilities, cases: Sequence[Case]) -> Similar:
    """What gives, for each message, how near each of its scene's tasks is. Every text is embedded once."""
    vectors = await embedded(
        abilities, [text for case in cases for text in (case.spoken.text, *map(topic_text, case.scene.topics))]
    )

    def similar(case: Case) -> Mapping[str, float] | None:
        own = vectors.get(case.spoken.text)
        if own is None:
            return None
        pairs = ((topic.task, vectors.get(topic_text(topic))) for topic in case.scene.topics)
        return {task: round(cosine(own, vector), DIGITS) for task, vector in pairs if vector is not None}

    return similar


async def embedded(abilities: Abilities, texts: Sequence[str]) -> dict[str, Vector]:
    """The vectors of texts, each asked for once; none of one without words."""
    wanted = [text for text in dict.fromkeys(texts) if text.strip()]
    vectors: dict[str, Vector] = {}
    for at in range(0, len(wanted), AT_ONCE):
        some = wanted[at : at + AT_ONCE]
        found = await abilities.embed(some)
        vectors.update(zip(some, found.vectors, strict=True))
    return vectors


def cosine(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors, from -1 to 1; 0 where one is nothing."""
    size = math.sqrt(sum(value * value for value in one) * sum(value * value for value in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / size if size else 0.0


class Recorded(msgspec.Struct, frozen=True):
    """Cosines that a model gave once: by message (`Case.key`), then by the task's name in the file of the set. `among`: as `crowd.places`
    gives them."""

    model: str
    near: dict[str, dict[str, float]]
    among: dict[str, list[int]] = {}


def recording(model: str, cases: Sequence[Case], similar: Similar, among: dict[str, list[int]]) -> Recorded:
    """What `recorded` reads."""
    near: dict[str, dict[str, float]] = {}
    for case in cases:
        names = {id: name for name, id in case.ids.items()}
        if found := similar(case):
            near[case.key] = {names[task]: value for task, value in found.items()}
    return Recorded(model, near, among)


def read(path: Path) -> Recorded:
    """A file that `agenthost eval routing --embeddings NAME --out FILE` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Recorded)


def recorded(kept: Recorded) -> Similar:
    """What gives the cosines that were recorded."""

    def similar(case: Case) -> Mapping[str, float] | None:
        found = kept.near.get(case.key)
        return None if found is None else {case.ids[name]: value for name, value in found.items()}

    return similar
