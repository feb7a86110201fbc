"""What a container is made of: an OCI bundle (opencontainers/runtime-spec 1.0.2) from the machine's own system, or an image's."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agenthost.core.errors import BadInput
from agenthost.sandboxes.attached import boot
from agenthost.sandboxes.inside.rooms import PACKAGES, UID
from agenthost.sandboxes.outer import CERTIFICATES, ENVIRONMENT, HOME, Places, certificates, hidden, keeps_local

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
_SAFE = ["nosuid", "nodev"]
WORKSPACE = "/workspace"
# gVisor lets nobody inside set the last four, so they are as `cage.limits` wants them from the beginning.
LIMITS = {"NOFILE": 1024, "MSGQUEUE": 64 * 1024, "SIGPENDING": 1024, "NICE": 0, "RTPRIO": 0}
RIGHTS = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]


def _bind(source: str, target: str) -> dict[str, Any]:
    return {"destination": target, "type": "bind", "source": source, "options": ["ro", "rbind", *_SAFE]}


def _tmpfs(target: str, size: int, *more: str) -> dict[str, Any]:
    options = [*_SAFE, f"size={size}", *more]
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def system_mounts(places: Places) -> list[dict[str, Any]]:
    """The machine's own system, read-only, as `outer` lays it out for bubblewrap."""
    mounts = [_bind("/usr", "/usr")]
    python = str(places.python)
    if not keeps_local(places.python) and Path("/usr/local").is_dir():
        mounts.append(_bind(str(places.runtime / "empty"), "/usr/local"))
    plain = [f"/{name}" for name in _SYSTEM if not Path("/", name).is_symlink() and Path("/", name).is_dir()]
    mounts += [_bind(folder, folder) for folder in plain]
    if not python.startswith("/usr"):
        mounts.append(_bind(python, python))
    empty = str(places.runtime / "empty")
    mounts += [_bind(empty, folder) for folder in hidden(places)]
    for number, folder in enumerate(places.site):
        mounts.append(_bind(str(places.runtime / "site") if number == 0 else empty, folder))
    for name in ("bin", "python"):
        mounts.append(_bind(str(places.runtime / name), f"{HOME}/{name}"))
    return mounts


def lay_out_root(folder: Path, places: Places, image: str = "") -> None:
    """The skeleton of a root file system: places to mount on, the links of a merged /usr, and the small /etc."""
    folder.mkdir(mode=0o755)
    for name in _SYSTEM:
        system = Path("/", name)
        if system.is_symlink():
            (folder / name).symlink_to(os.readlink(system))
        elif system.is_dir():
            (folder / name).mkdir()
    wanted = ["usr", "proc", "dev", "sys", "tmp", "workspace", "etc", HOME[1:], f"{HOME[1:]}/bin", f"{HOME[1:]}/python"]
    for path in (*wanted, PACKAGES[1:], str(places.python)[1:]):
        (folder / path).mkdir(parents=True, exist_ok=True)
    for file in (places.runtime / "etc-granted").iterdir():
        if file.is_file():
            (folder / "etc" / file.name).write_bytes(file.read_bytes())
    if (trusted := certificates()) is not None:
        bundle = folder / CERTIFICATES[1:]
        bundle.parent.mkdir(parents=True)
        bundle.write_bytes(trusted.read_bytes())
    for name in ("ld.so.cache",):
        if Path("/etc", name).is_file():
            (folder / "etc" / name).write_bytes(Path("/etc", name).read_bytes())
    if Path("/etc/alternatives").is_dir():
        (folder / "etc" / "alternatives").mkdir()
        for link in Path("/etc/alternatives").iterdir():
            if link.is_symlink():
                (folder / "etc" / "alternatives" / link.name).symlink_to(os.readlink(link))


def layer_mounts(layer: Path | None) -> list[dict[str, Any]]:
    """A package layer."""
    return [_bind(str(layer), PACKAGES)] if layer is not None else []


def config(root: Path, mounts: Sequence[dict[str, Any]], size: int, python: str = f"{HOME}/bin/python") -> bytes:
    """config.json: a root that can't be written, /tmp and the workspace in memory, each of `size` bytes at most.

    The first process is root of gVisor's own kernel with the right to become somebody else, and uses it at once; it
    keeps the way back only because a run would otherwise be the same user and could kill it.
    """
    return json.dumps(
        {
            "ociVersion": "1.0.2",
            "hostname": "sandbox",
            "root": {"path": str(root), "readonly": True},
            "process": {
                "user": {"uid": 0, "gid": 0, "umask": 0o022},
                "args": [python, "-c", boot.START_AS_ROOT],
                "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
                "cwd": "/",
                "noNewPrivileges": True,
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), RIGHTS),
                "rlimits": [{"type": f"RLIMIT_{name}", "soft": most, "hard": most} for name, most in LIMITS.items()],
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": [*_SAFE, "noexec", "ro"]},
                *mounts,
                _tmpfs("/tmp", size, "mode=1777"),
                _tmpfs("/dev/shm", size, "mode=1777", "noexec"),
                _tmpfs(WORKSPACE, size, f"uid={UID}", f"gid={UID}", "mode=0755"),
            ],
            "linux": {
                "namespaces": [{"type": name} for name in _NAMESPACES],
                "maskedPaths": ["/proc/kcore", "/proc/sysrq-trigger", "/proc/sys"],
                "readonlyPaths": ["/proc/sys"],
            },
        }
    ).encode()


def image_mounts(folder: str) -> list[dict[str, Any]]:
    """The folders of a root file system that the settings name. Raises BadInput where it is none."""
    root = Path(folder)
    if not (root / "usr").is_dir() or not root.is_absolute():
        raise BadInput(
            f"'{folder}' is no root file system. [sandbox.gvisor] rootfs wants the path of a folder with usr in it."
        )
    mine = {"proc", "sys", "dev", "tmp", "workspace"}
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.is_symlink()]
    return [_bind(str(entry), f"/{entry.name}") for entry in folders if entry.name not in mine]
