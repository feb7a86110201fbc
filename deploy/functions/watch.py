"""Looking at a tree of processes, at folders, and at what is written to pipes."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO

_ENTRY = 4096


def below(pid: int) -> list[int]:
    """All processes below `pid`, by their parents."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                told = Path("/proc", name, "stat").read_bytes()
            except OSError:
                continue
            # The name of the program stands in parentheses and may hold anything.
            state, parent = told[told.rindex(b")") + 2 :].split()[:2]
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        waiting = [child for one in waiting for child in children.get(one, [])]
        found += waiting
    return found


def of_run(runner: int) -> list[int]:
    """The processes of a run: all below its runner but the first of its namespace, which is the runner's own code."""
    found = below(runner)
    with contextlib.suppress(OSError):
        if found and _command(found[0]) == _command(runner):
            return found[1:]
    return found


def _command(pid: int) -> bytes:
    return Path("/proc", str(pid), "cmdline").read_bytes()


def children(pid: int) -> list[int]:
    """The children of `pid`, also those that have ended and weren't waited for."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                told = Path("/proc", name, "stat").read_bytes()
                if int(told[told.rindex(b")") + 2 :].split()[1]) == pid:
                    found.append(int(name))
    return found


def kill(pid: int) -> None:
    """End a process at once; fine where it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def kill_below(pid: int) -> None:
    """End everything below `pid`, also what is forked meanwhile."""
    for _ in range(100):
        found = below(pid)
        for one in found:
            kill(one)
        if not found:
            return


def memory(pid: int) -> int:
    """Bytes of anonymous memory of a process, shared pages by their share where the kernel tells it (gVisor doesn't)."""
    for file, names in (("smaps_rollup", ("Pss_Anon", "Anonymous")), ("status", ("RssAnon", "VmRSS"))):
        try:
            text = Path("/proc", str(pid), file).read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        for name in names:
            if name in fields:
                return int(fields[name].split()[0]) * 1024
    return 0


def size(folder: Path) -> int:
    """Bytes below a folder; an entry counts at least 4 KiB."""
    total = 0
    for place, names, files in os.walk(folder):
        total += _ENTRY * len(names)
        for name in files:
            with contextlib.suppress(OSError):
                seen = os.lstat(os.path.join(place, name))
                total += max(_ENTRY, min(seen.st_size, seen.st_blocks * 512))
    return total


class Collector:
    """Keeps the beginning and the end of a stream, `most` bytes together; counts the rest. `too_much` is called where
    64 times as much (at least 4 MiB) was written."""

    def __init__(self, most: int, too_much: Callable[[], None]) -> None:
        self._most = most
        self._head_most = most - most // 2
        self._tail_most = most // 2
        self._head, self._tail = bytearray(), bytearray()
        self._count = 0
        self._too_much = too_much

    def read(self, pipe: IO[bytes]) -> None:
        """Read to the end; for a thread."""
        while piece := os.read(pipe.fileno(), 65536):
            self._count += len(piece)
            room = self._head_most - len(self._head)
            self._head += piece[:room] if room > 0 else b""
            rest = piece[room:] if room > 0 else piece
            self._tail = (self._tail + rest)[-self._tail_most :] if self._tail_most else bytearray()
            if self._count > max(64 * self._most, 4 << 20):
                self._too_much()

    def finish(self) -> tuple[bytes, int]:
        """What was kept, and how many bytes were not."""
        kept = bytes(self._head + self._tail)
        return kept, self._count - len(kept)


def feed(pipe: IO[bytes], content: bytes) -> None:
    """Write everything and close; for a thread."""
    with contextlib.suppress(BrokenPipeError):
        pipe.write(content)
        pipe.flush()
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
