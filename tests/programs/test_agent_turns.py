"""The loop of an agent: answers, calls and their results, answers that are cut, empty, refused or wrong."""

import msgspec
import pytest
from agents import ALL, calls, last, output, play, request, says, verdict

from agenthost.core.commands import Ask, CallModel, CallTool, StartChild, Verdict, View, Wait
from agenthost.core.events import ChildResult, Nothing, Received
from agenthost.core.models import ModelAnswer
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message, text_of
from agenthost.core.tools import ToolCall, ToolResult, text_result


def test_a_quiet_answer_ends_the_task_with_what_was_said() -> None:
    book = play(maxOutputTokens=500, fallbacks=["other"], temperature=0.5, reasoning="low")
    asked = book.open["m1"]
    assert asked == CallModel("m1", "default", View(0, 1), "turn", 500, asked.worst, ("other",))
    shown = request(book, "m1")
    assert shown.instructions == "Be good."
    assert [turn.text for turn in shown.turns] == ["do it"]
    assert (shown.temperature, shown.max_output, shown.tools, shown.key) == (0.5, 500, (), "m1")
    assert shown.effort == "low"
    assert shown.metadata == {"task": "t1", "agent": "coder", "purpose": "turn", "person": "default/owner"}
    assert book.answer("m1", says("hello")) == []
    assert verdict(book) == ("done", "", "it answered and asked for nothing more")
    assert output(book) == "hello"
    assert book.finish is not None
    assert book.finish.verdict.evidence == (3,)
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)
    assert list(book.program.decide(book.state)) == []


def test_the_task_may_name_the_model_that_default_means() -> None:
    from agents import bundle

    from agenthost.core.tasks import TaskSpec
    from agenthost.programs.agent import AgentProgram
    from agenthost.testing.playbook import Playbook

    task = TaskSpec("t1", "agent", "coder", "", text_message("person", "x"), model="mine")
    assert Playbook(AgentProgram(bundle()), task).open["m1"].model == "mine"
    assert Playbook(AgentProgram(bundle(model=None)), task).open["m1"].model == "mine"


def test_parallel_calls_reach_the_model_in_call_order_whatever_order_they_end_in() -> None:
    book = play(tools=ALL)
    ids = book.answer("m1", calls(("look", ""), ("send", '{"text": "a"}'), ("write_file", "{}")))
    assert ids == ["m1-0", "m1-1", "m1-2"]
    assert book.open["m1-0"] == CallTool("m1-0", "look", {}, "k0", True)
    assert book.open["m1-1"] == CallTool("m1-1", "send", {"text": "a"}, "k1", False)
    assert book.open["m1-2"] == CallTool("m1-2", "write_file", {}, "k2", True)
    assert book.answer("m1-2", ToolResult((TextPart("third"),), changes={"a.py": "sha256:a", "b": None})) == []
    assert book.answer("m1-0", text_result("first")) == []
    assert book.fail("m1-1", "fault", "it broke") == ["m2"]
    turns = request(book, "m2").turns
    assert [(turn.role, turn.call_id, turn.text, turn.error) for turn in turns[2:]] == [
        ("tool", "k0", "first", False),
        ("tool", "k1", "it broke [fault]", True),
        ("tool", "k2", "third", False),
    ]
    assert book.state.tool_calls == 3
    assert book.state.written == {"a.py": "sha256:a"}
    book.answer("m2", calls(("look", "")))
    book.answer("m2-0", ToolResult((), changes={"a.py": None, "c": "sha256:c"}))
    assert book.state.written == {"c": "sha256:c"}
    book.answer("m3", says("ok"))
    assert verdict(book)[0] == "done"


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("lok", "{}", "There is no tool 'lok'. Did you mean 'look'?"),
        ("send", "{", "The arguments of send are not valid JSON ("),
        ("send", "[1]", "The arguments of send must be one JSON object, not [1]. Call it again."),
        ("send", '"x"', 'The arguments of send must be one JSON object, not "x".'),
        ("send", '{"text": 3}', "The arguments of send don't fit: at $.text: 3 is not of type 'string'. Call it again."),
        ("send", "{}", "The arguments of send don't fit: at $: 'text' is a required property."),
        ("ask_person", "{}", "The arguments of ask_person don't fit: at $: 'question' is a required property."),
        ("ask_person", '{"question": ""}', "The arguments of ask_person don't fit: at $.question: "),
        ("delegate_to_helper", '{"task": ""}', "The arguments of delegate_to_helper don't fit: at $.task: "),
        ("send", '{"text": "\\ud800"}', "The arguments of send are not valid JSON ("),
        ("send", '{"text": ["' + "long " * 200 + '"]}', " is not of type 'string'. Call it again."),
    ],
)  # fmt: skip
def test_a_call_that_can_not_be_made_is_told_to_the_model_and_nothing_is_performed(
    name: str, arguments: str, told: str
) -> None:
    book = play(tools=ALL)
    assert book.answer("m1", calls((name, arguments))) == ["m2"]
    turn = request(book, "m2").turns[-1]
    assert turn.error
    assert told in turn.text
    assert len(turn.text) < 500


def test_without_any_tool_an_unknown_one_is_told_so() -> None:
    book = play()
    book.answer("m1", calls(("look", "{}")))
    assert last(book, "m2") == "There is no tool 'look'. None is defined yet."


def test_a_cut_answer_with_a_broken_call_says_to_write_less() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("send", '{"text": "ab'), stop="length"))
    assert "your answer was cut at its limit, so write less in one call" in last(book, "m2")


def test_turns_of_nothing_but_wrong_calls_are_bounded() -> None:
    book = play(tools=ALL)
    for turn in range(1, 5):
        assert book.answer(f"m{turn}", calls(("nothing", "{}"), text="hm")) == [f"m{turn + 1}"]
    book.answer("m5", calls(("nothing", "{}"), ("look", "["), text="hm"))
    outcome, code, reason = verdict(book)
    assert (outcome, code) == ("blocked", "bad-calls")
    assert reason.startswith("5 turns in a row had nothing but tool calls that can't be made; the last: The arguments")
    assert output(book) == "hm"


def test_a_right_call_starts_the_count_of_wrong_turns_anew() -> None:
    book = play(tools=ALL)
    for turn in range(1, 5):
        book.answer(f"m{turn}", calls(("nothing", "{}")))
    assert book.answer("m5", calls(("nothing", "{}"), ("look", ""))) == ["m5-1"]
    book.answer("m5-1", text_result("x"))
    assert book.answer("m6", calls(("nothing", "{}"))) == ["m7"]
    assert [turn.error for turn in request(book, "m7").turns[-4:] if turn.role == "tool"] == [True, False, True]


def test_more_calls_than_the_most_are_not_made() -> None:
    book = play(tools=ALL)
    asked = book.answer("m1", calls(*[("look", "{}")] * 66))
    assert len(asked) == 64
    for id in asked:
        book.answer(id, text_result("x"))
    turns = request(book, "m2").turns
    assert len(turns) == 68
    assert turns[-1].text == "Not called: 64 calls in one answer are the most. Call it again."


def test_calls_without_an_id_or_with_the_same_get_ids_of_their_own() -> None:
    book = play(tools=ALL)
    same = tuple(ToolCall(id, "look", "{}") for id in ("", "a", "a"))
    book.answer("m1", ModelAnswer((), same, "calls"))
    for id in ("m1-0", "m1-1", "m1-2"):
        book.answer(id, text_result(id))
    turns = request(book, "m2").turns
    assert [call.id for call in turns[1].calls] == ["call-1-0", "a", "call-1-2"]
    assert [turn.call_id for turn in turns[2:]] == ["call-1-0", "a", "call-1-2"]


def test_results_are_shown_as_text_whatever_they_are() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("look", ""), ("look", ""), ("look", "")))
    book.answer("m1-0", ToolResult((DataPart({"a": 1}),)))
    book.answer("m1-1", ToolResult(()))
    book.answer("m1-2", Nothing())
    turns = request(book, "m2").turns[2:]
    assert [turn.text for turn in turns] == [
        '{"a":1}',
        "(no output)",
        "It was answered with something that can't be used.",
    ]
    assert turns[2].error


def test_asking_a_person_and_taking_the_reply() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("ask_person", '{"question": "Which?", "options": ["a", "b"]}')))
    assert book.open["m1-0"] == Ask("m1-0", "input", "Which?", ("a", "b"))
    assert book.replied("m1-0", "a") == ["m2"]
    assert last(book, "m2") == "a"


def test_an_approval_shows_exactly_what_will_be_done_and_then_it_is_done() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("pay", '{"text": "10 EUR"}'), ("look", "")))
    assert set(book.open) == {"m1-0-ok", "m1-1"}
    shown = 'May the tool \'pay\' be called with these arguments?\n{\n  "text": "10 EUR"\n}'
    assert book.open["m1-0-ok"] == Ask(
        "m1-0-ok",
        "approval",
        shown,
        ("approve", "deny", "approve always"),
        "deny",
        about="m1-0",
        tool="pay",
        arguments={"text": "10 EUR"},
    )
    assert book.answer("m1-1", text_result("seen")) == []
    assert book.replied("m1-0-ok", " Approve ") == ["m1-0"]
    assert book.open["m1-0"] == CallTool("m1-0", "pay", {"text": "10 EUR"}, "k0", False)
    assert book.answer("m1-0", text_result("paid")) == ["m2"]
    assert [turn.text for turn in request(book, "m2").turns[-2:]] == ["paid", "seen"]


def test_a_call_that_is_not_allowed_is_not_made_and_the_model_hears_why() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("pay", '{"text": "10 EUR"}')))
    assert book.replied("m1-0-ok", "no, too much") == ["m2"]
    assert last(book, "m2") == "A person did not allow this call; they said: no, too much"
    assert "m1-0" not in book.asked


def test_a_question_that_fails_is_a_call_that_fails() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("pay", '{"text": "x"}'), ("pay", '{"text": "y"}')))
    book.fail("m1-0-ok", "expired", "nobody answered")
    assert book.answer("m1-1-ok", Nothing()) == ["m2"]
    assert [turn.text for turn in request(book, "m2").turns[-2:]] == [
        "nobody answered [expired]",
        "The approval was not given",
    ]


def test_arguments_that_do_not_fit_are_not_put_to_a_person() -> None:
    book = play(tools=ALL)
    assert book.answer("m1", calls(("pay", "{}"))) == ["m2"]


def test_a_lone_delegation_works_in_the_same_files() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("delegate_to_helper", '{"task": "count"}'), ("look", "")))
    assert book.open["m1-0"] == StartChild("m1-0", "agent", "helper", (TextPart("count"),), workspace="shared")
    book.answer("m1-1", text_result(""))
    assert book.ended("m1-0", "42", changes={"n": "sha256:n"}) == ["m2"]
    assert request(book, "m2").turns[-2].text == "42"
    assert book.state.written == {"n": "sha256:n"}


def test_delegations_beside_others_that_write_work_in_copies() -> None:
    book = play(tools=ALL)
    task = '{"task": "t"}'
    book.answer("m1", calls(("delegate_to_helper", task), ("delegate_to_helper", task)))
    assert [book.open[id].workspace for id in ("m1-0", "m1-1")] == ["copy", "copy"]
    book.ended("m1-0", "a")
    book.ended("m1-1", "b")
    book.answer("m2", calls(("delegate_to_helper", task), ("write_file", "{}")))
    assert book.open["m2-0"].workspace == "copy"


def test_what_goes_wrong_with_a_child_is_told_to_the_model() -> None:
    book = play(tools=ALL)
    task = ("delegate_to_helper", '{"task": "t"}')
    book.answer("m1", calls(task, task, task))
    book.ended("m1-0", "so far", outcome="blocked", reason="no key")
    changes: dict[str, str | None] = {"a": "sha256:1", "b": "sha256:2"}
    book.answer("m1-1", ChildResult("t1.m1-1", Verdict("done"), (TextPart("x"),), changes, ("b",)))
    assert book.ended("m1-2") == ["m2"]
    turns = request(book, "m2").turns[-3:]
    assert [(turn.text, turn.error) for turn in turns] == [
        ("It ended without being done (blocked): no key\nso far", True),
        ("These files were changed by others too and were left as they were: b\nx", True),
        ("It is done; nothing more was said.", False),
    ]
    assert book.state.written == {"a": "sha256:1"}


def test_delegation_is_bounded_in_depth() -> None:
    call = calls(("delegate_to_helper", '{"task": "t"}'))
    book = play(tools=ALL, chain=tuple(f"agent/a{n}" for n in range(6)))
    assert book.answer("m1", call) == ["m1-0"]
    book = play(tools=ALL, chain=tuple(f"agent/a{n}" for n in range(7)))
    assert book.answer("m1", call) == ["m2"]
    assert last(book, "m2").startswith("Not delegated: 8 levels deep is the limit.")


def test_delegation_does_not_go_round_in_circles() -> None:
    call = calls(("delegate_to_helper", '{"task": "t"}'), ("delegate_to_coder", '{"task": "t"}'))
    book = play(tools=ALL, chain=("agent/helper", "agent/coder", "agent/helper"))
    assert book.answer("m1", call) == ["m2"]
    assert [turn.text.partition(",")[0] for turn in request(book, "m2").turns[-2:]] == [
        "Not delegated: 'helper' already stands 2 times in this line of work",
        "Not delegated: 'coder' already stands 2 times in this line of work",
    ]
    book = play(tools=ALL, chain=("agent/helper",))
    assert book.answer("m1", call) == ["m1-0", "m1-1"]


def test_a_delegating_tool_s_name_is_one_that_providers_take() -> None:
    from agenthost.programs.agent.words import delegate_tool

    names = {delegate_tool("a" * 62 + end, "").name for end in "xy"}
    assert len(names) == 2
    assert all(len(name) <= 64 for name in names)
    assert delegate_tool("my-helper", "It helps.").name == "delegate_to_my_helper"
    assert delegate_tool("my-helper", "It helps.").description.endswith("wait for its result. It helps.")


def test_a_message_that_comes_during_a_call_of_the_model_is_seen_at_the_next_step() -> None:
    book = play(tools=ALL)
    assert book.happened(Received(text_message("person", "also this"))) == []
    book.answer("m1", calls(("look", "")))
    assert book.happened(Received(text_message("person", "and that"))) == []
    assert book.answer("m1-0", text_result("seen")) == ["m2"]
    assert [turn.text for turn in request(book, "m2").turns[-3:]] == ["seen", "also this", "and that"]


def test_a_message_that_comes_just_before_the_end_holds_it_up() -> None:
    book = play()
    book.happened(Received(text_message("person", "also this")))
    assert book.answer("m1", says("done")) == ["m2"]
    assert [turn.text for turn in request(book, "m2").turns] == ["do it", "done", "also this"]
    book.answer("m2", says("that too"))
    assert output(book) == "that too"


def test_an_answer_that_is_cut_is_continued_and_joined() -> None:
    book = play()
    assert book.answer("m1", says("one ", "length")) == ["m2"]
    assert last(book, "m2").startswith("Your answer was cut")
    assert book.answer("m2", says("two ", "length")) == ["m3"]
    book.answer("m3", says("three"))
    assert output(book) == "one two three"
    assert verdict(book)[0] == "done"


def test_an_answer_that_is_cut_again_and_again_ends_with_what_there_is() -> None:
    book = play()
    for turn in range(1, 4):
        assert book.answer(f"m{turn}", says(f"{turn} ", "length")) == [f"m{turn + 1}"]
    book.answer("m4", says("4", "length"))
    reason = (
        "the model's answer was cut at its limit of 4,000 tokens 4 times; give the agent 'coder' more `maxOutputTokens`"
    )
    assert verdict(book) == ("partly", "length", reason)
    assert output(book) == "1 2 3 4"


def test_nothing_but_cut_thinking_ends_without_words() -> None:
    book = play()
    for turn in range(1, 5):
        book.answer(f"m{turn}", says("", "length"))
    assert verdict(book)[1] == "length"
    assert book.finish is not None
    assert book.finish.parts == ()


def test_a_cut_answer_that_goes_on_with_calls_starts_the_next_one_clean() -> None:
    book = play(tools=ALL)
    book.answer("m1", says("I will ", "length"))
    book.answer("m2", calls(("look", ""), text="look"))
    assert book.state.last_text == "I will look"
    book.answer("m2-0", text_result("x"))
    book.answer("m3", says("fine"))
    assert output(book) == "fine"


def test_a_refusal_ends_the_task() -> None:
    book = play()
    book.answer("m1", says("I won't.", "refusal"))
    assert verdict(book) == ("blocked", "refused", "the model refused: I won't.")
    assert output(book) == "I won't."
    book = play()
    book.answer("m1", says("", "refusal"))
    assert verdict(book)[2] == "the model refused: it gave no reason"


def test_empty_answers_are_asked_for_again_a_bounded_number_of_times() -> None:
    book = play()
    for turn in range(1, 4):
        assert book.answer(f"m{turn}", says(" ")) == [f"m{turn + 1}"]
        assert last(book, f"m{turn + 1}") == "Your answer can't be used: it is empty. Answer again."
    assert all(turn.role == "user" for turn in request(book, "m4").turns)
    book.answer("m4", says(""))
    reason = "the model's answer could not be used 4 times in a row; of the last, it is empty"
    assert verdict(book) == ("blocked", "bad-answer", reason)


@pytest.mark.parametrize(
    ("code", "outcome"), [("budget", "partly"), ("auth", "blocked"), ("price-unknown", "blocked"), ("fault", "blocked")]
)
def test_a_model_that_can_not_be_called_ends_the_task_with_what_was_said(code: str, outcome: str) -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("look", ""), text="so far"))
    book.answer("m1-0", text_result(""))
    book.fail("m2", code, "the budget of 1 model turns is used up")
    assert verdict(book) == (outcome, code, "the budget of 1 model turns is used up")
    assert output(book) == "so far"


def test_an_answer_that_no_model_gives_ends_the_task() -> None:
    book = play()
    book.answer("m1", Nothing())
    assert verdict(book)[:2] == ("blocked", "bad-answer")


def test_the_deadline_ends_the_task_whatever_is_open() -> None:
    book = play(tools=ALL, budget={"duration": "60s"})
    assert list(book.open) == ["deadline", "m1"]
    assert book.open["deadline"] == Wait("deadline", 1060.0)
    book.answer("m1", calls(("look", ""), text="so far"))
    book.over("deadline")
    assert verdict(book) == ("partly", "budget", "the budget of 60 seconds is used up")
    assert output(book) == "so far"


def test_cancel_ends_the_task() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("send", '{"text": "a"}')))
    book.cancel("enough")
    assert verdict(book) == ("canceled", "", "enough")


PICTURE = FilePart("sha256:p", "image/png", 10, "sketch.png")


def test_a_picture_for_a_model_that_can_not_see_ends_at_once() -> None:
    book = play((TextPart("what is it?"), PICTURE), model={"images": False})
    assert verdict(book) == (
        "blocked",
        "no-images",
        "the model 'm' can't be shown pictures, and 'sketch.png' is one; give the agent 'coder' another `model`, or set "
        "`images = true` in this model's card in agenthost.toml if it can",
    )
    assert book.asked == {}


def test_a_picture_that_comes_later_for_a_model_that_can_not_see_ends_too() -> None:
    book = play(model={"images": False})
    book.happened(Received(text_message("person", "x")))
    book.happened(Received(msgspec.structs.replace(text_message("person", ""), parts=(FilePart("d", "image/gif", 1),))))
    book.answer("m1", says("fine"))
    assert verdict(book)[1] == "no-images"
    assert "'image/gif' is one" in verdict(book)[2]


def test_a_picture_is_shown_to_a_model_that_can_see_and_other_files_to_any() -> None:
    book = play((TextPart("x"), PICTURE))
    assert request(book, "m1").turns[0].parts[1] == PICTURE
    assert isinstance(book.open["m1"], CallModel)
    assert book.open["m1"].worst > 1600
    book = play((FilePart("sha256:d", "application/pdf", 30_000, "d.pdf"),), model={"images": False})
    assert isinstance(book.open["m1"], CallModel)
    assert book.open["m1"].worst > 10_000


def test_a_tool_s_picture_is_replaced_by_words_where_the_model_can_not_see() -> None:
    for images in (True, False):
        book = play(tools=ALL, model={"images": images})
        book.answer("m1", calls(("look", "")))
        book.answer("m1-0", ToolResult((TextPart("here"), PICTURE)))
        parts = request(book, "m2").turns[-1].parts
        assert (PICTURE in parts) is images
        assert text_of(parts) == ("here" if images else "here\n[a picture, which this model can't be shown]")


def test_tools_for_a_model_that_can_not_call_them_end_at_once() -> None:
    book = play(tools=ALL, model={"tools": False})
    assert verdict(book)[:2] == ("blocked", "no-tools")
    assert "`tools = true`" in verdict(book)[2]
    assert "m1" in play(model={"tools": False}).open


def test_a_message_in_the_same_moment_as_the_end_takes_the_end_back() -> None:
    from agenthost.core.events import Answered, Recorded

    book = play()
    state, program = book.state, book.program
    state = program.apply(state, Recorded("t1", 3, 1.0, Answered("m1", says("done"))))
    assert state.finish is not None
    state = program.apply(state, Recorded("t1", 4, 1.0, Received(text_message("person", "wait"))))
    (command,) = program.decide(state)
    assert isinstance(command, CallModel)
    assert [turn.text for turn in program.render(state, command).turns] == ["do it", "done", "wait"]
    state = program.apply(state, Recorded("t1", 5, 1.0, Received(text_message("person", "more"))))
    (command,) = program.decide(state)
    assert isinstance(command, CallModel)
    assert (command.id, command.view) == ("m2", View(0, 4))


def test_a_message_does_not_take_back_an_end_that_a_failure_made() -> None:
    from agenthost.core.errors import Failure
    from agenthost.core.events import Answered, Recorded

    book = play()
    state = book.program.apply(book.state, Recorded("t1", 3, 1.0, Answered("m1", None, Failure("auth", "no key"))))
    state = book.program.apply(state, Recorded("t1", 4, 1.0, Received(text_message("person", "wait"))))
    (finish,) = book.program.decide(state)
    assert finish == state.finish
