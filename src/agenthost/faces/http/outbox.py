"""What waits to be sent to one follower: bounded, and left behind where nobody takes it."""

import asyncio
from collections import deque

MOST_BYTES = 1024 * 1024
AT_ONCE = 64 * 1024


class Outbox:
    """Frames between who makes them and who sends them; at most `most` bytes (or one frame) wait.

    `close` lets what waits be taken first; after that `take` gives None.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    async def put(self, frame: bytes, patience: float) -> bool:
        """Add a frame when there is room. False where there was none for `patience` seconds, or it is closed."""
        try:
            async with asyncio.timeout(patience):
                await self._room.wait()
        except TimeoutError:
            return False
        if self._closed:
            return False
        self._add(frame)
        return True

    def close(self, last: bytes = b"", drop: bool = False) -> None:
        """Nothing more is added but `last`; `drop` throws away what waits before it."""
        if self._closed:
            return
        if drop:
            self._frames.clear()
            self._size = 0
        self._closed = True
        if last:
            self._add(last)
        self._something.set()
        self._room.set()

    async def take(self, timeout: float) -> bytes | None:
        """What waits, up to AT_ONCE bytes (or one frame); empty after `timeout` seconds of nothing, None at the end."""
        try:
            async with asyncio.timeout(timeout):
                await self._something.wait()
        except TimeoutError:
            return b""
        taken: list[bytes] = []
        length = 0
        while self._frames and (not taken or length + len(self._frames[0]) <= AT_ONCE):
            taken.append(self._frames.popleft())
            length += len(taken[-1])
        self._size -= length
        if self._size < self._most:
            self._room.set()
        if not self._frames and not self._closed:
            self._something.clear()
        return b"".join(taken) if taken else None

    def _add(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._size += len(frame)
        self._something.set()
        if self._size >= self._most and not self._closed:
            self._room.clear()
