"""Podman in a folder: `start` for the keeper, and its first process, `podman_start.py FOLDER USER`.

That is the first of a pid and a mount namespace, so that containers and what they mounted end with it. Podman has no
process of its own beyond the one that serves its API: containers belong to helpers that would outlive it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from asking import ask
from registry import PLAIN

NOBODY_HERE = 65_530
"""The ordinary user, and by that the name that the bed's own /etc/passwd has for it."""
UNIFIED = Path("/sys/fs/cgroup/unified")
ETC = {
    "passwd": f"root:x:0:0::/root:/bin/sh\ntester:x:{NOBODY_HERE}:{NOBODY_HERE}::{{folder}}/home:/bin/sh\n",
    "group": f"root:x:0:\ntester:x:{NOBODY_HERE}:\n",
    "subuid": "tester:2000000:65536\n",
    "subgid": "tester:2000000:65536\n",
}
"""The bed's own, so that the machine needs no user for it."""


def start(folder: Path, ordinary: bool) -> subprocess.Popen[bytes]:
    """Podman as root, or as an ordinary user. Told to end, everything of it ends."""
    user = NOBODY_HERE if ordinary else 0
    for name in ("home", "work"):
        (folder / name).mkdir()
        os.chown(folder / name, user, user)
    work = folder / "work"
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "{_driver(folder)}"\ngraphroot = "{work}/data"\nrunroot = "{work}/run"\n'
    )
    (folder / "containers.conf").write_text(
        f'[engine]\ncgroup_manager = "cgroupfs"\nruntime = "crun"\nevents_logger = "file"\n'
        f'events_logfile_path = "{work}/events"\ntmp_dir = "{work}/tmp"\n'
        f'volume_path = "{work}/volumes"\nnetwork_config_dir = "{work}/net"\n'
    )
    (folder / "registries.conf").write_text(
        "".join(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n' for port in PLAIN)
    )
    for name, text in ETC.items():
        (folder / name).write_text(text.format(folder=folder))
    command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, sys.executable, __file__, str(folder), str(user)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _driver(folder: Path) -> str:
    """Layers can't lie on layers or, for an ordinary user, in memory of an older kernel; then they are copied."""
    told = subprocess.run(["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True).stdout
    return "vfs" if told.strip() == "overlayfs" else "overlay"


def end(engine: subprocess.Popen[bytes], folder: Path) -> None:
    """Containers first, so that their cgroups go too; then all the rest at once, by the end of the namespace."""
    try:
        for container in json.loads(ask(folder, "GET", "/containers/json?all=1")[1]):
            ask(folder, "DELETE", f"/containers/{container['Id']}?force=1")
    except (OSError, ValueError):
        pass  # it is away already
    finally:
        engine.kill()
        engine.wait()


def first(folder: Path, user: int) -> int:
    """The first process: serves and reaps until Podman ends."""
    if UNIFIED.is_mount() and (UNIFIED / "cgroup.controllers").read_text().strip():
        subprocess.run(["umount", UNIFIED], check=True)  # crun refuses both kinds of cgroups at once
    work = folder / "work"
    env = {
        "PATH": os.environ["PATH"],
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(work),
    }
    command = ["podman", "system", "service", "--time=0", f"unix://{work}/engine.sock"]
    if user:
        for name in ETC:
            subprocess.run(["mount", "--bind", folder / name, f"/etc/{name}"], check=True)
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        env["XDG_RUNTIME_DIR"] = str(work)
    podman = subprocess.Popen(command, env=env, cwd=work)  # its helpers write there
    (folder / "engine.sock").symlink_to(work / "engine.sock")
    while True:
        ended, _ = os.wait()
        if ended == podman.pid:
            return 0


if __name__ == "__main__":
    sys.exit(first(Path(sys.argv[1]), int(sys.argv[2])))
