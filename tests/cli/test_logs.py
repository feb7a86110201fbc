import json
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog

from agenthost.cli import logs


def test_one_line_an_event_with_what_is_bound_and_no_secret(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-value")
    file = tmp_path / "logs" / "agenthost.log"
    with logs.kept("json", "info", file):
        log = structlog.stdlib.get_logger("agenthost").bind(task="t1", agent="coder")
        log.info("answered", header="Bearer sk-very-secret-value")
        logging.getLogger("other").warning("from the standard library")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("answered", "info"),
        ("from the standard library", "warning"),
    ]
    assert (lines[0]["task"], lines[0]["agent"], lines[0]["header"]) == ("t1", "coder", "Bearer [secret]")
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == [line["event"] for line in lines]


def test_below_the_level_only_the_file_hears(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "agenthost.log"
    with logs.kept("text", "warning", file):
        structlog.stdlib.get_logger("agenthost").info("quiet")
    assert capsys.readouterr().err == ""
    assert "quiet" in file.read_text()


def test_a_home_that_cannot_be_written_does_not_stop_the_verb(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    with logs.kept("text", "warning", tmp_path / "file" / "logs" / "agenthost.log"):
        structlog.stdlib.get_logger("agenthost").warning("heard")
    assert "heard" in capsys.readouterr().err


def test_what_libraries_say_of_requests_when_they_are_debugged_is_told_nowhere(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "agenthost.log"
    with logs.kept("json", "debug", file):
        logging.getLogger("a2a.server.routes").debug("Request body: what somebody said")
        logging.getLogger("a2a.server.routes").info("a library's info")
        structlog.stdlib.get_logger("agenthost.host").debug("ours")
    for told in (capsys.readouterr().err, file.read_text()):
        assert "ours" in told and "a library's info" in told
        assert "what somebody said" not in told
