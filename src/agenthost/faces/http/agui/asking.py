"""Questions of a task as AG-UI has them: an interrupt for a person, a call of a tool for the front end; and the answers
that come back."""

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from ag_ui.core import Interrupt, ResumeEntry, TextPart, ToolMessage

from agenthost.core.api import OpenQuestion
from agenthost.core.commands import Ask
from agenthost.core.errors import BadInput
from agenthost.core.ids import root_id
from agenthost.core.questions import APPROVE, DENY, about, shown
from agenthost.faces.http.agui.given import OURS

UNANSWERED = "No answer was given to this question."


def named(task: str, command: str) -> str:
    """The id of what a command of a task led to: of a call, a question, a message."""
    return f"{task}/{command}"


def interrupt(question: OpenQuestion, call: str) -> Interrupt:
    """A question to a person. `call`: the call that it is about, where there is one."""
    ask = question.ask
    approval = ask.kind == "approval"
    wanted: dict[str, Any] = {"type": "string"}
    if approval:
        wanted = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}
    elif ask.options and ask.kind != "input":
        wanted["enum"] = list(ask.options)
    elif ask.options:
        wanted["examples"] = list(ask.options)
    reasons = {"input": "input_required", "approval": "tool_call" if call else "confirmation"}
    expires = datetime.fromtimestamp(question.at + ask.expires, UTC).isoformat() if ask.expires is not None else None
    return Interrupt(
        id=named(question.task, ask.id),
        reason=reasons.get(ask.kind, f"{OURS}:{ask.kind}"),
        message=shown(question.task, ask),
        tool_call_id=call or None,
        response_schema=wanted,
        expires_at=expires,
        metadata={OURS: {"kind": ask.kind, "options": list(ask.options), "task": question.task} | about(ask)},
        subagent_run_id=question.task if question.task != root_id(question.task) else None,
    )


def answer(ask: Ask, entry: ResumeEntry) -> str:
    """The words that a resume entry answers a question with. Raises BadInput."""
    if entry.status == "cancelled":
        if ask.kind == "approval":
            return DENY
        if ask.options and ask.kind != "input":
            raise BadInput(
                f"the question '{entry.interrupt_id}' can't be given up; answer with one of: {', '.join(ask.options)}"
            )
        return UNANSWERED
    payload: Any = entry.payload
    if ask.kind == "approval":
        return _approval(ask, payload, entry.interrupt_id)
    if isinstance(payload, dict):
        fields = cast("dict[str, Any]", payload)
        payload = next((fields[key] for key in ("answer", "text", "value") if key in fields), fields)
    text = payload if isinstance(payload, str) else msgspec.json.encode(payload).decode()
    if payload is None or not text.strip():
        raise BadInput(f"the answer to '{entry.interrupt_id}' is empty; give it as `payload`")
    if ask.options and ask.kind != "input" and text not in ask.options:
        raise BadInput(f"the answer to '{entry.interrupt_id}' must be one of: {', '.join(ask.options)}")
    return text


def _approval(ask: Ask, payload: Any, id: str) -> str:
    if isinstance(payload, dict):
        fields = cast("dict[str, Any]", payload)
        if "editedArgs" in fields:
            raise BadInput(f"the call of '{id}' can't be edited; approve or deny it as it is")
        payload = fields.get("approved")
    if isinstance(payload, bool):
        return APPROVE if payload else DENY
    if isinstance(payload, str) and payload in (APPROVE, DENY, *ask.options):
        return payload
    raise BadInput(f'the answer to \'{id}\' must be {{"approved": true}} or {{"approved": false}}')


def result_text(message: ToolMessage) -> str:
    """What a tool of the front end gave, in words. Parts that are no words are left out."""
    if isinstance(message.content, str):
        text = message.content
    else:
        text = "".join(part.text for part in message.content if isinstance(part, TextPart))
    if message.error:
        return f"The tool failed: {message.error}" + (f"\n{text}" if text.strip() else "")
    return text or "(no output)"
