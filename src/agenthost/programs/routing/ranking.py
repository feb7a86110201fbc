"""Which of a conversation's tasks a message is likely for: by rare words that both have, by what was spoken of last, by open
questions, by files, and by how near their meanings are where somebody measured that."""

import math
from collections.abc import Mapping, Sequence

from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Candidate, Spoken, Topic
from agenthost.programs.routing.text import DENSE, bare, plain, sought, terms

MOST_CANDIDATES = 5
"""How many tasks a person is asked to choose from."""

TOPIC_LETTERS = 240
"""How much of what was said for a task is looked at."""

WORDS, NEAR, LAST, ASKING, OPEN, FILES = 0.5, 0.35, 0.15, 0.12, 0.08, 0.3
"""What each reason counts for in a score, of 1 in all: words in common, a meaning that is near, having been spoken of last,
an open question, going on at all, and a file in common."""

HALF_LIFE = 36 * 3600.0
"""Seconds after which having been spoken of counts half."""


def topic_text(topic: Topic) -> str:
    """What a task is known by: its title, files, question, and the last that was said for it, newest first."""
    pieces = [topic.title, topic.name, *topic.artifacts[:4], *topic.files[:4], *(ask.text for ask in topic.asks)]
    length = sum(map(len, pieces))
    for line in reversed(topic.said):
        if length > TOPIC_LETTERS:
            break
        pieces.append(line.text[:120])
        length += len(line.text)
    return " ".join(pieces).replace("\n", " ")


def rank(spoken: Spoken, topics: Sequence[Topic], similar: Mapping[str, float] | None = None) -> tuple[Candidate, ...]:
    """The tasks, the likeliest first, each with a score from 0 to 1. `similar` gives, by task, how near the message's
    meaning is to the task's (cosine of their vectors, from -1 to 1)."""
    wanted = terms(f"{spoken.text} {spoken.forwarded}")
    titles = [plain(topic.title) for topic in topics]
    texts = [bare(topic_text(topic)) for topic in topics]
    shared = _weights(wanted, titles, texts)
    most = sum(weight for _, _, weight in shared) or 1.0
    digests, names = {file.digest for file in spoken.files}, {file.name for file in spoken.files if file.name}
    scored: list[Candidate] = []
    for topic, text, title in zip(topics, texts, titles, strict=True):
        common = sum(
            weight * (1.0 if key in title else 0.75) for key, term, weight in shared if key in title or term in text
        )
        score = WORDS * common / most + (0.0 if topic.state in FINAL else OPEN) + (ASKING if topic.asks else 0.0)
        score += LAST * 0.5 ** (max(0.0, spoken.at - topic.changed) / HALF_LIFE)
        if not digests.isdisjoint(topic.digests) or not names.isdisjoint((*topic.files, *topic.artifacts)):
            score += FILES
        if similar is not None:
            score += NEAR * max(0.0, similar.get(topic.task, 0.0))
        scored.append(Candidate(topic.task, round(min(1.0, score), 4)))
    # The order that came in, the one spoken of last first, stands among equals.
    return tuple(sorted(scored, key=lambda one: -one.score))


def _weights(wanted: Sequence[str], titles: Sequence[str], texts: Sequence[str]) -> list[tuple[str, str, float]]:
    """Each word that some task has: as it stands in a title, as it stands in a text (a short one nowhere), and how much it says, a rare one more."""
    weights: list[tuple[str, str, float]] = []
    for term in wanted:
        key, loose = sought(term), term if len(term) > 3 or DENSE.match(term) else "\n"
        having = sum(key in title or loose in text for title, text in zip(titles, texts, strict=True))
        if having:
            weights.append((key, loose, math.log(1 + len(texts) / having)))
    return weights
