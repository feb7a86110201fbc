"""What whoever gives the work sets beside the manifest: instructions, history, tools of their own, output, limits."""

from typing import Any

import agents
import msgspec
import pytest
from agents import ALL, bundle, calls, output, request, says, verdict

from agenthost.core.commands import Ask
from agenthost.core.events import Reply
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, TextPart, text_message
from agenthost.core.tasks import TaskSpec, Terms
from agenthost.core.tools import ToolCall, ToolSpec, text_result
from agenthost.programs.agent import AgentProgram, AgentState, program
from agenthost.testing.playbook import Playbook

WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def play(terms: Terms, say: str = "and now?", model: dict[str, Any] | None = None, **spec: Any) -> Playbook[AgentState]:
    """The agent `coder`, given work with terms."""
    return agents.play(say, model, terms=terms, **spec)


def said(role: Any, text: str, **more: Any) -> Turn:
    return Turn(role, (TextPart(text),), **more)


def test_instructions_are_added_and_limits_override() -> None:
    book = play(Terms("Be brief.", temperature=0.0, max_output=50), temperature=0.9, maxOutputTokens=500)
    shown = request(book, "m1")
    assert shown.instructions == "Be good.\n\nBe brief."
    assert (shown.temperature, shown.max_output) == (0.0, 50)


def test_the_model_s_own_limit_stands_above_that_of_the_terms() -> None:
    assert request(play(Terms(max_output=1_000_000)), "m1").max_output == 4_000


def test_history_stands_before_the_message() -> None:
    call = ToolCall("c1", "weather", '{"city": "Rome"}')
    history = (
        said("user", "the weather?"),
        Turn("assistant", calls=(call,)),
        said("tool", "sunny", call_id="c1", name="weather"),
        said("assistant", "It is sunny."),
    )
    book = play(Terms(history=history))
    assert request(book, "m1").turns == (*history, said("user", "and now?"))
    book.answer("m1", says("raining"))
    assert output(book) == "raining"
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


def test_history_alone_is_answered_where_nothing_more_is_said() -> None:
    history = (said("user", "hello"),)
    assert request(play(Terms(history=history), ""), "m1").turns[0] == history[0]
    task = TaskSpec("t1", "agent", "coder", "", text_message("person", ""), terms=Terms(history=history))
    task = msgspec.structs.replace(task, message=msgspec.structs.replace(task.message, parts=()))
    assert request(Playbook(AgentProgram(bundle()), task), "m1").turns == history


def test_a_picture_in_the_history_needs_a_model_that_sees() -> None:
    picture = FilePart("sha256:1", "image/png", 3, "a.png")
    book = play(Terms(history=(Turn("user", (picture,)), said("assistant", "nice"))), model={"images": False})
    assert verdict(book)[:2] == ("blocked", "no-images")


def test_a_long_history_is_summed_up_and_the_message_stands_as_it_was_said() -> None:
    history = tuple(said(("user", "assistant")[at % 2], f"{at} " + "word " * 300) for at in range(30))
    book = play(Terms(history=history), "the last wish", {"window": 8_000, "max_output": 1_000})
    assert list(book.open) == ["s1"]
    assert "0 word word" in request(book, "s1").turns[0].text
    book.answer("s1", says("they spoke of words"))
    while "m1" not in book.open:
        book.answer(next(iter(book.open)), says("they spoke of words"))
    turns = request(book, "m1").turns
    assert "they spoke of words" in turns[0].text
    assert sum(turn.text.count("the last wish") for turn in turns) == 1
    assert turns[-1].text == "the last wish"


def test_once_the_summary_covers_the_message_it_stands_before_it() -> None:
    terms = Terms(history=(said("user", "hi"), said("assistant", "hello")))
    book = play(terms, "the first wish", {"window": 6_000, "max_output": 800}, tools=ALL)
    number = 1
    while "s1" not in book.open:
        book.answer(f"m{number}", calls(("look", ""), text="looking " * 60))
        book.answer(f"m{number}-0", text_result("seen " * 400))
        number += 1
    book.answer("s1", says("it looked"))
    head = request(book, f"m{number}").turns[0].text
    assert head.startswith("the first wish") and "it looked" in head


# --- tools of whoever gave the work -----------------------------------------------------------------


def test_a_call_of_a_tool_of_theirs_is_a_question_and_the_reply_its_result() -> None:
    book = play(Terms(tools=(WEATHER,)), tools=["look"])
    assert [tool.name for tool in request(book, "m1").tools] == ["look", "weather"]
    assert request(book, "m1").tools[1].parameters == WEATHER.parameters
    assert book.answer("m1", calls(("weather", '{"city": "Rome"}'))) == ["m1-0"]
    asked = book.open["m1-0"]
    assert isinstance(asked, Ask)
    assert (asked.kind, asked.tool, asked.arguments, asked.call) == ("tool", "weather", {"city": "Rome"}, "k0")
    assert asked.expires == 86_400
    assert (
        asked.question
        == 'Run your tool \'weather\' with these arguments, and say what came of it:\n{\n  "city": "Rome"\n}'
    )
    book.answer("m1-0", Reply("sunny"))
    assert request(book, "m2").turns[-1] == said("tool", "sunny", call_id="k0", name="weather")
    book.answer("m2", says("It is sunny."))
    assert verdict(book)[0] == "done"
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


def test_several_are_open_at_once_beside_the_agent_s_own_and_results_come_in_the_order_of_the_calls() -> None:
    book = play(Terms(tools=(WEATHER,)), tools=["look"])
    both = calls(("weather", '{"city": "Rome"}'), ("look", ""), ("weather", '{"city": "Oslo"}'))
    assert book.answer("m1", both) == ["m1-0", "m1-1", "m1-2"]
    book.answer("m1-2", Reply("cold"))
    book.answer("m1-1", text_result("seen"))
    book.answer("m1-0", Reply("hot"))
    assert [turn.text for turn in request(book, "m2").turns[2:]] == ["hot", "seen", "cold"]


def test_a_call_that_nobody_answers_fails_with_words_that_say_so() -> None:
    book = play(Terms(tools=(WEATHER,)))
    book.answer("m1", calls(("weather", "{}")))
    asked = book.open["m1-0"]
    assert isinstance(asked, Ask)
    book.answer("m1-0", Reply(asked.default, "host"))
    turn = request(book, "m2").turns[-1]
    assert turn.error and turn.text == "Whoever gave this work never said what came of this call."


def test_arguments_are_the_business_of_whoever_runs_the_tool_but_must_be_an_object() -> None:
    strange = ToolSpec("weather", "", {"type": "object", "required": ["city"], "items": [{"$ref": "#/nowhere"}]})
    book = play(Terms(tools=(strange,)))
    assert book.answer("m1", calls(("weather", "{}"), ("weather", "[1]"))) == ["m1-0"]


def test_their_tools_are_there_in_every_stage() -> None:
    stages = [{"id": "one", "tools": ["look"], "when": "turns > 0"}, {"id": "two", "tools": []}]
    book = play(Terms(tools=(WEATHER,)), tools=["send"], stages=stages)
    assert [tool.name for tool in request(book, "m1").tools] == ["look", "weather"]


def test_a_model_that_can_not_call_tools_is_named_before_it_is_called() -> None:
    assert verdict(play(Terms(tools=(WEATHER,)), model={"tools": False}))[1] == "no-tools"


# --- output and limits ------------------------------------------------------------------------------


def test_the_output_replaces_the_manifest_s() -> None:
    book = play(Terms(output=NUMBER), output={"type": "string"})
    assert request(book, "m1").output_schema == NUMBER
    book.answer("m1", says('{"n": "one"}'))
    assert "is not of type 'integer'" in request(book, "m2").turns[-1].text
    book.answer("m2", says('{"n": 1}'))
    assert verdict(book)[0] == "done"


def test_a_schema_that_goes_round_in_circles_is_a_reason_and_no_fault() -> None:
    book = play(Terms(output={"$ref": "#"}))
    assert book.answer("m1", says("1")) == ["m2"]
    assert "its schema goes round in circles" in request(book, "m2").turns[-1].text


def test_an_answer_that_is_cut_at_their_limit_ends_there() -> None:
    book = play(Terms(max_output=20))
    book.answer("m1", says("once upon", "length"))
    outcome, code, reason = verdict(book)
    assert (outcome, code) == ("partly", "length")
    assert reason == "the model's answer was cut at its limit of 20 tokens 1 times; ask for more of them"
    assert output(book) == "once upon"


def test_definitions_of_tasks_with_terms_are_kept_apart_and_not_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MOST_DEFINITIONS", 3)
    minds = AgentProgram(bundle())
    books: list[Playbook[AgentState]] = []
    for at in range(10):
        message = text_message("person", str(at))
        terms = Terms(f"You are {at}.") if at % 2 else None
        books.append(Playbook(minds, TaskSpec(f"t{at}", "agent", "coder", "", message, terms=terms)))
    for at, book in enumerate(books):
        assert request(book, "m1").instructions == ("Be good.\n\nYou are " + f"{at}." if at % 2 else "Be good.")
        book.answer("m1", says("ok"))
        assert verdict(book)[0] == "done"
