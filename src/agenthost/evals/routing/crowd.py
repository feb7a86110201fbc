"""Finding a task among many: each message that no rule decides, with its own conversation's tasks among those of all the others, as if all were long
ago. Nothing but what they are about tells them apart then: neither time nor open questions."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from agenthost.core.ids import digest
from agenthost.core.ports import Abilities
from agenthost.core.routing import Topic
from agenthost.evals.routing.form import Filed
from agenthost.evals.routing.meaning import WAYS, group
from agenthost.evals.routing.nearness import Vector, cosine, embedded
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Ranking
from agenthost.programs.routing import decide, rank, topic_text

Places = Mapping[str, Sequence[int]]
"""By message (`Case.key`): at which place its task stands, by each of `WAYS`."""


async def places(abilities: Abilities, all: Sequence[Case]) -> dict[str, list[int]]:
    """Where the right tasks stand among all of the set."""
    others = _last(all)
    asked = [case for case in all if isinstance(case.label, Filed) and decide(case.spoken, case.scene) is None]
    asked = [case for case in asked if case.spoken.text.strip()]
    own = [long_ago(topic) for case in asked for topic in case.scene.topics]
    topics = [*(topic for some in others.values() for topic in some), *own]
    vectors = await embedded(abilities, [*(case.spoken.text for case in asked), *map(topic_text, topics)])
    return {case.key: _placed(case, others, vectors) for case in asked}


def long_ago(topic: Topic) -> Topic:
    """A task that ended at no time that could be told."""
    return replace(topic, state="completed", hold="", changed=0.0, asks=())


def _last(all: Sequence[Case]) -> dict[str, list[Topic]]:
    """The tasks of each conversation, as they were known at its last message."""
    found: dict[str, dict[str, Topic]] = {}
    for case in all:
        found.setdefault(case.conversation, {}).update({topic.task: long_ago(topic) for topic in case.scene.topics})
    return {name: [*topics.values()] for name, topics in found.items()}


def _placed(case: Case, others: Mapping[str, Sequence[Topic]], vectors: Mapping[str, Vector]) -> list[int]:
    assert isinstance(case.label, Filed)
    right, said = case.ids[case.label.task], vectors[case.spoken.text]
    topics = [long_ago(topic) for topic in case.scene.topics]
    topics += [topic for name, some in others.items() if name != case.conversation for topic in some]
    # Two conversations that begin in the same millisecond have tasks of the same names. What nothing tells apart stands in no order that helps.
    topics = [replace(topic, task=f"{at} {topic.task}") for at, topic in enumerate(topics)]
    topics.sort(key=lambda topic: digest(f"{case.key} {topic.task}".encode()))
    wanted = next(topic.task for topic in topics if topic.task.endswith(f" {right}"))
    near = {topic.task: cosine(said, vectors[topic_text(topic)]) for topic in topics}
    orders = (
        [one.task for one in rank(case.spoken, topics)],
        [one.task for one in rank(case.spoken, topics, near)],
        sorted(near, key=lambda task: -near[task]),
    )
    return [order.index(wanted) + 1 for order in orders]


def ranked(all: Sequence[Case], found: Places) -> dict[str, dict[str, Ranking]]:
    """By language and way, how often the right task is among the first."""
    made: dict[str, dict[str, Ranking]] = {}
    for case in all:
        for way, place in zip(WAYS, found.get(case.key, ()), strict=False):
            made.setdefault(group(case), {}).setdefault(way, Ranking()).add(place)
    return made


def rows(found: Mapping[str, Mapping[str, Ranking]]) -> list[list[str]]:
    """As a table: `COLUMNS`."""
    return [
        [name, way, str(one.turns), *(f"{part / one.turns:.3f}" for part in (one.first, one.five, one.shown))]
        for name, ways in sorted(found.items())
        for way, one in ways.items()
    ]


COLUMNS = ["among all tasks of the set", "ranked by", "messages", "first", "of five", "of twelve"]
