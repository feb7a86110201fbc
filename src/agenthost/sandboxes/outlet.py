"""Serves sockets that listen in a sandbox's own network, from outside."""

import asyncio
import socket
from collections.abc import Sequence

from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.sockets import SocketConnection

_AT_A_TIME = 64
_MOST = 128  # connections that are served or wait for it; the rest waits in the sandbox
_LONGEST = 4096


class Outlet:
    """Takes over listening sockets, the last one the name server's, and serves them until `close`."""

    def __init__(self, egress: Egress, ends: Sequence[socket.socket]) -> None:
        self._egress = egress
        self._ends = ends
        self._names = ends[-1]
        self._loop = asyncio.get_running_loop()
        self._going: dict[asyncio.Task[None], socket.socket] = {}
        self._listening = False
        self._loop.add_reader(self._names, self._asked)
        self._listen()

    def _listen(self) -> None:
        self._listening = True
        for end in self._ends[:-1]:
            self._loop.add_reader(end, self._accept, end)

    def _pause(self) -> None:
        self._listening = False
        for end in self._ends[:-1]:
            self._loop.remove_reader(end)

    def _asked(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                datagram, who = self._names.recvfrom(_LONGEST)
                if (answer := self._egress.answer(datagram)) is not None:
                    self._names.sendto(answer, who)
            except OSError:
                return

    def _accept(self, end: socket.socket) -> None:
        while self._listening:
            if len(self._going) >= _MOST:
                self._pause()
                return
            try:
                near, _ = end.accept()
            except OSError:
                return
            near.setblocking(False)
            address, port = near.getsockname()
            task = self._loop.create_task(self._egress.handle(SocketConnection(near), (address, port)))
            self._going[task] = near
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._going.pop(task).close()  # where it was cancelled before it began, nobody else has
        if not self._listening and self._names.fileno() >= 0:
            self._listen()

    async def close(self) -> None:
        """Nothing listens any more, and every connection is closed."""
        self._pause()
        self._loop.remove_reader(self._names)
        for end in self._ends:
            end.close()
        for task in (going := tuple(self._going)):
            task.cancel()
        if going:
            await asyncio.wait(going)
