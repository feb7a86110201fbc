"""A container's share of the machine's cores: by a cgroup of its own, else whole cores that it is bound to.

A cgroup (cgroups(7), v1 or v2) needs a place where this process may make one: root has it nearly everywhere, others
where a service manager has given them one. It holds everything of the container, gVisor's own work too.
"""

import itertools
import math
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

_PREFIX = "agenthost-"
_PERIOD = 100_000
_LEAST = 1000  # microseconds; the kernel takes no less
_PATIENCE = 3.0
_CGROUPS, _MOUNTS = Path("/proc/self/cgroup"), Path("/proc/self/mountinfo")
# The shell moves itself, so that nothing of what it becomes has ever been outside.
_ENTER = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


class Share:
    """One container's. `words` go before its command."""

    def __init__(self, words: Sequence[str], folder: Path | None, cores: float) -> None:
        self.words = words
        self._folder = folder
        self._cores = cores

    def hold(self) -> None:
        """From now on it has no more than its share: it may have more while it starts. Raises OSError."""
        if self._folder is None:
            return
        quota = max(int(self._cores * _PERIOD), _LEAST)
        if (self._folder / "cpu.max").exists():
            (self._folder / "cpu.max").write_text(f"{quota} {_PERIOD}")
        else:
            (self._folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota))

    def end(self) -> None:
        """The container has ended."""
        if self._folder is not None:
            _remove(self._folder)


class Cores:
    """Shares for the containers of one host, whose cgroups' names have `mark` in them."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._place = _place()
        self._taskset = shutil.which("taskset")
        self._turns = itertools.count()

    @property
    def exact(self) -> bool:
        """Whether parts of a core can be held to."""
        return self._place is not None

    def share(self, name: str, cores: float) -> Share:
        """For a container that begins now. `cores` as the policy has them."""
        allowed = sorted(os.sched_getaffinity(0))
        if cores >= len(allowed):
            return Share((), None, cores)
        if self._place is not None:
            folder = self._place / f"{_PREFIX}{self._mark}-{name}"
            folder.mkdir()
            return Share(("/bin/sh", "-c", _ENTER, str(folder)), folder, cores)
        if self._taskset is None:
            return Share((), None, cores)
        wanted, turn = math.ceil(cores), next(self._turns)
        mine = ",".join(str(allowed[(turn + number) % len(allowed)]) for number in range(wanted))
        return Share((self._taskset, "--cpu-list", mine), None, cores)


def clear(mark: str) -> None:
    """Remove the cgroups of a host that is no more; its containers have ended."""
    if (place := _place()) is not None:
        for left in place.glob(f"{_PREFIX}{mark}-*"):
            _remove(left)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # something of it lives on; the next host's start clears it
            time.sleep(0.01)


def _place() -> Path | None:
    """A folder in which cgroups that bound cores can be made by this process."""
    try:
        own = _own(_CGROUPS.read_text())
        mounts = _MOUNTS.read_text()
    except OSError:
        return None
    if "cpu" in own:
        return next((found for found in _above(mounts, "cpu", own["cpu"]) if _takes(found)), None)
    for found in _above(mounts, "", own.get("", "/")):
        try:
            given = (found / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if "cpu" in given and _takes(found):
            return found
    return None


def _own(text: str) -> dict[str, str]:
    """The paths of this process's cgroups by controller; v2's under the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _above(mounts: str, controller: str, path: str) -> list[Path]:
    """The folder of a cgroup and those above it, as far as the hierarchy is mounted here."""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        root, at = before.split()[3:5]
        kind, _, options = after.split()[:3]
        fits = controller in options.split(",") if controller else True
        if kind == ("cgroup" if controller else "cgroup2") and fits:
            inside = path.removeprefix(root if root != "/" else "").strip("/")
            own = Path(at, inside)
            return [own, *(each for each in own.parents if each.is_relative_to(at))]
    return []


def _takes(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK)
