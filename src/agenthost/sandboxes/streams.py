"""A run's stdin, stdout and stderr on the host's side: fed and collected by the loop, bounded."""

import asyncio
import os
from collections.abc import Callable

_PIECE = 65536
# Output beyond the limit is read and dropped, so that the program goes on; beyond this many limits
# (or bytes) more it only burns the host's time, and the run is ended.
_PATIENCE = 64
_LEAST_PATIENCE = 4 * 1024 * 1024


class Collector:
    """Reads a pipe to its end: keeps the beginning and the end, counts what falls between."""

    def __init__(self, end: int, limit: int, too_much: Callable[[], None]) -> None:
        self._end = end
        self._half = limit // 2
        self._limit = limit
        self._patience = max(limit * _PATIENCE, _LEAST_PATIENCE)
        self._too_much = too_much
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0
        self._open = True
        self._told = False
        asyncio.get_running_loop().add_reader(end, self._ready)

    def _ready(self) -> bool:
        try:
            piece = os.read(self._end, _PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self.close()
            return False
        self._seen += len(piece)
        room = self._limit - self._half - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        self._tail += piece
        if len(self._tail) > self._half + _PIECE:
            del self._tail[: len(self._tail) - self._half]
        if self._seen > self._patience and not self._told:
            self._told = True
            self._too_much()
        return True

    def finish(self) -> tuple[bytes, int]:
        """When every writer is dead: what was kept, and how many bytes were dropped between its halves."""
        while self._open and self._ready():
            pass
        self.close()
        tail = self._tail[-self._half :] if self._half else b""
        kept = bytes(self._head + tail)
        return kept, self._seen - len(kept)

    def close(self) -> None:
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._end)
            os.close(self._end)


class Feeder:
    """Writes stdin into a pipe as fast as it is taken."""

    def __init__(self, end: int, content: bytes) -> None:
        self._end = end
        self._left = memoryview(content)
        self._open = True
        os.set_blocking(end, False)
        asyncio.get_running_loop().add_writer(end, self._ready)

    def _ready(self) -> None:
        try:
            self._left = self._left[os.write(self._end, self._left[:_PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_writer(self._end)
            os.close(self._end)
