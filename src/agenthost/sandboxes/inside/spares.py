"""A run's first process before there is a run: forked, shut in, and waiting for its request.

To fork and to shut in is most of what a short run costs, above all on a kernel like gVisor's. A spare is forked when
the run before it has been swept away and its leavings too, and there is none while a run goes on: no run ever meets one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from agenthost.sandboxes.inside import linux, program, warm
from agenthost.sandboxes.inside.watch import PAGE, in_gvisor

_LENGTH = struct.Struct("!I")
_REQUEST = 3  # the descriptor that it hears its request on


class First(NamedTuple):
    """A run's first process: its pid, and our ends of its stdin, stdout and stderr, which don't block."""

    pid: int
    stdin: int
    stdout: int
    stderr: int


class Spares:
    """At most one spare, of the user `user`. Wherever a job is returned, this is the spare's own process, and the job its run's program."""

    def __init__(self, filter: bytes, python: warm.Interpreter, user: int) -> None:
        self._filter = filter
        self._user = user
        self._python = python
        self._slow_to_share = in_gvisor()
        self._waiting: First | None = None
        self._door = -1

    def make(self) -> warm.Job | None:
        """Have a spare."""
        if self._waiting is not None:
            return None
        theirs: list[int] = []
        ours: list[int] = []
        for child_reads in (True, False, False, True):
            inner, outer = os.pipe()
            theirs.append(inner if child_reads else outer)
            ours.append(outer if child_reads else inner)
        pid = os.fork()
        if pid == 0:
            return self._wait(theirs)
        for end in theirs:
            os.close(end)
        self._door = ours.pop()
        for end in ours:
            os.set_blocking(end, False)
        self._waiting = First(pid, *ours)
        return None

    def start(self, request: dict[str, Any]) -> First | warm.Job:
        """Hand the request to the spare, or to a new process where that was ended (short of memory, by the kernel)."""
        if self._waiting is not None and os.waitpid(self._waiting.pid, os.WNOHANG)[0]:
            for end in (*self._waiting[1:], self._door):
                os.close(end)
            self._waiting = None
        if (job := self.make()) is not None:
            return job
        first, self._waiting = self._waiting, None
        assert first is not None
        body = json.dumps(request).encode()
        left = memoryview(_LENGTH.pack(len(body)) + body)
        try:
            while left:
                left = left[os.write(self._door, left) :]
        except BrokenPipeError:
            pass  # it has failed, and its end tells how
        os.close(self._door)
        return first

    def _wait(self, files: Sequence[int]) -> warm.Job:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        linux.prctl(linux.PR_SET_DUMPABLE, 1)
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")  # short of memory, the kernel ends this before the room's first process
        except OSError:
            pass  # not everywhere (gVisor)
        program.shut_in(files, self._filter, self._user)
        if self._slow_to_share:
            _own_pages()
        (length,) = _LENGTH.unpack(_read(_LENGTH.size))
        request = json.loads(_read(length))
        os.close(_REQUEST)
        return program.begin(request, self._python)


def _own_pages() -> None:
    """Write to every page that is still shared with whom this was forked from, so that it has its own.

    gVisor takes some 10 microseconds for each when a run touches them, most of all at the interpreter's end.
    """
    with open("/proc/self/maps") as file:
        lines = file.readlines()
    for line in lines:
        span, rights, *_, name = line.split()
        if rights == "rw-p" and name != "[stack]":
            begin, end = (int(edge, 16) for edge in span.split("-"))
            for at in range(begin, end, PAGE):
                ctypes.memmove(at, at, 1)


def _read(left: int) -> bytes:
    held = bytearray()
    while len(held) < left:
        piece = os.read(_REQUEST, left - len(held))
        if not piece:
            os._exit(0)  # never wanted
        held += piece
    return bytes(held)
