"""Server-sent events, cut anywhere: the parsing rules of the WHATWG HTML standard, section 9.2.6."""

from typing import NamedTuple

MOST_BYTES = 64 * 1024 * 1024  # of one event: far above any answer, far below what would hurt a small machine

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type (empty where the server named none) and its data. `words` instead of data: what several events
    say that differ in nothing else."""

    type: bytes
    data: bytes
    words: str | None = None


class Frame:
    """What stands around the words in one event after another. From token to token most servers change nothing else, so
    that words in a known frame need no decoder."""

    __slots__ = ("_between", "_head", "_tail")

    def __init__(self, before: bytes, after: bytes) -> None:
        """`before` and `after`: an event's data up to the quotation mark that opens the words' JSON string, and from the
        one that closes it."""
        self._head = b"data: " + before
        self._tail = after + b"\n\n"
        self._between = self._tail + self._head

    def words(self, events: bytes) -> tuple[str, int] | None:
        """What the first of whole events say together, and how many bytes these are, where they are in this frame and
        their words are free of escapes. None where not."""
        if not events.startswith(self._head):
            return None
        end = len(events)
        if not events.endswith(self._tail):
            end = events.rfind(self._between) + len(self._tail)
            if end < len(self._between):
                return None
            events = events[:end]
        # Cut where each event must end, and put together again: a search for the whole frame would take much longer.
        first, last = len(self._head), 2 - len(self._tail)
        said = [event[first:last] for event in events[:-2].split(b"\n")[::2]]
        if b"".join((self._head, self._between.join(said), self._tail)) != events:
            return None
        words = b"".join(said)
        if b'"' in words or b"\\" in words:
            return None
        try:
            text = words.decode()
        except UnicodeDecodeError:
            return None
        return (text, end) if text.isprintable() else None  # JSON forbids control characters that are not escaped


class Parser:
    """Feed it chunks as they come; it hands back the events that are complete."""

    __slots__ = ("_data", "_fresh", "_held", "_rest", "_type")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._type = b""
        self._held = 0
        self._fresh = True

    def feed(self, chunk: bytes, frame: Frame | None = None) -> list[Event]:
        """The events that `chunk` completes; as one, those at the beginning that are in `frame`. Raises ValueError where one grows
        beyond MOST_BYTES."""
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
        complete = buffer[: last + 1]
        if frame is not None and not self._data and not self._type:
            known = frame.words(complete)
            if known is not None:
                words, end = known
                return [Event(b"", b"", words), *self._lines(complete[end:])]
        return self._lines(complete)

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
