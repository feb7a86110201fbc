"""Connections between a room and the host: into what a run serves, and out of what a run asks for.

`connect` joins a channel to a port of the room's loopback; the first byte that the host gets back says that it is
joined. `listen` takes connections (or datagrams) in the room and opens a channel of its own for each.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
from typing import TYPE_CHECKING, Any

from agenthost.sandboxes.inside.frames import LONGEST, WINDOW, Channel, Handler

if TYPE_CHECKING:
    from agenthost.sandboxes.inside.porter import Porter

# Connections and questions of one listener that the host has yet to finish with.
_MOST = 100
_BACKLOG = 64


class Relay(Handler):
    """A socket joined to a channel."""

    def __init__(self, porter: Porter, channel: Channel, side: socket.socket, joined: bool) -> None:
        self._porter = porter
        self._channel = channel
        self._side = side
        self._joined = joined
        self._out = bytearray()
        self._out_ended = self._in_ended = self._shut = False
        side.setblocking(False)
        porter.listen(side.fileno(), 0, self._happened)
        self._want()

    def _want(self) -> None:
        """Listen to what can be used now."""
        if self._side.fileno() < 0:
            return
        if not self._joined:
            events = select.POLLOUT
        else:
            events = select.POLLIN if not self._in_ended and not self._channel.pending else 0
            events |= select.POLLOUT if self._out or (self._out_ended and not self._shut) else 0
        self._porter.listen(self._side.fileno(), events)

    def _happened(self, events: int) -> None:
        try:
            if not self._joined:
                self._join()
            elif events & select.POLLOUT:
                self._write()
            if self._joined and events & ~select.POLLOUT:
                self._read()
        except OSError as problem:
            self._channel.give_up(errno.errorcode.get(problem.errno or 0, "EIO"))
            self._close()
        self._want()

    def _join(self) -> None:
        if code := self._side.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        self._joined = True
        self._channel.send(b"+")
        self._write()

    def _read(self) -> None:
        if self._in_ended or self._channel.pending:
            return
        try:
            piece = self._side.recv(LONGEST)
        except BlockingIOError:
            return
        if piece:
            self._channel.send(piece)
        else:
            self._in_ended = True
            self._channel.end()
            self._close_if_done()

    def _write(self) -> None:
        try:
            while self._out:
                count = self._side.send(self._out[:LONGEST])
                del self._out[:count]
                self._channel.grant(count)
        except BlockingIOError:
            return
        if self._out_ended and not self._shut:
            self._shut = True
            self._side.shutdown(socket.SHUT_WR)
            self._close_if_done()

    def _close_if_done(self) -> None:
        if self._in_ended and self._shut:
            self._close()

    def _close(self) -> None:
        if self._side.fileno() >= 0:
            self._porter.leave(self._side.fileno())
            self._side.close()

    # --- what the host sends -----------------------------------------------------------------

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        self._out += body
        self._want()

    def ended(self, channel: Channel) -> None:
        self._out_ended = True
        self._want()

    def reset(self, channel: Channel, reason: str) -> None:
        self._close()

    def ready(self, channel: Channel) -> None:
        self._want()


def connect(porter: Porter, channel: Channel, port: int) -> Handler:
    """Join a channel to a port of the room's loopback."""
    side = socket.socket()
    side.setblocking(False)
    code = side.connect_ex(("127.0.0.1", port))
    if code not in (0, errno.EINPROGRESS):
        side.close()
        channel.give_up(errno.errorcode.get(code, "EIO"))
        return Handler()
    return Relay(porter, channel, side, joined=False)


def listen(porter: Porter, channel: Channel, asked: dict[str, Any]) -> Handler:
    """Listen until the host ends the channel. It gets one byte when that has begun."""
    try:
        kind = socket.SOCK_DGRAM if asked["kind"] == "udp" else socket.SOCK_STREAM
        side = socket.socket(socket.AF_INET, kind)
        side.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        side.bind((asked["address"], asked["port"]))
    except OSError as problem:
        channel.give_up(f"{errno.errorcode.get(problem.errno or 0, 'EIO')} {problem}")
        return Handler()
    side.setblocking(False)
    listener = _Datagrams(porter, channel, side) if asked["kind"] == "udp" else Listener(porter, channel, side)
    channel.send(b"+")
    return listener


class Listener(Handler):
    """A socket that listens for the host."""

    def __init__(self, porter: Porter, channel: Channel, side: socket.socket) -> None:
        self._porter = porter
        self._channel = channel
        self._side = side
        if side.type == socket.SOCK_STREAM:
            side.listen(_BACKLOG)
        porter.listen(side.fileno(), select.POLLIN, lambda _: self._happened())

    def _happened(self) -> None:
        if self._porter.mux.ours < _MOST:
            self._take()
            return
        # who comes now waits until somebody else is done
        self._porter.listen(self._side.fileno(), 0)
        self._porter.crowded.append(self)

    def resume(self) -> bool:
        """Go on, where there is room again."""
        if self._porter.mux.ours >= _MOST:
            return False
        if self._side.fileno() >= 0:
            self._porter.listen(self._side.fileno(), select.POLLIN)
        return True

    def _take(self) -> None:
        try:
            theirs, _ = self._side.accept()
        except OSError:
            return
        told = {"listener": self._channel.number, "local": theirs.getsockname()[:2]}
        channel = self._porter.mux.open(json.dumps(told).encode(), Handler())
        channel.handler = Relay(self._porter, channel, theirs, joined=True)

    def _close(self) -> None:
        if self._side.fileno() >= 0:
            self._porter.leave(self._side.fileno())
            self._side.close()

    def ended(self, channel: Channel) -> None:
        self._close()
        channel.end()

    def reset(self, channel: Channel, reason: str) -> None:
        self._close()


class _Datagrams(Listener):
    def _take(self) -> None:
        try:
            body, sender = self._side.recvfrom(LONGEST)
        except OSError:
            return
        told = {"listener": self._channel.number, "local": self._side.getsockname()[:2], "datagram": True}
        question = self._porter.mux.open(json.dumps(told).encode(), _Answer(self._side, sender))
        question.send(body)
        question.end()


class _Answer(Handler):
    def __init__(self, side: socket.socket, sender: Any) -> None:
        self._side, self._sender = side, sender
        self._body = bytearray()

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        if len(self._body) + len(body) <= min(LONGEST, WINDOW):
            self._body += body

    def ended(self, channel: Channel) -> None:
        try:
            if self._side.fileno() >= 0 and self._body:
                self._side.sendto(self._body, self._sender)
        except OSError:
            pass  # who asked is gone
