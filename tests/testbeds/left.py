"""What an engine leaves: processes of its containers that outlive it, found by its folder."""

import contextlib
import os
import signal
import time
from pathlib import Path

ENDS_WITHIN = 30.0
PROGRAMS = (b"dockerd", b"containerd", b"docker", b"runsc", b"runc")
"""What an engine consists of; others may name its folder for reasons of their own."""


def end_processes(folder: Path) -> None:
    """End every process that an engine in this folder left, before the folder is gone and nobody can tell whose they are:
    those that name it, and all below them. Some start others while they are ended, so it is looked again."""
    deadline = time.monotonic() + ENDS_WITHIN
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def processes_of(folder: Path) -> set[int]:
    """The living processes of this engine, from its folder in their command lines; never those that we come from."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    inside = os.fsencode(f"{folder}/")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "stat").read_text().rpartition(")")[2].split()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if told[0] in "ZX":
            continue
        parents[int(process.name)] = int(told[1])
        if words[0].rpartition(b"/")[2].startswith(PROGRAMS) and any(inside in word for word in words):
            found.add(int(process.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    ours, pid = set[int](), os.getpid()
    while pid:
        ours.add(pid)
        pid = parents.get(pid, 0)
    return found - ours
