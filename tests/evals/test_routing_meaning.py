"""What a real embedding model adds to routing: its figures are those that the docs publish. The cosines were recorded once, with
`agenthost eval routing --embeddings llamacpp:minilm --out tests/evals/recorded/all-minilm-l6-v2.json`."""

import re
from pathlib import Path

import pytest

from agenthost.core.routing import Spoken, Topic
from agenthost.evals.routing import meaning, scoring
from agenthost.evals.routing.meaning import WAYS, ByMeaning, Meant, meant
from agenthost.evals.routing.nearness import recorded, recording
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Similar, Tally
from agenthost.programs.routing import rank

PAGE = Path(__file__).parents[2] / "docs" / "routing.md"
RECORDED = Path(__file__).parent / "recorded" / "all-minilm-l6-v2.json"
ROW = re.compile(
    r"^\| (English|other languages) \| ([a-z ]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.M
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return scoring.cases()


@pytest.fixture(scope="module")
def similar() -> Similar:
    return recorded(RECORDED)


@pytest.fixture(scope="module")
def found(cases: list[Case], similar: Similar) -> Meant:
    return meant(cases, similar)


def test_every_message_with_words_is_recorded_with_every_task_of_its_scene(cases: list[Case], similar: Similar) -> None:
    for case in cases:
        wanted = {topic.task for topic in case.scene.topics} if case.spoken.text.strip() else set[str]()
        assert set(similar(case) or {}) == wanted, case.key
    again = recording("llamacpp:minilm", cases, similar)
    assert again.near["bahth-wa-safar/m1"] == {"A": 0.356, "B": 0.519}


def test_the_page_has_what_meaning_adds(found: Meant) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [list(row) for row in ROW.findall(page)] == meaning.rows(found)
    for rule, words in ((found.rules["English"], "English"), (found.rules["all"], "all languages")):
        assert rule is not None
        told = (
            f"{words}: {rule.floor:.2f} and {rule.lead:.2f}, {rule.written.right} of {rule.written.decided} on the half that they were "
            f"chosen on, {rule.held.right} of {rule.held.decided} on the other"
        )
        assert told in page, told


def test_meaning_helps_in_the_language_that_its_model_knows(found: Meant) -> None:
    words, both, alone = (found.places["English"][way] for way in WAYS)
    assert both.first > words.first and alone.first > words.first
    assert all(one.three == one.turns for one in (words, both))
    words, both, alone = (found.places["other languages"][way] for way in WAYS)
    assert both.first >= words.first > alone.first


def test_no_rule_by_meaning_is_as_sure_as_rules_must_be(found: Meant) -> None:
    assert found.rules and not any(rule is not None and rule.sure for rule in found.rules.values())
    assert len(meaning.lines(found)) == 2 and all(line.endswith("is no rule") for line in meaning.lines(found))


def test_a_rule_counts_as_sure_by_the_half_that_it_was_not_chosen_on() -> None:
    sure = Tally(turns=60, decided=50, right=50)
    assert ByMeaning(0.5, 0.1, sure, sure).sure
    assert not ByMeaning(0.5, 0.1, sure, Tally(turns=60, decided=50, right=48)).sure
    assert not ByMeaning(0.5, 0.1, sure, Tally(turns=60)).sure


def test_a_task_whose_nearness_is_not_known_is_neither_first_nor_last_for_it() -> None:
    topics = [Topic(name, name, "helper", "working", changed=1.0) for name in ("far", "unknown", "near")]
    order = rank(Spoken("hello", at=1.0), topics, {"near": 0.8, "far": 0.1})
    assert [one.task for one in order] == ["near", "unknown", "far"]
    assert all(0 <= one.score <= 1 for one in order)
    assert rank(Spoken("hello", at=1.0), topics, {}) == rank(Spoken("hello", at=1.0), topics)
