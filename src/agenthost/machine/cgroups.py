"""The limits that cgroups (version 1 and 2) put on this process: those of its own group and of every group above it."""

from pathlib import Path

from msgspec import Struct

_NO_LIMIT = 1 << 60
"""Version 1 says "no limit" with a number near 2^63, rounded down to whole pages."""


class Limit(Struct, frozen=True):
    """What a cgroup allows: memory in bytes (None: no limit), how much of it is free, cores (None: no limit)."""

    memory: int | None = None
    free: int | None = None
    cores: float | None = None


def limits(root: Path) -> Limit:
    """The strictest limits of this process. `root` is where /proc is found, and what mount points are below."""
    memory: list[int] = []
    free: list[int] = []
    cores: list[float] = []
    for folder, version in _groups(root):
        limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        if limit is not None and limit < _NO_LIMIT:
            memory.append(limit)
            free.append(max(0, limit - _used(folder, version)))
        if (quota := _quota(folder, version)) is not None:
            cores.append(quota)
    return Limit(min(memory, default=None), min(free, default=None), min(cores, default=None))


def _groups(root: Path) -> list[tuple[Path, int]]:
    """The folders of this process's groups and of those above them, with the version of their hierarchy."""
    mounts = _mounts(root)
    found: list[tuple[Path, int]] = []
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        version = 1 if controllers else 2
        for controller in controllers.split(",") if controllers else [""]:
            if controller not in ("", "memory", "cpu") or (version, controller) not in mounts:
                continue
            point, within = mounts[version, controller]
            below = group[len(within) :] if within != "/" and group.startswith(within) else group
            # In a cgroup namespace a group outside of it begins with `/..`: then only the mount itself can be seen.
            parts = [part for part in below.split("/") if part]
            parts = [] if ".." in parts else parts
            top = root / point.lstrip("/")
            found += ((top.joinpath(*parts[:depth]), version) for depth in range(len(parts), -1, -1))
    return found


def _mounts(root: Path) -> dict[tuple[int, str], tuple[str, str]]:
    """(version, controller) to (mount point, the group that is mounted there). See proc(5), mountinfo."""
    found: dict[tuple[int, str], tuple[str, str]] = {}
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if len(left) < 5 or len(right) < 3:
            continue
        if right[0] == "cgroup2":
            found[2, ""] = (left[4], left[3])
        elif right[0] == "cgroup":
            for controller in right[2].split(","):
                found[1, controller] = (left[4], left[3])
    return found


def _used(folder: Path, version: int) -> int:
    """Bytes that a group uses and can't give back: without file pages that nobody has touched lately."""
    used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")) or 0
    name = "inactive_file" if version == 2 else "total_inactive_file"
    for line in _lines(folder / "memory.stat"):
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            used -= int(value)
    return max(0, used)


def _quota(folder: Path, version: int) -> float | None:
    """Cores that a group may keep busy, None where that isn't limited."""
    if version == 2:
        words = " ".join(_lines(folder / "cpu.max")).split()
        quota, period = (words[0], words[1]) if len(words) == 2 else ("max", "0")
        if not (quota.isdigit() and period.isdigit()):
            return None
        return int(quota) / int(period) if int(period) else None
    quota_us, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us is not None and quota_us > 0 and period_us else None


def _number(file: Path) -> int | None:
    text = " ".join(_lines(file)).strip()
    return int(text) if text.removeprefix("-").isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
