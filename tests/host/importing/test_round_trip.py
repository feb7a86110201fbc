"""What was exported, taken in, and exported again is the same, and replays the same."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.events import Created
from agenthost.core.keeping import UsageFilter
from agenthost.core.lifecycle import FINAL
from agenthost.core.tasks import Filter
from agenthost.host.host import Host
from agenthost.host.records import spec_of
from agenthost.host.replaying.reading import ExportFile
from agenthost.host.replaying.recording import replay_all
from tests.host.importing.conftest import FILES, looked, taken

FILES_OF_PROOF = (".agenthost/evidence.json", ".agenthost/evidence.md")
OWN = ("namespace", "person", "conversation", "via", "notes", "caused", "trial", "imported")
"""What of a task's specification is the home's that it is in."""


def told(export: ExportFile) -> dict[str, Any]:
    """What an export says, but for its ids and whose it is."""
    recording = export.recording
    journals: dict[str, Any] = {}
    for id, events in recording.journals.items():
        spec = msgspec.to_builtins(spec_of(events))
        first = {key: value for key, value in spec.items() if key not in OWN}
        journals[id] = [first, *(msgspec.to_builtins(each) for each in events if not isinstance(each.event, Created))]
    rows = [
        {
            key: value
            for key, value in msgspec.to_builtins(row).items()
            if key not in ("namespace", "person", "created", "updated", "conversation")
        }
        for row in recording.rows
    ]
    found: dict[str, Any] = {
        "journals": journals,
        "rows": rows,
        "definitions": recording.definitions,
        "workspaces": recording.workspaces,
        "ledger": recording.ledger,
        "missing": recording.missing,
        # The evidence names the task and the hash of its journal, and says that it was taken in.
        "contents": set(export.contents) - {export.files.get(path) for path in FILES_OF_PROOF},
    }
    text = msgspec.json.encode(msgspec.to_builtins(found, enc_hook=sorted), order="sorted")
    return msgspec.json.decode(text.replace(recording.task.encode(), b"T" * 16))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_an_export_taken_in_and_exported_again_is_the_same(host: Host, file: Path) -> None:
    content = file.read_bytes()
    before = await looked(content)
    found = await taken(host, content)
    assert found.agrees and found.origin == before.recording.task != found.row.id
    again = await host.export(found.row.id)
    after = await looked(again)
    assert told(after) == told(before)
    reports = await replay_all(after.recording)
    assert [(each.events, each.commands, each.agrees) for each in reports] == [
        (each.events, each.commands, True) for each in await replay_all(before.recording)
    ]
    # And so once more, out of what was taken in.
    third = await taken(host, again)
    assert told(await looked(await host.export(third.row.id))) == told(before)
    assert await host.export(found.row.id) == again, "taking it in again changed nothing of the first"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_an_import_is_shown_costs_nothing_and_starts_nothing(host: Host, file: Path) -> None:
    before = (await looked(file.read_bytes())).recording
    found = await taken(host, file.read_bytes())
    detail = await host.task(found.row.id)
    assert (detail.row.state, detail.row.outcome, detail.row.reason, detail.row.name, detail.row.title) == (
        before.row.state,
        before.row.outcome,
        before.row.reason,
        before.row.name,
        before.row.title,
    )
    assert detail.row.state in FINAL and (detail.row.person, detail.row.hold) == ("owner", "")
    assert not detail.questions and detail.spent.turns == 0
    assert await host.ledger(found.row.id) == []
    assert [line.calls for line in await host.usage(UsageFilter())] == [0]
    spec = spec_of(await host.events(found.row.id, 0, 1))
    assert spec.imported is not None and spec.imported.task == before.task
    assert spec.imported.spent.turns == sum(each.spent.turns for each in before.ledger if each.spent) > 0
    assert [each.agrees for each in await host.replay(found.row.id)] == [True] * len(before.rows)
    assert [row.id for row in await host.tasks(Filter(roots_only=True))] == [found.row.id]
    assert len([item async for item in host.follow(found.row.id)]) == found.events
    for artifact in await host.artifacts(found.row.id):
        assert len(await host.get_file(artifact.digest)) == artifact.size
