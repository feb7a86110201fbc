"""A stream socket as a connection (`core.ports.Connection`)."""

import asyncio
import socket


class SocketConnection:
    """Takes over a connected socket that doesn't block. Use it from one loop."""

    def __init__(self, side: socket.socket) -> None:
        self._side = side
        self._loop = asyncio.get_running_loop()

    async def read(self, most: int = 65536) -> bytes:
        return await self._loop.sock_recv(self._side, most)

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._side, data)

    def finish(self) -> None:
        """Nothing more is written; what the other side says can still be read."""
        try:
            self._side.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has hung up already

    async def close(self) -> None:
        self._side.close()
