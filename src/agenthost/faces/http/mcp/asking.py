"""Questions of a task in the words of elicitation, and answers read back."""

from typing import Any

import mcp.types as types

from agenthost.core.api import OpenQuestion
from agenthost.core.commands import Ask
from agenthost.core.questions import shown, terms_of

ANSWER = "answer"
_DENY = "deny"


def askable(question: OpenQuestion) -> bool:
    """Whether a form may ask it: never for what is secret (specification, client/elicitation)."""
    return question.ask.kind not in ("auth", "tool")


def form(question: OpenQuestion) -> types.ElicitRequestFormParams:
    """A question as a form with one field."""
    return types.ElicitRequestFormParams(
        message=shown(question.task, question.ask), requested_schema=schema(question.ask)
    )


def schema(ask: Ask) -> dict[str, Any]:
    """What an answer looks like."""
    field: dict[str, Any] = {"type": "string", "title": "Answer"}
    if ask.options:
        field["enum"] = list(ask.options)
    if ask.default:
        field["default"] = ask.default
    return {"type": "object", "properties": {ANSWER: field}, "required": [ANSWER]}


def answer_of(ask: Ask, result: types.ElicitResult) -> str | None:
    """What was answered; None where that is nothing. Who declines to approve something has refused it."""
    if result.action == "accept":
        given = (result.content or {}).get(ANSWER)
        return None if given is None else str(given)
    if result.action == "decline" and _DENY in ask.options:
        return _DENY
    return None


def name_of(question: OpenQuestion) -> str:
    """Which question it is, as `reply` wants it."""
    return f"{question.task}/{question.ask.id}"


def told(task: str, questions: tuple[OpenQuestion, ...]) -> str:
    """What is asked and how to answer, for a client that can't be asked."""
    lines = [f"The work waits for an answer (task {task})."]
    for question in questions:
        ask = question.ask
        lines.append(f"\nQuestion {name_of(question)}:\n{shown(question.task, ask)}")
        if ask.options:
            lines.append(f"Answers: {', '.join(ask.options)}.")
        if limit := terms_of(ask, question.at):
            lines.append(limit)
    first = name_of(questions[0]) if questions else ""
    lines.append(
        "\nA person has to decide. To answer, call the tool agenthost_answer with "
        f'{{"task": "{task}", "question": "{first}", "answer": "..."}}; it goes on with the work and gives its result.'
    )
    return "\n".join(lines)
