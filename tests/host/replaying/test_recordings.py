"""What earlier versions exported replays the same with this one. How they were made: tests/recordings/make.py."""

import json
from pathlib import Path

import pytest

from agenthost.cli.main import main
from agenthost.core.events import Answered, Doubted, Retried
from agenthost.core.replaying import FileReport
from agenthost.host.replaying.reading import read
from agenthost.host.replaying.suite import exports_in, replay_files

RECORDINGS = Path(__file__).parents[2] / "recordings"


def test_every_recording_of_an_earlier_version_replays_the_same() -> None:
    reports = replay_files(exports_in(RECORDINGS))
    assert {Path(report.file).stem for report in reports} >= {
        "agent",
        "workflow",
        "delegation",
        "approval",
        "crash",
        "fork",
    }
    assert [report for report in reports if not report.agrees] == []
    assert all(each.commands for report in reports for each in report.reports)


def test_the_recordings_hold_what_they_are_named_for() -> None:
    crash = read(RECORDINGS / "crash.zip").recording
    events = [each.event for each in crash.journals[crash.task]]
    assert any(isinstance(event, Doubted) for event in events) or any(isinstance(event, Retried) for event in events)
    assert len(read(RECORDINGS / "delegation.zip").recording.journals) == 2
    assert len(read(RECORDINGS / "workflow.zip").recording.journals) == 3
    approval = read(RECORDINGS / "approval.zip").recording
    assert any(
        isinstance(each.event, Answered) and each.event.command.endswith("-ok")
        for each in approval.journals[approval.task]
    )


def test_the_command_replays_a_folder_and_a_file_without_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTHOST_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("AGENTHOST_URL", "http://127.0.0.1:1")
    assert main(["tasks", "replay", str(RECORDINGS), "--junit", str(tmp_path / "junit.xml")]) == 0
    told = capsys.readouterr().out.splitlines()
    count = len(exports_in(RECORDINGS))
    assert told[-1] == f"{count} exports: {count} the same, 0 differ, 0 can't be read"
    assert told[0].split("\t")[1:] == ["worker", "1", "17", "8", "the same"]
    assert f'tests="{count}" failures="0" errors="0"' in (tmp_path / "junit.xml").read_text()
    assert main(["tasks", "replay", str(RECORDINGS / "agent.zip")]) == 0
    assert "17 events, 8 commands, the same" in capsys.readouterr().out
    (tmp_path / "bad.zip").write_bytes(b"junk")
    assert main(["tasks", "replay", str(tmp_path / "bad.zip"), "--json"]) == 2
    (found,) = json.loads(capsys.readouterr().out)
    assert "no zip" in found["unread"]
    assert main(["tasks", "replay", str(tmp_path / "not.zip")]) == 2
    assert "there is no file" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_a_report_says_whether_all_agrees() -> None:
    assert not FileReport("a.zip", unread="why").agrees
    assert FileReport("a.zip", "t").agrees


def test_the_page_shows_what_the_command_says() -> None:
    page = (RECORDINGS.parents[1] / "docs" / "replay.md").read_text(encoding="utf-8")
    shown = [line.split("  ") for line in page.splitlines() if line.startswith("tests/recordings/")]
    assert len(shown) > 1
    for file, *fields in [[each.strip() for each in line if each.strip()] for line in shown]:
        (report,) = replay_files([RECORDINGS / Path(file).name])
        events, commands = sum(each.events for each in report.reports), sum(each.commands for each in report.reports)
        assert fields == [report.name, str(len(report.reports)), str(events), str(commands), "the same"]
    count = len(exports_in(RECORDINGS))
    assert f"{count} exports: {count} the same" in page
