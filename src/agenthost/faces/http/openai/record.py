"""The object `response`, whole: from a task's journal, or while it is made."""

from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.commands import Ask
from agenthost.core.models import Usage
from agenthost.core.tasks import TaskSpec, Terms
from agenthost.faces.http.openai.content import json_text
from agenthost.faces.http.openai.given import NOTES
from agenthost.faces.http.openai.ids import Place, call_id, item_id, response_id
from agenthost.faces.http.openai.reader import End

Json = dict[str, Any]


class Facts(Struct, frozen=True):
    """What a response says of the request that it answers."""

    id: str
    created: float
    model: str
    terms: Terms
    notes: Json
    previous: str | None


def facts_of(spec: TaskSpec, place: Place, created: float) -> Facts:
    """The facts of the response that begins at a place of a task. What one request said of itself alone is only kept of
    that which began the task."""
    notes = cast(Json, spec.notes.get(NOTES) or {})
    if place.seq:
        notes = {name: value for name, value in notes.items() if name not in ("metadata", "user", "previous")}
    return Facts(response_id(place), created, spec.name, spec.terms or Terms(), notes, notes.get("previous"))


def record(facts: Facts, status: str, output: list[Json], end: End | None = None, usage: Usage | None = None) -> Json:
    """A response. `status` is OpenAI's: queued, in_progress, completed, incomplete, failed, cancelled."""
    notes, terms = facts.notes, facts.terms
    conversation = notes.get("conversation")
    return {
        "id": facts.id,
        "object": "response",
        "created_at": int(facts.created),
        "status": status,
        "background": bool(notes.get("background")),
        "error": _error(end) if status == "failed" else None,
        "incomplete_details": {"reason": _incomplete(end)} if status == "incomplete" else None,
        "instructions": terms.instructions or None,
        "max_output_tokens": terms.max_output or None,
        "model": facts.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": facts.previous,
        "reasoning": {"effort": None, "summary": None},
        "store": notes.get("store", True),
        "temperature": terms.temperature if terms.temperature is not None else 1.0,
        "text": {"format": _format(terms)},
        "tool_choice": "auto",
        "tools": [_tool(tool.name, tool.description, tool.parameters) for tool in terms.tools],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage_of(usage) if usage is not None and end is not None else None,
        "user": notes.get("user"),
        "metadata": notes.get("metadata") or {},
        "conversation": {"id": conversation} if conversation else None,
    }


def status_of(end: End) -> str:
    """How an answer that has ended stands."""
    verdict = end.verdict
    if end.reason in ("stop", "tool_calls"):
        return "completed"
    if end.reason:
        return "incomplete"
    return "cancelled" if verdict is not None and verdict.outcome == "canceled" else "failed"


def message(id: str, text: str, status: str = "completed", phase: str = "final_answer") -> Json:
    """Words of the agent's."""
    content = [text_part(text)] if text or status == "completed" else []
    return {"id": id, "type": "message", "status": status, "role": "assistant", "phase": phase, "content": content}


def text_part(text: str) -> Json:
    """Words in a message."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def function_call(task: str, ask: Ask, status: str = "completed") -> Json:
    """A call that the client is to run; without arguments where it is only begun."""
    id = call_id(task, ask.id)
    arguments = json_text(ask.arguments) if status == "completed" else ""
    return {
        "id": item_id(id),
        "type": "function_call",
        "status": status,
        "call_id": id,
        "name": ask.tool,
        "arguments": arguments,
    }


def usage_of(usage: Usage) -> Json:
    """Tokens as responses count them."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def _tool(name: str, description: str, parameters: Json) -> Json:
    return {"type": "function", "name": name, "description": description, "parameters": parameters, "strict": False}


def _format(terms: Terms) -> Json:
    if terms.output is None:
        return {"type": "text"}
    if terms.output == {"type": "object"}:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": "output", "schema": terms.output, "strict": True, "description": None}


def _error(end: End | None) -> Json:
    verdict = end.verdict if end is not None else None
    if verdict is None:
        return {"code": "server_error", "message": "the task came to nothing"}
    code = "rate_limit_exceeded" if verdict.code == "rate-limit" else "server_error"
    return {"code": code, "message": f"{verdict.reason} [{verdict.code or verdict.outcome}]"}


def _incomplete(end: End | None) -> str:
    return "content_filter" if end is not None and end.reason == "content_filter" else "max_output_tokens"


encode = msgspec.json.Encoder().encode
