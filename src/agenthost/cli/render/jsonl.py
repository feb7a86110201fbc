"""For programs: one JSON object a line, the event as it was journalled; deltas as they come."""

from typing import Any

import msgspec

from agenthost.core.api import LiveDelta
from agenthost.core.events import Recorded, kind_of

_encoder = msgspec.json.Encoder()


def line(item: Recorded | LiveDelta) -> str:
    """`{"task", "seq", "at", "kind", ...the event's fields}`, or `{"task", "command", "attempt", "delta"}`."""
    if isinstance(item, LiveDelta):
        return _encoder.encode(item).decode()
    body: dict[str, Any] = {"task": item.task, "seq": item.seq, "at": item.at, "kind": kind_of(item.event)}
    fields = msgspec.to_builtins(item.event)
    return _encoder.encode(body | {key: value for key, value in fields.items() if key != "type"}).decode()
