"""Compares decisions with the labels: each rule by itself, by what messages are, by language, and the whole."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field

from agenthost.core.routing import Candidate, Decision
from agenthost.evals.routing.form import Chat, Chosen, Filed, Label, Listing, Moved, New, Unsure, load, paths
from agenthost.evals.routing.scenes import Case, Play
from agenthost.programs.routing import decide, rank
from agenthost.programs.routing.digest import digest

LEAST_PRECISION = 0.98
"""What rules must reach: they never guess."""

Similar = Callable[[Case], Mapping[str, float] | None]
"""How near a message's meaning is to each task's."""


class Tally(Struct):
    """How many there were, how many were decided, and of those how many rightly; `task`: the task, whatever it was taken to be for it."""

    turns: int = 0
    decided: int = 0
    right: int = 0
    task: int = 0

    @property
    def precision(self) -> float:
        """Of what was decided, the part that is right; 1 where nothing was."""
        return self.right / self.decided if self.decided else 1.0

    @property
    def coverage(self) -> float:
        """Of what there was, the part that was decided."""
        return self.decided / self.turns if self.turns else 0.0

    def add(self, decided: bool, right: bool, task: bool) -> None:
        """Count a message."""
        self.turns += 1
        self.decided += decided
        self.right += right
        self.task += task


class Verdict(Struct, frozen=True):
    """A message, what is right, and what was decided."""

    case: Case
    decision: Decision | None
    right: bool
    task: bool


class Ranking(Struct):
    """Of messages of a task that no rule decided: at which place `rank` puts their task. `likelihood` is the mean of 1/place."""

    turns: int = 0
    first: int = 0
    five: int = 0
    shown: int = 0
    reciprocal: float = 0.0
    three: int = 0

    def add(self, place: int) -> None:
        """Count a message whose task stands at a place, from 1."""
        self.turns += 1
        self.first += place == 1
        self.three += place <= 3
        self.five += place <= 5
        self.shown += place <= 12
        self.reciprocal += 1 / place

    @property
    def likelihood(self) -> float:
        return self.reciprocal / self.turns if self.turns else 0.0


class Score(Struct):
    """The figures. `blind`: the rule that the only waiting task is meant, applied to every message while one task alone waits. `digests`: tokens of
    the requests that a model would be asked with."""

    conversations: int = 0
    total: Tally = field(default_factory=Tally)
    rules: dict[str, Tally] = field(default_factory=dict[str, Tally])
    meanings: dict[str, Tally] = field(default_factory=dict[str, Tally])
    languages: dict[str, Tally] = field(default_factory=dict[str, Tally])
    halves: dict[str, Tally] = field(default_factory=dict[str, Tally])
    blind: Tally = field(default_factory=Tally)
    ranking: Ranking = field(default_factory=Ranking)
    digests: list[int] = field(default_factory=list[int])
    wrong: list[Verdict] = field(default_factory=list[Verdict])


def cases() -> list[Case]:
    """Every message of the set in its scene."""
    return [case for path in paths() for case in Play(path.stem, load(path)).cases()]


def half(conversation: str) -> str:
    """`written`: the rules were written with these conversations at hand; `held`: they were held back. By the hash of the file's name."""
    return "held" if hashlib.sha256(f"{conversation}.yaml".encode()).digest()[0] % 2 else "written"


def right(case: Case, decision: Decision) -> bool:
    """Whether a decision is the label's: the task, and what the message is to it."""
    return _meant(case, decision) and meaning_of(case.label) == decision.meaning


def right_task(case: Case, decision: Decision) -> bool:
    """Whether a decision names the task that the label names, whatever it takes the message to be."""
    return right(case, decision) or (isinstance(case.label, Filed) and _meant(case, decision))


def meaning_of(label: Label) -> str:
    """A label in the words of decisions."""
    match label:
        case Filed(meaning=meaning):
            return meaning
        case New():
            return "new"
        case Moved():
            return "move"
        case Chat():
            return "chat"
        case Listing():
            return "list"
        case Unsure():
            return "unsure"
        case Chosen():
            return "choose"


def _meant(case: Case, decision: Decision) -> bool:
    match case.label:
        case Filed(task=key) | Chosen(choose=key):
            return decision.task == case.ids[key]
        case Moved(move=moved, to=to):
            last = max((place for id, place in case.lines.items() if id in case.said), default=0)
            return decision.task == (case.ids[to] if to else "") and (decision.line or last) == case.lines[moved]
        case _:
            return True


def score(all: Iterable[Case], decided: Mapping[str, Decision] | None = None, similar: Similar | None = None) -> Score:
    """The figures of the rules; `decided` has decisions for messages (by `Case.key`) that no rule decides, such as a model's."""
    made = Score()
    conversations: set[str] = set()
    for case in all:
        conversations.add(case.conversation)
        near = similar(case) if similar is not None else None
        decision = decide(case.spoken, case.scene)
        if decision is None:
            _undecided(made, case, near)
            decision = (decided or {}).get(case.key)
        _blind(made, case)
        _count(made, case, decision)
    made.conversations = len(conversations)
    return made


def _undecided(made: Score, case: Case, near: Mapping[str, float] | None) -> None:
    made.digests.append(digest(case.spoken, case.scene, near).tokens)
    if isinstance(case.label, Filed):
        order: tuple[Candidate, ...] = rank(case.spoken, case.scene.topics, near)
        place = next(at for at, one in enumerate(order, 1) if one.task == case.ids[case.label.task])
        made.ranking.add(place)


def _blind(made: Score, case: Case) -> None:
    if case.scene.waiting != 1 or isinstance(case.label, Chosen | Unsure):
        return
    waiting = next(topic.task for topic in case.scene.topics if topic.asks)
    answers = isinstance(case.label, Filed) and case.label.meaning == "answer" and case.ids[case.label.task] == waiting
    made.blind.add(True, answers, answers)


def _count(made: Score, case: Case, decision: Decision | None) -> None:
    is_right = decision is not None and right(case, decision)
    is_task = decision is not None and right_task(case, decision)
    tallies = [
        made.total,
        made.meanings.setdefault(meaning_of(case.label), Tally()),
        made.languages.setdefault("+".join(case.languages), Tally()),
        made.halves.setdefault(half(case.conversation), Tally()),
    ]
    if decision is not None:
        tallies.append(made.rules.setdefault(decision.rule, Tally()))
    for tally in tallies:
        tally.add(decision is not None, is_right, is_task)
    if decision is not None and not is_right:
        made.wrong.append(Verdict(case, decision, is_right, is_task))


def wilson(right: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The interval in which a part of all lies with 95 %, where `right` of `of` were seen (Wilson, 1927)."""
    if not of:
        return 0.0, 1.0
    part, square = right / of, z * z / of
    middle = (part + square / 2) / (1 + square)
    reach = z * math.sqrt(part * (1 - part) / of + square / (4 * of)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)
