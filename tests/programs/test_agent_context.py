"""The exchange fitted to the model's window: shortened, summed up, calibrated, never cut in silence."""

from typing import Any

import msgspec
import pytest
from agents import ALL, calls, last, output, play, request, says, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.commands import CallModel, View
from agenthost.core.definitions import PinnedModel
from agenthost.core.events import Received
from agenthost.core.models import ModelRequest, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message
from agenthost.core.tools import ToolCall, ToolResult, text_result
from agenthost.programs.agent import context
from agenthost.programs.agent.fitting import KEEP
from agenthost.programs.agent.state import AgentState
from agenthost.testing.playbook import Playbook

MODEL = PinnedModel(name="m", window=1, max_output=1, image_tokens=700)
SMALL = {"window": 4_000, "max_output": 400}


def tokens(shown: ModelRequest) -> int:
    """A request's tokens, by the same estimate."""
    tools = sum(context.text_tokens(tool.name + tool.description + str(tool.parameters)) for tool in shown.tools)
    turns = sum(context.turn_tokens(turn, MODEL) for turn in shown.turns)
    return context.text_tokens(shown.instructions) + tools + turns


def look(book: Playbook[AgentState], turn: int, result: str, counted: int = 0) -> list[str]:
    """The model looks, and this is what it sees."""
    book.answer(f"m{turn}", calls(("look", ""), tokens=counted))
    return book.answer(f"m{turn}-0", text_result(result))


def command(book: Playbook[AgentState], id: str) -> CallModel:
    found = book.open[id]
    assert isinstance(found, CallModel)
    return found


# --- estimates --------------------------------------------------------------------------------------


def test_estimates_are_made_by_bytes_and_from_above() -> None:
    assert context.text_tokens("") == 1
    assert context.text_tokens("a" * 300) == 101
    assert context.text_tokens("é" * 300) == 201
    assert context.text_tokens("\ud800") == 1
    picture = FilePart("d", "image/png", 10**7)
    assert context.turn_tokens(Turn("user", (picture,)), MODEL) == 8 + 700
    assert context.turn_tokens(Turn("user", (FilePart("d", "text/plain", 300),)), MODEL) == 8 + 101
    assert context.turn_tokens(Turn("user", (DataPart({"a": 1}),)), MODEL) == 8 + context.text_tokens("{'a': 1}")
    assert context.turn_tokens(Turn("assistant", (), (ToolCall("i", "abc", "abcdef"),)), MODEL) == 8 + 8 + 2 + 3


def test_a_result_is_shortened_to_head_and_tail_and_says_so() -> None:
    turn = Turn("tool", (TextPart("h" * 1000 + "t" * 1000),), call_id="k", name="look", error=True)
    short = context.shorten(turn)
    assert (short.call_id, short.name, short.error, short.role) == ("k", "look", True, "tool")
    assert short.text.startswith("h" * 300 + "\n[... 1400 characters of this older result are left out;")
    assert short.text.endswith("t" * 300)
    assert context.shorten(short) == short or len(context.shorten(short).text) <= len(short.text)
    keep = Turn("tool", (TextPart("x" * 680),))
    assert context.shorten(keep) is keep
    words = Turn("user", (TextPart("x" * 5000),))
    assert context.shorten(words) is words
    seen = context.shorten(Turn("tool", (TextPart("a"), FilePart("d", "image/png", 1)), call_id="k", name="look"))
    assert seen.text == "a\n[1 file(s) of this older result are left out]"


def test_an_exchange_as_text_names_who_said_what() -> None:
    turns = [
        Turn("user", (TextPart("hi"), FilePart("d", "image/png", 1, "a.png"), DataPart({"n": 1}))),
        Turn("assistant", (TextPart("hm"),), (ToolCall("i", "look", "{}"),)),
        Turn("assistant", (), (ToolCall("i", "look", "{}"),)),
        Turn("tool", (TextPart("seen"),), name="look"),
    ]
    assert [context.as_text(turn) for turn in turns] == [
        "[user] hi\n[the file a.png, not shown here]\n{'n': 1}",
        "[assistant] hm\n[assistant calls look] {}",
        "[assistant calls look] {}",
        "[result of look] seen",
    ]


def test_the_provider_s_counts_correct_the_estimate() -> None:
    book = play(tools=ALL)
    estimate = command(book, "m1").worst
    fixed = tokens(request(book, "m1"))
    assert estimate == int(fixed * 1.1) + 64
    look(book, 1, "x" * 3000, counted=fixed // 2)
    assert book.state.ratio == pytest.approx(0.5, abs=0.01)
    fresh = book.state.fresh
    assert 1000 < fresh < 1100
    assert command(book, "m2").worst == int(int(fixed * book.state.ratio + fresh) * 1.1) + 64
    look(book, 2, "y", counted=0)
    assert book.state.ratio == pytest.approx(0.5, abs=0.01)
    book.answer("m3", says("x"))


@pytest.mark.parametrize(("counted", "ratio"), [(1, 0.25), (10**6, 4.0)])
def test_absurd_counts_are_not_believed(counted: int, ratio: float) -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("look", ""), tokens=counted))
    assert book.state.ratio == ratio


# --- shortening and summing up ----------------------------------------------------------------------


def test_old_results_are_shortened_before_anything_is_summed_up_and_the_view_says_so() -> None:
    book = play(tools=ALL, model={"window": 8_000, "max_output": 400})
    turn = 1
    while command(book, f"m{turn}").view.shortened == 0:
        look(book, turn, f"{turn}-" + "x" * 2000)
        turn += 1
        assert turn < 20
    view = command(book, f"m{turn}").view
    assert view.start == 0
    assert view.end == 2 * turn - 1
    assert view.shortened <= view.end - KEEP
    turns = request(book, f"m{turn}").turns
    assert ["left out" in found.text for found in turns] == [
        index < view.shortened and found.role == "tool" for index, found in enumerate(turns)
    ]
    assert "s1" not in book.asked


def summed(book: Playbook[AgentState], turns: int, size: int = 500) -> int:
    """Have the model look until a summary is asked for; the number of the turn that waits for it."""
    for turn in range(1, turns):
        if "s1" in look(book, turn, f"<{turn}>" + "x" * size):
            return turn + 1
    raise AssertionError("no summary was asked for")


def test_then_the_older_turns_are_summed_up_and_the_task_s_words_stay() -> None:
    book = play("Build the thing, and keep it blue.", tools=ALL, model=SMALL)
    turn = summed(book, 30)
    asked = command(book, "s1")
    assert asked.purpose == "summary"
    assert asked.view.start == 0
    assert asked.view.shortened == asked.view.end
    assert 0 < asked.view.end < book.state.base + len(book.state.turns) - 2
    shown = request(book, "s1")
    assert shown.tools == ()
    assert shown.instructions.startswith("You sum up a long exchange")
    assert shown.max_output == asked.max_output == 256
    assert tokens(shown) <= asked.worst
    text = shown.turns[0].text
    assert text.startswith(
        "Sum up this exchange.\n\n[user] Build the thing, and keep it blue.\n[assistant calls look] \n"
    )
    assert text.count("[result of look]") == text.count("[assistant calls look]") == (asked.view.end - 1) // 2
    assert book.answer("s1", says("I looked often.")) == [f"m{turn}"]
    assert command(book, f"m{turn}").view.start == asked.view.end
    turns = request(book, f"m{turn}").turns
    assert turns[0].text == (
        "Build the thing, and keep it blue.\nWhat happened since then is summed up here, because the conversation became "
        "too long:\nI looked often."
    )
    assert turns[1].role == "assistant"
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)
    book.answer(f"m{turn}", says("ok"))
    assert verdict(book)[0] == "done"


def test_a_summary_takes_the_one_before_it_in() -> None:
    book = play(tools=ALL, model=SMALL)
    turn = summed(book, 30)
    book.answer("s1", says("FIRST SUMMARY", "length"))
    while "s2" not in book.open:
        look(book, turn, "x" * 500)
        turn += 1
    assert "FIRST SUMMARY\n[the summary was cut here, at its limit]" in request(book, "s2").turns[0].text
    assert command(book, "s2").view.start > 0
    book.answer("s2", says("SECOND"))
    opening = request(book, f"m{turn}").turns[0].text
    assert "SECOND" in opening
    assert "FIRST" not in opening


def test_a_long_task_is_summed_up_with_the_rest() -> None:
    book = play("w" * 4000, tools=ALL, model=SMALL)
    turn = summed(book, 30)
    book.answer("s1", says("short"))
    assert request(book, f"m{turn}").turns[0].text.startswith("What happened since then")


def test_messages_during_a_summary_are_heard_at_the_turn_after_it() -> None:
    book = play(tools=ALL, model=SMALL)
    turn = summed(book, 30)
    book.happened(Received(text_message("person", "hello?")))
    book.answer("s1", says("short"))
    assert last(book, f"m{turn}") == "hello?"


@pytest.mark.parametrize(("code", "outcome"), [("budget", "partly"), ("auth", "blocked")])
def test_a_summary_that_fails_ends_the_task(code: str, outcome: str) -> None:
    book = play(tools=ALL, model=SMALL)
    summed(book, 30)
    book.fail("s1", code, "why")
    assert verdict(book) == (outcome, code, "the older part of the exchange could not be summed up: why")


@pytest.mark.parametrize("poor", [says(""), says("I won't", "refusal")])
def test_a_summary_that_comes_to_nothing_is_tried_once_more(poor: Any) -> None:
    book = play(tools=ALL, model=SMALL)
    turn = summed(book, 30)
    assert book.answer("s1", poor) == ["s2"]
    assert book.answer("s2", says("good")) == [f"m{turn}"]
    book = play(tools=ALL, model=SMALL)
    summed(book, 30)
    book.answer("s1", poor)
    book.answer("s2", poor)
    assert verdict(book)[:2] == ("blocked", "bad-answer")
    assert "gave no summary of the older part of the exchange, 2 times" in verdict(book)[2]


def test_a_summary_that_the_provider_finds_too_long_is_made_of_less() -> None:
    book = play(tools=ALL, model=SMALL)
    summed(book, 30)
    end = command(book, "s1").view.end
    assert book.fail("s1", "context-too-long") == ["s2"]
    assert command(book, "s2").view.end < end


def test_huge_newest_results_are_shortened_at_last() -> None:
    book = play(tools=ALL, model=SMALL)
    book.answer("m1", calls(("look", ""), ("look", "")))
    book.answer("m1-0", text_result("a" * 9000))
    assert book.answer("m1-1", text_result("b" * 9000)) == ["m2"]
    turns = request(book, "m2").turns
    assert turns[0].text == "do it"
    assert all("left out" in turn.text for turn in turns[2:])
    assert command(book, "m2").view == View(0, 4, 4)


def test_a_message_that_can_not_fit_ends_with_what_to_do() -> None:
    book = play("x" * 20_000, model=SMALL)
    assert verdict(book) == (
        "blocked",
        "context-too-long",
        "what is to be said takes about 6,678 tokens, and a request to the model 'm' has room for 3,240 (window 4,000, "
        "answer 400); use a model with a larger window, or say it shorter",
    )
    assert book.asked == {}


def test_instructions_that_can_not_fit_are_named() -> None:
    book = play(model=SMALL, instructions="x" * 12_000)
    assert "the instructions and tools of the agent take about 4," in verdict(book)[2]


def test_a_later_message_that_can_not_fit_ends_too() -> None:
    book = play(model=SMALL)
    book.happened(Received(text_message("person", "x" * 20_000)))
    book.answer("m1", says("hello"))
    assert verdict(book)[1] == "context-too-long"


# --- the provider says that it is too long -----------------------------------------------------------


def test_a_request_that_the_provider_finds_too_long_is_made_smaller() -> None:
    book = play(tools=ALL)
    for turn in range(1, 9):
        look(book, turn, "x" * 2000)
    before = tokens(request(book, "m9"))
    assert book.fail("m9", "context-too-long") == ["m10"]
    assert tokens(request(book, "m10")) < before * 0.75
    assert command(book, "m10").view.shortened > 0
    book.answer("m10", says("ok", tokens=100))
    assert verdict(book)[0] == "done"


def test_squeezing_is_bounded() -> None:
    book = play(tools=ALL)
    for turn in range(1, 40):
        look(book, turn, "x" * 2000)
    asked = [f"m{40}"]
    failures = 0
    while book.finish is None:
        if asked[0].startswith("s"):
            asked = book.answer(asked[0], says("short"))
        else:
            asked = book.fail(asked[0], "context-too-long", "too long")
            failures += 1
    assert 2 <= failures <= 4
    assert verdict(book)[:2] == ("blocked", "context-too-long")


def test_an_answer_gives_the_squeezes_back() -> None:
    book = play(tools=ALL)
    for turn in range(1, 30):
        look(book, turn, "x" * 2000)
    book.fail("m30", "context-too-long")
    assert book.state.squeezes == 1
    id = next(iter(book.open))
    if id.startswith("s"):
        (id,) = book.answer(id, says("short"))
    book.answer(id, calls(("look", "")))
    assert book.state.squeezes == 0
    assert book.state.ceiling > 0


def test_what_is_too_long_and_can_not_be_made_smaller_ends() -> None:
    book = play("x" * 3000)
    book.fail("m1", "context-too-long", "too long")
    assert verdict(book)[:2] == ("blocked", "context-too-long")


# --- properties -------------------------------------------------------------------------------------


class Judge:
    """Looks at every request of a playbook."""

    def __init__(self, book: Playbook[AgentState], window: int, max_output: int) -> None:
        self.book, self.window, self.max_output = book, window, max_output
        self.covered = 0
        self.said: list[str] = []

    def look(self, id: str) -> None:
        asked, shown = command(self.book, id), request(self.book, id)
        assert tokens(shown) + asked.max_output <= self.window
        assert tokens(shown) <= asked.worst
        if asked.purpose == "summary":
            assert asked.view.start == self.covered
            assert asked.view.start < asked.view.end
            return
        assert asked.view.start == self.covered
        assert asked.view.end == self.book.state.base + len(self.book.state.turns)
        open_calls: list[str] = []
        for turn in shown.turns:
            if turn.role == "tool":
                assert turn.call_id == open_calls.pop(0)
            else:
                assert open_calls == []
                open_calls = [call.id for call in turn.calls]
        assert open_calls == []
        if self.said:
            assert shown.turns[-1].text == self.said[-1]

    def summed(self, id: str) -> None:
        self.covered = command(self.book, id).view.end


SIZES = st.one_of(st.integers(0, 300), st.integers(500, 3_000), st.integers(5_000, 40_000))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2_500, 20_000))
def test_whatever_is_said_a_request_fits_and_nothing_is_parted_or_lost(data: st.DataObject, window: int) -> None:
    max_output = window // 8
    book = play(tools=ALL, model={"window": window, "max_output": max_output, "image_tokens": 700})
    judge = Judge(book, window, max_output)
    for _ in range(data.draw(st.integers(1, 40))):
        if book.finish is not None:
            break
        (id,) = book.open
        judge.look(id)
        if id.startswith("s"):
            judge.summed(id)
            book.answer(id, says("s" * data.draw(st.integers(1, 900))))
            continue
        if data.draw(st.booleans()):
            judge.said = ["n" * data.draw(st.integers(1, 600))]
            book.happened(Received(text_message("person", judge.said[-1])))
            book.answer(id, says("w" * data.draw(st.integers(1, 900)), data.draw(st.sampled_from(["end", "length"]))))
            continue
        count = data.draw(st.integers(1, 3))
        judge.said = []
        for index, asked in enumerate(book.answer(id, calls(*[("look", "")] * count))):
            parts: tuple[Any, ...] = (TextPart(f"{index}" + "r" * data.draw(SIZES)),)
            if data.draw(st.integers(0, 5)) == 0:
                parts = (*parts, FilePart("sha256:p", "image/png", 10))
            book.answer(asked, ToolResult(parts))
    if book.finish is None and (id := next(iter(book.open))).startswith("m"):
        judge.look(id)
        book.answer(id, says("fine"))
        assert output(book) or verdict(book)
    assert book.finish is not None or next(iter(book.open)).startswith(("s", "m"))
    if book.finish is not None and book.finish.verdict.code:
        assert book.finish.verdict.code in ("context-too-long", "length")
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.floats(0.3, 2.0))
def test_with_a_provider_that_counts_otherwise_no_request_is_too_long_for_it(
    data: st.DataObject, factor: float
) -> None:
    window, max_output = 12_000, 1_000
    book = play(tools=ALL, model={"window": window, "max_output": max_output})
    for _ in range(30):
        if book.finish is not None:
            assert verdict(book)[1] == "context-too-long"
            return
        (id,) = book.open
        count = int(tokens(request(book, id)) * factor)
        assert count + command(book, id).max_output <= window
        if id.startswith("s"):
            book.answer(id, says("s" * data.draw(st.integers(1, 900)), tokens=count))
            continue
        for asked in book.answer(id, calls(*[("look", "")] * data.draw(st.integers(1, 3)), tokens=count)):
            book.answer(asked, text_result("r" * data.draw(SIZES)))


def drive(steps: int, counted: bool) -> list[tuple[int, int]]:
    """An agent that looks `steps` times; the size of its state and of its request, each time."""
    book = play(tools=ALL, model={"window": 6_000, "max_output": 400})
    found: list[tuple[int, int]] = []
    for turn in range(1, steps + 1):
        shown = tokens(request(book, f"m{turn}"))
        answer = calls(("look", f'{{"n": {turn}}}'))
        if counted:
            answer = msgspec.structs.replace(answer, usage=Usage(int(shown * 0.8), 10))
        book.answer(f"m{turn}", answer)
        ids = book.answer(f"m{turn}-0", text_result(f"{turn}" + "x" * 400))
        if ids[0].startswith("s"):
            book.answer(ids[0], says("a summary " * 20))
        # The playbook's own lists grow; nothing of the state may.
        found.append((len(msgspec.json.encode(book.state)), shown))
    return found


@pytest.mark.parametrize("counted", [True, False])
def test_neither_state_nor_request_grows_with_the_task_s_history(counted: bool) -> None:
    found = drive(1_300, counted)  # some 5,200 events
    early = [state for state, _ in found[60:160]]
    late = [state for state, _ in found[-100:]]
    assert max(late) < max(early) * 1.05
    assert max(request for _, request in found[-100:]) <= max(request for _, request in found[60:160]) * 1.05
