"""The host as a service: what is written, what service managers make of it, and what is said to them."""

import json
import os
import plistlib
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import service, units
from agenthost.cli.units import Service
from tests.cli.fakes import FakeHost

ODD = 'a home 100% "$HERE"\\'


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down what it was told, and does as the file `fails` says."""
    told = tmp_path / "told"
    folder = tmp_path / "bin"
    folder.mkdir()
    control = folder / "systemctl"
    control.write_text(
        f'#!/bin/sh\necho "$@" >> "{told}"\ntest ! -e "{tmp_path}/fails" || {{ echo "no bus" >&2; exit 1; }}\n'
    )
    control.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "platform", "linux")
    return told


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "systemd" / "user" / "agenthost.service"


async def test_it_is_installed_looked_at_and_removed(run: Any, manager: Path, file: Path, capsys: Any) -> None:
    assert await run(FakeHost([]), "service", "status") == 3
    assert await run(FakeHost([]), "service", "install", "--port", "9000") == 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert "--port 9000" in file.read_text() and f"ExecStart={sys.executable} -m agenthost.cli up" in file.read_text()
    assert manager.read_text().splitlines() == [
        "--user daemon-reload", "--user enable agenthost.service", "--user restart agenthost.service",
    ]  # fmt: skip
    assert await run(FakeHost([]), "service", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["active"] is True
    assert await run(FakeHost([]), "service", "install") == 0, "again, with other options"
    assert "--port" not in file.read_text()
    manager.unlink()
    assert await run(FakeHost([]), "service", "uninstall") == 0
    assert not file.exists()
    assert manager.read_text().splitlines() == ["--user disable --now agenthost.service", "--user daemon-reload"]


async def test_a_dry_run_shows_everything_and_does_nothing(run: Any, manager: Path, file: Path, capsys: Any) -> None:
    assert await run(FakeHost([]), "service", "install", "--dry-run") == 0
    out = capsys.readouterr().out
    assert f"# {file}" in out and "[Service]" in out and "# systemctl --user restart agenthost.service" in out
    assert await run(FakeHost([]), "service", "install", "--dry-run", "--json", "--no-start") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(file) and told["commands"] == [] and "ExecStart" in told["content"]
    assert not manager.exists() and not file.exists()


async def test_what_the_manager_refuses_is_told_and_the_file_stays(
    run: Any, manager: Path, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "fails").touch()
    with pytest.raises(service.Unavailable, match=r"`systemctl --user daemon-reload` failed \(no bus\)"):
        await run(FakeHost([]), "service", "install")
    assert file.exists()
    assert await run(FakeHost([]), "service", "status") == 3
    with pytest.raises(service.Unavailable, match=f"where it was never started, remove {file} yourself"):
        await run(FakeHost([]), "service", "uninstall")
    assert file.exists()


async def test_what_is_somebody_elses_is_left_alone(run: Any, manager: Path, file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(service.BadInput, match="isn't AgentHost's"):
        await run(FakeHost([]), "service", "install")
    assert file.read_text().endswith("/bin/true\n")
    file.unlink()
    with pytest.raises(service.BadInput, match="no service to remove"):
        await run(FakeHost([]), "service", "uninstall")


async def test_what_the_service_will_not_see_is_told(
    run: Any, manager: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    await run(FakeHost([]), "service", "install")
    said = " ".join(capsys.readouterr().err.split())
    assert "OPENAI_API_KEY" in said and "service.env" in said and "sk-1" not in said and "enable-linger" in said


async def test_one_of_the_machine_has_a_user_of_its_own(
    run: Any, manager: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(service.BadInput, match="installed by root"):
        await run(FakeHost([]), "service", "install", "--system")
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def nobody(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", nobody)
    with pytest.raises(service.BadInput, match="useradd --system .* agenthost"):
        await run(FakeHost([]), "service", "install", "--system")
    assert not manager.exists()


async def test_where_there_is_no_manager_it_is_said(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(service.Unavailable, match="systemd and launchd"):
        await run(FakeHost([]), "service", "install")


# --- what is written


@pytest.mark.parametrize("user", ["", "root"])
@pytest.mark.parametrize("name", ["home", ODD])
def test_systemd_reads_the_unit(tmp_path: Path, user: str, name: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze isn't here")
    home = tmp_path / name
    home.mkdir()
    text = units.unit(Service(home, sys.executable, ("--host", "::1", "--port", "1"), user, 7.5))
    path = tmp_path / "agenthost.service"
    path.write_text(text)
    done = subprocess.run([analyze, "verify", "--man=no", str(path)], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "agenthost" in line]) == (0, []), done.stderr
    assert "TimeoutStopSec=27" in text
    assert ("ProtectSystem=strict" in text) == bool(user)
    # A sandbox makes namespaces, mounts and a /proc of its own.
    assert not {"RestrictNamespaces", "ProtectKernelTunables", "ProtectProc", "PrivateDevices", "PrivateUsers"} & {
        line.partition("=")[0] for line in text.splitlines()
    }


def test_a_command_line_is_read_by_systemd_as_it_was_meant() -> None:
    """systemd.service(5), systemd.unit(5): quotes, backslashes, specifiers and variables."""
    text = units.unit(Service(Path("/srv") / ODD, "/usr/bin/python3"))
    [line] = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert '--home "/srv/a home 100%% \\"$$HERE\\"\\\\" --quiet' in line
    assert 'WorkingDirectory=/srv/a home 100%% "$HERE"\\' in text.splitlines()


@pytest.mark.parametrize("user", ["", "agenthost"])
def test_launchd_reads_the_list(tmp_path: Path, user: str) -> None:
    keys = plistlib.loads(units.plist(Service(tmp_path / ODD, sys.executable, ("--port", "1"), user, 7.5)))
    assert keys["Label"] == units.LABEL
    command = keys["ProgramArguments"]
    assert command[:4] == [sys.executable, "-m", "agenthost.cli", "up"] and str(tmp_path / ODD) in command
    assert keys["KeepAlive"] == {"SuccessfulExit": False} and keys["RunAtLoad"] and keys["ExitTimeOut"] == 27
    assert keys.get("UserName", "") == user and keys["Umask"] == 0o077


def test_launchd_is_told_by_its_own_words() -> None:
    mine = service.launchd(False, Path("/Users/ann"), 501)
    assert mine.file == Path("/Users/ann/Library/LaunchAgents/dev.agenthost.host.plist")
    assert mine.start == (("launchctl", "bootstrap", "gui/501", str(mine.file)),)
    assert mine.stop == (("launchctl", "bootout", "gui/501/dev.agenthost.host"),)
    assert service.launchd(True, Path("/"), 0).file.parent == Path("/Library/LaunchDaemons")


def test_the_command_of_a_service_is_one_that_up_takes(tmp_path: Path) -> None:
    from agenthost.cli import up

    words = Service(tmp_path, sys.executable, ("--host", "::1", "--port", "1")).command[4:]
    args = up.parser("up").parse_args(words)
    assert (args.port, args.host, args.quiet, args.home) == (1, "::1", True, str(tmp_path))
