"""Waits in the outer containment and forks a run for each knock.

It never sees what is run: a run's request comes over the run's own socket, which the launcher
passes on unread, so that nothing of one run is in the memory that the next is forked from.
"""

import array
import os
import select
import signal
import socket
import sys

from agenthost.sandboxes.inside import calls, cell, linux, warm

_BIN = "/opt/agenthost/bin"


class _Launcher:
    def __init__(self, control: socket.socket, outer: tuple[int, int] | None, first: frozenset[str]) -> None:
        self._control = control
        self._outer = outer
        names = ("python", "python3")
        words = {word: f"{_BIN}/{name}" for name in names for word in (name, f"{_BIN}/{name}")}
        self._python = warm.Interpreter(words, first)
        self._filter = calls.program(linux.MACHINE)
        self._flags = linux.OWN | (0 if outer is None else linux.CLONE_NEWUSER)
        self._runs: dict[str, tuple[int, int]] = {}  # id: (pid, pidfd)
        self._watched: dict[int, str] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def wait(self) -> warm.Job:
        """Serve until the host hangs up; returns only in a run's first process."""
        self._control.send(b"up")
        while True:
            for number, _ in self._poll.poll():
                if number in self._watched:
                    self._gone(number)
                elif (job := self._hear()) is not None:
                    return job

    def _hear(self) -> warm.Job | None:
        """One message of the host: `start ID` with the run's socket, or `kill ID`."""
        files = array.array("i")
        message, extra, _, _ = self._control.recvmsg(256, socket.CMSG_LEN(files.itemsize))
        if not message:
            os._exit(0)
        for _, _, data in extra:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
        verb, _, run = message.decode("ascii").partition(" ")
        if verb == "start":
            return self._start(run, files[0])
        if verb == "kill" and run in self._runs:
            os.kill(self._runs[run][0], signal.SIGKILL)
        return None

    def _start(self, run: str, door: int) -> warm.Job | None:
        try:
            pid = linux.clone(self._flags)
        except OSError as problem:
            os.close(door)
            self._control.send(f"gone {run} -1 {problem}".encode())
            return None
        if pid == 0:
            self._control.detach()
            os.dup2(door, 3)
            linux.close_from(4)
            return cell.live(socket.socket(fileno=3), self._outer, self._filter, self._python)
        os.close(door)
        watcher = os.pidfd_open(pid)
        self._runs[run] = (pid, watcher)
        self._watched[watcher] = run
        self._poll.register(watcher, select.POLLIN)
        return None

    def _gone(self, watcher: int) -> None:
        """A run's pid 1 is dead, and with it everything of the run."""
        run = self._watched.pop(watcher)
        pid, _ = self._runs.pop(run)
        self._poll.unregister(watcher)
        os.close(watcher)
        _, status = os.waitpid(pid, 0)
        self._control.send(f"gone {run} {status}".encode())


def main(first: frozenset[str]) -> warm.Job:
    """`first` are the modules that the interpreter had loaded by itself. argv: control descriptor, root or user."""
    del sys.path[0]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    control = socket.socket(fileno=int(sys.argv[1]))
    warm.keep_for_good(first)
    outer = None if sys.argv[2] == "root" else (os.getuid(), os.getgid())
    return _Launcher(control, outer, first).wait()
