"""The rules of routing: each is sure of itself or says nothing; given this scene and these words, this decision."""

import msgspec
import pytest
from hypothesis import given, settings
from scenes import LETTER, NOW, POSTER, TRIP, file, messages, said, scene, scenes, topic

from agenthost.core.routing import Decision, Referred, Scene, Spoken, Utterance
from agenthost.programs.routing import buttons, commands, decide

YES_NO = ("Yes", "No")
POSTER_ASKS = topic(POSTER, "Poster for the party", "A3", "A4", question="How large?")
POSTER_GOES = topic(POSTER, "Poster for the party")
LETTER_ASKS = topic(LETTER, "Letter to the landlord", *YES_NO, question="Send it?")
LETTER_GOES = topic(LETTER, "Letter to the landlord")
TRIP_ENDED = topic(TRIP, "Trip to Lisbon", state="completed")


def outcome(spoken: Spoken, *topics: object, **more: object) -> tuple[str, str, str] | None:
    made = decide(spoken, scene(*topics, **more))  # pyright: ignore[reportArgumentType]
    return (made.rule, made.task, made.meaning) if made is not None else None


@pytest.mark.parametrize(
    ("spoken", "is_for"),
    [
        (said(f"#{LETTER} yes"), ("explicit", LETTER, "answer")),
        (said(f"{LETTER}: shorter, and more polite"), ("explicit", LETTER, "steer")),
        (said(f"#{POSTER} stop"), ("explicit", POSTER, "cancel")),
        (said(f"#{POSTER} status?"), ("explicit", POSTER, "progress")),
        (said(f"#{TRIP} and a hotel, please"), ("explicit", TRIP, "again")),
        (said("shorter", task=LETTER), ("explicit", LETTER, "steer")),
        (said("yes", question=f"{LETTER}/q1"), ("explicit", LETTER, "answer")),
        (said("in blue", reply=Referred(POSTER)), ("reply", POSTER, "steer")),
        (said("no, wait until Monday", reply=Referred(LETTER, f"{LETTER}/q1")), ("reply", LETTER, "answer")),
        (said("who would read it then?", reply=Referred(LETTER, f"{LETTER}/q1")), ("reply", LETTER, "steer")),
        (said("", button=buttons.answer(f"{LETTER}/q1", 2)), ("button", LETTER, "answer")),
        (said("", button=buttons.order("cancel", POSTER)), ("button", POSTER, "cancel")),
        (said("", button=buttons.LIST), ("button", "", "list")),
        (said("/tasks@our_bot"), ("command", "", "list")),
        (said("/cancel poster"), ("command", POSTER, "cancel")),
        (said(f"/status {LETTER}"), ("command", LETTER, "progress")),
        (said("/pause 2"), ("command", LETTER, "pause")),
        (said(f"/task {POSTER} in blue"), ("command", POSTER, "steer")),
        (said(f"/move {LETTER}"), ("command", LETTER, "move")),
        (said("/move new"), ("command", "", "move")),
        (said("/new a cake"), ("command", "", "new")),
        (said("/cancel"), ("command", "", "unsure")),
    ],
    ids=lambda value: value.text or value.button if isinstance(value, Spoken) else "",
)
def test_what_is_said_outright_is_done(spoken: Spoken, is_for: tuple[str, str, str]) -> None:
    assert outcome(spoken, POSTER_GOES, LETTER_ASKS, TRIP_ENDED) == is_for


def test_a_quote_belongs_to_the_one_task_that_was_told_so() -> None:
    told = Utterance("host", "Here is the letter, within eight days", LETTER)
    assert outcome(said("make it ten", quote="within eight days"), LETTER_GOES, POSTER_GOES, recent=(told,)) == (
        "quote",
        LETTER,
        "steer",
    )
    twice = (told, Utterance("host", "within eight days it is printed", POSTER))
    assert outcome(said("make it ten", quote="within eight days"), LETTER_GOES, POSTER_GOES, recent=twice) is None


@pytest.mark.parametrize("text", ["a4", "A4 please", "the second", "2", "A3!", "die zweite bitte", "la segunda"])
def test_words_that_name_an_option_of_the_only_open_question_answer_it(text: str) -> None:
    assert outcome(said(text), POSTER_ASKS, LETTER_GOES) == ("only-waiting", POSTER, "answer")


@pytest.mark.parametrize(
    "text",
    [
        "and a cake for twenty people, with strawberries",  # something new while a question is open
        "which one is cheaper?",  # a question back
        "make me a cake for twenty people",
        "2 more guests will come, so we are 14",  # a number that is no choice
        "the letter needs A4 too",  # another task is named
    ],
)
def test_an_open_question_does_not_make_the_next_message_its_answer(text: str) -> None:
    made = decide(said(text), scene(POSTER_ASKS, LETTER_GOES))
    assert made is None or made.meaning != "answer"


@pytest.mark.parametrize(
    "text", ["yes", "Ja, gern!", "да", "はい", "好的", "no thanks", "nein, lieber nicht", "👍", "نعم", "हाँ"]
)
def test_a_yes_or_a_no_answers_the_one_question_that_takes_it(text: str) -> None:
    assert outcome(said(text), LETTER_ASKS, POSTER_ASKS) == ("option", LETTER, "answer")


@pytest.mark.parametrize("text", ["no me gusta la letra del cartel", "ok and now something about the garden"])
def test_a_first_word_alone_is_no_answer(text: str) -> None:
    assert outcome(said(text), LETTER_ASKS) is None


def test_one_word_that_answers_two_questions_is_asked_about() -> None:
    other = topic(TRIP, "Trip to Lisbon", *YES_NO, question="Book?")
    made = decide(said("yes"), scene(LETTER_ASKS, other))
    assert made is not None and (made.meaning, made.rule) == ("unsure", "option")
    assert {one.task for one in made.candidates} == {LETTER, TRIP}


@pytest.mark.parametrize(
    ("question", "text", "answers"),
    [
        ("When is the party?", "on the 7th of March", True),
        ("Wann ist die Feier?", "Samstag", True),
        ("How many guests?", "about 40", True),
        ("How many guests?", "the more the merrier and bring the whole family", False),
        ("When is the party?", "make the poster blue", False),
    ],
)
def test_a_number_or_a_day_answers_where_one_is_asked_for(question: str, text: str, answers: bool) -> None:
    waits = topic(POSTER, "Poster for the party", question=question)
    made = outcome(said(text), waits, LETTER_GOES)
    assert (made == ("only-waiting", POSTER, "answer")) is answers


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("1", POSTER),
        ("the second one", LETTER),
        ("the letter", LETTER),
        ("party", POSTER),
        ("a new one", ""),
        ("2)", LETTER),
    ],
)
def test_our_own_question_for_which_is_answered_by_number_by_words_or_by_new(text: str, chosen: str) -> None:
    made = decide(said(text), scene(POSTER_ASKS, LETTER_ASKS, which=(POSTER, LETTER, ""), asked=17))
    assert made == Decision("choose", chosen, rule="which", line=17)


def test_something_else_said_to_our_own_question_is_not_taken_for_its_answer() -> None:
    made = decide(
        said("what does a hotel in Lisbon cost?"), scene(POSTER_GOES, LETTER_GOES, which=(POSTER, LETTER), asked=17)
    )
    assert made is None or made.meaning != "choose"


@pytest.mark.parametrize(
    ("text", "is_for"),
    [
        ("thanks!", ("chat", "", "chat")),
        ("vielen Dank 🌹", ("chat", "", "chat")),
        ("what are you working on?", ("list", "", "list")),
        ("список", ("list", "", "list")),
        ("how far is the poster?", ("progress", POSTER, "progress")),
        ("leg das poster auf eis", ("pause", POSTER, "pause")),
        ("never mind the letter", ("cancel", LETTER, "cancel")),
        ("something else: the garden needs water", ("something-else", "", "new")),
        ("find me a plumber who comes on Tuesday", ("want", "", "new")),
        ("Poster: in blue, please", ("name", POSTER, "steer")),
    ],
)
def test_words_that_can_hardly_mean_anything_else(text: str, is_for: tuple[str, str, str]) -> None:
    assert outcome(said(text), POSTER_GOES, LETTER_GOES, TRIP_ENDED) == is_for


@pytest.mark.parametrize(
    "text", ["never mind", "how far is it?", "great", "the poster or the letter", "Fwd: cancel the letter at once"]
)
def test_what_could_be_for_any_of_them_is_left_to_a_model(text: str) -> None:
    waits = topic(TRIP, "Trip to Lisbon", *YES_NO, question="Book?")
    assert outcome(said(text), POSTER_GOES, LETTER_GOES, waits) is None


def test_go_on_is_for_the_only_task_that_rests() -> None:
    rests = topic(POSTER, "Poster for the party", hold="paused")
    assert outcome(said("ok, weiter geht's"), rests, LETTER_GOES) == ("resume", POSTER, "resume")
    assert outcome(said("ok, weiter geht's"), rests, topic(LETTER, "Letter", hold="paused")) is None


def test_what_was_said_a_moment_ago_is_mended() -> None:
    mine = Utterance("person", "20 copies", POSTER, NOW - 60)
    for text in ("no, make that 30", "doch nicht, 30", "anzi 30"):
        assert outcome(said(text), POSTER_GOES, LETTER_GOES, recent=(mine,)) == ("correction", POSTER, "steer")
    long_ago = msgspec.structs.replace(mine, at=NOW - 86_400)
    assert outcome(said("make that 30"), POSTER_GOES, LETTER_GOES, recent=(long_ago,)) is None


def test_that_was_for_another_moves_what_was_said_last() -> None:
    mine = Utterance("person", "the board's names on top", POSTER, NOW - 60)
    assert outcome(said("sorry, that was for the letter"), POSTER_GOES, LETTER_GOES, recent=(mine,)) == (
        "meant",
        LETTER,
        "move",
    )


def test_the_very_file_of_one_task_brings_it_back() -> None:
    logo = file("logo.png")
    has = topic(POSTER, "Poster for the party", files=("logo.png",), digests=(logo.digest,))
    assert outcome(said("", files=(logo,)), has, LETTER_GOES) == ("file", POSTER, "steer")
    assert outcome(said("logo.png is blurred"), has, LETTER_GOES) == ("file", POSTER, "steer")
    # Another file of that name comes with words that may be about anything.
    assert outcome(said("for the letter's head", files=(file("logo.png", b"x"),)), has, topic(LETTER, "Note")) is None


def test_a_file_without_words_belongs_to_what_was_just_said_or_is_what_was_asked_for() -> None:
    mine = Utterance("person", "it needs our logo", POSTER, NOW - 60)
    assert outcome(said("", files=(file("a.png"),)), POSTER_GOES, LETTER_GOES, recent=(mine,)) == (
        "bare-file",
        POSTER,
        "steer",
    )
    asks = topic(LETTER, "Letter", question="Send me the bill?")
    told = Utterance("host", "Send me the bill?", LETTER, NOW - 60)
    assert outcome(said("", files=(file("a.png"),)), asks, POSTER_GOES, recent=(told,)) == (
        "bare-file",
        LETTER,
        "answer",
    )
    assert outcome(said("", files=(file("a.png"),)), asks, POSTER_GOES) is None


def test_where_nothing_is_known_it_is_new_or_small_talk() -> None:
    assert outcome(said("the garden needs water")) == ("nothing-known", "", "new")
    assert outcome(said("hello")) == ("chat", "", "chat")


def test_an_id_is_told_from_a_word() -> None:
    assert commands.ids(f"see #{POSTER}, {LETTER} and abcdefghjkmnpqrs") == [POSTER, LETTER]


# --- whatever comes --------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(messages, scenes)
def test_rules_are_total_and_pure_and_name_no_task_that_is_not_there(spoken: Spoken, scene: Scene) -> None:
    before = msgspec.json.encode((spoken, scene))
    made = decide(spoken, scene)
    assert decide(spoken, scene) == made
    assert msgspec.json.encode((spoken, scene)) == before
    if made is None:
        return
    assert made.rule
    known = {topic.task for topic in scene.topics} | set(scene.which) | {""}
    assert {one.task for one in made.candidates} <= known
    outright = set(commands.ids(spoken.text)) | ({spoken.reply.task} if spoken.reply else set[str]())
    assert (
        made.task in known or made.rule in ("explicit", "reply", "command", "button", "quote") or made.task in outright
    )
    if made.meaning == "answer":
        assert made.question
    if made.meaning in ("cancel", "pause", "resume", "progress", "steer", "again"):
        assert made.task
