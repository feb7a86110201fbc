"""Events as they are kept: every kind goes there and back, old versions are upcast, newer ones are refused."""

from typing import Any

import msgspec
import pytest

from agenthost.core import events
from agenthost.core.commands import (
    Ask,
    CallModel,
    CallTool,
    Command,
    Evaluate,
    RunCommand,
    StartChild,
    Stop,
    Verdict,
    View,
    Wait,
)
from agenthost.core.errors import Failure, NewerVersion
from agenthost.core.events import (
    KINDS,
    VERSION,
    Answered,
    Asked,
    Begun,
    CancelAsked,
    ChildResult,
    Claimed,
    Created,
    Doubted,
    Event,
    Finished,
    Noted,
    Nothing,
    Paused,
    Received,
    Reply,
    Resumed,
    Retried,
    RunResult,
    ScriptRequest,
    Started,
    Value,
    decode_event,
    encode_event,
    kind_of,
)
from agenthost.core.models import Delta, ModelAnswer, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart, text_message, text_of
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolCall, ToolResult, ToolSpec

COMMANDS: list[tuple[Command, bool]] = [
    (CallModel("m1", "default", View(0, 1, 0)), True),
    (CallTool("a", "send", {"x": [1]}, "k"), False),
    (CallTool("a", "look", {}, "k", True), True),
    (RunCommand("c", "make", 5.0), True),
    (RunCommand("c", "make", network=True, policy={"memory": 1}), False),
    (Evaluate("e", {"a": "1"}, "f", 2), True),
    (StartChild("s", "agent", "helper", (TextPart("x"),), {"a": 1}, "r", "copy"), True),
    (Ask("q", "approval", "?", ("y",), "n", 3.0, "a"), True),
    (Wait("w", 9.5), True),
    (Stop("p", "a"), True),
]
ANSWERS: list[Any] = [
    ModelAnswer((TextPart("x"), DataPart([1])), (ToolCall("k", "look", "{}"),), "calls", Usage(5, 3, 1, 2), "m-2"),
    ToolResult((FilePart("sha256:a", "image/png", 3, "a.png"),), True, {"a": None}),
    RunResult(1, "out", "err", 0.5, "time", 7, {"a": "sha256:a"}),
    Value({"a": None}),
    ScriptRequest("ask", {"question": "?"}),
    ChildResult("t.s", Verdict("partly", "why", (3,), "budget"), (TextPart("x"),), {"a": "sha256:a"}, ("b",)),
    Reply("yes", "anna"),
    Nothing(),
]
EVENTS: list[Event] = [
    Created(TaskSpec("t", "agent", "coder", "sha256:b", text_message("person", "x", "id"))),
    Claimed(2, "me"),
    *(Asked(command) for command, _ in COMMANDS),
    Started("a", "t/a"),
    Retried("a", 2, Failure("temporary", "later", True, 1.5, {"status": 503}), 1.5),
    Begun("a", 2, "m-2", "resp_1"),
    *(Answered("a", answer) for answer in ANSWERS),
    Answered("a", failure=Failure("auth", "no key")),
    Doubted("a"),
    Received(text_message("person", "x")),
    CancelAsked("anna", "enough"),
    Paused("anna", "lunch"),
    Resumed("anna"),
    Noted("waited", "a", {"seconds": 1}),
    Finished(Verdict("done", "it works"), (TextPart("x"),), ("a.py",), ("b",)),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    kind = kind_of(event)
    assert KINDS[kind] is type(event)
    body = encode_event(event)
    assert msgspec.json.decode(body)["type"] == kind
    assert decode_event(kind, VERSION, body) == event


def test_every_kind_is_tried_here() -> None:
    assert {kind_of(event) for event in EVENTS} == set(KINDS)


@pytest.mark.parametrize(("command", "repeatable"), COMMANDS)
def test_commands_know_whether_they_may_be_performed_again(command: Command, repeatable: bool) -> None:
    assert command.repeatable is repeatable


@pytest.mark.parametrize(("kind", "version"), [("noted", VERSION + 1), ("dreamt", VERSION), ("dreamt", VERSION + 5)])
def test_what_a_newer_host_wrote_is_refused_and_says_what_to_do(kind: str, version: int) -> None:
    with pytest.raises(NewerVersion) as caught:
        decode_event(kind, version, b"{}")
    assert caught.value.details == {"kind": kind, "version": version}
    assert caught.value.exit_code == 2
    assert caught.value.message == (
        f"the journal has an event '{kind}' of version {version}, written by a newer AgentHost (this one reads up to "
        f"version {VERSION}); upgrade AgentHost to go on with this task"
    )


def test_old_versions_are_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(body: dict[str, Any]) -> dict[str, Any]:
        return {"type": "noted", "words": body["says"]}

    def again(body: dict[str, Any]) -> dict[str, Any]:
        return {"type": "noted", "text": body["words"] + "!"}

    monkeypatch.setattr(events, "VERSION", 4)
    monkeypatch.setattr(events, "UPCASTS", {("noted", 1): renamed, ("noted", 2): again})
    assert decode_event("noted", 1, b'{"type": "noted", "says": "hi"}') == Noted("hi!")
    assert decode_event("noted", 2, b'{"type": "noted", "words": "hi"}') == Noted("hi!")
    assert decode_event("noted", 3, b'{"type": "noted", "text": "hi"}') == Noted("hi")
    assert decode_event("noted", 4, b'{"type": "noted", "text": "hi"}') == Noted("hi")
    with pytest.raises(NewerVersion):
        decode_event("noted", 5, b"{}")


def test_fields_that_a_later_version_of_the_same_number_added_do_no_harm() -> None:
    assert decode_event("doubted", VERSION, b'{"type":"doubted","command":"a","more":1}') == Doubted("a")


def test_small_words() -> None:
    assert Usage(3, 4, 1, 2).total == 7
    assert ANSWERS[0].text == text_of(ANSWERS[0].parts) == "x"
    assert ANSWERS[1].text == ""
    assert Delta().reset is False
    assert [ToolSpec("a", "", read_only=True).repeatable, ToolSpec("a", "", idempotent=True).repeatable] == [True, True]
    assert ToolSpec("a", "").repeatable is False
