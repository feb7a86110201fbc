"""The host's logger. Where it goes and what it looks like is configured by whoever starts the host."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from agenthost.core.events import Asked, Finished, Recorded, kind_of
from agenthost.engine.parts import Log

_NAME = "agenthost"
_standard = logging.getLogger(_NAME)
_encode = msgspec.json.Encoder().encode


def logger() -> Log:
    """structlog over the standard library's logger `agenthost`."""
    return structlog.stdlib.get_logger(_NAME)


def event_line(log: Log, recorded: Recorded, agent: str) -> None:
    """One line for a committed event: its kind, task and agent; never its contents, which may be private."""
    if not _standard.isEnabledFor(logging.INFO):
        return
    event = recorded.event
    kind = kind_of(event)
    values: dict[str, str | int] = {"task": recorded.task, "agent": agent, "seq": recorded.seq}
    if isinstance(event, Asked):
        values["command"] = event.command.id
        values["asks"] = str(event.command.__struct_config__.tag)
    elif isinstance(event, Finished):
        values["outcome"] = event.verdict.outcome
    elif named := getattr(event, "command", ""):
        values["command"] = named
    heard = [handler for handler in logging.getLogger().handlers if handler.level <= logging.INFO]
    # A handler may take whole lines (`line`): what comes with every event must cost next to nothing.
    lines: list[Callable[[bytes], None] | None] = [getattr(handler, "line", None) for handler in heard]
    if lines and all(lines):
        at = datetime.fromtimestamp(recorded.at, UTC).isoformat().replace("+00:00", "Z")
        line = _encode({**values, "event": kind, "level": "info", "logger": _NAME, "timestamp": at}) + b"\n"
        for take in lines:
            if take is not None:
                take(line)
    else:
        log.info(kind, **values)
