"""What every program's state shares: what is open, the questions about doubts, and what comes of them."""

from typing import Any

import msgspec
import pytest
from agents import ALL, bundle, calls, last, play, says, verdict

from agenthost.core.commands import (
    Ask,
    CallModel,
    CallTool,
    Command,
    Evaluate,
    Finish,
    RunCommand,
    StartChild,
    Verdict,
    View,
    Wait,
)
from agenthost.core.errors import Failure
from agenthost.core.events import (
    Answered,
    Asked,
    CancelAsked,
    Claimed,
    Created,
    Doubted,
    Event,
    Finished,
    Noted,
    Nothing,
    Received,
    Recorded,
    Reply,
    Retried,
    Started,
)
from agenthost.core.parts import text_message
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult, text_result
from agenthost.programs.agent import AgentProgram
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import (
    DOUBT_OPTIONS,
    BaseState,
    Delivery,
    Open,
    awaits,
    describe,
    doubt_id,
    shared_commands,
    track,
)
from agenthost.testing.playbook import Playbook

SEND = CallTool("a", "send", {"x": 1})


def fresh() -> BaseState:
    return BaseState(spec=TaskSpec("t", "agent", "coder", "", text_message("person", "x")))


def run(state: BaseState, *events: Event) -> list[Delivery | None]:
    """The events happen, a second apart; what each delivers."""
    start = state.seq
    return [track(state, Recorded("t", start + n, 100.0 + start + n, event)) for n, event in enumerate(events, 1)]


def doubted() -> BaseState:
    """A state in which `a` is in doubt and the question about it is open."""
    state = fresh()
    run(state, Asked(SEND), Started("a", "t/a"), Doubted("a"))
    (ask,) = shared_commands(state)
    assert isinstance(ask, Ask)
    run(state, Asked(ask))
    return state


def test_events_bring_the_shared_part_up_to_date() -> None:
    state = fresh()
    assert run(state, Created(state.spec), Claimed(3, "me"), Asked(SEND), Noted("x")) == [None] * 4
    assert (state.created_at, state.now, state.seq, state.epoch) == (101.0, 104.0, 4, 3)
    assert state.open == {"a": Open(SEND, 3, 103.0, 1, False, False)}
    run(state, Started("a", "t/a"), Retried("a", 4, Failure("x", "y")), Received(text_message("person", "x")))
    assert state.open == {"a": Open(SEND, 3, 103.0, 4, True, False)}
    run(state, Doubted("a"), CancelAsked("me", "enough"))
    assert state.open["a"].doubted
    assert state.cancel == CancelAsked("me", "enough")
    end = Finished(Verdict("done"))
    run(state, end)
    assert state.finished == end
    assert state.open == {}
    assert (state.seq, state.now) == (10, 110.0)


def test_before_the_first_event_nothing_has_happened() -> None:
    state = fresh()
    assert (state.created_at, state.now, state.seq, state.epoch) == (0.0, 0.0, 0, 0)
    assert (state.open, state.again, state.again_of, state.cancel, state.finished) == ({}, {}, {}, None, None)
    assert Open(SEND, 1) == Open(SEND, 1, 0.0, 1, False, False)
    with pytest.raises(AttributeError):
        Delivery("a", SEND, None, None, 1).seq = 2


@pytest.mark.parametrize("event", [Started("z", "k"), Retried("z", 2, Failure("x", "y")), Doubted("z"), Answered("z")])
def test_events_about_what_is_not_open_change_nothing(event: Event) -> None:
    state = fresh()
    assert run(state, event) == [None]
    assert state.open == {}


def test_an_answer_is_delivered_once_with_its_command() -> None:
    state = fresh()
    answer, failure = text_result("x"), Failure("a", "b")
    assert run(state, Asked(SEND), Answered("a", answer), Answered("a", answer)) == [
        None,
        Delivery("a", SEND, answer, None, 2),
        None,
    ]
    assert run(state, Asked(SEND), Answered("a", failure=failure))[1] == Delivery("a", SEND, None, failure, 5)


def test_what_is_asked_is_awaited_until_it_is_answered() -> None:
    state = fresh()
    assert not awaits(state, "a")
    run(state, Asked(SEND))
    assert awaits(state, "a")
    run(state, Answered("a"))
    assert not awaits(state, "a")


def test_a_doubt_is_asked_once() -> None:
    state = fresh()
    run(state, Asked(SEND), Started("a", "t/a"))
    assert list(shared_commands(state)) == []
    run(state, Doubted("a"))
    (ask,) = shared_commands(state)
    assert ask == Ask(
        "a-doubt",
        "doubt",
        "The host stopped while the tool 'send' was going on. It can't be known whether it happened, and doing it twice "
        "may do harm. What is right?",
        DOUBT_OPTIONS,
        about="a",
    )
    assert doubt_id("a") == "a-doubt"
    assert DOUBT_OPTIONS == ("it happened", "run it again", "give up")
    assert isinstance(ask, Ask)
    run(state, Asked(ask))
    assert list(shared_commands(state)) == []


@pytest.mark.parametrize("words", ["it happened", "  It Happened\n"])
def test_it_happened_is_the_answer_and_its_output_is_lost(words: str) -> None:
    state = doubted()
    (delivery,) = run(state, Answered("a-doubt", Reply(words)))
    assert delivery is not None
    assert (delivery.id, delivery.command, delivery.failure, delivery.seq) == ("a", SEND, None, 5)
    assert delivery.answer == text_result(
        "The host stopped while this was going on. A person confirmed that it happened; its output is lost."
    )
    assert state.open == {}
    assert list(shared_commands(state)) == []


@pytest.mark.parametrize("answer", [Reply("give up"), Reply("what?"), Nothing(), None])
def test_anything_else_gives_up(answer: Any) -> None:
    state = doubted()
    (delivery,) = run(state, Answered("a-doubt", answer))
    why = "The host stopped while this was going on, and a person decided not to run it again."
    assert delivery == Delivery("a", SEND, None, Failure("in-doubt", why), 5)
    assert state.open == {}
    assert state.again == state.again_of == {}


def test_run_it_again_is_the_same_command_under_a_new_id_as_often_as_wanted() -> None:
    state = doubted()
    assert run(state, Answered("a-doubt", Reply("Run it again"))) == [None]
    (second,) = shared_commands(state)
    assert second == msgspec.structs.replace(SEND, id="a~2")
    assert isinstance(second, CallTool)
    assert awaits(state, "a")
    assert list(shared_commands(state)) == [second]
    run(state, Asked(second))
    assert list(shared_commands(state)) == []
    assert awaits(state, "a")
    run(state, Doubted("a~2"))
    (ask,) = shared_commands(state)
    assert isinstance(ask, Ask)
    assert (ask.id, ask.about) == ("a~2-doubt", "a~2")
    run(state, Asked(ask), Answered("a~2-doubt", Reply("run it again")))
    (third,) = shared_commands(state)
    assert third == msgspec.structs.replace(SEND, id="a~3")
    assert isinstance(third, CallTool)
    answer = text_result("done")
    delivered = run(state, Asked(third), Answered("a~3", answer))[-1]
    assert delivered is not None
    assert (delivered.id, delivered.command, delivered.answer) == ("a", third, answer)
    assert not awaits(state, "a")
    assert state.again == state.again_of == {}


def test_a_second_try_may_be_given_up_or_have_happened() -> None:
    for words, ok in (("it happened", True), ("give up", False)):
        state = doubted()
        run(state, Answered("a-doubt", Reply("run it again")))
        (second,) = shared_commands(state)
        assert isinstance(second, CallTool)
        run(state, Asked(second), Doubted("a~2"))
        (ask,) = shared_commands(state)
        assert isinstance(ask, Ask)
        (_, delivery) = run(state, Asked(ask), Answered("a~2-doubt", Reply(words)))
        assert delivery is not None
        assert delivery.id == "a"
        assert (delivery.failure is None) is ok
        assert state.again_of == {}


def test_a_doubt_about_what_is_no_longer_open_settles_nothing() -> None:
    state = doubted()
    assert run(state, Answered("a", text_result("late")))[0] is not None
    assert run(state, Answered("a-doubt", Reply("run it again"))) == [None]
    assert list(shared_commands(state)) == []


def test_a_person_s_other_questions_are_answered_like_any_command() -> None:
    state = fresh()
    ask = Ask("q", "input", "?", about="a")
    (_, delivery) = run(state, Asked(ask), Answered("q", Reply("run it again")))
    assert delivery == Delivery("q", ask, Reply("run it again"), None, 2)


def test_cancel_comes_before_everything_else() -> None:
    state = fresh()
    run(state, Asked(SEND), Doubted("a"), CancelAsked("anna", ""))
    assert list(shared_commands(state)) == [Finish(Verdict("canceled", "cancelled by anna"))]
    run(state, CancelAsked("anna", "enough"))
    assert list(shared_commands(state)) == [Finish(Verdict("canceled", "enough"))]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (CallTool("a", "send", {}), "the tool 'send'"),
        (RunCommand("a", "make"), "the command `make`"),
        (CallModel("a", "m", View(0, 1)), "a call of the model 'm'"),
        (StartChild("a", "workflow", "flow"), "the workflow 'flow'"),
        (Wait("a", 1.0), "the command a"),
        (Evaluate("b"), "the command b"),
    ],
)
def test_commands_are_described_for_people(command: Command, words: str) -> None:
    assert describe(command) == words


# --- through an agent -------------------------------------------------------------------------------


def sending(**spec: Any) -> Playbook[AgentState]:
    book = play(tools=ALL, **spec)
    book.answer("m1", calls(("send", '{"text": "a"}'), ("look", "")))
    book.answer("m1-1", text_result("seen"))
    book.happened(Started("m1-0", "k"))
    assert book.happened(Doubted("m1-0")) == ["m1-0-doubt"]
    return book


def test_an_agent_goes_on_with_what_a_person_says_of_a_doubt() -> None:
    book = sending()
    assert book.replied("m1-0-doubt", "it happened") == ["m2"]
    turns = book.program.render(book.state, book.open["m2"]).turns[-2:]
    assert [turn.text for turn in turns] == [
        "The host stopped while this was going on. A person confirmed that it happened; its output is lost.",
        "seen",
    ]


def test_an_agent_s_call_that_is_run_again_has_one_result() -> None:
    book = sending()
    book.open.pop("m1-0")
    assert book.replied("m1-0-doubt", "run it again") == ["m1-0~2"]
    assert book.open["m1-0~2"] == CallTool("m1-0~2", "send", {"text": "a"}, "k0", False)
    assert book.answer("m1-0~2", ToolResult((), changes={"sent": "sha256:s"})) == ["m2"]
    assert book.state.written == {"sent": "sha256:s"}
    assert msgspec.json.encode(book.replayed()) == msgspec.json.encode(book.state)


def test_an_agent_hears_that_a_person_gave_up() -> None:
    book = sending()
    book.replied("m1-0-doubt", "give up")
    shown = book.program.render(book.state, book.open["m2"]).turns[-2]
    assert (shown.error, shown.text.endswith("[in-doubt]")) == (True, True)


def test_a_call_in_doubt_that_was_approved_is_not_asked_for_approval_again() -> None:
    book = play(tools=ALL)
    book.answer("m1", calls(("pay", '{"text": "5"}')))
    book.replied("m1-0-ok", "approve")
    book.happened(Doubted("m1-0"))
    book.open.pop("m1-0")
    assert book.replied("m1-0-doubt", "run it again") == ["m1-0~2"]
    assert book.answer("m1-0~2", text_result("paid")) == ["m2"]
    assert last(book, "m2") == "paid"


def test_a_delegation_and_a_check_in_doubt_are_settled_the_same_way() -> None:
    book = play(tools=ALL, completion={"rule": "checks", "checks": [{"run": "make"}]})
    book.answer("m1", calls(("delegate_to_helper", '{"task": "t"}')))
    assert book.happened(Doubted("m1-0")) == ["m1-0-doubt"]
    ask = book.open["m1-0-doubt"]
    assert isinstance(ask, Ask)
    assert "while the agent 'helper' was going on" in ask.question
    book.open.pop("m1-0")
    assert book.replied("m1-0-doubt", "it happened") == ["m2"]
    book.answer("m2", says("done"))
    book.happened(Doubted("c1-0"))
    book.open.pop("c1-0")
    assert book.replied("c1-0-doubt", "run it again") == ["c1-0~2"]
    book.ran("c1-0~2")
    assert verdict(book)[0] == "done"


def test_a_check_that_a_person_gave_up_ends_the_task() -> None:
    book = play(completion={"rule": "checks", "checks": [{"run": "make"}]})
    book.answer("m1", says("done"))
    book.happened(Doubted("c1-0"))
    book.open.pop("c1-0")
    book.replied("c1-0-doubt", "give up")
    assert verdict(book)[:2] == ("blocked", "in-doubt")


def test_cancel_with_a_doubt_open_ends_at_once() -> None:
    book = sending()
    book.cancel()
    assert verdict(book) == ("canceled", "", "cancelled by owner")


def test_a_script_s_call_in_doubt_is_settled_too() -> None:
    from agenthost.core.events import ScriptRequest

    book = play(tools=ALL, script="def on_message(message):\n    return None\n")
    book.answer("e1", ScriptRequest("call_tool", {"name": "send", "arguments": {"text": "a"}}))
    book.happened(Doubted("x1"))
    book.open.pop("x1")
    assert book.replied("x1-doubt", "run it again") == ["x1~2"]
    assert book.answer("x1~2", text_result("sent")) == ["e2"]
    assert book.evaluation("e2").answers == ({"value": "sent"},)


def test_an_event_before_created_crashes_nothing() -> None:
    program = AgentProgram(bundle())
    state = program.initial(fresh().spec)
    assert list(program.decide(state)) == []
    state = program.apply(state, Recorded("t", 1, 1.0, Noted("x")))
    assert list(program.decide(state)) == []
