"""The evidence of a task goes with its export, and can be made again from the export alone."""

import json
from pathlib import Path

import pytest

from agenthost.cli.main import main
from agenthost.core.evidence import EvidencePack
from agenthost.core.ids import digest
from agenthost.host.host import Host
from agenthost.host.proof.desk import FILES
from agenthost.host.replaying.proving import evidence_of
from tests.host.conftest import Opens
from tests.host.importing.conftest import forged, looked, members, packed, taken
from tests.host.test_evidence import PLAYS, WRITER, ended

FORGES = """\
rules:
  - when: {purpose: judge, matches: 'event (?P<look>\\d+) \\(look'}
    reply:
      text: '{"criteria": [{"number": 2, "met": true, "evidence": [{"event": {{look}}, "quote": "friend"}], "missing": ""}], "verdict": "done", "reason": "fine", "question": ""}'
  - when: {offers: write_file, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: report.txt, content: "Dear friend, sum 3"}}, {tool: write_file, arguments: {path: .agenthost/evidence.json, content: "all is proved"}}]}
  - reply: {text: "Done."}
"""


async def exported(host: Host) -> bytes:
    return await host.export(await ended(host, "writer"))


@pytest.mark.parametrize("plays", [PLAYS, FORGES], ids=["honest", "a file in its place"])
async def test_an_export_has_the_evidence_and_shows_it_by_itself(opens: Opens, plays: str) -> None:
    host = await opens(plays, WRITER, work=True)
    task = await ended(host, "writer")
    pack = await host.evidence(task)
    export = await looked(await host.export(task))
    assert {name: export.files[name] for name in FILES} == {
        each.path: each.digest for each in await host.artifacts(task) if each.path in FILES
    }
    assert pack.outcome == "done" and await evidence_of(export.recording) == pack
    for one in pack.shown:
        assert set(filter(None, one.files.values())) <= set(export.contents), "what it names is with it"


async def test_where_a_secret_was_taken_out_the_evidence_is_that_of_the_export(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, work=True)
    task = await ended(host, "writer")
    await host.set_secret("code", "XYZZY-4711")
    export = await looked(await host.export(task))
    pack = await evidence_of(export.recording)
    assert pack.journal != (await host.evidence(task)).journal
    assert export.files[FILES[0]] in export.contents
    from agenthost.host.proof.desk import as_json

    assert export.files[FILES[0]] == digest(as_json(pack))


async def test_an_import_has_evidence_and_says_that_this_host_saw_none_of_it(opens: Opens) -> None:
    host = await opens(PLAYS, WRITER, work=True)
    content = await exported(host)
    found = await taken(host, content)
    pack = await host.evidence(found.row.id)
    assert (pack.imported, pack.outcome) == (found.origin, "done")
    artifact = await host.artifact(found.row.id, FILES[1])
    assert "this host saw nothing of it" in (await host.get_file(artifact.digest)).decode()
    assert (await looked(await host.export(found.row.id))).files[FILES[1]] == artifact.digest


def test_the_command_shows_and_verifies_the_evidence_of_an_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTHOST_HOME", str(tmp_path / "none"))
    file = tmp_path / "task.zip"
    file.write_bytes(FILE.read_bytes())
    assert main(["tasks", "evidence", str(file), "--to", str(tmp_path / "e.json")]) == 0
    assert main(["tasks", "evidence", str(file), "--verify", str(tmp_path / "e.json")]) == 0
    assert "It agrees" in capsys.readouterr().out
    (tmp_path / "e.json").write_text(
        (tmp_path / "e.json").read_text().replace('"outcome": "done"', '"outcome": "partly"')
    )
    assert main(["tasks", "evidence", str(file), "--verify", str(tmp_path / "e.json")]) == 1
    assert "'outcome' is not what the journal gives" in capsys.readouterr().out
    assert main(["tasks", "evidence", str(file)]) == 0
    assert "all 2 criteria are met" in capsys.readouterr().out

    def better(found: dict[str, bytes]) -> dict[str, bytes]:
        pack = json.loads(found["files/.agenthost/evidence.json"])
        pack["criteria"][0]["text"] = "Everything is perfect."
        return found | {"files/.agenthost/evidence.json": json.dumps(pack).encode()}

    file.write_bytes(packed(better(members(FILE.read_bytes()))))
    assert main(["tasks", "evidence", str(file)]) == 1
    assert "is not what its journals show" in capsys.readouterr().out
    file.write_bytes(forged(FILE.read_bytes(), lambda journal: journal[:-1]))
    assert main(["tasks", "evidence", str(file)]) == 1
    assert not (tmp_path / "none").exists()


FILE = Path(__file__).parents[2] / "recordings" / "proved.zip"


def test_the_recorded_evidence_is_still_what_the_recorded_journal_shows() -> None:
    found = members(FILE.read_bytes())
    pack = EvidencePack(**json.loads(found["files/.agenthost/evidence.json"]))
    assert pack.outcome == "done"
