"""A workflow's expressions on the real script engine."""

from typing import Any

from workflows import play

from agenthost.core.commands import CallTool, Evaluate
from agenthost.core.errors import AgentHostError
from agenthost.core.tools import text_result
from agenthost.programs.workflow.state import WorkflowState
from agenthost.scripts.monty import MontyScripts
from agenthost.testing.playbook import Playbook


async def evaluate(book: Playbook[WorkflowState]) -> None:
    """Answer every open Evaluate as the engine does."""
    scripts = MontyScripts(processes=1)
    try:
        while found := [id for id, command in book.open.items() if isinstance(command, Evaluate)]:
            for id in found:
                try:
                    book.answer(id, await scripts.evaluate(book.evaluation(id)))
                except AgentHostError as error:
                    book.fail(id, error.code, error.message)
    finally:
        await scripts.close()


async def test_conditions_loops_templates_and_output_are_evaluated() -> None:
    steps: list[dict[str, Any]] = [
        {"id": "plan", "tool": "look"},
        {
            "id": "each",
            "tool": "look",
            "if": "len(steps.plan.data.names) > 1",
            "foreach": "[name for name in steps.plan.data.names if name]",
            "with": {"what": "{{ item.upper() }}/{{ index + 1 }}"},
            "passes": "result.text.startswith('got')",
        },
    ]
    book = play(steps, output={"all": "{{ [one.text for one in steps.each.items] }}"})
    book.answer("plan-1", text_result('{"names": ["a", "", "b"]}'))
    await evaluate(book)
    calls = [command for command in book.open.values() if isinstance(command, CallTool)]
    assert [call.arguments for call in calls] == [{"what": "A/1"}, {"what": "B/2"}]
    book.answer("each-1-0", text_result("got a"))
    book.answer("each-1-1", text_result("got b"))
    await evaluate(book)
    assert book.finish is not None
    assert book.finish.verdict.outcome == "done"
    assert [getattr(part, "data", None) for part in book.finish.parts] == [{"all": ["got a", "got b"]}]


async def test_an_expression_that_fails_says_where() -> None:
    book = play([{"id": "a", "tool": "look", "if": "1 // 0 > 1"}])
    await evaluate(book)
    assert book.finish is not None
    assert "`if` can't be evaluated: '1 // 0 > 1', line 1" in book.finish.verdict.reason
