"""What a person passes on for somebody else orders nothing; and what a person says a message is for."""

import msgspec
import pytest
from scenes import LETTER, POSTER, TRIP, file, said, scene, topic

from agenthost.core.routing import Referred, Spoken
from agenthost.programs.routing import decide, given
from agenthost.programs.routing.digest import digest, read

LETTER_ASKS = topic(LETTER, "Letter to the landlord", "Yes", "No", question="Send it?")
POSTER_ASKS = topic(POSTER, "Poster for the party", question="What shall it say?")
POSTER_GOES = topic(POSTER, "Poster for the party")
TRIP_ENDED = topic(TRIP, "Trip to Lisbon", state="completed")


@pytest.mark.parametrize(
    "words", ["/cancel poster", f"#{POSTER} stop", "yes", "stop it", "what's going on?", "thanks", "Poster: in blue"]
)
def test_no_rule_goes_by_words_of_somebody_else(words: str) -> None:
    assert decide(said("", forwarded=words), scene(POSTER_GOES, LETTER_ASKS)) is None


@pytest.mark.parametrize(
    ("spoken", "is_for"),
    [
        (said("", forwarded="stop", reply=Referred(POSTER)), (POSTER, "steer")),
        (said("", forwarded="/cancel", task=POSTER), (POSTER, "steer")),
        (said("", forwarded="Welcome", reply=Referred(LETTER, f"{LETTER}/q1")), (LETTER, "answer")),
        (said("/new what do you make of it?", forwarded="/tasks"), ("", "new")),
    ],
    ids=["a reply", "a task that is named", "an answer", "a command beside it"],
)
def test_what_a_person_does_with_it_counts(spoken: Spoken, is_for: tuple[str, str]) -> None:
    found = decide(spoken, scene(POSTER_GOES, LETTER_ASKS))
    assert found is not None and (found.task, found.meaning) == is_for


def test_a_model_is_shown_it_and_cant_have_it_order_anything() -> None:
    spoken, here = said("", forwarded="cancel the letter"), scene(POSTER_GOES, LETTER_ASKS)
    told = digest(spoken, here)
    assert '"cancel the letter"' in told.text and '"forwarded":true' in told.text
    number = told.tasks.index(LETTER) + 1
    answers = [{"task": number, "meaning": meaning, "confidence": 0.99} for meaning in ("cancel", "steer")]
    found = [read(msgspec.json.encode(answer).decode(), spoken, here).meaning for answer in answers]
    assert found == ["unsure", "steer"]


@pytest.mark.parametrize(
    ("spoken", "task", "meaning"),
    [
        (said("Summer at last, and everybody is welcome to the garden behind the house, with or without a cake"), POSTER, "answer"),
        (said("who would read it then?"), POSTER, "steer"),
        (said("find me one for the shed"), POSTER, "steer"),
        (said("", files=(file("words.txt"),)), POSTER, "answer"),
        (said("", forwarded="Summer at last"), POSTER, "steer"),
        (said("yes, please"), LETTER, "answer"),
        (said("rather in May"), LETTER, "steer"),
        (said("and a hotel"), TRIP, "again"),
    ],
)  # fmt: skip
def test_a_person_who_says_which_task_it_is_for_answers_its_open_question(
    spoken: Spoken, task: str, meaning: str
) -> None:
    assert given(spoken, scene(POSTER_ASKS, LETTER_ASKS, TRIP_ENDED), task).meaning == meaning
