"""Names of traces and spans, in the words of W3C Trace Context. They follow from the names of tasks and commands, so that
a trace goes on over restarts, and whoever knows a call's key knows its span.

A key is `TASK`, `TASK/COMMAND`, or `TASK/COMMAND/ATTEMPT`, as in `ModelRequest.key`.
"""

import hashlib
import re

from agenthost.core.ids import root_id

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def trace_id(key: str) -> str:
    """The trace of a task and everything below it: 32 hex digits."""
    return hashlib.sha256(f"trace {root_id(key).partition('/')[0]}".encode()).hexdigest()[:32]


def span_id(key: str) -> str:
    """The span of a task, a command or an attempt: 16 hex digits."""
    return hashlib.sha256(f"span {key}".encode()).hexdigest()[:16]


def sampled(trace: str, ratio: float) -> bool:
    """Whether a trace is among that share of all: the same everywhere, as OpenTelemetry's TraceIdRatioBased has it."""
    return int(trace[16:], 16) < round(ratio * 2**64)


def traceparent(key: str, ratio: float = 1.0) -> str:
    """The header that says from where a request of ours comes."""
    trace = trace_id(key)
    return f"00-{trace}-{span_id(key)}-{'01' if sampled(trace, ratio) else '00'}"


def parent_of(header: str) -> tuple[str, str, bool] | None:
    """Trace, span, and whether it is sampled, of a `traceparent` that came in; None where it is none."""
    found = _TRACEPARENT.fullmatch(header.strip())
    if found is None or (header.startswith("00") and found[4]):
        return None
    return found[1], found[2], bool(int(found[3], 16) & 1)
