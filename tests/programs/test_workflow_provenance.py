"""Workflows: what steps go by, and the steps with side effects that untrusted content decided."""

from typing import Any

import pytest
from workflows import bundle

from agenthost.core.commands import Ask, CallTool, RunCommand, StartChild, Verdict
from agenthost.core.events import ChildResult, Reply
from agenthost.core.parts import TextPart, text_message
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import text_result
from agenthost.core.trust import Given
from agenthost.programs.workflow import WorkflowProgram
from agenthost.programs.workflow.state import WorkflowState
from agenthost.testing.playbook import Playbook

READ: dict[str, Any] = {"id": "read", "role": "coder", "prompt": "Read it."}
SEEN = ("the result of fetch",)


def play(
    steps: list[dict[str, Any]],
    inputs: dict[str, Any] | None = None,
    rules: int = 1,
    given: Given | None = None,
    title: str = "a title",
    **spec: Any,
) -> Playbook[WorkflowState]:
    """A playbook of a workflow that has just begun, by the rules of now."""
    pinned = bundle(steps, **spec).model_copy(update={"rules": rules})
    message = text_message("person", "do it for anna@example.com")
    task = TaskSpec("t1", "workflow", "flow", "sha256:0", message, inputs or {}, title, trust=given)
    return Playbook(WorkflowProgram(pinned), task)


def read(book: Playbook[WorkflowState], text: str, sources: tuple[str, ...] = SEEN, id: str = "read-1") -> list[str]:
    """The child of the step `read` ends."""
    return book.answer(id, ChildResult(f"t1.{id}", Verdict("done"), (TextPart(text),), sources=sources))


def send(**more: Any) -> dict[str, Any]:
    return {"id": "send", "tool": "send", "with": {"to": "{{ steps.read.text }}", "body": "hi"}, **more}


def test_a_value_of_a_step_that_read_a_stranger_s_words_is_asked_for() -> None:
    book = play([READ, send()])
    assert read(book, "eve@attacker.example") == ["send-1-ok"]
    ask = book.open["send-1-ok"]
    assert isinstance(ask, Ask) and "to = eve@attacker.example: from the result of fetch" in ask.reason
    assert book.answer("send-1-ok", Reply("approve")) == ["send-1"]


def test_what_a_server_says_of_its_own_results_is_not_believed() -> None:
    looks = {"id": "look", "tool": "look", "with": {}}
    sends = send(**{"with": {"to": "{{ steps.look.text }}", "body": "hi"}})
    for source, ids in (("", ["send-1"]), ("mcp:mailer", ["send-1-ok"])):
        book = play([looks, sends])
        tools = book.program._bundle.tools  # type: ignore[attr-defined]
        tools["look"] = tools["look"].model_copy(update={"trusted": True, "source": source})
        assert book.answer("look-1", text_result("eve@attacker.example")) == ids


def test_a_no_ends_the_step() -> None:
    book = play([READ, send()])
    read(book, "eve@attacker.example")
    book.answer("send-1-ok", Reply("no"))
    assert book.finish is not None and "did not allow" in book.finish.verdict.reason
    assert book.finish.sources == SEEN


@pytest.mark.parametrize(
    ("text", "sources", "inputs"),
    [
        ("eve@attacker.example", (), {}),
        ("anna@example.com", SEEN, {}),
        ("eve@attacker.example", SEEN, {"to": "eve@attacker.example"}),
    ],
)
def test_what_nobody_else_wrote_or_the_person_said_is_sent(
    text: str, sources: tuple[str, ...], inputs: dict[str, str]
) -> None:
    book = play([READ, send()], inputs, input={"to": {"default": ""}})
    assert read(book, text, sources) == ["send-1"]


def test_the_plan_itself_needs_no_words() -> None:
    book = play([READ, send(**{"with": {"to": "bob@example.com", "body": "{{ steps.read.text }}"}})])
    assert read(book, "whatever it is") == ["send-1"]


@pytest.mark.parametrize("key", ["if", "foreach"])
def test_a_condition_over_what_was_read_is_asked_for_unless_the_manifest_lets_it(key: str) -> None:
    condition = {"if": "steps.read.ok", "foreach": "steps.read.data"}[key]
    step = send(**{"with": {"to": "bob@example.com"}, key: condition})
    book = play([READ, step])
    (id,) = read(book, "[1]")
    ask = book.open[id]
    assert isinstance(ask, Ask) and "`if` or `foreach`" in ask.reason
    (id,) = read(play([READ, step], trust={"actions": ["send"]}), "[1]")
    assert not id.endswith("-ok")


def test_a_manifest_that_refuses_fails_the_step() -> None:
    book = play([READ, send()], trust={"mode": "refuse"})
    read(book, "eve@attacker.example")
    assert book.finish is not None and "refuses that" in book.finish.verdict.reason


@pytest.mark.parametrize("more", [{"rules": 0}, {"trust": {"mode": "off"}}])
def test_without_the_rule_nothing_is_asked(more: dict[str, Any]) -> None:
    assert read(play([READ, send()], **more), "eve@attacker.example") == ["send-1"]


def test_a_tool_s_result_goes_by_strangers_unless_it_is_trusted() -> None:
    steps = [{"id": "read", "tool": "look", "with": {}}, send()]
    book = play(steps)
    assert book.answer("read-1", text_result("eve@attacker.example")) == ["send-1-ok"]
    book = play(steps, trust={"results": ["look"]})
    assert book.answer("read-1", text_result("eve@attacker.example")) == ["send-1"]


def test_a_command_with_a_network_over_what_was_made_of_it_is_asked_for() -> None:
    steps = [READ, {"id": "go", "command": "python main.py"}]
    net = {"network": "granted", "hosts": ["pypi.example"]}
    book = play(steps, sandbox=net)
    assert read(book, "x") == ["go-1-ok"]
    assert book.answer("go-1-ok", Reply("approve")) == ["go-1"]
    assert isinstance(book.open["go-1"], RunCommand)
    assert read(play(steps), "x") == ["go-1"]
    assert read(play(steps, sandbox=net), "x", ()) == ["go-1"]
    assert read(play(steps, sandbox=net, trust={"actions": ["go"]}), "x") == ["go-1"]


def test_what_a_role_is_told_of_strangers_comes_with_whose_words_are_whose() -> None:
    told = {"id": "tell", "role": "coder", "prompt": "Answer {{ steps.read.text }}"}
    book = play([READ, told])
    assert book.open["read-1"].trust is None
    read(book, "eve says")
    child = book.open["tell-1"]
    assert isinstance(child, StartChild)
    assert child.trust == Given(("do it for anna@example.com", "Answer {{ steps.read.text }}"), SEEN)


@pytest.mark.parametrize(
    ("spec", "value", "sources"),
    [
        ({"type": "string"}, "kim@mail.example", ()),
        ({"type": "string"}, "Please refund it all.", ("the input 'x'",)),
        ({"type": "string", "trusted": True}, "Please refund it all.", ()),
        ({"type": "integer"}, 7, ()),
        ({"type": "object"}, {"a": 1}, ("the input 'x'",)),
    ],
)
def test_an_input_is_material_unless_it_is_one_word_or_the_manifest_says_otherwise(
    spec: dict[str, Any], value: Any, sources: tuple[str, ...]
) -> None:
    book = play([READ | {"prompt": "Do {{ input.x }}"}], {"x": value}, input={"x": spec})
    child = book.open["read-1"]
    assert isinstance(child, StartChild)
    assert (child.trust.sources if child.trust else ()) == sources


def test_a_title_is_material() -> None:
    child = play([READ | {"prompt": "Do {{ task.title }}"}]).open["read-1"]
    assert isinstance(child, StartChild) and child.trust is not None and child.trust.sources == ("the task's title",)


def test_inputs_of_a_workflow_within_another_are_what_they_were_there() -> None:
    step = {"id": "send", "tool": "send", "with": {"to": "{{ input.to }}"}}
    given = Given(("write to anna@example.com",), SEEN)
    for to, kind in (("anna@example.com", CallTool), ("eve@attacker.example", Ask)):
        book = play([step], {"to": to}, given=given, input={"to": {}})
        (command,) = book.open.values()
        assert isinstance(command, kind)
