"""`agenthost tasks import`, as somebody types it."""

import json
from pathlib import Path

import pytest

from agenthost.cli.main import main
from tests.host.importing.conftest import RECORDINGS


def test_an_export_is_imported_shown_replayed_exported_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AGENTHOST_HOME", str(tmp_path / "home"))
    assert main(["tasks", "import", str(RECORDINGS / "workflow.zip"), "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    task = taken["row"]["id"]
    assert (taken["tasks"], taken["events"], taken["row"]["state"]) == (3, 44, "completed")
    assert main(["tasks", "show", "last"]) == 0
    told = capsys.readouterr().out
    assert f"it was done elsewhere, as {taken['origin']}; 6 model calls" in told and "spent    0 model calls" in told
    assert main(["tasks", "replay", "last"]) == 0
    assert "17 events, 8 commands, the same" in capsys.readouterr().out
    assert main(["tasks", "export", task, "--to", str(tmp_path / "again.zip")]) == 0
    assert main(["tasks", "replay", str(tmp_path / "again.zip")]) == 0
    assert main(["tasks", "fork", "last"]) == 2
    assert "apply those that it needs" in capsys.readouterr().err
    assert main(["tasks", "delete", task, "--yes"]) == 0
    assert main(["tasks", "import", str(tmp_path / "again.zip")]) == 0
    assert task in capsys.readouterr().out, "the caller's own, which they deleted"
    (tmp_path / "junk.zip").write_bytes(b"junk")
    assert main(["tasks", "import", str(tmp_path / "junk.zip")]) == 2
    assert "junk.zip: it can't be imported: it is no zip" in capsys.readouterr().err
    assert main(["tasks", "import", str(tmp_path / "none.zip")]) == 2
