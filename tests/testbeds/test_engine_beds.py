"""The engine that the tests have for themselves is gone with the process that it is for, however that ended."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbeds.asking import ask
from testbeds.docker import DOCKER
from testbeds.engines import IMAGE, Kind, base_of_run, end, engine, folder_of
from testbeds.podman import PODMAN, ROOTLESS


def processes_of(folder: Path) -> list[str]:
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(process.name) != os.getpid():
            found.append(line)
    return found


def lives(folder: Path) -> None:
    """Have a container in it."""
    body = json.dumps({"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none", **ULIMITS}})
    status, told = ask(folder, "POST", "/containers/create", body, "application/json")
    assert status == 201, told
    status, told = ask(folder, "POST", f"/containers/{json.loads(told)['Id']}/start")
    assert status == 204, told


ULIMITS = {"Ulimits": [{"Name": "nproc", "Soft": 1000, "Hard": 1000}, {"Name": "nofile", "Soft": 1024, "Hard": 1024}]}


@pytest.mark.parametrize("kind", [DOCKER, PODMAN, ROOTLESS], ids=lambda kind: kind.name)
@pytest.mark.parametrize("how", ["told", "killed"])
def test_nothing_of_an_engine_is_left(request: pytest.FixtureRequest, kind: Kind, how: str) -> None:
    kind.of(request)  # skips where there is none
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = folder_of(base_of_run(), kind)
    try:
        engine(kind, folder, owner.pid)
        lives(folder)
        assert processes_of(folder)
        if how == "told":
            end(folder)
        owner.kill()
        owner.wait()
        deadline = time.monotonic() + 60
        while (folder.exists() or processes_of(folder)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not folder.exists()
        assert processes_of(folder) == []
        assert str(folder) not in Path("/proc/mounts").read_text()
    finally:
        assert owner.stdin is not None
        owner.stdin.close()
        if folder.exists():
            end(folder)
