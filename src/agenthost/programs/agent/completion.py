"""When an agent's work is done: it says nothing more (`quiet`), says so (`agent`), or the host's
checks pass (`checks`). And what is told to it when the work isn't done yet."""

import re
from typing import Any

import msgspec

from agenthost.core.commands import Finish, RunCommand, Verdict
from agenthost.core.definitions import PinnedTool
from agenthost.core.errors import Failure
from agenthost.core.events import RunResult
from agenthost.core.manifests.agent import AgentSpec, Check
from agenthost.core.manifests.common import Expect
from agenthost.core.parts import DataPart, Part, TextPart
from agenthost.programs.agent.state import AgentState

MAX_REASKS = 3
"""How often an answer that doesn't fit the output's schema is asked for again."""

OUTPUT_SHOWN = 4000
"""Characters of a check's output that go back to the agent: its end, where the error stands."""

FINISH = PinnedTool(
    name="finish",
    description="Say that the work is done, or that it can't be done. Nothing more is done after this.",
    parameters={
        "type": "object",
        "properties": {
            "outcome": {"type": "string", "enum": ["done", "partly", "blocked", "unachievable"]},
            "summary": {"type": "string", "description": "What was done, or why not."},
        },
        "required": ["outcome", "summary"],
        "additionalProperties": False,
    },
    idempotent=True,
)


def schema_problem(schema: dict[str, Any], text: str) -> tuple[Any, str | None]:
    """The value of an answer that should be JSON of `schema`, and what is wrong with it."""
    from jsonschema import Draft202012Validator

    stripped = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", stripped, re.DOTALL)
    try:
        value = msgspec.json.decode(fenced[1] if fenced else stripped)
    except msgspec.DecodeError as error:
        return None, f"it is not valid JSON ({error})"
    validator: Any = Draft202012Validator(schema)  # its type stubs are partial
    problem = next(iter(sorted(validator.iter_errors(value), key=lambda found: found.json_path)), None)
    if problem is not None:
        return None, f"at {problem.json_path}: {problem.message}"
    return value, None


def met(expect: Expect, result: RunResult) -> str | None:
    """Why a run doesn't show what was expected, or None where it does."""
    if result.limit:
        return f"it was ended by the sandbox's {result.limit} limit"
    if expect.exitCode is not None and result.exit_code != expect.exitCode:
        return f"it exited with {result.exit_code}, expected {expect.exitCode}"
    if expect.stdout is not None and re.search(expect.stdout, result.stdout) is None:
        return f"its stdout has nothing that matches {expect.stdout!r}"
    if expect.stderr is not None and re.search(expect.stderr, result.stderr) is None:
        return f"its stderr has nothing that matches {expect.stderr!r}"
    return None


def check_command(state: AgentState, check: Check) -> RunCommand:
    """The command of the check that is next."""
    return RunCommand(f"c{state.rounds + 1}-{state.check}", check.run, check.timeout)


def check_feedback(check: Check, why: str, result: RunResult | None, failure: Failure | None) -> str:
    """What the agent is told of a check that failed."""
    if result is None:
        return f"The check `{check.run}` could not be run: {failure.message if failure else why}"
    output = (result.stdout + ("\n--- stderr ---\n" + result.stderr if result.stderr else "")).strip()
    if len(output) > OUTPUT_SHOWN:
        output = (
            f"[... {len(output) - OUTPUT_SHOWN} characters before this are left out ...]\n" + output[-OUTPUT_SHOWN:]
        )
    return f"The check `{check.run}` failed: {why}.\n{output}"


def from_finish_call(arguments: dict[str, Any], evidence: tuple[int, ...]) -> Finish:
    """The end that the agent asked for by calling `finish`."""
    outcome = arguments.get("outcome")
    summary = str(arguments.get("summary", ""))
    if outcome not in ("done", "partly", "blocked", "unachievable"):
        outcome = "done"
    return Finish(Verdict(outcome, summary, evidence), (TextPart(summary),))


def failed(failure: Failure) -> Finish:
    """The end of a task whose model can't be had or may not be called."""
    chosen = "partly" if failure.code == "budget" else "blocked"
    return Finish(Verdict(chosen, failure.message, code=failure.code))


def output_parts(schema: dict[str, Any] | None, value: Any, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """What comes out of the task: the structured value where there is a schema, else what was said."""
    return (DataPart(value),) if schema is not None else parts


def value_parts(value: Any) -> tuple[Part, ...]:
    """A script's value as parts."""
    return (TextPart(value),) if isinstance(value, str) else (DataPart(value),)


def closing_instructions(spec: AgentSpec) -> str:
    """What the agent is told of how its work is judged."""
    lines: list[str] = []
    if spec.completion.criteria:
        lines.append("The work is done when all of this holds:")
        lines += [f"- {criterion}" for criterion in spec.completion.criteria]
    if spec.completion.rule == "checks" and spec.completion.checks:
        lines.append("When you stop calling tools, these commands are run in your workspace and must pass:")
        lines += [f"- {check.run}" for check in spec.completion.checks]
    if spec.completion.rule == "agent":
        lines.append("Call the tool `finish` when the work is done, or when it can't be done.")
    if spec.output is not None:
        schema = msgspec.json.encode(spec.output).decode()
        lines.append("Your last answer must be one JSON value and nothing else, valid for this JSON Schema: " + schema)
    return "\n".join(lines)
