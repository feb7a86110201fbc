"""The host's logger. Where it goes and what it looks like is configured by whoever starts the host."""

import logging

import structlog

from agenthost.core.events import Asked, Finished, Recorded, kind_of
from agenthost.engine.parts import Log

_NAME = "agenthost"
_standard = logging.getLogger(_NAME)


def logger() -> Log:
    """structlog over the standard library's logger `agenthost`."""
    return structlog.stdlib.get_logger(_NAME)


def event_line(log: Log, recorded: Recorded, agent: str) -> None:
    """One line for a committed event: its kind, task and agent; never its contents, which may be private."""
    if not _standard.isEnabledFor(logging.INFO):
        return
    event = recorded.event
    values: dict[str, str | int] = {"task": recorded.task, "agent": agent, "seq": recorded.seq}
    if isinstance(event, Asked):
        values |= {"command": event.command.id, "asks": str(event.command.__struct_config__.tag)}
    elif isinstance(event, Finished):
        values |= {"outcome": event.verdict.outcome}
    elif named := getattr(event, "command", ""):
        values["command"] = named
    log.info(kind_of(event), **values)
