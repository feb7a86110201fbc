"""Stages and scripts: instructions and tools that change, and functions that take part."""

from typing import Any

import msgspec
import pytest
from agents import ALL, calls, last, output, play, request, says, verdict

from agenthost.core.commands import Ask, CallModel, CallTool, Evaluate, StartChild, View
from agenthost.core.events import Answered, Nothing, Received, Recorded, ScriptRequest, Value
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message
from agenthost.core.tools import ToolResult, text_result
from agenthost.testing.playbook import Playbook

STAGES: list[dict[str, Any]] = [
    {"id": "plan", "instructions": "Plan first.", "tools": ["look"], "when": "'READY' in text"},
    {"id": "build", "instructions": "Now build.", "when": "calls >= 2", "next": "plan"},
    {"id": "last"},
]


def asks(function: str, **arguments: Any) -> ScriptRequest:
    return ScriptRequest(function, arguments)


def same(book: Playbook[Any]) -> bool:
    return msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


# --- stages -----------------------------------------------------------------------------------------


def test_a_stage_brings_its_own_instructions_and_tools() -> None:
    book = play(tools=ALL, stages=STAGES)
    shown = request(book, "m1")
    assert shown.instructions == "Be good.\n\nPlan first."
    assert [tool.name for tool in shown.tools] == ["look"]
    book.answer("m1", calls(("look", ""), text="thinking"))
    assert book.answer("m1-0", text_result("x")) == ["e1"]
    assert book.open["e1"] == Evaluate("e1", {"when": "'READY' in text"})
    bound = book.evaluation("e1")
    assert bound.expressions == {"when": "'READY' in text"}
    names = {"turns": 1, "calls": 1, "text": "thinking", "files": [], "stage": "plan", "stage_turns": 1}
    assert {key: bound.names[key] for key in names} == names
    assert bound.names["task"]["message"]["text"] == "do it"
    assert book.value("e1", False) == ["m2"]
    assert request(book, "m2").instructions.endswith("Plan first.")


def test_a_true_condition_moves_on_and_the_new_stage_s_condition_waits_for_a_turn() -> None:
    book = play(tools=ALL, stages=STAGES)
    book.answer("m1", calls(("look", ""), text="READY"))
    book.answer("m1-0", text_result("x"))
    assert book.value("e1", True) == ["m2"]
    assert book.state.stage == "build"
    assert book.state.stage_turns == 1
    assert request(book, "m2").instructions.endswith("Now build.")
    assert len(request(book, "m2").tools) == 7
    assert same(book)


def test_a_quiet_answer_ends_only_where_the_stage_does_not_move_on() -> None:
    book = play(stages=STAGES)
    assert book.answer("m1", says("READY")) == ["e1"]
    assert book.value("e1", True) == ["m2"]
    assert last(book, "m2") == "This stage is over. Go on with the stage 'build'."
    assert book.answer("m2", says("built")) == ["e2"]
    assert book.value("e2", False) == []
    assert verdict(book)[0] == "done"
    assert output(book) == "built"


def test_next_names_the_stage_that_comes_after() -> None:
    book = play(stages=STAGES)
    book.answer("m1", says("READY"))
    book.value("e1", True)
    book.answer("m2", says("x"))
    book.value("e2", True)
    assert book.state.stage == "plan"


def test_the_last_stage_has_nothing_to_move_on_to() -> None:
    book = play(stages=[{"id": "only", "when": "True"}])
    assert book.answer("m1", says("x")) == []
    assert verdict(book)[0] == "done"


def test_stages_that_go_round_for_ever_are_ended() -> None:
    book = play(stages=[{"id": "a", "when": "True"}, {"id": "b", "when": "True", "next": "a"}])
    for turn in range(1, 52):
        book.answer(f"m{turn}", says(f"x{turn}"))
        book.value(f"e{turn}", True)
    assert verdict(book)[:2] == ("blocked", "stages")
    assert output(book) == "x51"


def test_a_condition_that_can_not_be_evaluated_ends_the_task() -> None:
    book = play(stages=STAGES)
    book.answer("m1", says("x"))
    book.fail("e1", "script-error", "line 1: there is no name 'foo'")
    assert verdict(book) == ("blocked", "script-error", "the stage's `when`: line 1: there is no name 'foo'")


def test_a_message_while_a_quiet_answer_is_judged_is_heard() -> None:
    book = play(stages=STAGES)
    book.answer("m1", says("x"))
    book.happened(Received(text_message("person", "wait")))
    assert book.value("e1", False) == ["e2"]
    assert book.value("e2", False) == ["m2"]
    assert last(book, "m2") == "wait"


def test_a_message_in_the_same_moment_as_a_condition_is_wanted_is_heard() -> None:
    book = play(stages=STAGES)
    state = book.program.apply(book.state, Recorded("t1", 3, 1.0, Answered("m1", says("x"))))
    state = book.program.apply(state, Recorded("t1", 4, 1.0, Received(text_message("person", "wait"))))
    assert [getattr(command, "id", "") for command in book.program.decide(state)] == ["e1"]
    assert not state.closing


# --- instructions and stage from a script -----------------------------------------------------------

CHOOSER = "def stage(task):\n    return 'b'\n\ndef instructions(task):\n    return 'You are ' + task['agent']\n"


def test_a_script_chooses_the_stage_and_writes_instructions_before_each_turn() -> None:
    book = play(script=CHOOSER, stages=[{"id": "a"}, {"id": "b", "instructions": "In b."}])
    assert book.open["e1"] == Evaluate("e1", function="stage")
    bound = book.evaluation("e1")
    assert (bound.source, bound.function, list(bound.names)) == (CHOOSER, "stage", ["task"])
    assert book.answer("e1", Value({"result": "b"})) == ["e2"]
    assert book.open["e2"] == Evaluate("e2", function="instructions")
    assert bound.names["task"]["stage"] == "a"
    assert book.answer("e2", Value({"result": "You are coder"})) == ["m1"]
    assert request(book, "m1").instructions == "Be good.\n\nIn b.\n\nYou are coder"
    assert book.answer("m1", says("x")) == ["e3"]
    assert book.answer("e3", Value({"result": None})) == []
    assert verdict(book)[0] == "done"
    assert same(book)


def test_instructions_alone_stand_for_those_of_the_manifest() -> None:
    book = play(script="def instructions(task):\n    return 'x'\n", instructions="")
    book.answer("e1", Value({"result": "Only these."}))
    assert request(book, "m1").instructions == "Only these."


def test_a_stage_that_is_none_ends_the_task() -> None:
    book = play(script=CHOOSER, stages=[{"id": "a"}, {"id": "b"}])
    book.answer("e1", Value({"result": "c"}))
    assert verdict(book) == ("blocked", "script-error", "the script's stage(task) gave 'c'; the stages are: a, b")


def test_a_script_that_fails_ends_the_task() -> None:
    book = play(script=CHOOSER, stages=[{"id": "a"}])
    book.fail("e1", "script-error", "script, line 2: KeyError: 'x'")
    assert verdict(book) == ("blocked", "script-error", "the agent's script: script, line 2: KeyError: 'x'")


@pytest.mark.parametrize("answer", [ScriptRequest("ask", {"question": "?"}), Nothing()])
def test_only_on_message_may_ask_the_host(answer: Any) -> None:
    book = play(script=CHOOSER, stages=[{"id": "a"}])
    book.answer("e1", answer)
    assert verdict(book) == ("blocked", "script-error", "stage can't ask the host; on_message can")


# --- on_message -------------------------------------------------------------------------------------

MESSAGE = "def on_message(message):\n    return None\n"


def test_on_message_answers_in_the_model_s_place() -> None:
    picture = FilePart("sha256:p", "image/png", 1, "p.png")
    book = play((TextPart("hi"), picture, DataPart({"a": 1})), script=MESSAGE, model={"images": False})
    assert book.open["e1"] == Evaluate("e1", function="on_message")
    bound = book.evaluation("e1")
    assert (bound.source, bound.function, bound.answers) == (MESSAGE, "on_message", ())
    file = {"type": "file", "digest": "sha256:p", "media_type": "image/png", "size": 1, "name": "p.png"}
    assert bound.names == {"message": {"sender": "person", "text": "hi", "files": [file], "data": [{"a": 1}], "id": ""}}
    book.answer("e1", Value({"result": "hello"}))
    assert verdict(book) == ("done", "", "the agent's script answered")
    assert output(book) == "hello"


def test_a_value_that_is_no_text_comes_out_as_data() -> None:
    book = play(script=MESSAGE)
    book.answer("e1", Value({"result": {"a": [1]}}))
    assert book.finish is not None
    assert book.finish.parts == (DataPart({"a": [1]}),)


def test_none_hands_the_message_to_the_model() -> None:
    book = play(script=MESSAGE)
    book.happened(Received(text_message("person", "and this")))
    assert book.answer("e1", Value({"result": None})) == ["m1"]
    assert [turn.text for turn in request(book, "m1").turns] == ["do it", "and this"]


def test_a_message_during_the_script_is_its_next_one() -> None:
    book = play(script=MESSAGE)
    assert book.happened(Received(text_message("person", "two"))) == []
    assert book.answer("e1", Value({"result": "one!"})) == ["e2"]
    assert book.evaluation("e2").names["message"]["text"] == "two"
    book.answer("e2", Value({"result": "two!"}))
    assert output(book) == "one!\ntwo!"


def test_a_message_in_the_same_moment_as_the_script_s_end_is_answered_too() -> None:
    book = play(script=MESSAGE)
    state = book.program.apply(book.state, Recorded("t1", 3, 1.0, Answered("e1", Value({"result": "one"}))))
    state = book.program.apply(state, Recorded("t1", 4, 1.0, Received(text_message("person", "two"))))
    assert [getattr(command, "id", "") for command in book.program.decide(state)] == ["e2"]
    assert state.script_message is not None
    assert state.script_message.parts == (TextPart("two"),)


def test_a_script_asks_step_by_step_and_every_answer_is_handed_back() -> None:
    book = play(script=MESSAGE, tools=ALL, temperature=0.1)
    assert book.answer("e1", asks("call_model", prompt="Say A.", schema=None)) == ["x1"]
    model = book.open["x1"]
    assert isinstance(model, CallModel)
    assert (model.purpose, model.view) == ("script", View(0, 0))
    shown = request(book, "x1")
    assert (shown.instructions, shown.turns[0].text, shown.tools, shown.temperature) == ("Be good.", "Say A.", (), 0.1)
    assert shown.metadata["purpose"] == "script"
    assert book.answer("x1", says("A")) == ["e2"]
    assert book.open["e2"] == Evaluate("e2", function="on_message", step=1)
    book.answer("e2", asks("call_tool", name="send", arguments={"text": "A"}))
    assert book.open["x2"] == CallTool("x2", "send", {"text": "A"}, "x2", False)
    book.answer("x2", ToolResult((TextPart("sent"),), changes={"log": "sha256:l"}))
    book.answer("e3", asks("ask", question="Sure?", options=["yes", "no"]))
    assert book.open["x3"] == Ask("x3", "input", "Sure?", ("yes", "no"))
    book.replied("x3", "yes")
    book.answer("e4", asks("make_artifact", name="out.txt", text="hi"))
    assert book.open["x4"] == CallTool("x4", "write_file", {"path": "out.txt", "content": "hi"}, "x4", True)
    book.answer("x4", text_result("wrote"))
    assert book.answer("e5", asks("log", text="here")) == ["e6"]
    answers = ({"value": "A"}, {"value": "sent"}, {"value": "yes"}, {"value": "wrote"}, {"value": None})
    assert book.evaluation("e6").answers == answers
    book.answer("e6", Value({"result": "fine"}))
    assert verdict(book)[0] == "done"
    assert book.state.tool_calls == 2
    assert book.state.written == {"log": "sha256:l"}
    assert same(book)


def test_a_message_does_not_run_a_script_twice() -> None:
    book = play(script=MESSAGE)
    assert book.happened(Received(text_message("person", "x"))) == []
    book.answer("e1", asks("ask", question="?"))
    assert book.happened(Received(text_message("person", "y"))) == []
    assert list(book.open) == ["x1"]


def test_a_tool_that_needs_approval_asks_when_a_script_calls_it_too() -> None:
    book = play(script=MESSAGE, tools=ALL)
    pay = asks("call_tool", name="pay", arguments={"text": "5"})
    assert book.answer("e1", pay) == ["x1-ok"]
    assert book.replied("x1-ok", "deny") == ["e2"]
    denied = {"error": "A person did not allow this call; they said: deny"}
    assert book.evaluation("e2").answers == (denied,)
    book.answer("e2", pay)
    assert book.replied("x2-ok", "approve") == ["x2"]
    assert book.open["x2"] == CallTool("x2", "pay", {"text": "5"}, "x2", False)
    book.answer("x2", text_result("no money", error=True))
    assert book.evaluation("e3").answers == (denied, {"error": "no money"})


def test_a_script_may_delegate_and_ask_through_tools() -> None:
    book = play(script=MESSAGE, tools=ALL)
    book.answer("e1", asks("call_tool", name="delegate_to_helper", arguments={"task": "count"}))
    assert book.open["x1"] == StartChild("x1", "agent", "helper", (TextPart("count"),))
    book.ended("x1", "42")
    book.answer("e2", asks("call_tool", name="ask_person", arguments={"question": "Why?"}))
    book.replied("x2", "because")
    assert book.evaluation("e3").answers == ({"value": "42"}, {"value": "because"})


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (asks("call_tool", name="lok", arguments={}), "There is no tool 'lok'. Did you mean 'look'?"),
        (asks("call_tool", name="send", arguments={}), "The arguments of send don't fit: at $: 'text' is a required"),
        (asks("call_tool", name="finish", arguments={}), "a script ends by returning its answer"),
    ],
)
def test_a_request_that_is_wrong_is_raised_in_the_script(asked: ScriptRequest, error: str) -> None:
    book = play(script=MESSAGE, tools=ALL, completion={"rule": "agent"})
    assert book.answer("e1", asked) == ["e2"]
    (answer,) = book.evaluation("e2").answers
    assert answer["error"].startswith(error)


def test_an_artifact_without_the_tool_that_writes_says_so() -> None:
    book = play(script=MESSAGE)
    book.answer("e1", asks("make_artifact", name="a", text="b"))
    assert book.evaluation("e2").answers == ({"error": "There is no tool 'write_file'. None is defined yet."},)


SCHEMA = {"type": "object", "required": ["n"]}


def test_call_model_with_a_schema_gives_the_value() -> None:
    book = play(script=MESSAGE)
    book.answer("e1", asks("call_model", prompt="n?", schema=SCHEMA))
    assert request(book, "x1").output_schema == SCHEMA
    book.answer("x1", says('{"n": 1}'))
    book.answer("e2", asks("call_model", prompt="n?", schema=SCHEMA))
    book.answer("x2", says("one"))
    book.answer("e3", asks("call_model", prompt="n?"))
    assert request(book, "x3").output_schema is None
    book.answer("x3", says("no", "refusal"))
    book.answer("e4", asks("call_model", prompt="n?"))
    book.answer("x4", says("lon", "length"))
    book.answer("e5", asks("call_model", prompt="n?"))
    book.fail("x5", "auth", "no key")
    book.answer("e6", asks("ask", question="n?", options=None))
    book.answer("x6", Nothing())
    answers = book.evaluation("e7").answers
    assert answers[0] == {"value": {"n": 1}}
    assert answers[1]["error"].startswith("the model's answer is not what was asked for: it is not valid JSON (")
    assert answers[2] == {"error": "the model refused: no"}
    assert answers[3]["error"].startswith("the model's answer was cut at its limit")
    assert answers[4] == {"error": "no key [auth]"}
    assert answers[5] == {"value": None}


def test_a_model_that_knows_no_schema_is_told_of_it() -> None:
    book = play(script=MESSAGE, model={"structured": False})
    book.answer("e1", asks("call_model", prompt="n?", schema=SCHEMA))
    shown = request(book, "x1")
    assert shown.output_schema is None
    assert shown.turns[0].text.startswith("n?\n\nAnswer with one JSON value and nothing else")


def test_a_script_whose_budget_is_used_up_ends_the_task() -> None:
    book = play(script=MESSAGE)
    book.answer("e1", asks("call_model", prompt="x"))
    book.fail("x1", "budget", "used up")
    assert verdict(book) == ("partly", "budget", "used up")


def test_the_requests_of_a_script_are_bounded() -> None:
    book = play(script=MESSAGE)
    for turn in range(1, 201):
        assert book.answer(f"e{turn}", asks("log", text="x")) == [f"e{turn + 1}"]
    book.answer("e201", asks("log", text="x"))
    reason = "the script's on_message made more than 200 requests"
    assert verdict(book) == ("blocked", "script-error", reason)


def test_the_real_language_and_the_program_agree_on_every_function() -> None:
    import asyncio

    from agenthost.scripts.monty import MontyScripts

    source = """
def on_message(message):
    log('begin')
    log(text='again')
    words = call_model('Say ' + message['text'])
    data = call_model(prompt='n?', schema={'type': 'object'})
    sent = call_tool('send', text=words)
    try:
        call_tool('nothing')
        lost = 'none'
    except RuntimeError as error:
        lost = str(error)
    reply = ask('Sure?', options=['yes', 'no'])
    why = ask('Why?')
    make_artifact('out.txt', 'hi')
    return {'all': [words, data['n'], sent, lost, reply, why, message['sender']]}

def instructions(task):
    return task['title'] + ' ' + str(task['turns'])
"""
    book = play(script=source, tools=ALL)

    async def run() -> None:
        scripts = MontyScripts(processes=1)
        try:
            while book.finish is None:
                (id,) = book.open
                command = book.open[id]
                if isinstance(command, Evaluate):
                    book.answer(id, await scripts.evaluate(book.evaluation(id)))
                elif isinstance(command, CallModel):
                    book.answer(id, says('{"n": 7}' if request(book, id).output_schema else "A"))
                elif isinstance(command, Ask):
                    book.replied(id, "yes" if command.options else "just so")
                else:
                    assert isinstance(command, CallTool)
                    book.answer(id, text_result(f"{command.tool} {command.arguments}"))
        finally:
            await scripts.close()

    asyncio.run(run())
    assert verdict(book)[0] == "done"
    assert book.finish is not None
    lost = "There is no tool 'nothing'. Known: ask_person, delegate_to_coder, delegate_to_helper, look, pay, send, write_file."
    sent = "send {'text': 'A'}"
    assert book.finish.parts == (DataPart({"all": ["A", 7, sent, lost, "yes", "just so", "person"]}),)


def test_the_real_language_reads_what_conditions_and_instructions_see() -> None:
    import asyncio

    from agenthost.scripts.monty import MontyScripts

    source = (
        "def instructions(task):\n    return task['title'] + ' ' + str(task['turns']) + str(task['message']['text'])\n"
    )
    when = "turns == 1 and calls == 1 and 'x' in text and files == ['a'] and stage_turns == 1 and task.stage == stage"
    stages = [{"id": "a", "when": when}, {"id": "b", "instructions": "In b."}]
    book = play(script=source, tools=ALL, stages=stages)

    async def run() -> None:
        scripts = MontyScripts(processes=1)
        try:
            book.answer("e1", await scripts.evaluate(book.evaluation("e1")))
            assert request(book, "m1").instructions == "Be good.\n\nthe title 0do it"
            book.answer("m1", calls(("look", ""), text="x"))
            book.answer("m1-0", ToolResult((), changes={"a": "sha256:a", "gone": None}))
            book.answer("e2", await scripts.evaluate(book.evaluation("e2")))
            book.answer("e3", await scripts.evaluate(book.evaluation("e3")))
        finally:
            await scripts.close()

    asyncio.run(run())
    assert request(book, "m2").instructions == "Be good.\n\nIn b.\n\nthe title 1do it"


def test_what_a_script_answered_is_not_told_to_the_model_by_a_summary() -> None:
    book = play("for the script alone", script=MESSAGE, tools=ALL, model={"window": 4_000, "max_output": 400})
    book.happened(Received(text_message("person", "for the model")))
    book.answer("e1", Value({"result": "one"}))
    (id,) = book.answer("e2", Value({"result": None}))
    while id.startswith("m"):
        book.answer(id, calls(("look", "")))
        (id,) = book.answer(f"{id}-0", text_result("x" * 500))
    (id,) = book.answer(id, says("short"))
    shown = "".join(turn.text for turn in request(book, id).turns)
    assert "for the script alone" not in shown
    assert "short" in shown


def test_an_answer_to_what_no_call_asked_for_changes_nothing() -> None:
    from agenthost.core.events import Asked

    book = play(tools=ALL)
    book.answer("m1", calls(("look", "")))
    before = len(book.state.pending)
    stray = CallTool("zz", "look", {})
    book.happened(Asked(stray))
    assert book.happened(Answered("zz", text_result("x"))) == []
    assert len(book.state.pending) == before
