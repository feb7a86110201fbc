"""Runs of AG-UI as its official client sees them: words, calls, questions, and what comes back."""

from typing import Any

import pytest

from agenthost.core.ports import Filter
from agui.conftest import Serves, said

CHART = {
    "name": "show_chart",
    "description": "Shows a chart.",
    "parameters": {"type": "object", "properties": {"kind": {"type": "string"}}},
}
PLAYS = """
rules:
  - when: {says: "draw"}
    reply: {text: "I draw.", calls: [{tool: show_chart, arguments: {kind: bar}}]}
  - when: {tool: show_chart}
    reply: {text: "The front end said: {{said}}"}
  - when: {says: "slowly"}
    reply: {text: "One word after another", pause: 0.01}
  - when: {says: "think"}
    reply: {reasoning: "Hm, let me see.", text: "I thought."}
  - when: {says: "look"}
    reply: {text: "I look.", calls: [{tool: look, arguments: {}}]}
  - when: {tool: look}
    reply: {text: "So {{said}}."}
  - when: {says: "pay"}
    reply: {calls: [{tool: pay, arguments: {amount: 5}}]}
  - when: {tool: pay, error: true}
    reply: {text: "Then not."}
  - when: {tool: pay}
    reply: {text: "Done: {{said}}."}
  - when: {says: "ask", offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - when: {tool: ask_person}
    reply: {text: "You want {{said}}."}
  - reply: {text: "You said {{said}}"}
"""


def kinds(run: dict[str, Any]) -> list[str]:
    return [event["type"] for event in run["events"]]


def last(run: dict[str, Any]) -> dict[str, Any]:
    return run["messages"][-1]


async def test_a_front_end_is_told_word_by_word_and_to_the_end(serves: Serves) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("echo", {"say": [said("u1", "slowly")]}, state={"theme": "dark"})
    assert run["errors"] == []
    assert kinds(run)[0] == "RUN_STARTED" and kinds(run)[-1] == "RUN_FINISHED"
    assert run["events"][0]["protocolVersion"] == "1.0"
    assert run["outcome"] == "success" and run["pending"] == []
    assert last(run)["content"] == "One word after another"
    assert kinds(run).count("TEXT_MESSAGE_CONTENT") > 1
    assert run["state"]["theme"] == "dark"
    assert (run["state"]["agenthost"]["state"], run["state"]["agenthost"]["outcome"]) == ("completed", "done")
    (row,) = await face.host.tasks(Filter(conversation="t1"))
    assert (row.id, row.state) == (run["state"]["agenthost"]["task"], "completed")
    usage = run["events"][-1]["usage"][0]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0


async def test_thinking_is_told_apart_from_the_answer(serves: Serves) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("echo", {"say": [said("u1", "think")]})
    told = [event for event in run["events"] if event["type"] == "REASONING_MESSAGE_CONTENT"]
    assert "".join(event["delta"] for event in told) == "Hm, let me see."
    assert kinds(run).index("REASONING_END") < kinds(run).index("TEXT_MESSAGE_START")
    assert [message["role"] for message in run["messages"]] == ["user", "reasoning", "assistant"]
    assert last(run)["content"] == "I thought."


async def test_a_tool_of_the_agent_is_called_and_answered_in_one_run(serves: Serves) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("payer", {"say": [said("u1", "look")]})
    assert run["errors"] == [] and run["pending"] == []
    words = [(message["role"], message.get("content")) for message in run["messages"]]
    assert words == [
        ("user", "look"),
        ("assistant", "I look."),
        ("tool", "it has 100"),
        ("assistant", "So it has 100."),
    ]
    assert run["messages"][1]["toolCalls"][0]["function"] == {"name": "look", "arguments": "{}"}


async def test_a_tool_of_the_front_end_ends_the_run_and_its_result_goes_on(serves: Serves) -> None:
    face = await serves(PLAYS)
    first, second, third = await face.front(
        "echo",
        {"say": [said("u1", "draw")], "parameters": {"tools": [CHART]}},
        {"tools_answer": "shown", "parameters": {"tools": [CHART]}},
        {"say": [said("u2", "bye")], "parameters": {"tools": [CHART]}},
    )
    assert first["errors"] == second["errors"] == third["errors"] == []
    assert (first["outcome"], len(first["pending"])) == ("success", 1)
    assert first["events"][-1]["outcome"]["pendingToolCallIds"] == first["pending"]
    call = first["messages"][-1]["toolCalls"][0]
    assert call["id"] == first["pending"][0]
    assert call["function"] == {"name": "show_chart", "arguments": '{"kind":"bar"}'}
    assert "TOOL_CALL_RESULT" not in kinds(first)
    assert first["state"]["agenthost"]["state"] == "input-required"
    assert (second["outcome"], last(second)["content"]) == ("success", "The front end said: shown")
    assert second["state"]["agenthost"]["task"] == first["state"]["agenthost"]["task"]
    assert last(third)["content"] == "You said bye"
    assert third["state"]["agenthost"]["task"] != first["state"]["agenthost"]["task"]
    assert len(await face.host.tasks(Filter(conversation="t1"))) == 2


async def test_a_question_interrupts_and_the_answer_resumes(serves: Serves) -> None:
    face = await serves(PLAYS)
    first, second = await face.front("asker", {"say": [said("u1", "ask")]}, {"resolve": "red"})
    assert first["errors"] == second["errors"] == []
    (interrupt,) = first["interrupts"]
    assert (interrupt["reason"], interrupt["message"]) == ("input_required", "Which colour?")
    assert interrupt["responseSchema"]["examples"] == ["red", "blue"]
    assert kinds(first)[-3:] == ["STATE_SNAPSHOT", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]
    assert (second["outcome"], last(second)["content"]) == ("success", "You want red.")
    assert len(await face.host.tasks(Filter(conversation="t1"))) == 1


async def test_an_approval_is_bound_to_its_call_and_given(serves: Serves) -> None:
    face = await serves(PLAYS)
    first, second = await face.front("payer", {"say": [said("u1", "pay")]}, {"resolve": {"approved": True}})
    (interrupt,) = first["interrupts"]
    call = first["messages"][-1]["toolCalls"][0]
    assert (interrupt["reason"], interrupt["toolCallId"]) == ("tool_call", call["id"])
    assert call["function"]["name"] == "pay" and "5" in call["function"]["arguments"]
    assert second["errors"] == []
    assert "TOOL_CALL_START" not in kinds(second)
    (result,) = [event for event in second["events"] if event["type"] == "TOOL_CALL_RESULT"]
    assert (result["toolCallId"], result["content"]) == (call["id"], "paid 5")
    assert last(second)["content"] == "Done: paid 5."


async def test_an_approval_is_denied_or_given_up_and_nothing_is_paid(serves: Serves) -> None:
    face = await serves(PLAYS)
    for thread, answer in (("t1", {"resolve": {"approved": False}}), ("t2", {"abandon": True})):
        first, second = await face.front("payer", {"say": [said("u1", "pay")]}, answer, thread=thread)
        assert first["outcome"] == "interrupt"
        (result,) = [event for event in second["events"] if event["type"] == "TOOL_CALL_RESULT"]
        assert "did not allow" in result["content"]
        assert (second["outcome"], last(second)["content"]) == ("success", "Then not.")


async def test_what_was_said_before_is_the_history_of_the_next_task(serves: Serves) -> None:
    face = await serves("rules:\n  - when: {anywhere: 'You said one'}\n    reply: {text: 'I remember.'}\n" + PLAYS[8:])
    runs = await face.front("echo", {"say": [said("u1", "one")]}, {"say": [said("u2", "two")]})
    assert [last(run)["content"] for run in runs] == ["You said one", "I remember."]


async def test_context_and_state_reach_the_model_as_data(serves: Serves) -> None:
    face = await serves(
        "rules:\n  - when: {instructions: ['never as instructions', 'the city: Ulm', '{\"a\":1}']}\n"
        "    reply: {text: 'Ulm it is.'}\n  - reply: {text: 'unknown'}\n"
    )
    run = {"say": [said("u1", "where am I")], "parameters": {"context": [{"description": "the city", "value": "Ulm"}]}}
    (seen,) = await face.front("echo", run, state={"a": 1, "agenthost": {"task": "x"}})
    assert last(seen)["content"] == "Ulm it is."


async def test_those_below_are_subagents_and_a_question_from_there_is_theirs(serves: Serves) -> None:
    face = await serves(
        """
rules:
  - when: {instructions: "You are boss", turn: 0}
    reply: {calls: [{tool: delegate_to_payer, arguments: {task: "pay it"}}]}
  - when: {instructions: "You are boss"}
    reply: {text: "My clerk says {{said}}"}
"""
        + PLAYS[8:]
    )
    first, second = await face.front("boss", {"say": [said("u1", "go")]}, {"resolve": {"approved": True}})
    assert first["errors"] == second["errors"] == []
    (began,) = [event for event in first["events"] if event["type"] == "SUBAGENT_STARTED"]
    (ended,) = [event for event in first["events"] if event["type"] == "SUBAGENT_FINISHED"]
    (interrupt,) = first["interrupts"]
    child = began["subagentRunId"]
    assert began["name"] == "payer" and interrupt["subagentRunId"] == child
    assert ended["outcome"] == {"type": "suspended", "interruptIds": [interrupt["id"]]}
    (again,) = [event for event in second["events"] if event["type"] == "SUBAGENT_STARTED"]
    assert again["subagentRunId"] == child
    (done,) = [event for event in second["events"] if event["type"] == "SUBAGENT_FINISHED"]
    assert "outcome" not in done
    assert last(second)["content"] == "My clerk says Done: paid 5."


async def test_a_workflow_tells_its_steps_and_its_output(serves: Serves) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("pair", {"say": [said("u1", "hi")], "parameters": {"tools": [CHART]}})
    assert run["errors"] == []
    steps = [event["stepName"] for event in run["events"] if event["type"] == "STEP_STARTED"]
    assert [step for step in steps if step.startswith("pair:")] == ["pair: left-1", "pair: right-1"]
    assert kinds(run).count("STEP_STARTED") == kinds(run).count("STEP_FINISHED")
    assert kinds(run).count("SUBAGENT_STARTED") == kinds(run).count("SUBAGENT_FINISHED") == 2
    assert (last(run)["content"], last(run).get("subagentRunId")) == ("You said right hi", None)


BEFORE_1_0 = pytest.mark.parametrize("client", ["0.0.42", "0.0.53", "0.0.59"])


@BEFORE_1_0
async def test_a_client_from_before_1_0_answers_with_its_tools(serves: Serves, client: str) -> None:
    face = await serves(PLAYS)
    first, second = await face.front(
        "echo",
        {"say": [said("u1", "draw")], "parameters": {"tools": [CHART]}, "waits_for_calls": True},
        {"tools_answer": "shown", "parameters": {"tools": [CHART]}},
        client=client,
    )
    assert first["errors"] == second["errors"] == []
    assert len(first["pending"]) == 1 and last(second)["content"] == "The front end said: shown"


@BEFORE_1_0
async def test_a_client_from_before_1_0_hears_what_those_below_say(serves: Serves, client: str) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("pair", {"say": [said("u1", "hi")]}, client=client)
    assert run["errors"] == [] and kinds(run)[-1] == "RUN_FINISHED"
    assert not [kind for kind in kinds(run) if kind.startswith("SUBAGENT")]
    assert last(run)["content"] == "You said right hi"
    assert run["state"]["agenthost"]["outcome"] == "done"
