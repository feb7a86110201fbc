"""Tool lists for small windows: told shorter in steps, and calls still checked against the whole."""

from typing import Any

import pytest
from agents import calls, last, play, request, verdict

from agenthost.core.tools import ToolSpec
from agenthost.programs.agent.trimming import tool_tokens, trimmed

LONG = "Writes a file. " + "It goes on about details that matter little. " * 20
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "description": "What it takes.",
    "properties": {
        "path": {"type": "string", "description": "Where. " * 40, "minLength": 1},
        "description": {"type": "array", "items": {"type": "string", "title": "A line", "enum": ["description", "b"]}},
    },
    "required": ["path"],
    "additionalProperties": False,
}
SPECS = (ToolSpec("write_file", LONG, PARAMETERS), ToolSpec("look", "Looks.\nAnd more.", {}))
SHORT = tuple(
    ToolSpec(spec.name, first, spec.parameters) for spec, first in zip(SPECS, ("Writes a file.", "Looks."), strict=True)
)


def test_a_large_window_is_told_all() -> None:
    assert trimmed(SPECS, tool_tokens(SPECS) * 3) == SPECS


def test_a_smaller_one_is_told_the_first_sentence_of_each_tool() -> None:
    assert trimmed(SPECS, tool_tokens(SPECS) * 3 - 1) == SHORT
    assert trimmed(SPECS, tool_tokens(SHORT) * 3) == SHORT


def test_a_small_one_is_told_nothing_of_single_arguments_but_what_they_must_be() -> None:
    (write, look) = trimmed(SPECS, tool_tokens(SHORT) * 3 - 1)
    assert write.description == "Writes a file."
    assert write.parameters == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "minLength": 1},
            "description": {"type": "array", "items": {"type": "string", "enum": ["description", "b"]}},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    assert look.parameters == {}
    assert trimmed((write, look), 100) == (write, look)


@pytest.mark.parametrize("text", ["", "v1.2 of it does that", "One\ntwo", "Ends. ", "Dr. No"])
def test_any_description_has_a_first_sentence(text: str) -> None:
    (spec,) = trimmed((ToolSpec("t", text),), 1)
    assert text.strip().startswith(spec.description)
    assert bool(spec.description) == bool(text)


def test_an_agents_request_has_its_tools_trimmed_and_its_calls_are_checked_as_before() -> None:
    tools = ["look", "send", "ask"]
    whole = tool_tokens(request(play(tools=tools), "m1").tools)
    book = play(model={"window": whole * 3 - 1, "max_output": 60}, tools=tools)
    shown = request(book, "m1").tools
    ask = next(tool for tool in shown if tool.name == "ask_person")
    assert ask.description == "Ask the person who gave this task."
    assert "Answers to choose from" in str(ask.parameters)
    book = play(model={"window": tool_tokens(shown) * 3 - 1, "max_output": 60}, tools=tools)
    shown = request(book, "m1").tools
    assert "Answers to choose from" not in str(shown)
    assert {tool.name for tool in shown} == {"look", "send", "ask_person"}
    book.answer("m1", calls(("ask_person", '{"question": ""}')))
    assert "don't fit" in last(book, "m2")


def test_tools_that_fit_in_no_way_end_the_task_with_what_to_do() -> None:
    book = play(model={"window": 300, "max_output": 50}, tools=["look", "send", "pay", "ask", "delegate:helper"])
    outcome, code, reason = verdict(book)
    assert (outcome, code) == ("blocked", "context-too-long")
    assert "the instructions and tools of the agent take about" in reason
    assert "give it fewer tools" in reason
