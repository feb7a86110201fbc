"""Server-sent events, cut anywhere: the parsing rules of the WHATWG HTML standard, section 9.2.6."""

from typing import NamedTuple

MOST_BYTES = 64 * 1024 * 1024  # of one event: far above any answer, far below what would hurt a small machine

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (empty where the server named none) and its data."""

    type: bytes
    data: bytes


class Parser:
    """Feed it chunks as they come; it hands back the events that are complete."""

    __slots__ = ("_data", "_fresh", "_held", "_rest", "_type")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._type = b""
        self._held = 0
        self._fresh = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises ValueError where one grows beyond MOST_BYTES."""
        buffer = self._rest + chunk if self._rest else chunk
        if self._fresh:
            if len(buffer) < 3 and _BOM.startswith(buffer):
                self._rest = buffer
                return []
            self._fresh = False
            buffer = buffer.removeprefix(_BOM)
        # A carriage return at the very end may be half of CRLF, so it waits for what follows.
        end = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
        last = max(buffer.rfind(b"\n", 0, end), buffer.rfind(b"\r", 0, end))
        self._rest = buffer[last + 1 :]
        if len(self._rest) + self._held > MOST_BYTES:
            raise ValueError("one event of the stream is too large")
        return self._lines(buffer[: last + 1])

    def close(self) -> list[Event]:
        """At the end of the stream: the event that only lacked its blank line, if there is one.

        The standard drops it; some servers end with `data: [DONE]` and no newline.
        """
        rest, self._rest = self._rest, b""
        return self._lines(rest + b"\n\n")

    def _lines(self, complete: bytes) -> list[Event]:
        # Nearly every stream is of one line of data an event, whole events at a time.
        *blocks, rest = complete.split(b"\n\n")
        if not (rest or self._data or self._type or b"\r" in complete):
            plain = [Event(b"", block[6:]) for block in blocks if block.startswith(b"data: ") and b"\n" not in block]
            if len(plain) == len(blocks):
                return plain
        events: list[Event] = []
        for line in complete.splitlines():
            if not line:
                if self._data:
                    events.append(Event(self._type, b"\n".join(self._data)))
                    self._data = []
                    self._held = 0
                self._type = b""
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
                self._held += len(value)
            elif line.startswith(b"event:"):
                self._type = line[6:].strip()
        return events
