import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput, HomeBusy
from agenthost.stores.home import HomeLock
from tests.stores.conftest import ordinary_user


def test_a_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with HomeLock(tmp_path / "deep" / "home") as lock:
        assert lock.home.stat().st_mode & 0o777 == 0o700
        assert (lock.home / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_host_on_a_home_is_told_who_holds_it(tmp_path: Path) -> None:
    with HomeLock(tmp_path) as lock, pytest.raises(HomeBusy) as busy:
        HomeLock(lock.home).acquire()
    assert busy.value.details["pid"] == os.getpid()
    assert f"kill {os.getpid()}" in busy.value.message
    assert "AGENTHOST_HOME" in busy.value.message
    assert busy.value.exit_code == 2


def test_a_home_is_free_again_once_released(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()
    with HomeLock(tmp_path):
        pass


def test_a_killed_process_leaves_its_home_free(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from agenthost.stores.home import HomeLock\n"
        f"HomeLock(Path({str(tmp_path)!r})).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeBusy, match=f"process {holder.pid}"):
            HomeLock(tmp_path).acquire()
        holder.kill()
    with HomeLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_file_in_place_of_a_home_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.write_text("")
    for home in (file, file / "deeper"):
        with pytest.raises(BadInput, match="AGENTHOST_HOME"):
            HomeLock(home).acquire()


def test_a_home_that_can_not_be_written_is_refused(shared_folder: Path) -> None:
    home = shared_folder / "home"
    home.mkdir()
    home.chmod(0o555)
    with ordinary_user():
        with pytest.raises(BadInput, match=r"can't be written \(Permission denied\).*AGENTHOST_HOME"):
            HomeLock(home).acquire()
        with pytest.raises(BadInput, match="can't be made"):
            HomeLock(home / "deeper").acquire()
