"""Why there is no sandbox here, and the command or setting that mends it."""

import os
import platform
import shutil
import sys
from pathlib import Path

from agenthost.core.sandboxes import Availability

_SYS_ADMIN = 1 << 21
_INSTALL = (("apt-get", "install -y bubblewrap"), ("dnf", "install -y bubblewrap"), ("pacman", "-S bubblewrap"))
_CONTAINER = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN"


def _no(detail: str, fix: str) -> Availability:
    return Availability(False, detail, fix)


def before(bwrap: str) -> Availability | None:
    """What is missing for certain, or None."""
    if sys.platform != "linux":
        return _no(
            f"bubblewrap runs on Linux only, and this is {sys.platform}", "run AgentHost in a Linux machine or WSL 2"
        )
    if platform.machine() not in ("x86_64", "aarch64"):
        return _no(f"there is no system call filter for {platform.machine()}", "run AgentHost on x86_64 or aarch64")
    if shutil.which(bwrap) is None:
        manager = next(((tool, how) for tool, how in _INSTALL if shutil.which(tool)), _INSTALL[0])
        sudo = "" if os.geteuid() == 0 else "sudo "
        return _no(f"{bwrap} is not installed", f"{sudo}{manager[0]} {manager[1]}")
    if os.geteuid() == 0 and not _capabilities() & _SYS_ADMIN:
        return _no(
            "AgentHost runs as root without the capability SYS_ADMIN, as in a container",
            f"start the container with {_CONTAINER}, or run AgentHost as an ordinary user",
        )
    return None


def after(said: str) -> Availability:
    """What most likely keeps namespaces from being made, given what bwrap or the launcher said."""
    settings = (
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    )
    for name, bad, good in settings:
        if _read(f"/proc/sys/{name}") == bad:
            return _no(
                f"this system forbids user namespaces ({name.replace('/', '.')} is {bad}): {said}",
                f"sudo sysctl -w {good}",
            )
    if _in_container():
        return _no(f"this container forbids namespaces: {said}", f"start the container with {_CONTAINER}")
    return _no(f"bubblewrap can't start: {said}", "see docs/sandbox.md, 'When it does not start'")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _status(name: str) -> str:
    for line in _read("/proc/self/status").splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    return "0"


def _capabilities() -> int:
    return int(_status("CapEff"), 16)


def _in_container() -> bool:
    marked = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    return marked or _status("Seccomp") == "2" or "container" in os.environ
