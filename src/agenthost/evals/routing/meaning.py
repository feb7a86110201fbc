"""What the nearness of meanings adds: at which place the right task stands by words, by both and by meaning alone, and whether a rule could
decide by it. English apart: most small embedding models know little else."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, field

from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Topic
from agenthost.evals.routing.form import Filed
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import (
    LEAST_PRECISION,
    Ranking,
    Similar,
    Tally,
    half,
    meaning_of,
)
from agenthost.programs.routing import decide, rank

WAYS = ("words", "words and meaning", "meaning alone")

FLOORS = tuple(step / 20 for step in range(4, 17))
LEADS = tuple(step / 20 for step in range(11))
"""How near the nearest task must be, and how much nearer than the next: what is tried."""

FEWEST = 3
"""Decisions that a bound must have made before it is chosen."""

Near = Mapping[str, float]


class ByMeaning(Struct, frozen=True):
    """A rule by meaning alone: what comes without a file is more for the nearest task where that asks nothing, is as near as `floor` and nearer than the
    next by `lead` (cosines). Both were chosen on the half that rules are written with: of those that are sure there, the bounds that decide most.
    `written` and `held` are the halves."""

    floor: float
    lead: float
    written: Tally
    held: Tally

    @property
    def sure(self) -> bool:
        """Whether it could be a rule: as sure as they must be on the half that it wasn't chosen on."""
        return self.held.decided > 0 and self.held.precision >= LEAST_PRECISION


class Meant(Struct):
    """The figures. `places`: by who wrote (`English`, `other languages`) and by way, where the right task stands among those of messages that no rule
    decides. `rules`: the best rule by meaning, for each; None where no bounds are sure even on the half that they are chosen on."""

    places: dict[str, dict[str, Ranking]] = field(default_factory=dict[str, dict[str, Ranking]])
    rules: dict[str, ByMeaning | None] = field(default_factory=dict[str, ByMeaning | None])


def meant(all: Iterable[Case], similar: Similar) -> Meant:
    """Measure what meaning adds."""
    open_ones = [case for case in all if decide(case.spoken, case.scene) is None]
    made = Meant()
    for case in open_ones:
        if isinstance(case.label, Filed):
            _place(made, case, case.ids[case.label.task], similar(case) or {})
    for name in ("English", "all"):
        some = [case for case in open_ones if name == "all" or group(case) == name]
        made.rules[name] = chosen([(case, similar(case) or {}) for case in some])
    return made


def group(case: Case) -> str:
    """In which language a message's person writes: English alone, or (also) another."""
    return "English" if case.languages == ("en",) else "other languages"


def _place(made: Meant, case: Case, task: str, near: Near) -> None:
    topics = case.scene.topics
    orders = (
        [one.task for one in rank(case.spoken, topics)],
        [one.task for one in rank(case.spoken, topics, near)],
        [topic.task for topic in _nearest(topics, near)],
    )
    for way, order in zip(WAYS, orders, strict=True):
        made.places.setdefault(group(case), {}).setdefault(way, Ranking()).add(order.index(task) + 1)


def chosen(some: Sequence[tuple[Case, Near]]) -> ByMeaning | None:
    """The best rule by meaning for these messages."""
    best: ByMeaning | None = None
    for floor in FLOORS:
        for lead in LEADS:
            tallies = {"written": Tally(), "held": Tally()}
            for case, near in some:
                _decide(tallies[half(case.conversation)], case, near, floor, lead)
            written = tallies["written"]
            sure = written.decided >= FEWEST and written.precision >= LEAST_PRECISION
            if sure and (best is None or written.decided > best.written.decided):
                best = ByMeaning(floor, lead, written, tallies["held"])
    return best


def _decide(tally: Tally, case: Case, near: Near, floor: float, lead: float) -> None:
    order = _nearest(case.scene.topics, near)
    values = [near.get(topic.task, 0.0) for topic in order[:2]]
    plain = bool(order) and not (case.spoken.files or case.scene.which or order[0].asks)
    if not plain or values[0] < floor or values[0] - (values[1] if len(values) > 1 else 0.0) < lead:
        tally.add(False, False, False)
        return
    task = isinstance(case.label, Filed) and case.ids[case.label.task] == order[0].task
    meaning = "again" if order[0].state in FINAL else "steer"
    tally.add(True, task and meaning_of(case.label) == meaning, task)


def _nearest(topics: Sequence[Topic], near: Near) -> list[Topic]:
    key: Callable[[Topic], float] = lambda topic: -near.get(topic.task, 0.0)  # noqa: E731
    return sorted(topics, key=key)


def rows(found: Meant) -> list[list[str]]:
    """Where the right task stands, as a table: `COLUMNS`."""
    made: list[list[str]] = []
    for name, ways in sorted(found.places.items()):
        for way, one in ways.items():
            parts = (one.first, one.three, one.five)
            made.append(
                [name, way, str(one.turns), *(f"{part / one.turns:.3f}" for part in parts), f"{one.likelihood:.3f}"]
            )
    return made


COLUMNS = ["language", "ranked by", "messages", "first", "of three", "of five", "mean of 1/place"]


def lines(found: Meant) -> list[str]:
    """Whether a rule could decide by meaning."""
    made: list[str] = []
    for name, rule in found.rules.items():
        if rule is None:
            made.append(f"a rule by meaning ({name}): no bounds are sure, even on the half that they are chosen on")
            continue
        told = "could be a rule" if rule.sure else "is no rule"
        made.append(
            f"a rule by meaning ({name}), from {rule.floor:.2f} on and {rule.lead:.2f} before the next: {rule.written.right} of "
            f"{rule.written.decided} on the half that it was chosen on, {rule.held.right} of {rule.held.decided} held back: {told}"
        )
    return made
