"""Serves sockets that listen in a sandbox's own network, from outside."""

import asyncio
import socket
from collections.abc import Sequence

from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.handling import Handling
from agenthost.sandboxes.sockets import SocketConnection

_AT_A_TIME = 64
_LONGEST = 4096
_WITHOUT_FILES = 0.5


class Outlet:
    """Takes over listening sockets, the last one the name server's, and serves them until `close`."""

    def __init__(self, egress: Egress, ends: Sequence[socket.socket]) -> None:
        self._egress = egress
        self._listeners = ends[:-1]
        self._names = ends[-1]
        self._loop = asyncio.get_running_loop()
        self._handling = Handling(egress, self._listen)
        self._closed = False
        self._loop.add_reader(self._names, self._asked)
        self._listen()

    def _listen(self) -> None:
        for end in self._listeners:
            self._loop.add_reader(end, self._accept, end)

    def _again(self) -> None:
        if not self._closed and not self._handling.full:
            self._listen()

    def _pause(self) -> None:
        """What comes now waits in the sandbox."""
        for end in self._listeners:
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
        while not self._handling.full:
            try:
                near, _ = end.accept()
            except BlockingIOError:
                return
            except OSError:
                # No file left to have: it would be tried again at once, for as long as there is none.
                self._pause()
                self._loop.call_later(_WITHOUT_FILES, self._again)
                return
            near.setblocking(False)
            address, port = near.getsockname()
            self._handling.take(SocketConnection(near), (address, port))
        self._pause()

    async def close(self) -> None:
        """Nothing listens any more, and every connection is closed."""
        self._closed = True
        self._pause()
        self._loop.remove_reader(self._names)
        for end in (*self._listeners, self._names):
            end.close()
        await self._handling.close()
