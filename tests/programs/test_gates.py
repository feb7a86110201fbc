"""Which calls and steps wait for a person, what the question says, and what an answer that nobody gave means."""

from typing import Any

import agents
import pytest
import workflows

from agenthost.core.commands import Ask, CallTool, RunCommand, StartChild
from agenthost.core.events import Doubted, Reply, Started
from agenthost.core.manifests.asking import Approvals
from agenthost.core.questions import Asking
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import text_result
from agenthost.programs.agent import AgentProgram, AgentState
from agenthost.programs.answers import Why, approval
from agenthost.testing.playbook import Playbook

TIMED_OUT = Reply("deny", "host", "time-limit")


def asks(book: Playbook[Any], id: str) -> Ask:
    found = book.open[id]
    assert isinstance(found, Ask), found
    return found


def hosted(asking: Asking, **spec: Any) -> Playbook[AgentState]:
    """An agent's playbook at a host that says how questions are asked."""
    base = agents.play(tools=agents.ALL, **spec)
    task = TaskSpec(**{name: getattr(base.spec, name) for name in TaskSpec.__struct_fields__} | {"asking": asking})
    return Playbook(AgentProgram(agents.bundle(tools=agents.ALL, **spec)), task)


@pytest.mark.parametrize("pattern", ["send", "se*", "*", "delegate:*", "delegate_to_helper"])
def test_a_tool_that_the_manifest_names_is_asked_about(pattern: str) -> None:
    book = agents.play(tools=agents.ALL, approvals={"tools": [pattern]})
    book.answer("m1", agents.calls(("send", '{"text": "x"}'), ("delegate_to_helper", '{"task": "y"}')))
    asked = {id for id in book.open if id.endswith("-ok")}
    assert (
        asked
        == {
            "send": {"m1-0-ok"},
            "se*": {"m1-0-ok"},
            "*": {"m1-0-ok", "m1-1-ok"},
            "delegate:*": {"m1-1-ok"},
            "delegate_to_helper": {"m1-1-ok"},
        }[pattern]
    )


def test_asking_a_person_and_finishing_are_never_asked_about() -> None:
    book = agents.play(tools=["ask"], approvals={"tools": ["*"]}, completion={"rule": "agent"})
    book.answer("m1", agents.calls(("ask_person", '{"question": "Which?"}')))
    assert asks(book, "m1-0").kind == "input"
    book.replied("m1-0", "this")
    book.answer("m2", agents.calls(("finish", '{"outcome": "done", "summary": "x"}')))
    assert agents.verdict(book)[0] == "done"


def test_an_approval_waits_and_is_answered_as_the_manifest_says_else_as_the_host() -> None:
    book = hosted(Asking(60.0, 30.0, ("owner",)))
    book.answer("m1", agents.calls(("pay", '{"text": "x"}'), ("ask_person", '{"question": "Which?"}')))
    assert (asks(book, "m1-0-ok").expires, asks(book, "m1-0-ok").by) == (60.0, ("owner",))
    assert (asks(book, "m1-1").expires, asks(book, "m1-1").by) == (30.0, ("owner",))
    book = hosted(
        Asking(60.0, 30.0, ("owner",)),
        approvals={"by": ["requester"], "within": "5s", "default": "approve"},
        questions={"by": ["bob"], "within": "6s", "default": "red"},
    )
    book.answer("m1", agents.calls(("pay", '{"text": "x"}'), ("ask_person", '{"question": "Which?"}')))
    ask = asks(book, "m1-0-ok")
    assert (ask.expires, ask.by, ask.default) == (5.0, ("requester",), "approve")
    ask = asks(book, "m1-1")
    assert (ask.expires, ask.by, ask.default) == (6.0, ("bob",), "red")


def test_the_model_hears_that_nobody_answered() -> None:
    book = agents.play(tools=agents.ALL, questions={"default": "red"})
    book.answer("m1", agents.calls(("pay", '{"text": "x"}'), ("ask_person", '{"question": "Which?"}')))
    book.answer("m1-0-ok", TIMED_OUT)
    book.answer("m1-1", Reply("red", "host", "time-limit"))
    assert [turn.text for turn in agents.request(book, "m2").turns[-2:]] == [
        "Nobody approved this call in time, so it was not done",
        "Nobody answered in time. What counts then: red",
    ]
    assert "m1-0" not in book.asked


def test_a_default_that_agrees_has_it_done() -> None:
    book = agents.play(tools=agents.ALL, approvals={"default": "approve"})
    book.answer("m1", agents.calls(("pay", '{"text": "x"}')))
    assert book.answer("m1-0-ok", Reply("approve", "host", "time-limit")) == ["m1-0"]


def test_what_comes_of_untrusted_content_says_why_and_is_never_agreed_to_by_nobody() -> None:
    given = Approvals.model_validate({"default": "approve"})
    ask = approval(
        "a", "send", {"to": "x"}, given, why=Why(reason="`to` comes from the page x.example.", untrusted=True)
    )
    assert ask.question.startswith("`to` comes from the page x.example.\n\nMay the tool 'send'")
    assert (ask.untrusted, ask.default, ask.options) == (True, "deny", ("approve", "deny"))


def test_a_doubt_ends_with_giving_up_where_the_host_sets_a_limit() -> None:
    book = hosted(Asking(questions=30.0, by=("owner",)))
    book.answer("m1", agents.calls(("send", '{"text": "x"}')))
    book.happened(Started("m1-0", "key"))
    book.happened(Doubted("m1-0"))
    doubt = asks(book, "m1-0-doubt")
    assert (doubt.expires, doubt.default, doubt.by) == (30.0, "give up", ("owner",))


def test_a_step_waits_for_a_person_whatever_it_does_and_shows_exactly_that() -> None:
    steps: list[dict[str, Any]] = [
        {"id": "tool", "tool": "send", "with": {"to": "{{ input.who }}"}, "needs": []},
        {"id": "line", "command": "publish {{ input.who }}", "needs": []},
        {"id": "work", "role": "coder", "prompt": "code for {{ input.who }}", "needs": []},
    ]
    book = workflows.play(
        [step | {"approve": {}} for step in steps], {"who": "bob"}, input={"who": {}}, approvals={"within": "9s"}
    )
    shown = {id: (asks(book, id).tool, asks(book, id).arguments) for id in book.open}
    assert shown == {
        "tool-1-ok": ("send", {"to": "bob"}),
        "line-1-ok": ("step:line", {"command": "publish bob"}),
        "work-1-ok": ("step:work", {"agent": "coder", "prompt": "code for bob"}),
    }
    assert {asks(book, id).expires for id in book.open} == {9.0}
    assert asks(book, "line-1-ok").question.startswith("May the step 'line' run this command in the sandbox?\n{")
    book.replied("tool-1-ok", "approve")
    book.replied("line-1-ok", "approve")
    book.replied("work-1-ok", "approve")
    done = [book.asked[id] for id in ("tool-1", "line-1", "work-1")]
    assert [type(each) for each in done] == [CallTool, RunCommand, StartChild]


def test_a_steps_own_words_come_first_and_its_terms_go_before_the_workflows() -> None:
    approve = {"message": "Publish for {{ input.who }}?", "by": ["bob"], "within": "3s", "default": "approve"}
    book = workflows.play(
        [{"id": "a", "command": "x", "approve": approve}],
        {"who": "ann"},
        input={"who": {}},
        approvals={"by": ["owner"], "within": "9s"},
    )
    ask = asks(book, "a-1-ok")
    assert ask.question == 'Publish for ann?\n{\n  "command": "x"\n}'
    assert (ask.by, ask.expires, ask.default) == (("bob",), 3.0, "approve")


def test_a_step_that_nobody_approved_fails_and_says_so() -> None:
    book = workflows.play([{"id": "a", "command": "x", "approve": {}}])
    book.answer("a-1-ok", TIMED_OUT)
    assert workflows_reason(book) == "step 'a' failed: nobody approved this step in time, so it was not done"
    book = workflows.play([{"id": "a", "command": "x", "approve": {}}])
    book.replied("a-1-ok", "not today")
    assert workflows_reason(book) == "step 'a' failed: a person did not allow this step; they said: not today"


def test_the_workflow_names_tools_that_need_one() -> None:
    steps: list[dict[str, Any]] = [{"id": "a", "tool": "send", "needs": []}, {"id": "b", "tool": "look", "needs": []}]
    book = workflows.play(steps, approvals={"tools": ["send"]})
    assert set(book.open) == {"a-1-ok", "b-1"}
    book.replied("a-1-ok", "approve")
    book.answer("a-1", text_result("sent"))
    book.answer("b-1", text_result("seen"))
    assert book.finish is not None and book.finish.verdict.outcome == "done"


def workflows_reason(book: Playbook[Any]) -> str:
    assert book.finish is not None
    return book.finish.verdict.reason
