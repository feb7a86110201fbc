"""A run's output as it comes out of a room: its beginning and its end are kept, what falls between is counted."""

# Output beyond the limit is dropped, so that the program goes on; beyond this many limits (or bytes) more it only
# burns the host's time, and the run is ended.
_PATIENCE = 64
_LEAST_PATIENCE = 4 * 1024 * 1024


class Kept:
    """Keeps at most `limit` bytes of what is added."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._half = limit // 2
        self._patience = max(limit * _PATIENCE, _LEAST_PATIENCE)
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0

    def add(self, piece: bytes) -> bool:
        """False once there was so much that whoever writes should be ended."""
        self._seen += len(piece)
        room = self._limit - self._half - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        self._tail += piece
        if len(self._tail) > 2 * self._half + 65536:
            del self._tail[: len(self._tail) - self._half]
        return self._seen <= self._patience

    def finish(self) -> tuple[bytes, int]:
        """What was kept, and how many bytes were dropped between its halves."""
        kept = bytes(self._head + (self._tail[-self._half :] if self._half else b""))
        return kept, self._seen - len(kept)
