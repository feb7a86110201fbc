"""Log lines: one an event, with what is bound to it. To stderr from the level asked for, to the home's file from `info`.

structlog's and the standard library's loggers come out the same way. The one place that configures them.
"""

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

_SECRET = re.compile(r"(?i)(key|token|secret|password|credential)")


class _Stderr(logging.Handler):
    """Looks stderr up each time: a live display stands in its place while it draws."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def _redact(_: Any, __: str, event: EventDict) -> EventDict:
    values = [value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 8]
    return {key: _without(item, values) for key, item in event.items()} if values else event


def _without(item: Any, values: list[str]) -> Any:
    if isinstance(item, str):
        for value in values:
            item = item.replace(value, "[secret]")
    return item


@contextmanager
def kept(form: str, level: str, file: Path) -> Generator[None]:
    """Log while this goes on. `form` is `text` or `json`; the file holds JSON, and turns over at 2 MB, thrice."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    as_json = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    as_text = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR")),
        ],
    )
    stderr = _Stderr(level.upper())
    stderr.setFormatter(as_json if form == "json" else as_text)
    handlers: list[logging.Handler] = [stderr]
    kept_file = _file(file)
    if kept_file is not None:
        kept_file.setFormatter(as_json)
        handlers.append(kept_file)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    before, was = list(root.handlers), root.level
    root.handlers = handlers
    root.setLevel(min(logging.INFO, stderr.level))
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(was)
        structlog.reset_defaults()
        for handler in handlers:
            handler.close()


def _file(path: Path) -> logging.Handler | None:
    # A home that can't be written is the host's to report, in its own words.
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=2_000_000, backupCount=3, delay=True, encoding="utf-8"
        )
    except OSError:
        return None
