"""Starts a private engine in a folder, and ends it with the process that it is for: `keeper.py KIND FOLDER PID`.

KIND is `docker`, `podman`, or `rootless`: Podman of an ordinary user.

It leaves its caller and lives until it is told to end (SIGTERM) or the process PID is gone, however that ended. Then it
ends the engine by its pid, then whatever is left of its containers, and removes the folder. Told so (SIGHUP), it starts the engine again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import left
import podman_start

# gVisor takes the container's empty network for the machine's own on newer kernels, unless it is told that there is none.
RUNSC = ["--platform=systrap", "--network=none"]
LOOKS = 0.2
ENDS_WITHIN = 30.0


def main(kind: str, folder: Path, owner: int) -> None:
    if os.fork():
        return
    os.setsid()
    ended: list[int] = []
    again: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    signal.signal(signal.SIGHUP, lambda number, _: again.append(number))
    (folder / "keeper.pid").write_text(str(os.getpid()))
    engine = start(folder) if kind == "docker" else podman_start.start(folder, kind == "rootless")
    try:
        while not ended and engine.poll() is None and Path(f"/proc/{owner}").exists():
            time.sleep(LOOKS)
            if again:
                again.clear()
                engine.terminate()
                engine.wait(ENDS_WITHIN)
                engine = start(folder)
        if engine.poll() is not None and not ended:
            (folder / "ended").touch()
            while not ended and Path(f"/proc/{owner}").exists():
                time.sleep(LOOKS)
    finally:
        end(engine, folder) if kind == "docker" else podman_start.end(engine, folder)
        shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Docker's engine, in a mount namespace of its own: what it mounts is gone with it."""
    env = dict(os.environ)
    mounts = Path("/proc/mounts").read_text().splitlines()
    if any(line.split()[1:3] in (["/", "rootfs"], ["/", "tmpfs"]) for line in mounts):
        env["DOCKER_RAMDISK"] = "1"  # a root in memory can't be pivoted away from
    command = ["unshare", "--mount", "--propagation", "private", "dockerd", "--iptables=false", "--bridge=none"]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "-p", str(folder / "pid")]
    command += ["--config-file", str(folder / "none.json"), "-H", f"unix://{folder}/engine.sock"]
    settings = (
        {"runtimes": {"runsc": {"path": runsc, "runtimeArgs": RUNSC}}} if (runsc := shutil.which("runsc")) else {}
    )
    (folder / "none.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)


def end(engine: subprocess.Popen[bytes], folder: Path) -> None:
    engine.terminate()
    try:
        engine.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()
    left.end_processes(folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
