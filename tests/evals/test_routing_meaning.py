"""What a real embedding model adds to routing: its figures are those that the docs publish. The cosines were recorded once, with
`agenthost eval routing --embeddings llamacpp:minilm --out tests/evals/recorded/all-minilm-l6-v2.json`."""

import re
from pathlib import Path

import pytest

from agenthost.core.offers import Embeddings
from agenthost.core.routing import Spoken, Topic
from agenthost.evals.routing import crowd, meaning, scoring
from agenthost.evals.routing.meaning import WAYS, ByMeaning, Meant, meant
from agenthost.evals.routing.nearness import read, recorded, recording
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Similar, Tally
from agenthost.programs.routing import rank

PAGE = Path(__file__).parents[2] / "docs" / "routing.md"
RECORDED = Path(__file__).parent / "recorded" / "all-minilm-l6-v2.json"
ROW = re.compile(
    r"^\| (English|other languages) \| ([a-z ]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.M
)

AMONG = re.compile(r"^\| (English|other languages) \| ([a-z ]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.M)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return scoring.cases()


@pytest.fixture(scope="module")
def similar() -> Similar:
    return recorded(read(RECORDED))


@pytest.fixture(scope="module")
def found(cases: list[Case], similar: Similar) -> Meant:
    return meant(cases, similar)


def test_every_message_with_words_is_recorded_with_every_task_of_its_scene(cases: list[Case], similar: Similar) -> None:
    for case in cases:
        wanted = {topic.task for topic in case.scene.topics} if case.spoken.text.strip() else set[str]()
        assert set(similar(case) or {}) == wanted, case.key
    again = recording("llamacpp:minilm", cases, similar, {})
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


def test_the_page_has_how_tasks_are_found_among_many(cases: list[Case]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    kept = read(RECORDED)
    found = crowd.ranked(cases, kept.among)
    assert [list(row) for row in AMONG.findall(page)] == crowd.rows(found)
    for ways in found.values():
        words, both, _ = (ways[way] for way in WAYS)
        assert both.shown > words.shown and both.first > words.first
    words = sum(ways["words"].shown for ways in found.values())
    both = sum(ways["words and meaning"].shown for ways in found.values())
    assert (
        f"for {both / len(kept.among) * 100:.0f} messages in 100 in place of {words / len(kept.among) * 100:.0f}"
        in page
    )
    tasks = {(case.conversation, topic.task) for case in cases for topic in case.scene.topics}
    assert f"before all {len(tasks)} tasks" in page


async def test_where_a_task_stands_among_many_goes_by_what_it_is_about(cases: list[Case]) -> None:
    class Letters:
        async def embed(self, texts: list[str]) -> Embeddings:
            return Embeddings(tuple(tuple(float(text.count(each)) for each in "abcdefgh") for text in texts), "m")

    some = [case for case in cases if case.conversation in ("night-shift", "bakery-by-voice")]
    placed = await crowd.places(Letters(), some)  # pyright: ignore[reportArgumentType]
    assert placed and all(len(each) == 3 and min(each) >= 1 for each in placed.values())
    topic = Topic("t", "title", "helper", "working", "paused", 1.0, 2.0)
    assert crowd.long_ago(topic) == Topic("t", "title", "helper", "completed", opened=1.0)
    assert crowd.ranked(some, placed).keys() <= {"English", "other languages"}


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
