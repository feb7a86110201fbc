"""What an engine leaves is ended by its folder, whoever's child it is by then; nobody else is."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbeds.left import end_processes, processes_of

# A sandbox as it is left: its own session, a child that doesn't name the folder and one that it starts again and again.
SANDBOX = "setsid sleep 300 & echo up; while :; do sleep 0.05; done"


def started(name: str, *words: str) -> "subprocess.Popen[bytes]":
    """A shell that is known by this name."""
    return subprocess.Popen(
        [name, "-c", SANDBOX, *words], executable="/bin/sh", stdout=subprocess.PIPE, start_new_session=True
    )


def over(process: "subprocess.Popen[bytes]") -> int:
    """How it ended."""
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "engine"
    (made / "exec").mkdir(parents=True)
    yield made
    end_processes(made)


def test_every_process_of_an_engines_containers_is_ended(folder: Path) -> None:
    left = [started(name, f"--root={folder}/exec/runtime-runc/moby") for name in ("runsc-sandbox", "/usr/bin/runsc")]
    left.append(started("/usr/bin/containerd-shim-runc-v2", "-address", f"{folder}/exec/containerd/containerd.sock"))
    for process in left:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
    assert len(processes_of(folder)) >= 6
    end_processes(folder)
    assert processes_of(folder) == set()
    for process in left:
        assert over(process) == -9


def test_another_engines_processes_and_whoever_reads_its_log_live_on(folder: Path) -> None:
    others = [started("runsc-sandbox", f"--root={folder}-2/exec/x"), started("tail", f"{folder}/log")]
    try:
        for process in others:
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
        end_processes(folder)
        assert [process.poll() for process in others] == [None, None]
    finally:
        for process in others:
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), 9)
            process.kill()
            over(process)


@pytest.mark.parametrize("how", ["told", "killed"])
def test_the_keeper_ends_them_before_it_removes_the_folder(folder: Path, tmp_path: Path, how: str) -> None:
    """With a program in dockerd's place: what starts a container that outlives it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    engine = programs / "dockerd"
    body = f"""#!{sys.executable}
import subprocess, sys, time
subprocess.Popen(["runsc-sandbox", "-c", "sleep 300; true", "--root={folder}/exec/x"],
                 executable="/bin/sh", start_new_session=True)
open("{folder}/up", "w").close()
time.sleep(300)
"""
    engine.write_text(body)
    engine.chmod(0o755)
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    unshare = programs / "unshare"  # an ordinary user may make no mount namespace
    unshare.write_text('#!/bin/sh\nshift 3; exec "$@"\n')
    unshare.chmod(0o755)
    keeper = str(Path(__file__).with_name("keeper.py"))
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, keeper, "docker", str(folder), str(owner.pid)], check=True, env=env)
    try:
        while not (folder / "up").exists():
            time.sleep(0.02)
        assert processes_of(folder)
        if how == "told":
            os.kill(int((folder / "keeper.pid").read_text()), 15)
        else:
            owner.kill()
            owner.wait()
        while folder.exists():
            time.sleep(0.02)
        assert processes_of(folder) == set()
    finally:
        owner.kill()
        owner.communicate()
        shutil.rmtree(folder, ignore_errors=True)
