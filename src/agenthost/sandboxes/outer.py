"""The outer containment: the bwrap command that the launcher runs in."""

import os
import sys
from pathlib import Path

from msgspec import Struct

from agenthost.sandboxes.inside.rooms import GRANTED_ETC, LAYERS, NEW, PACKAGES, SKELETON, WORKSPACES

HOME = "/opt/agenthost"
LIBRARY = f"{HOME}/launcher"
# For the layout of a run's root the launcher needs these, of the real root where it has them.
CAPABILITIES = (
    "SYS_ADMIN", "SYS_PTRACE", "SETUID", "SETGID", "SETPCAP", "CHOWN", "FOWNER", "KILL", "NET_ADMIN",
    "NET_BIND_SERVICE", "DAC_OVERRIDE", "DAC_READ_SEARCH",
)  # fmt: skip
START = (
    f"import sys; first = frozenset(sys.modules); sys.path.insert(0, {LIBRARY!r}); "
    "from agenthost.sandboxes.inside.launcher import main; main(first)()"
)
ENVIRONMENT = {
    "PATH": f"{PACKAGES}/bin:{HOME}/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Where Linux systems keep the certificates that they trust, in one file.
_BUNDLES = (CERTIFICATES, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")
_DEVICES = ("null", "zero", "full", "random", "urandom")


class Places(Struct, frozen=True):
    """Folders of the host that the sandbox is made from. `python` is the prefix of the interpreter."""

    runtime: Path
    layers: Path
    workspaces: Path
    python: Path
    site: tuple[str, ...]


def keeps_local(python: Path) -> bool:
    """Whether /usr/local is part of the sandbox: only where the interpreter lives there."""
    return str(python).startswith("/usr/local")


def hidden(places: Places) -> list[str]:
    """Folders with the host's own Python packages."""
    found = [Path("/usr/lib/python3/dist-packages")]
    if keeps_local(places.python):
        found += sorted(Path("/usr/local/lib").glob("python3*/*-packages"))
    found += sorted(Path("/usr/lib").glob("python3.*/*-packages"))
    return [str(path) for path in found if path.is_dir() and str(path) not in places.site]


def _parents(at: str, path: str) -> list[str]:
    """The folders above `path`, open to everyone: bwrap alone would make them its own user's."""
    arguments: list[str] = []
    for folder in reversed(Path(path).parents[:-1]):
        arguments += ["--perms", "0755", "--dir", f"{at}{folder}"]
    return arguments


def _system(at: str, places: Places) -> list[str]:
    """The read-only system under `at` (the empty text is the root)."""
    arguments = ["--ro-bind", "/usr", f"{at}/usr"]
    python = str(places.python)
    inside_usr = places.python == Path("/usr") or python.startswith("/usr/")
    if not keeps_local(places.python) and Path("/usr/local").is_dir():
        arguments += ["--tmpfs", f"{at}/usr/local", "--remount-ro", f"{at}/usr/local"]
    for name in _SYSTEM:
        folder = Path("/", name)
        if folder.is_symlink():
            arguments += ["--symlink", os.readlink(folder), f"{at}/{name}"]
        elif folder.is_dir():
            arguments += ["--ro-bind", f"/{name}", f"{at}/{name}"]
    if not inside_usr:
        arguments += [*_parents(at, python), "--ro-bind", python, f"{at}{python}"]
    empty = str(places.runtime / "empty")
    for folder in hidden(places):
        arguments += ["--ro-bind", empty, f"{at}{folder}"]
    for number, folder in enumerate(places.site):
        arguments += ["--ro-bind", str(places.runtime / "site") if number == 0 else empty, f"{at}{folder}"]
    arguments += ["--ro-bind", str(places.runtime / "etc"), f"{at}/etc"]
    for name in ("ld.so.cache", "alternatives"):
        arguments += ["--ro-bind-try", f"/etc/{name}", f"{at}/etc/{name}"]
    arguments += _parents(at, f"{HOME}/bin")
    for name in ("bin", "python"):
        arguments += ["--ro-bind", str(places.runtime / name), f"{at}{HOME}/{name}"]
    return arguments


def certificates() -> Path | None:
    """The certificates that this machine trusts, None where there are none."""
    found = (Path(bundle) for bundle in _BUNDLES)
    return next((path.resolve() for path in found if path.is_file() and path.stat().st_size), None)


def _granted_etc(places: Places) -> list[str]:
    """The /etc of runs that have hosts granted, put in the place of the other one."""
    arguments = ["--ro-bind", str(places.runtime / "etc-granted"), GRANTED_ETC]
    for name in ("ld.so.cache", "alternatives"):
        arguments += ["--ro-bind-try", f"/etc/{name}", f"{GRANTED_ETC}/{name}"]
    if (bundle := certificates()) is not None:
        arguments += ["--ro-bind", str(bundle), f"{GRANTED_ETC}{CERTIFICATES.removeprefix('/etc')}"]
    return arguments


def _devices(at: str) -> list[str]:
    arguments = ["--dir", f"{at}/dev"]
    for name in _DEVICES:
        arguments += ["--dev-bind", f"/dev/{name}", f"{at}/dev/{name}"]
    links = {
        "fd": "/proc/self/fd",
        "stdin": "/proc/self/fd/0",
        "stdout": "/proc/self/fd/1",
        "stderr": "/proc/self/fd/2",
    }
    for name, target in {**links, "shm": "/tmp/.shm"}.items():
        arguments += ["--symlink", target, f"{at}/dev/{name}"]
    return arguments


def command(bwrap: str, places: Places, control: int, root: bool) -> list[str]:
    """The whole command; `control` is the launcher's end of the control socket."""
    arguments = [bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    for name, value in ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    if root:
        arguments += ["--cap-drop", "ALL"]
        for name in CAPABILITIES:
            arguments += ["--cap-add", f"CAP_{name}"]
    else:
        arguments += ["--unshare-user"]
    arguments += [
        *_system("", places),
        *_devices(""),
        "--proc",
        "/proc",
        "--dir",
        "/tmp",
        "--dir",
        NEW,
        "--dir",
        PACKAGES,
    ]
    inside = Path(__file__).parent / "inside"
    arguments += ["--ro-bind", str(inside), f"{LIBRARY}/agenthost/sandboxes/inside"]
    arguments += ["--tmpfs", SKELETON, *_system(SKELETON, places), *_devices(SKELETON)]
    for name in ("/workspace", "/tmp", "/proc", PACKAGES):
        arguments += ["--perms", "0755", "--dir", f"{SKELETON}{name}"]
    arguments += ["--remount-ro", SKELETON]
    arguments += ["--bind", str(places.workspaces), WORKSPACES, "--ro-bind", str(places.layers), LAYERS]
    arguments += _granted_etc(places)
    arguments += ["--remount-ro", "/", "--chdir", "/"]
    return [*arguments, "--", f"{HOME}/bin/python", "-c", START, str(control), "root" if root else "user"]


def interpreter() -> Path:
    """The interpreter behind this one: not a virtual environment's, and no link."""
    base: str = getattr(sys, "_base_executable", sys.executable)
    return Path(base).resolve()
