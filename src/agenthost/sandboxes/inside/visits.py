"""One run in a room: its files come in, its first process is forked and watched, and what it changed is told.

The host opens a channel and sends records in lane 0 (`gone`, `folders`, `file` with content, `run`, and `stdin` after
the last of it) and stdin in lane 1. It is answered in lane 1 (stdout), lane 2 (stderr) and lane 0: `exit`, then what changed, then the end.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from agenthost.sandboxes.inside import program, records, spares, warm
from agenthost.sandboxes.inside.frames import Broken, Channel, Handler
from agenthost.sandboxes.inside.tree import empty, empty_mine
from agenthost.sandboxes.inside.watch import CGROUPS, SCRATCH, Watch

if TYPE_CHECKING:
    from agenthost.sandboxes.inside.porter import Porter

WORKSPACE = program.WORKSPACE
_LONGEST_HEAD = 8 * 1024 * 1024
_FIRST_LOOK, _SLOWEST_LOOK = 0.03, 0.1
_PIECE = 65536
_KILLED = 137


class Visit(Handler):
    """A run from its first record to its last."""

    def __init__(self, porter: Porter, channel: Channel) -> None:
        self._porter = porter
        self._channel = channel
        self._reader = records.Reader(_LONGEST_HEAD, self._head, self._content, self._done)
        self._file = -1
        self._coming: dict[str, Any] = {}
        self._request: dict[str, Any] = {}
        self._problem = ""
        self._pid = 0
        self._unwanted = False
        self._spent = 0.0
        self._watch: Watch | None = None
        self._pause = _FIRST_LOOK
        self.next_look: float | None = None
        self._outputs: dict[int, int] = {}  # descriptor: lane
        self._stdin = -1
        self._fed = bytearray()
        self._fed_all = False
        self._telling: Iterator[dict[str, Any]] | None = None
        self._told_file = -1
        self._told_left = 0

    # --- what comes in -----------------------------------------------------------------------

    def data(self, channel: Channel, lane: int, body: bytes) -> None:
        if lane == 0:
            self._reader.feed(body)
            channel.grant(len(body))
        else:
            self._fed += body
            if self._stdin >= 0:
                self._feed()

    def reset(self, channel: Channel, reason: str) -> None:
        """The host wants no answer any more."""
        self._clear()

    def _head(self, head: dict[str, Any]) -> None:
        tree = self._porter.tree
        try:
            if "file" in head:
                self._coming = head
                self._file = tree.begin(head["file"])
            elif "gone" in head:
                for path in head["gone"]:
                    tree.remove(path)
            elif "folders" in head:
                for path in head["folders"]:
                    tree.folder(path)
            elif "stdin" in head:
                self._fed_all = True
                if self._stdin >= 0:
                    self._feed()
            elif "run" in head:
                self._request = head["run"]
                self._porter.start = self
            else:
                raise Broken("an unknown record")
        except OSError as problem:
            self._problem = self._problem or f"the workspace can't be made in the sandbox: {problem}"

    def _content(self, piece: bytes) -> None:
        if self._file < 0:
            return
        try:
            while piece:
                piece = piece[os.write(self._file, piece) :]
        except OSError as problem:
            self._problem = self._problem or f"the workspace can't be made in the sandbox: {problem}"
            os.close(self._file)
            self._file = -1

    def _done(self) -> None:
        if self._file >= 0:
            self._porter.tree.finish(self._coming["file"], self._file, self._coming["mtime"])
            self._file = -1

    # --- the run -----------------------------------------------------------------------------

    def go(self) -> warm.Job | None:
        """Start the first process. Returns a job only there."""
        self._porter.start = None
        if self._channel.closed:
            return None
        if self._problem or self._porter.visit is not None:
            self._refuse(self._problem or "another run is going on in this room")
            return None
        if self._unwanted:
            self._porter.visit = self
            self._finish("", _KILLED)
            return None
        self._spent = _spent()
        request = self._request
        request["env"] = {**self._porter.environment, **dict(request["env"])}
        self._watch = Watch(request["memory"], request["disk"], None)
        self._spent = _spent()
        first = self._porter.spares.start(request)
        if not isinstance(first, spares.First):
            return first
        self._pid = first.pid
        self._porter.visit = self
        self._stdin = first.stdin
        self._outputs = {first.stdout: 1, first.stderr: 2}
        for end in self._outputs:
            self._porter.listen(end, select.POLLIN, lambda _, end=end: self._read(end))
        self._porter.listen(self._stdin, 0, lambda _: self._feed())
        self._feed()
        self.next_look = time.monotonic() + self._pause
        return None

    def _refuse(self, why: str) -> None:
        self._channel.send(records.pack({"error": why}))
        self._channel.end()

    def _feed(self) -> None:
        """Write stdin as fast as it is taken."""
        try:
            while self._fed:
                count = os.write(self._stdin, self._fed[:_PIECE])
                del self._fed[:count]
                self._channel.grant(count)
        except BlockingIOError:
            self._porter.listen(self._stdin, select.POLLOUT)
            return
        except BrokenPipeError:
            self._channel.grant(len(self._fed))
            self._fed.clear()
        self._porter.listen(self._stdin, 0)
        if self._fed_all:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            self._porter.leave(self._stdin)
            os.close(self._stdin)
            self._stdin = -1

    def _read(self, end: int) -> None:
        if self._channel.pending:
            # the host is behind; `ready` goes on
            for each in self._outputs:
                self._porter.listen(each, 0)
            return
        if not self._pass_on(end):
            self._porter.leave(end)
            os.close(end)
            del self._outputs[end]

    def _pass_on(self, end: int) -> bool:
        try:
            piece = os.read(end, _PIECE)
        except BlockingIOError:
            return True
        self._channel.send(piece, self._outputs[end])
        return bool(piece)

    def ready(self, channel: Channel) -> None:
        if self._telling is not None:
            self._tell()
            return
        for end in self._outputs:
            self._porter.listen(end, select.POLLIN)

    # --- its end -----------------------------------------------------------------------------

    def look(self) -> None:
        """A child ended: perhaps the run's first process."""
        if self._pid and (code := program.reap(self._pid)) is not None:
            watch = self._watch
            if watch is not None and watch.over_memory():
                self._finish("memory", _KILLED)
            elif code == 128 + signal.SIGXCPU or (
                code == _KILLED and _spent() - self._spent >= self._request["cpu_seconds"]
            ):
                self._finish("time", code)
            else:
                self._finish("", code)

    def look_in_time(self) -> None:
        """Look at what the run uses, when it is time to."""
        if self.next_look is None or self._watch is None or time.monotonic() < self.next_look:
            return
        began = time.monotonic()
        if limit := self._watch.over():
            self._finish(limit, _KILLED)
            return
        # A look costs at most a tenth of the time between looks.
        self._pause = min(max(self._pause * 1.3, 10 * (time.monotonic() - began)), max(_SLOWEST_LOOK, self._pause))
        self.next_look = time.monotonic() + self._pause

    def kill(self) -> None:
        """The host wants it ended, and told how it stands; also where it hasn't begun."""
        if self._pid:
            self._finish("", _KILLED)
        self._unwanted = True

    def _finish(self, limit: str, code: int) -> None:
        """End everything, tell the end, and begin to tell what changed."""
        sweep()
        self._pid = 0
        self.next_look = None
        self._close_stdin()
        for end in list(self._outputs):
            os.set_blocking(end, False)
            while self._last(end):
                pass
            self._porter.leave(end)
            os.close(end)
        self._outputs = {}
        if not limit and self._watch is not None and self._watch.over_disk():
            limit, code = "disk", _KILLED
        tidy()
        self._channel.send(records.pack({"exit": code, "limit": limit}))
        self._telling = self._porter.tree.changes()
        self._tell()

    def _last(self, end: int) -> bool:
        try:
            piece = os.read(end, _PIECE)
        except BlockingIOError:
            return False
        self._channel.send(piece, self._outputs[end])
        return bool(piece)

    def _tell(self) -> None:
        while not self._channel.pending and not self._channel.closed:
            if self._told_file >= 0:
                self._tell_content()
                continue
            head = next(self._telling, None) if self._telling is not None else None
            if head is None:
                self._telling = None
                self._porter.visit = None
                self._channel.end()
                return
            self._channel.send(records.pack(head))
            if "file" in head:
                self._told_file = self._porter.tree.open(head["file"])
                self._told_left = head["size"]

    def _tell_content(self) -> None:
        piece = os.read(self._told_file, min(_PIECE, self._told_left)) if self._told_left else b""
        self._told_left -= len(piece)
        self._channel.send(piece)
        if not piece:
            if self._told_left:
                raise Broken("a file changed with nobody there")
            os.close(self._told_file)
            self._told_file = -1

    def _clear(self) -> None:
        """The host gave up: nothing of this run may go on."""
        if self._pid:
            sweep()
        self._pid = 0
        self.next_look = None
        self._close_stdin()
        for end in self._outputs:
            self._porter.leave(end)
            os.close(end)
        self._outputs = {}
        if self._told_file >= 0:
            os.close(self._told_file)
            self._told_file = -1
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._porter.visit is self:
            self._porter.visit = None


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sweep() -> None:
    """End every process of the room but its first, however fast they fork."""
    if os.getpid() != 1:
        raise RuntimeError("only a first process may do this")
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def tidy() -> None:
    """Leave nothing in the room but its workspace."""
    for path in (*SCRATCH, "/dev/mqueue"):
        _tidy(path, empty)
    # crun has the container's cgroups of version 1 in a small file system that everybody may write.
    if os.access(CGROUPS, os.W_OK):
        _tidy(CGROUPS, empty_mine)


def _tidy(path: str, emptied: Callable[[int], None]) -> None:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        emptied(folder)
    finally:
        os.close(folder)
