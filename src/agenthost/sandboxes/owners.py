"""Who made something that outlives a process, told so that another process can see whether its maker is gone."""

import hashlib
import os
import socket
from pathlib import Path

from msgspec import Struct


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks (proc(5), field 22 of stat); empty where there is none. A pid
    alone may be somebody else's by now."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


class Owner(Struct, frozen=True):
    """A process. `machine` and `boot` say where its pid counts, `space` in which pid namespace; `began` as `started`
    says. All but the machine are empty where there is no /proc."""

    machine: str
    boot: str
    space: str
    pid: int
    began: str

    @property
    def label(self) -> str:
        """A short text that `gone` reads."""
        return " ".join((self.machine, self.boot, self.space, str(self.pid), self.began))


def this() -> Owner:
    """This process."""
    pid = os.getpid()
    return Owner(_machine(), _read("/proc/sys/kernel/random/boot_id"), _space(), pid, started(pid))


def gone(label: str) -> bool:
    """Whether the process that a label tells of is gone for certain. A process that can't be seen from here lives."""
    machine, boot, space, pid, began = (label.split(" ") + [""] * 5)[:5]
    if not label:
        return True
    if machine != _machine():
        return False
    if boot != _read("/proc/sys/kernel/random/boot_id"):
        return True
    return space == _space() and pid.isdigit() and started(int(pid)) != began


def _machine() -> str:
    name = _read("/etc/machine-id") or socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:12]  # machine-id(5): not to be shown as it is


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
