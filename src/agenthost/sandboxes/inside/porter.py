"""The first process of a room (a container): it waits for the host at the other end of a byte stream, and forks for each run.

Python's library only, and no more than Python 3.9 has: it comes in through the stream and runs in the image's
own interpreter. It keeps the room from one run to the next: whatever a run left is ended and removed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import site
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from agenthost.sandboxes.inside import cage, calls, linux, relays, visits, warm
from agenthost.sandboxes.inside.frames import Broken, Channel, Handler, Mux
from agenthost.sandboxes.inside.spares import Spares
from agenthost.sandboxes.inside.tree import Tree

_PIECE = 262_144
_HIDDEN = ("HOSTNAME", "TERM", "container")

Ready = Callable[[int], None]


def _hear_of_it(number: int, frame: object) -> None:
    """A child ended: that the loop wakes is all."""


class Porter:
    """PID 1 of a room, and what its handlers share."""

    def __init__(self, source: int, sink: int, python: warm.Interpreter, user: int) -> None:
        self._source, self._sink = source, sink
        self.spares = Spares(calls.program(linux.MACHINE), python, user)
        self.environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        self.tree = Tree(visits.WORKSPACE, cleaning=True)
        self.mux = Mux(2, self._opened)
        self.visit: visits.Visit | None = None
        self.start: visits.Visit | None = None
        self.crowded: list[relays.Listener] = []
        self._poll = select.poll()
        self._on: dict[int, Ready] = {}
        self._events: dict[int, int] = {}
        self._left = b""
        self.listen(source, select.POLLIN, self._hear)
        self._children()

    def _children(self) -> None:
        """Have the end of a child wake the loop."""
        inner, outer = os.pipe()
        for end in (inner, outer):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _hear_of_it)
        signal.set_wakeup_fd(outer, warn_on_full_buffer=False)
        self.listen(inner, select.POLLIN, lambda _: self._woken(inner))

    def _woken(self, end: int) -> None:
        try:
            while os.read(end, 4096):
                pass
        except BlockingIOError:
            pass
        if self.visit is not None:
            self.visit.look()

    # --- the loop ----------------------------------------------------------------------------

    def listen(self, end: int, events: int, ready: Ready | None = None) -> None:
        """Call `ready` with what happened on a descriptor; no events: not now."""
        if ready is not None:
            self._on[end] = ready
        if events:
            self._poll.register(end, events)
        elif end in self._events and self._events[end]:
            self._poll.unregister(end)
        self._events[end] = events

    def leave(self, end: int) -> None:
        """Listen to a descriptor no more."""
        if self._events.pop(end, 0):
            self._poll.unregister(end)
        self._on.pop(end, None)

    def wait(self) -> warm.Job:
        """Serve until the host hangs up; returns only in a run's first process."""
        while True:
            self._flush()
            if self.visit is None and not self._left and (job := self.spares.make()) is not None:
                return job
            for end, events in self._poll.poll(self._pause()):
                if (ready := self._on.get(end)) is not None:
                    ready(events)
            if self.crowded:
                self.crowded = [listener for listener in self.crowded if not listener.resume()]
            if self.start is not None and (job := self.start.go()) is not None:
                return job
            if self.visit is not None:
                self.visit.look_in_time()

    def _pause(self) -> float | None:
        if self.visit is None or self.visit.next_look is None:
            return None
        return max(self.visit.next_look - time.monotonic(), 0) * 1000 + 1

    def _hear(self, _: int) -> None:
        try:
            data = os.read(self._source, _PIECE)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)
        self.mux.feed(data)

    def _flush(self) -> None:
        self._left += self.mux.take()
        try:
            while self._left:
                self._left = self._left[os.write(self._sink, self._left[:_PIECE]) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            os._exit(0)
        self.listen(self._sink, select.POLLOUT if self._left else 0, lambda _: None)

    # --- what the host opens -----------------------------------------------------------------

    def _opened(self, channel: Channel, body: bytes) -> Handler:
        asked = json.loads(body)
        what = asked["do"]
        if what == "run":
            return visits.Visit(self, channel)
        if what == "kill":
            for visit in (self.visit, self.start):
                if visit is not None:
                    visit.kill()
            channel.end()
            return Handler()
        if what == "connect":
            return relays.connect(self, channel, asked["port"])
        if what == "listen":
            return relays.listen(self, channel, asked)
        raise Broken(f"the host wants '{what}', which is unknown here")

    def hello(self, problem: str) -> None:
        """The first thing that the host hears."""
        told: Mapping[str, Any] = {
            "hello": 1,
            "problem": problem,
            "python": ".".join(map(str, sys.version_info[:3])),
            "machine": linux.MACHINE,
            "libc": _libc(),
            "site": site.getsitepackages()[:1],
        }
        self.mux.open(json.dumps(told).encode(), Handler()).end()


def _libc() -> str:
    """Such as `glibc 2.36`; empty where it is another."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return ""


def _words() -> dict[str, str]:
    """The words that mean this interpreter, each with what `sys.executable` is when it is called so."""
    here = os.path.realpath(sys.executable)
    found: dict[str, str] = {}
    for word in ("python", "python3"):
        path = shutil.which(word)
        if path is not None and os.path.realpath(path) == here:
            found[word] = found[path] = path
    return found


def _problem() -> str:
    if os.getpid() != 1:
        return "it is not the first process of its container (leave the setting for an init process off)"
    if os.geteuid() == 0:
        return f"{visits.WORKSPACE} is root's in it"
    try:
        if held := os.listdir(visits.WORKSPACE):
            return f"{visits.WORKSPACE} isn't empty in its image ({held[0]}): it is the tasks' own"
        file = os.path.join(visits.WORKSPACE, f".{os.urandom(8).hex()}")
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(file)
    except OSError as problem:
        return f"workspace: {problem}"
    return ""


def main(first: frozenset[str]) -> warm.Job:
    """`first` are the modules that the interpreter had loaded by itself. The stream is stdin and stdout."""
    del sys.path[0]
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    os.umask(0o022)
    # Signals from inside reach a first process only where it listens to them.
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.Signals) - {signal.SIGCHLD})
    source, sink = (os.dup(end) for end in (0, 1))
    nothing = os.open(os.devnull, os.O_RDWR)
    for end in (0, 1):
        os.dup2(nothing, end)
    os.close(nothing)
    for end in (source, sink):
        os.set_blocking(end, False)
    user = os.stat(visits.WORKSPACE).st_uid
    cage.step_back(user)
    problem = _problem()
    porter = Porter(source, sink, warm.Interpreter(_words(), first), user)
    warm.keep_for_good(first)
    porter.hello(problem)
    return porter.wait()
