"""The scorer's figures are those that the docs publish, and the rules are as sure as they must be."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.routing import Decision
from agenthost.evals.routing import report, scoring
from agenthost.evals.routing.asking import ask
from agenthost.evals.routing.form import Filed, Moved
from agenthost.evals.routing.nearness import cosine, nearness
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Score, Tally
from agenthost.host.adapters import join
from agenthost.host.settings import load
from agenthost.programs.routing import decide
from agenthost.programs.routing.digest import MOST_TOKENS

PAGE = Path(__file__).parents[2] / "docs" / "routing.md"
ROW = re.compile(
    r"^\| (?:`([a-z-]+)`|\**([a-z ,]+)\**) \| \**(\d+)(?: of (\d+))?\** \| \**(\d+)\** \| \**([\d.]+)\** \|$", re.M
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return scoring.cases()


@pytest.fixture(scope="module")
def score(cases: list[Case]) -> Score:
    return scoring.score(cases)


def test_rules_never_guess(score: Score) -> None:
    assert score.total.precision >= 0.98
    assert all(tally.precision >= 0.98 for tally in score.halves.values())
    # What isn't right is right about the task.
    assert score.total.task == score.total.decided
    assert score.total.coverage >= 0.44
    assert report.passes(score)


def test_each_rule_is_sure_by_itself(score: Score) -> None:
    unsure = {name: tally for name, tally in score.rules.items() if tally.precision < 0.98}
    assert set(unsure) == {"reply"} and unsure["reply"].precision >= 0.93


def test_blindly_the_only_waiting_task_is_wrong_in_three_of_ten_at_least(score: Score) -> None:
    assert score.blind.decided > 300
    assert score.blind.precision < 0.7
    assert score.rules["only-waiting"].decided > 100


def test_a_message_is_one_call_at_most_of_a_small_request(cases: list[Case], score: Score) -> None:
    assert len(score.digests) == sum(decide(case.spoken, case.scene) is None for case in cases)
    assert max(score.digests) <= MOST_TOKENS


def test_the_page_has_these_figures(score: Score) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = {(row[0] or row[1]).strip(): row[2:] for row in ROW.findall(page)}
    wanted = dict(score.rules)
    for name, tally in {**wanted, "all rules": score.total, "the only waiting task, blindly": score.blind}.items():
        decided, turns, right, precision = rows.pop(name)
        assert (int(decided), int(right), precision) == (tally.decided, tally.right, f"{tally.precision:.3f}"), name
        assert not turns or int(turns) == tally.turns
    assert not rows, "the page has rules that decide nothing any more"
    low, high = scoring.wilson(score.total.right, score.total.decided)
    written, held = score.halves["written"], score.halves["held"]
    digests, ranking = score.digests, score.ranking
    for told in (
        f"between {low:.3f} and {high:.3f}",
        f"{written.right} of {written.decided} right",
        f"{held.right} of {held.decided}, {held.precision:.3f}; {held.coverage * 100:.0f} %",
        f"wrong in {(1 - score.blind.precision) * 100:.0f} of 100",
        f"The other {len(digests)} messages ({len(digests) / score.total.turns:.2f} a message) are one model call each: "
        f"{sum(digests) / len(digests):.0f} tokens in the mean, {max(digests)} at most",
        f"Of those, {ranking.turns} are for a task that is known",
        f"in {ranking.first / ranking.turns * 100:.0f} of 100",
    ):
        assert told in page, told
    assert ranking.five == ranking.turns
    left = sorted((tally.decided - tally.turns, name) for name, tally in score.meanings.items())
    assert f"by what it is: {', '.join(f'{name} {-count}' for count, name in left if count)}." in page


def test_a_scene_is_what_the_host_knew_then(cases: list[Case]) -> None:
    by_key = {case.key: case for case in cases}
    first = by_key["bail-et-syndic/m1"].scene
    assert (first.open, first.waiting) == (1, 1) and first.topics[0].asks[0].options == ("oui", "non")
    later = by_key["bail-et-syndic/m10"]
    states = {topic.title: topic.state for topic in later.scene.topics}
    assert states["Lettre au syndic pour l'ascenseur"] == "completed"
    choosing = by_key["bail-et-syndic/m6"].scene
    assert choosing.asked == 9 and len(choosing.which) == 3 and choosing.which[-1] == ""
    rests = by_key["bail-et-syndic/m9"].scene
    assert [topic.hold for topic in rests.topics if topic.title.startswith("Relecture")] == ["paused"]
    # Nobody knows a message before it came, nor anything that is said after it.
    for case in cases:
        assert all(line.at <= case.spoken.at for line in case.scene.recent)
        assert case.turn.id not in case.lines


def test_what_counts_as_right(cases: list[Case]) -> None:
    filed = next(case for case in cases if isinstance(case.label, Filed) and case.label.meaning == "steer")
    assert isinstance(filed.label, Filed)
    task, other = filed.ids[filed.label.task], next(id for key, id in filed.ids.items() if key != filed.label.task)
    assert scoring.right(filed, Decision("steer", task))
    assert not scoring.right(filed, Decision("answer", task)) and scoring.right_task(filed, Decision("answer", task))
    assert not scoring.right_task(filed, Decision("steer", other))
    moved = next(case for case in cases if isinstance(case.label, Moved) and case.label.to is not None)
    assert isinstance(moved.label, Moved) and moved.label.to is not None
    place = moved.lines[moved.label.move]
    assert scoring.right(moved, Decision("move", moved.ids[moved.label.to], line=place))
    assert not scoring.right(moved, Decision("move", moved.ids[moved.label.to], line=place + 1))


def test_precision_of_nothing_and_intervals() -> None:
    assert Tally().precision == 1.0 and Tally().coverage == 0.0
    low, high = scoring.wilson(10, 10)
    assert 0.7 < low < 0.75 and high == pytest.approx(1.0)


PLAYS = """\
rules:
  - when: {says: "\\"text\\":\\"new"}
    reply: {text: '{"task": 0, "meaning": "new", "confidence": 0.9}', usage: {input: 700, output: 20}}
  - when: {}
    reply: {text: '{"task": 1, "meaning": "steer", "confidence": 0.9}', usage: {input: 700, output: 20}}
"""


async def test_a_model_is_asked_once_for_each_message_that_is_left_and_each_call_is_in_the_ledger(
    tmp_path: Path, cases: list[Case]
) -> None:
    playbook = tmp_path / "small.playbook"
    playbook.write_text(PLAYS)
    some = [case for case in cases if case.conversation in ("bakery-by-voice", "night-shift")]
    adapters = await join(load(home=tmp_path / "home"))
    try:
        await adapters.store.open()
        answers = await ask(adapters, f"scripted:{playbook}", some, None, lambda told: None)
        left = {case.key for case in some if decide(case.spoken, case.scene) is None}
        assert set(answers.decisions) == left
        assert (answers.calls, answers.failed, answers.tokens) == (len(left), 0, 720 * len(left))
        whole = scoring.score(some, answers.decisions)
        assert whole.total.decided == whole.total.turns and whole.rules["model"].decided == len(left)
    finally:
        await adapters.close()


async def test_a_model_that_cannot_be_had_leaves_its_messages_undecided(tmp_path: Path, cases: list[Case]) -> None:
    playbook = tmp_path / "small.playbook"
    playbook.write_text("rules:\n  - when: {}\n    fail: {kind: auth}\n    reply: {text: no}\n")
    some = [case for case in cases if case.conversation == "night-shift"]
    adapters = await join(load(home=tmp_path / "home"))
    try:
        await adapters.store.open()
        answers = await ask(adapters, f"scripted:{playbook}", some, None, lambda told: None)
        assert answers.calls == answers.failed > 0 and not answers.decisions
    finally:
        await adapters.close()


class _Words:
    """An embedding model whose vectors count a few letters; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def embed(self, texts: list[str]) -> Any:
        self.asked.update(texts)
        vectors = tuple(
            tuple(float(text.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz") for text in texts
        )
        return msgspec.json.decode(json.dumps({"vectors": vectors}), type=_Vectors)


class _Vectors(msgspec.Struct):
    vectors: tuple[tuple[float, ...], ...]


async def test_embeddings_take_part_in_the_ranking_and_each_text_is_sent_once(cases: list[Case]) -> None:
    some = [case for case in cases if case.languages == ("en",)][:40]
    words = _Words()
    near = await nearness(words, some)  # pyright: ignore[reportArgumentType]
    assert set(words.asked.values()) == {1}
    for case in some:
        found = near(case)
        assert (found is None) is not bool(case.spoken.text)
        assert found is None or set(found) == {topic.task for topic in case.scene.topics}
    assert scoring.score(some, similar=near).total == scoring.score(some).total
    assert cosine((1.0, 0.0), (1.0, 0.0)) == pytest.approx(1.0) and cosine((0.0,), (1.0,)) == 0.0
