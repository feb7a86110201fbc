"""Starts a private Docker engine in a folder, and ends it with the process that it is for: `keeper.py FOLDER PID`.

It leaves its caller and lives until it is told to end (SIGTERM) or the process PID is gone, however that ended. Then it
ends the engine by its pid, then whatever is left of its containers, and removes the folder. Told so (SIGHUP), it starts
the engine again.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

# gVisor takes the container's empty network for the machine's own on newer kernels, unless it is told that there is none.
RUNSC = ["--platform=systrap", "--network=none"]
LOOKS = 0.2
ENDS_WITHIN = 30.0
PROGRAMS = (b"dockerd", b"containerd", b"docker", b"runsc", b"runc")
"""What an engine consists of; others may name its folder for reasons of their own."""


def main(folder: Path, owner: int) -> None:
    if os.fork():
        return
    os.setsid()
    ended: list[int] = []
    again: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    signal.signal(signal.SIGHUP, lambda number, _: again.append(number))
    (folder / "keeper.pid").write_text(str(os.getpid()))
    engine = start(folder)
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
        end(engine, folder)


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The engine, in a mount namespace of its own: what it mounts is gone with it."""
    env = dict(os.environ)
    mounts = Path("/proc/mounts").read_text().splitlines()
    if any(line.split()[1:3] in (["/", "rootfs"], ["/", "tmpfs"]) for line in mounts):
        env["DOCKER_RAMDISK"] = "1"  # a root in memory can't be pivoted away from
    command = ["unshare", "--mount", "--propagation", "private", "dockerd", "--iptables=false", "--bridge=none"]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "-p", str(folder / "pid")]
    command += ["--config-file", str(folder / "none.json"), "-H", f"unix://{folder}/docker.sock"]
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
    end_processes(folder)
    shutil.rmtree(folder, ignore_errors=True)


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


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
