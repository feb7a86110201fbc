"""Log lines: one an event, with what is bound to it. To stderr from the level asked for, to the home's file from `info`.

structlog's and the standard library's loggers come out the same way. The one place that configures them.
"""

import logging
import logging.handlers
import os
import re
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

_TURN_OVER = 2_000_000
_AT_ONCE = 100
_LATE = 0.2
"""Seconds after which the line of an event is on disk."""

_SECRET = re.compile(r"(?i)(key|token|secret|password|credential)")


class _Stderr(logging.Handler):
    """Looks stderr up each time: a live display stands in its place while it draws."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _File(logging.handlers.RotatingFileHandler):
    """Turns over by its own count of bytes. Lines that come whole (`host.logs.event_line`) are on disk a moment later, those
    of a record at once, with what came before them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_TURN_OVER, backupCount=3, delay=True, encoding="utf-8")
        self._size = path.stat().st_size if path.exists() else 0
        self._waiting: list[bytes] = []
        self._late = threading.Event()
        self._ended = False
        self._flusher: threading.Thread | None = None

    def _open(self) -> TextIOWrapper:
        # A verb that has nothing to say leaves no folder behind.
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return super()._open()

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        return self._full(len(self.format(record)) + 1)

    def line(self, line: bytes) -> None:
        """Keep a line. Called for every event, and so does next to nothing."""
        self._waiting.append(line)
        if not self._late.is_set():
            if self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_late, name="agenthost-log", daemon=True)
                self._flusher.start()
            self._late.set()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # as in `_flush_late`
            self._write_waiting()
        super().emit(record)

    def close(self) -> None:
        self._ended = True
        self._late.set()
        if self._flusher is not None:
            self._flusher.join()
        with suppress(OSError, ValueError):
            self._write_waiting()
        super().close()

    def _write_waiting(self) -> None:
        with self.lock or nullcontext():
            while self._waiting:
                lines = self._waiting[:_AT_ONCE]
                del self._waiting[:_AT_ONCE]  # another thread may add to its end meanwhile
                if self._full(sum(map(len, lines))):
                    self.doRollover()
                    self._size = sum(map(len, lines))
                if self.stream is None:  # pyright: ignore[reportUnnecessaryComparison] # `delay`
                    self.stream = self._open()
                self.stream.write(b"".join(lines).decode())

    def _full(self, size: int) -> bool:
        self._size += size
        if self._size < _TURN_OVER:
            return False
        self._size = 0
        return True

    def _flush_late(self) -> None:
        while not self._ended:
            self._late.wait()
            self._late.clear()
            time.sleep(0 if self._ended else _LATE)
            with suppress(OSError, ValueError):  # a full disk is the host's to report; a closed file has nothing left
                self._write_waiting()
                self.flush()


def _redactor() -> Processor:
    """Takes out of a line the values of this process's environment that are named as secrets."""
    values = [value for name, value in os.environ.items() if _SECRET.search(name) and len(value) >= 8]

    def redact(_: Any, __: str, event: EventDict) -> EventDict:
        return {key: _without(item, values) for key, item in event.items()} if values else event

    return redact


def _without(item: Any, values: list[str]) -> Any:
    if isinstance(item, str):
        for value in values:
            item = item.replace(value, "[secret]")
    return item


def _may_be_told(record: logging.LogRecord) -> bool:
    """Whether a record has no one's words in it: what libraries say below `info` are whole requests."""
    return record.levelno >= logging.INFO or record.name.partition(".")[0] == "agenthost"


@contextmanager
def kept(form: str, level: str, file: Path) -> Generator[None]:
    """Log while this goes on. `form` is `text` or `json`; the file holds JSON, and turns over at 2 MB, thrice."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redactor(),
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
    for handler in handlers:
        handler.addFilter(_may_be_told)
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
        there = next(folder for folder in path.parents if folder.exists())
        return _File(path) if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else None
    except OSError:
        return None
