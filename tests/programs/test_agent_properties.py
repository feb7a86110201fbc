"""Whatever happens in whatever order, an agent neither crashes nor forgets, and ends when its model does."""

from typing import Any

import msgspec
from agents import ALL, calls, play, says
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.commands import Ask, CallModel, CallTool, Command, Evaluate, RunCommand, StartChild, Verdict, Wait
from agenthost.core.errors import Failure
from agenthost.core.events import (
    Answer,
    Answered,
    ChildResult,
    Claimed,
    Doubted,
    Noted,
    Nothing,
    Received,
    Reply,
    Retried,
    RunResult,
    ScriptRequest,
    Started,
    Value,
)
from agenthost.core.models import ModelAnswer, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message
from agenthost.core.tasks import Terms
from agenthost.core.tools import ToolCall, ToolResult, ToolSpec
from agenthost.programs.agent import AgentState
from agenthost.testing.playbook import Playbook

SCRIPT = "def on_message(message):\n    return None\n\ndef stage(task):\n    return None\n\ndef instructions(task):\n    return ''\n"
SPECS: list[dict[str, Any]] = [
    {},
    {"tools": ALL},
    {"tools": ALL, "completion": {"rule": "agent", "maxRounds": 3}},
    {"tools": ALL, "completion": {"rule": "checks", "maxRounds": 2, "checks": [{"run": "a"}, {"run": "b"}]}},
    {"output": {"type": "object", "required": ["n"]}, "tools": ALL},
    {"stages": [{"id": "a", "when": "x"}, {"id": "b", "when": "y", "next": "a", "tools": []}], "tools": ALL},
    {"script": SCRIPT, "tools": ALL, "stages": [{"id": "a"}, {"id": "b"}], "budget": {"duration": "60s"}},
    {"completion": {"rule": "agent"}, "output": {"type": "object"}},
]
HISTORY = (
    Turn("user", (TextPart("t" * 5000), FilePart("d", "image/png", 5))),
    Turn("assistant", (TextPart("a"),), (ToolCall("h", "weather", "{}"),)),
    Turn("tool", (TextPart("r" * 3000),), call_id="h", name="weather"),
)
WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object"})
TERMS = [
    None,
    Terms(tools=(WEATHER,)),
    Terms("Be brief.", HISTORY, (WEATHER,), {"type": "object"}, 0.5),
    Terms(history=HISTORY[:1] * 20, max_output=20),
]
NAMES = ["weather", *ALL[:4], "ask_person", "delegate_to_helper", "delegate_to_coder", "finish", "nothing", ""]
ARGUMENTS = [
    "", "{}", "[", "3", '{"text": "a"}', '{"text": 1}', '{"task": "t"}', '{"question": "q", "options": ["a"]}',
    '{"outcome": "done", "summary": "s"}', '{"outcome": "done", "summary": "s", "result": {"n": 1}}',
]  # fmt: skip
CODES = ["budget", "auth", "context-too-long", "fault", "stopped", "bad-request"]
TEXTS = st.sampled_from(["", " ", "hello", '{"n": 1}', "```json\n{}\n```", "x" * 3000])
WORDS = st.sampled_from(["approve", "deny", "it happened", "run it again", "give up", "a"])
PARTS = st.sampled_from([TextPart("t"), TextPart("x" * 9000), DataPart({"a": 1}), FilePart("d", "image/png", 5)])

MODEL_ANSWERS = st.builds(
    ModelAnswer,
    TEXTS.map(lambda text: (TextPart(text),) if text else ()),
    st.lists(
        st.builds(ToolCall, st.sampled_from(["", "a", "b"]), st.sampled_from(NAMES), st.sampled_from(ARGUMENTS)),
        max_size=3,
    ).map(tuple),
    st.sampled_from(["end", "calls", "length", "refusal", "end", "calls"]),
    st.builds(Usage, st.sampled_from([0, 50, 500, 10**6])),
)
RESULTS = st.builds(
    ToolResult, st.lists(PARTS, max_size=2).map(tuple), st.booleans(), st.sampled_from([{}, {"a": "sha256:a"}])
)
RUNS = st.builds(RunResult, st.integers(0, 2), TEXTS, TEXTS, limit=st.sampled_from(["", "", "time", "memory"]))
CHILDREN = st.builds(
    ChildResult,
    st.just("t1.x"),
    st.sampled_from([Verdict("done"), Verdict("blocked", "why")]),
    st.lists(PARTS, max_size=2).map(tuple),
    st.just({"b": "sha256:b"}),
    st.sampled_from([(), ("b",)]),
)
REQUESTS = st.sampled_from(
    [
        ScriptRequest("call_model", {"prompt": "p", "schema": None}),
        ScriptRequest("call_model", {"prompt": "p", "schema": {"type": "object"}}),
        ScriptRequest("call_tool", {"name": "pay", "arguments": {"text": "a"}}),
        ScriptRequest("call_tool", {"name": "nothing", "arguments": {}}),
        ScriptRequest("ask", {"question": "q", "options": []}),
        ScriptRequest("make_artifact", {"name": "a", "text": "b"}),
        ScriptRequest("log", {"text": "a"}),
    ]
)
VALUES = st.sampled_from(
    [Value({"result": None}), Value({"result": "b"}), Value({"when": True}), Value({"when": False})]
)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    MODEL_ANSWERS, RESULTS, RUNS, CHILDREN, st.just(Nothing()), WORDS.map(Reply)
)


def fitting(command: Command) -> st.SearchStrategy[Any]:
    """Answers of the kind that a command may have."""
    if isinstance(command, CallModel):
        return MODEL_ANSWERS
    if isinstance(command, CallTool):
        return RESULTS
    if isinstance(command, RunCommand):
        return RUNS
    if isinstance(command, StartChild):
        return CHILDREN
    if isinstance(command, Evaluate):
        return st.one_of(VALUES, REQUESTS) if command.function == "on_message" else VALUES
    return WORDS.map(Reply) if isinstance(command, Ask) else st.just(Nothing())


def step(book: Playbook[AgentState], data: st.DataObject) -> None:
    """One thing happens."""
    what = data.draw(st.sampled_from(["answer"] * 12 + ["fail", "odd", "message", "doubt", "retry", "note", "stray"]))
    ids = [id for id in book.open if id != "deadline" or data.draw(st.integers(0, 9)) == 0]
    if not ids or what == "message":
        book.happened(Received(text_message("person", data.draw(TEXTS))))
        return
    id = data.draw(st.sampled_from(ids))
    command = book.open[id]
    if what == "answer":
        book.answer(id, data.draw(fitting(command)))
    elif what == "odd":
        book.answer(id, data.draw(ANYTHING))
    elif what == "fail":
        book.fail(id, data.draw(st.sampled_from(CODES)))
    elif what == "doubt" and isinstance(command, CallTool) and f"{id}-doubt" not in book.asked:
        book.happened(Doubted(id))
    elif what == "retry":
        book.happened(Retried(id, 2, Failure("temporary", "again")))
    elif what == "stray":
        book.happened(data.draw(st.sampled_from([Answered("no-such"), Started("no-such", "k"), Claimed(2, "me")])))
    else:
        book.happened(Noted("x"))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(SPECS), st.sampled_from([3_000, 100_000]), st.booleans(), st.sampled_from(TERMS))
def test_no_order_of_events_crashes_an_agent_and_a_replay_gives_the_same_state(
    data: st.DataObject, spec: dict[str, Any], window: int, images: bool, terms: Terms | None
) -> None:
    book = play(model={"window": window, "max_output": 300, "images": images}, terms=terms, **spec)
    for _ in range(data.draw(st.integers(0, 40))):
        if book.finish is not None:
            break
        step(book, data)
        if book.finish is None:
            assert book.open, "nothing is open and it has not ended"
            for command in list(book.open.values()):
                if isinstance(command, CallModel):
                    book.program.render(book.state, command)
                elif isinstance(command, Evaluate):
                    book.evaluation(command.id)
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)
    end(book)


def kind_answer(command: Command) -> Answer:
    """What ends a command well."""
    if isinstance(command, CallModel):
        quiet = says('{"n": 1}')
        done = calls(("finish", '{"outcome": "done", "summary": "s", "result": {"n": 1}}'))
        return done if command.id.endswith(("0", "5")) and command.purpose == "turn" else quiet
    if isinstance(command, CallTool):
        return ToolResult(())
    if isinstance(command, RunCommand):
        return RunResult(0)
    if isinstance(command, StartChild):
        return ChildResult("t1.x", Verdict("done"))
    if isinstance(command, Evaluate):
        return Value({"result": None, "when": False})
    return Reply("give up") if isinstance(command, Ask) else Nothing()


def end(book: Playbook[AgentState]) -> None:
    """From here on everybody answers well: it ends, soon."""
    for _ in range(120):
        if book.finish is not None:
            assert book.finish.verdict.reason
            assert list(book.program.decide(book.state)) == []
            return
        id = next((id for id in book.open if not isinstance(book.open[id], Wait)), None)
        assert id is not None
        book.answer(id, kind_answer(book.open[id]))
    raise AssertionError("it goes on for ever")


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(SPECS))
def test_cancel_ends_an_agent_at_any_moment(data: st.DataObject, spec: dict[str, Any]) -> None:
    book = play(**spec)
    for _ in range(data.draw(st.integers(0, 15))):
        if book.finish is None:
            step(book, data)
    if book.finish is None:
        book.cancel()
        assert book.finish is not None
        assert book.finish.verdict.outcome == "canceled"
