"""How near messages are to tasks in meaning, by an embedding model: the cosine of their vectors."""

import math
from collections.abc import Mapping, Sequence

from agenthost.core.ports import Abilities
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Similar
from agenthost.programs.routing.ranking import topic_text

AT_ONCE = 64
"""Texts that are sent in one call."""

Vector = Sequence[float]


async def nearness(abilities: Abilities, cases: Sequence[Case]) -> Similar:
    """What gives, for each message, how near each of its scene's tasks is. Every text is embedded once."""
    texts = dict.fromkeys(text for case in cases for text in (case.spoken.text, *map(topic_text, case.scene.topics)))
    wanted = [text for text in texts if text.strip()]
    vectors: dict[str, Vector] = {}
    for at in range(0, len(wanted), AT_ONCE):
        some = wanted[at : at + AT_ONCE]
        found = await abilities.embed(some)
        vectors.update(zip(some, found.vectors, strict=True))

    def similar(case: Case) -> Mapping[str, float] | None:
        own = vectors.get(case.spoken.text)
        if own is None:
            return None
        pairs = ((topic.task, vectors.get(topic_text(topic))) for topic in case.scene.topics)
        return {task: cosine(own, vector) for task, vector in pairs if vector is not None}

    return similar


def cosine(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors, from -1 to 1; 0 where one is nothing."""
    size = math.sqrt(sum(value * value for value in one) * sum(value * value for value in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / size if size else 0.0
