"""Replay finds what was changed in a journal, or in the program."""

import asyncio
import io
import sqlite3
from pathlib import Path

import msgspec
import pytest

from agenthost.core.api import Order
from agenthost.core.events import Recorded
from agenthost.core.replaying import ReplayReport
from agenthost.host import records
from agenthost.host.replaying.comparing import replay
from agenthost.host.replaying.reading import read
from agenthost.host.replaying.recording import replay_all
from tests.host.conftest import ASKER, ECHO, PAIR, PLAYS, Opens, followed


async def one_task(opens: Opens, name: str = "echo") -> str:
    host = await opens(PLAYS, ECHO, PAIR)
    task = (await host.start(Order(name, "hello"))).id
    await followed(host, task)
    await host.close()
    return task


def sql(tmp_path: Path, statement: str, *values: object) -> int:
    with sqlite3.connect(tmp_path / "home" / "agenthost.db") as connection:
        changed = connection.execute(statement, values).rowcount
    connection.close()
    return changed


async def replayed(opens: Opens, task: str) -> list[ReplayReport]:
    return await (await opens(PLAYS)).replay(task)


async def test_a_journal_that_nobody_touched_agrees(opens: Opens) -> None:
    reports = await replayed(opens, await one_task(opens, "pair"))
    assert [report.agrees for report in reports] == [True] * 3
    assert all(report.commands for report in reports)


@pytest.mark.journals("it spoils them")
@pytest.mark.parametrize(
    "change, difference",
    [
        (("UPDATE events SET body = replace(body, '\"done\"', '\"blocked\"') WHERE kind = 'finished'",), "verdict is"),
        (("UPDATE events SET body = replace(body, 'You said', 'I said') WHERE kind = 'finished'",), "output is not"),
        (("UPDATE events SET body = replace(body, 'You said', 'I said') WHERE kind = 'answered'",), "output is not"),
        (("UPDATE events SET body = replace(body, '\"m1\"', '\"m7\"') WHERE kind = 'asked'",), "the program asks for"),
        (
            ("DELETE FROM events WHERE kind = 'asked'", "UPDATE events SET seq = seq - 1 WHERE seq > 3"),
            "has 5 events, and its journal only 4",
        ),
        (("DELETE FROM events WHERE kind = 'answered'",), "the journal has no event 4"),
        (("DELETE FROM events WHERE kind = 'finished'",), "has 5 events, and its journal only 4"),
        (("DELETE FROM events WHERE kind = 'created'",), "the journal has no event 1"),
        (("DELETE FROM events",), "doesn't begin with the task's making"),
    ],
    ids=["verdict", "output", "answer", "command", "renumbered", "gap", "end", "beginning", "all"],
)
async def test_a_journal_that_was_changed_is_found_out(
    opens: Opens, tmp_path: Path, change: tuple[str, ...], difference: str
) -> None:
    task = await one_task(opens)
    for statement in change:
        # Bodies are JSON kept as bytes; `replace` works on text and gives text.
        assert sql(tmp_path, statement.replace("replace(body", "replace(CAST(body AS TEXT)"))
    sql(tmp_path, "UPDATE events SET body = CAST(body AS BLOB)")
    (report,) = await replayed(opens, task)
    assert not report.agrees
    assert difference in report.difference, report


async def test_a_program_that_changed_is_found_out(opens: Opens, tmp_path: Path) -> None:
    """The same journal under other definitions: what was asked is not what would be asked now."""
    task = await one_task(opens, "pair")
    host = await opens(PLAYS)
    events = await host.events_of(task)
    spec = records.spec_of(events)
    changed = PAIR.replace("- {id: right", "- {id: wrong")
    await host.apply({"pair": changed})
    other = msgspec.structs.replace(spec, bundle=await host.library.pin("workflow", "pair", ""))
    report = replay(await host.library.program(other), other, [_with(events[0], other), *events[1:]])
    assert not report.agrees and "the program asks for" in report.difference, report


def _with(created: Recorded, spec: object) -> Recorded:
    return msgspec.structs.replace(created, event=msgspec.structs.replace(created.event, spec=spec))


async def test_a_command_that_the_journal_lacks_is_found_out(opens: Opens) -> None:
    """The program asks for two children; the journal has the first one only."""
    task = await one_task(opens, "pair")
    host = await opens(PLAYS)
    events = await host.events_of(task)
    spec = records.spec_of(events)
    asked = [at for at, each in enumerate(events) if each.event.__struct_config__.tag == "asked"]
    program = await host.library.program(spec)
    assert asked[1] == asked[0] + 1
    assert replay(program, spec, events).agrees
    cut = replay(program, spec, events[: asked[0] + 1])
    assert not cut.agrees and "the program asks also for" in cut.difference
    lacking = replay(program, spec, [*events[: asked[0] + 1], *events[asked[1] + 1 :]])
    assert not lacking.agrees and "the program asks also for" in lacking.difference


async def test_a_secret_that_was_said_changes_nothing_in_what_is_decided(opens: Opens) -> None:
    """The journal is without it; so is what its owner decided from."""
    value = "a-secret-that-is-much-longer-than-its-name-is-" * 5
    plays = f"rules:\n  - when: {{turn: 0, offers: ask_person}}\n    reply: {{text: '{value}', calls: [{{tool: ask_person, arguments: {{question: '{value}?'}}}}]}}\n  - reply: {{text: 'You said {{{{said}}}}'}}\n"
    host = await opens(plays, ASKER)
    await host.set_secret("s", value)
    task = (await host.start(Order("asker", "hello"))).id
    while not (await host.task(task)).questions:
        await asyncio.sleep(0.005)
    await host.reply(task, f"it is {value}")
    await followed(host, task)
    (report,) = await host.replay(task)
    assert report.agrees, report


SECRETIVE = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: secretive}
spec:
  description: Has the value of a secret in it
  roles: {one: {agent: echo}}
  steps:
    - {id: said, role: one, prompt: "the code is hunter-2-hunter"}
  output: "{{ steps.said.text }}, hunter-2-hunter"
"""


@pytest.mark.journals("who goes through the home without its secrets can't know what was taken out")
async def test_a_manifest_with_the_value_of_a_secret_in_it_replays_the_same(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, SECRETIVE)
    await host.set_secret("code", "hunter-2-hunter")
    task = (await host.start(Order("secretive", "go"))).id
    events = await followed(host, task)
    assert b"hunter-2" not in msgspec.json.encode(events)
    assert [report.difference for report in await host.replay(task)] == ["", ""]
    export = await asyncio.to_thread(read, io.BytesIO(await host.export(task)))
    assert all(report.agrees for report in await replay_all(export.recording))
