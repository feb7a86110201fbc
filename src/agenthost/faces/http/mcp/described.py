"""A task of the host as MCP's tasks tell it."""

from datetime import UTC, datetime
from typing import Any

from agenthost.core.lifecycle import State
from agenthost.core.tasks import TaskRow

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"
POLL = 1_000
"""Milliseconds between two looks that a client should leave."""

STATUS: dict[State, str] = {
    "submitted": "working",
    "working": "working",
    "input-required": "input_required",
    "auth-required": "input_required",
    "completed": "completed",
    "failed": "failed",
    "canceled": "cancelled",
    "rejected": "failed",
}


def described(row: TaskRow, ttl: str) -> dict[str, Any]:
    """A task as MCP tells it. `ttl`: the name of that field. The host keeps tasks as its owner set, hence null."""
    told: dict[str, Any] = {
        "taskId": row.id,
        "status": STATUS[row.state],
        "createdAt": _when(row.created),
        "lastUpdatedAt": _when(row.updated),
        ttl: None,
        "pollInterval" if ttl == "ttl" else "pollIntervalMs": POLL,
    }
    if row.reason:
        told["statusMessage"] = row.reason
    return told


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
