"""What is there of a process and of all that it started, counted from outside, so that before and after can be compared.

Whoever counts is the reaper of everything below it (`adopt`): what lost its parent is still found.
"""

import ctypes
import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHILD_SUBREAPER = 36  # prctl(2)
_DEEP = 8
_ID = re.compile(r"[0-9a-f]{24,}|\b\d+-[0-9a-f]{8}\b|\broom-\d+\b")
"""What is another one each time: a container's id, a host's folder, a container's folder."""


def adopt() -> None:
    """From now on this process is the parent of whatever below it loses its own. Only on Linux."""
    if ctypes.CDLL(None, use_errno=True).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def reap(known: Collection[int]) -> int:
    """Take leave of the adopted that have ended, as a machine's first process does; how many. `known`: children that
    somebody else waits for."""
    ended = 0
    for pid, process in processes().items():
        if process.parent == os.getpid() and process.state == "Z" and pid not in known:
            os.waitpid(pid, os.WNOHANG)
            ended += 1
    return ended


@dataclass(frozen=True)
class Process:
    """One process: its parent, its name, and its state as in proc(5)."""

    parent: int
    name: str
    state: str


def processes() -> dict[int, Process]:
    """All of the machine, by pid."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            head, _, tail = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")
        except OSError:
            continue
        fields = tail.split()
        found[int(name)] = Process(int(fields[1]), head.partition("(")[2], fields[0])
    return found


def below(ancestor: int, skipped: Collection[int] = ()) -> dict[int, Process]:
    """The descendants of a process, without `skipped` and theirs."""
    everything = processes()
    children: dict[int, list[int]] = {}
    for pid, process in everything.items():
        children.setdefault(process.parent, []).append(pid)
    found: dict[int, Process] = {}
    todo = [ancestor]
    while todo:
        for pid in children.get(todo.pop(), ()):
            if pid not in skipped:
                found[pid] = everything[pid]
                todo.append(pid)
    return found


@dataclass(frozen=True)
class Where:
    """What is looked at. `host`: the process whose sandboxes they are. `folders`: everything in them counts. `ids`: of
    containers, by which their control groups and their processes are known. `shallow`: folders of which only the names
    count. `skipped`: processes that don't count."""

    host: int
    folders: Sequence[Path]
    ids: Collection[str] = ()
    shallow: Sequence[Path] = ()
    skipped: Collection[int] = ()


def count(where: Where) -> dict[str, Counter[str]]:
    """What is there, by kind and by what it is."""
    family = below(os.getpid(), where.skipped)
    everything = dict(family)
    if where.ids:
        everything |= {pid: process for pid, process in processes().items() if _named(pid, where.ids)}
    return {
        "processes": Counter(
            f"{process.name} ({process.state})" if process.state == "Z" else process.name
            for process in everything.values()
        ),
        "mounts": _mounts(everything, where.folders),
        "files": _files(where.folders) + Counter({folder.name: _length(folder) for folder in where.shallow}),
        "cgroups": _cgroups(where.ids),
        "open files": _open(where.host),
        "threads": Counter({"thread": _length(f"/proc/{where.host}/task")}),
    }


def more(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """What is there after and wasn't before."""
    return {kind: after[kind] - before.get(kind, Counter()) for kind in after}


def memory(pid: int) -> float:
    """What a process has in memory, in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        kilobytes = next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)
    return kilobytes / 1024


def _named(pid: int, ids: Collection[str]) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any(word in ids for word in words)


def _mounts(family: Collection[int], folders: Sequence[Path]) -> Counter[str]:
    """Of every mount namespace but the machine's, how many there are and what is mounted there; of the machine's own,
    what lies in the folders."""
    found: Counter[str] = Counter()
    seen: set[str] = set()
    mine = os.readlink("/proc/self/ns/mnt")
    for pid in (os.getpid(), *family):
        try:
            space = os.readlink(f"/proc/{pid}/ns/mnt")
            lines = [] if space in seen else Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()
        except OSError:
            continue
        if space in seen:
            continue
        seen.add(space)
        kinds = [(line.split()[4], line.partition(" - ")[2].split()[0]) for line in lines]
        if space == mine:
            names = tuple(str(folder) for folder in folders)
            kinds = [(place, kind) for place, kind in kinds if place.startswith(names)]
        else:
            found["namespace"] += 1
        found.update(kind for _, kind in kinds)
    return found


def _files(folders: Sequence[Path]) -> Counter[str]:
    found: Counter[str] = Counter()
    for folder in folders:
        for parent, names, files in os.walk(folder):
            place = Path(parent).relative_to(folder)
            found[_ID.sub("*", f"{folder.name}/{place}")] += len(names) + len(files)
            if len(place.parts) >= _DEEP or (place.parts[-1:] and os.path.ismount(parent)):
                names.clear()
    return +found


def _cgroups(ids: Collection[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    if ids:
        for parent, names, _ in os.walk("/sys/fs/cgroup"):
            for name in names:
                if any(id in name for id in ids):
                    found[Path(parent).parts[4] if len(Path(parent).parts) > 4 else "cgroup"] += 1
    return found


def _open(pid: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in _names(f"/proc/{pid}/fd"):
        try:
            found[os.readlink(f"/proc/{pid}/fd/{name}").partition(":[")[0]] += 1
        except OSError:
            continue
    return found


def _names(folder: str | Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _length(folder: str | Path) -> int:
    return len(_names(folder))
