"""An export is one file that another machine replays: whole, the same bytes each time, without secrets, safe to read."""

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError, BadInput, NewerVersion
from agenthost.host.replaying import format, suite
from agenthost.host.replaying.reading import ExportFile, read
from agenthost.host.replaying.recording import replay_all
from tests.host.conftest import Opens, followed
from tests.host.replaying.conftest import done, working

Members = dict[str, bytes]


async def exported(opens: Opens, tmp_path: Path, name: str = "leader") -> Path:
    host = await working(opens)
    file = tmp_path / "out" / f"{name}.zip"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(await host.export(await done(host, name)))
    await host.close()
    return file


async def test_an_export_replays_without_its_host_and_has_everything(opens: Opens, tmp_path: Path) -> None:
    host = await working(opens)
    task = await done(host, "leader")
    first, again = await host.export(task), await host.export(task)
    assert first == again, "the same task gives the same bytes"
    export = await looked(first)
    recording = export.recording
    assert [row.id for row in recording.rows] == [task, f"{task}.m2-0"]
    assert {id: list(events) for id, events in recording.journals.items()} == {
        row.id: await host.events_of(row.id) for row in recording.rows
    }
    assert recording.ledger == tuple(await host.ledger(task))
    files = recording.workspaces[task].items()
    assert await asyncio.to_thread(lambda: {path: export.content(digest) for path, digest in files}) == {
        "a.txt": b"two",
        "b.txt": b"three",
        "lead.txt": b"begun",
    }
    assert not recording.missing
    # What was overwritten is there as well.
    contents = await asyncio.to_thread(lambda: {export.content(digest) for digest in export.contents})
    assert contents == {b"one", b"two", b"three", b"begun"}
    reports = await replay_all(recording)
    assert [report.agrees for report in reports] == [True, True]
    assert all(report.commands for report in reports)
    child = (await looked(await host.export(f"{task}.m2-0"))).recording
    assert child.task == f"{task}.m2-0"
    assert all(report.agrees for report in await replay_all(child))


async def test_secrets_are_not_in_an_export_also_where_they_came_before_they_were_known(opens: Opens) -> None:
    host = await working(opens)
    task = (await host.start(Order("worker", "the code is hunter-2-hunter"))).id
    await followed(host, task)
    kept = await host.put_file("it.txt", b"hunter-2-hunter is in this file")
    other = (await host.start(Order("worker", "look", files=(kept,)))).id
    # What came with a file is a stranger's, and a person is asked before it is sent on.
    while not (await host.task(other)).questions:
        await asyncio.sleep(0.005)
    await host.set_secret("code", "hunter-2-hunter")
    for each in (task, other):
        content = await host.export(each)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert not any(b"hunter-2" in archive.read(name) for name in archive.namelist())
        reports = await replay_all((await looked(content)).recording)
        assert [report.difference for report in reports] == [""], "and it replays the same"
    table = json.loads(zipfile.ZipFile(io.BytesIO(await host.export(task))).read(format.TABLE))
    assert f"tasks/{task}.jsonl" in table["redacted"]
    recording = (await looked(content)).recording
    assert recording.missing == {kept.digest: "it holds a secret of this host"}


async def looked(source: Path | bytes) -> ExportFile:
    """An export, read where nothing waits for it."""
    return await asyncio.to_thread(read, io.BytesIO(source) if isinstance(source, bytes) else source)


def rewritten(file: Path, change: Callable[[Members], None], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """The export with other members; its table is left as it is, unless it is changed too."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def table(change: Callable[[dict[str, object]], None]) -> Callable[[Members], None]:
    def changed(members: Members) -> None:
        said = json.loads(members[format.TABLE])
        change(said)
        members[format.TABLE] = json.dumps(said).encode()

    return changed


def renamed(members: Members) -> None:
    """A member that would leave the folder, wherever somebody unpacked it by its name."""
    said = json.loads(members[format.TABLE])
    said["members"][0]["name"] = "../../tasks.json"
    members["../../tasks.json"] = members.pop("tasks.json")
    members[format.TABLE] = json.dumps(said).encode()


def journal(members: Members) -> str:
    return next(name for name in members if name.startswith("tasks/"))


def altered(members: Members) -> None:
    members[journal(members)] = members[journal(members)].replace(b"first", b"farst")


WRONG: list[tuple[str, Callable[[Members], None], str]] = [
    ("no table", lambda members: members.pop(format.TABLE) and None, "has no export.json"),
    ("a member more", lambda members: members.update(more=b"x"), "doesn't name: 'more'"),
    ("a member less", lambda members: members.pop("ledger.json") and None, "'ledger.json' is missing"),
    ("a journal less", lambda members: members.pop(journal(members)) and None, "is missing"),
    ("a changed member", altered, "was changed: it no longer has the hash"),
    ("a longer member", lambda members: members.update({"ledger.json": members["ledger.json"] + b" "}), "bytes, and"),
    ("a way out", renamed, "names a member '../../tasks.json', which no export has"),
    ("another format", table(lambda said: said.update(format="other")), "doesn't say that it is an export"),
    ("another task", table(lambda said: said.update(task="other")), "doesn't begin with the task 'other'"),
    ("no task", table(lambda said: said.pop("task")), "no export of a task that can be read"),
    ("no JSON", lambda members: members.update({format.TABLE: b"{"}), "no export of a task that can be read"),
    (
        "deep JSON",
        lambda members: members.update({format.TABLE: b"[" * 100_000}),
        "no export of a task that can be read",
    ),
]


@pytest.mark.parametrize(("change", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
async def test_what_is_no_whole_export_is_refused(
    opens: Opens, tmp_path: Path, change: Callable[[Members], None], words: str
) -> None:
    file = rewritten(await exported(opens, tmp_path, "worker"), change)
    with pytest.raises(BadInput) as found:
        await looked(file)
    assert words in found.value.message, found.value.message


async def test_an_export_of_a_newer_version_says_so(opens: Opens, tmp_path: Path) -> None:
    file = await exported(opens, tmp_path, "worker")
    with pytest.raises(NewerVersion, match="upgrade AgentHost"):
        await looked(rewritten(file, table(lambda said: said.update(version=9))))
    file = await exported(opens, tmp_path, "worker")
    with pytest.raises(NewerVersion, match="version 9"):
        await looked(rewritten(file, table(lambda said: said.update(events=9))))


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04" + b"\0" * 60], ids=["empty", "junk", "cut"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadInput, match="no zip that can be read"):
        read(tmp_path / "a.zip")
    with pytest.raises(BadInput, match="there is no file"):
        read(tmp_path / "b.zip")


async def test_bombs_are_refused_before_they_are_unpacked(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await exported(opens, tmp_path, "worker")
    monkeypatch.setattr(format, "MOST_READ", 10_000_000)
    rewritten(file, lambda members: members.update(bomb=b"\0" * 20_000_000))
    assert file.stat().st_size < 100_000
    with pytest.raises(BadInput, match="holds more than an export may"):
        await looked(file)
    monkeypatch.setattr(format, "MOST_READ", 100_000_000)
    monkeypatch.setattr(format, "MOST_MEMBERS", 5)
    with pytest.raises(BadInput, match="holds more than an export may"):
        await looked(file)
    monkeypatch.setattr(format, "MOST_MEMBERS", 500)
    with pytest.raises(BadInput, match="packed in a way"):
        await looked(rewritten(file, lambda members: members.pop("bomb") and None, zipfile.ZIP_LZMA))


@pytest.mark.parametrize("large", [1 << 30, 0], ids=["in this process", "over processes"])
async def test_a_folder_of_exports_is_a_regression_suite(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(suite, "LARGE", large)
    good = await exported(opens, tmp_path)
    other = await exported(opens, tmp_path, "worker")
    folder = good.parent
    reports = await asyncio.to_thread(lambda: suite.replay_files(suite.exports_in(folder)))
    assert [(report.file, report.name, len(report.reports)) for report in reports] == [
        (str(good), "leader", 2),
        (str(other), "worker", 1),
    ]
    assert suite.exit_code(reports) == 0

    def otherwise(members: Members) -> None:
        """Whole, with hashes that fit, and yet not what the program would do."""
        name = journal(members)
        members[name] = members[name].replace(b'"text":"go"', b'"text":"no, go back"')
        _retable(members)

    rewritten(other, otherwise)
    reports = await asyncio.to_thread(lambda: suite.replay_files(suite.exports_in(folder)))
    assert suite.exit_code(reports) == 1
    (differs,) = [each for report in reports for each in report.reports if not each.agrees]
    assert differs.seq == 4 and "worst is" in differs.difference, differs
    (folder / "junk.zip").write_bytes(b"junk")
    reports = await asyncio.to_thread(lambda: suite.replay_files(suite.exports_in(folder)))
    assert suite.exit_code(reports) == 2
    told = suite.junit(reports)
    assert 'tests="3" failures="1" errors="1"' in told and "no zip that can be read" in told
    with pytest.raises(BadInput, match="there is no export in"):
        await asyncio.to_thread(suite.exports_in, tmp_path / "home" / "logs")


def _retable(members: Members) -> None:
    import hashlib

    said = json.loads(members[format.TABLE])
    for member in said["members"]:
        content = members[member["name"]]
        member |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    members[format.TABLE] = json.dumps(said).encode()


async def test_definitions_that_were_exchanged_are_found_out(opens: Opens, tmp_path: Path) -> None:
    def exchanged(members: Members) -> None:
        name = next(name for name in members if name.startswith("definitions/"))
        members[name] = members[name].replace(b"Work.", b"Play.")
        _retable(members)

    file = rewritten(await exported(opens, tmp_path, "worker"), exchanged)
    with pytest.raises(AgentHostError, match="isn't what its name says"):
        await looked(file)
