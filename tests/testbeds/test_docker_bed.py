"""The engine that the tests have for themselves is gone with the process that it is for, however that ended."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbeds.docker import Missing, ask, end, engine, folder_of_run


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


def started(owner: int) -> Path:
    folder = Path(folder_of_run())
    try:
        engine(folder, owner)
    except Missing as missing:
        pytest.skip(f"no Docker Engine here: {missing}")
    return folder


@pytest.mark.parametrize("how", ["told", "killed"])
def test_nothing_of_the_engine_is_left(docker_engine: str, how: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    folder = started(owner.pid)
    try:
        assert ask(folder, "GET", "/_ping")[0] == 200
        assert any("containerd" in line for line in processes_of(folder))
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
