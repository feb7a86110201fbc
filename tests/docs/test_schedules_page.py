"""docs/schedules.md: its manifests apply, its commands run in order, its program runs with a host that serves."""

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from agenthost.cli.main import main
from agenthost.core.schedules import RunState, ScheduleState
from agenthost.faces.http.server import Everybody, Offer, serve
from agenthost.host.host import open_host
from agenthost.host.settings import load

PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for of, text in BLOCKS if of == kind]


def test_its_commands_run_in_order_without_a_host_and_say_what_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "news.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line) for line in blocks("sh")[0].splitlines()]
    assert len(lines) >= 10
    said: dict[str, str] = {}
    for command, *words in lines:
        assert command == "agenthost"
        code = main([*words, "--home", str(tmp_path / "home")])
        out = capsys.readouterr().out
        assert code == 0, (words, out)
        said[" ".join(words[:3])] = out
    assert said["schedules add dentist"] == "dentist comes 2030-12-24 18:00 EET.\n"
    assert [line.split("\t")[0] for line in said["schedules list"].splitlines()] == [
        "dentist",
        "morning",
        "report",
        "tea",
    ]
    assert "when 0 17 * * fri (Europe/Athens)" in said["schedules show report"]
    assert said["schedules pause report"] == "report is paused.\n"
    assert re.match(r"report comes 20\d\d-\d\d-\d\d 17:00 EES?T\.", said["schedules resume report"])
    assert said["schedules run report"] == "It didn't start yet.\n"


async def test_its_program_runs_with_a_host_that_serves(tmp_path: Path) -> None:
    (tmp_path / "plays.yaml").write_text("rules:\n  - reply: {text: done}\n")
    settings = load(tmp_path, {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml", "AGENTHOST_SANDBOX": "bubblewrap"})
    host = await open_host(settings, work=True)
    try:
        await host.apply({"news.yaml": blocks("yaml")[0]})
        from agenthost.cli.faces import desks

        async with serve(host, tmp_path / "host.sock", None, Offer(Everybody(host, host.admin()), faces=[desks(host)])):
            env = {**os.environ, "AGENTHOST_HOME": str(tmp_path), "AGENTHOST_URL": ""}
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-c", blocks("python")[0], env=env, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await program.communicate()
    finally:
        await host.close()
    assert (program.returncode, out.decode()) == (0, "midnight on 5\n")


def test_every_state_is_told() -> None:
    http = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    for state in ScheduleState.__args__:  # type: ignore[attr-defined]
        assert f"| `{state}` |" in PAGE and f"`{state}`" in http
    for state in RunState.__args__:  # type: ignore[attr-defined]
        assert f"`{state}`" in http
