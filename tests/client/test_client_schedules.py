"""Schedules by the client, against a real host on its socket, and by the verb against the same."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import schedules as verb
from agenthost.cli.connect import Reached
from agenthost.cli.faces import desks
from agenthost.cli.screen import Screen
from agenthost.client.client import Client, connect
from agenthost.core.access import Caller
from agenthost.core.errors import BadInput, Conflict, NotFound
from agenthost.core.schedules import NewSchedule, ScheduleChange
from agenthost.faces.http.server import Everybody, Offer, serve
from agenthost.host.host import Host
from agenthost.machine.zone import local_zone
from agenthost.manifests.timing import here
from tests.host.conftest import ECHO, PLAYS, Lines, Opens, log, opens

__all__ = ["Lines", "log", "opens"]
SPEC: dict[str, Any] = {"cron": "0 9 * * *", "timezone": "Europe/Athens", "run": {"agent": "echo", "text": "hi"}}
PAIR = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: reads}
spec:
  input: {notes: {type: file}, tone: {type: string}}
  roles: {one: {agent: echo}}
  steps: [{id: one, role: one, prompt: "{{ input.tone }}"}]
"""


@pytest.fixture
async def pair(opens: Opens, tmp_path: Path) -> AsyncGenerator[tuple[Host, Client]]:
    host = await opens(PLAYS, ECHO, PAIR, work=True, serving=True)
    offer = Offer(Everybody(host, host.admin()), faces=[desks(host)])
    async with serve(host, tmp_path / "home" / "host.sock", None, offer), connect(tmp_path / "home", {}) as client:
        yield host, client


async def test_records_and_errors_are_those_of_the_host_itself(pair: tuple[Host, Client]) -> None:
    host, client = pair
    schedules, there = client.schedules(), host.schedules.of(Caller(), host)
    made = await schedules.add(NewSchedule("daily", SPEC), key="one")
    assert await schedules.add(NewSchedule("daily", SPEC), key="one") == made
    with pytest.raises(Conflict, match="already"):
        await schedules.add(NewSchedule("daily", SPEC))
    assert await schedules.all() == await there.all() == [await schedules.show("daily")] == [made]
    changed = await schedules.change(made.id, ScheduleChange(SPEC | {"cron": "0 10 * * *"}))
    assert changed == await there.show(made.id) and changed.due == (made.due or 0) + 3600
    assert (await schedules.pause("daily")).state == "paused"
    assert (await schedules.resume("daily")).state == "on"
    for _ in range(3):
        await schedules.run("daily")
    first = await schedules.runs("daily", limit=2)
    second = await schedules.runs("daily", float(first.next), 2)
    assert [each.due for each in (*first.items, *second.items)] == [
        each.due for each in (await there.runs("daily")).items
    ]
    assert second.next == "" and all(each.manual for each in first.items)
    await schedules.remove("daily")
    with pytest.raises(NotFound, match="there is no schedule 'daily'"):
        await schedules.show("daily")
    with pytest.raises(BadInput, match="spec.cron: .*never comes") as refused:
        await schedules.add(NewSchedule("daily", SPEC | {"cron": "0 0 30 2 *"}))
    assert refused.value.details["problems"][0]["key"] == "spec.cron"


async def test_its_manifests_are_put_read_and_gone_back_to(pair: tuple[Host, Client]) -> None:
    _, client = pair
    body = {"apiVersion": "agenthost.dev/v1alpha1", "kind": "Schedule", "metadata": {"name": "daily"}}
    for cron in ("0 9 * * *", "0 10 * * *"):
        _, problems = await client.put_manifest("schedule", "daily", json.dumps(body | {"spec": SPEC | {"cron": cron}}))
        assert not problems
    assert [each.number for each in await client.versions("schedule", "daily")] == [2, 1]
    await client.roll_back("schedule", "daily", 1)
    found = await client.manifest("schedule", "daily")
    assert found.manifest is not None and found.manifest["spec"]["cron"] == "0 9 * * *"
    assert (await client.schedules().show("daily")).manifest
    await client.delete("schedule", "daily")
    assert await client.schedules().all() == []


class _Door:
    """A verb's door to a host that runs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.home = Path()

    @asynccontextmanager
    async def host(self, work: bool = False) -> AsyncGenerator[Reached]:
        yield Reached(self._client, False, schedules=self._client.schedules())


async def test_the_verb_says_what_the_host_has_and_runs_it(
    pair: tuple[Host, Client], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, client = pair
    (tmp_path / "notes.txt").write_text("what is to be read")

    async def said(*words: str, code: int = 0) -> str:
        args = verb.parser("schedules").parse_args([*words])
        screen = Screen(getattr(args, "json", False))
        assert await verb.run(args, _Door(client), screen) == code  # type: ignore[arg-type]
        return capsys.readouterr().out

    zone = ("--timezone", "Europe/Athens")
    words = ("add", "both", "reads", "--cron", "@daily", *zone, "--file", str(tmp_path / "notes.txt"))
    more = ("--input", "tone=kind", "--missed", "all", "--most-missed", "3", "--overlap", "queue", "--count", "4")
    made = json.loads(await said(*words, *more, "--grace", "5m", "--until", "2030-01-01", "--json"))
    spec = made["spec"]
    assert spec["run"]["workflow"] == "reads" and spec["run"]["files"][0]["name"] == "notes.txt"
    assert spec["run"]["inputs"] == {"tone": "kind"} and spec["until"] == "2030-01-01T00:00:00+02:00"
    assert (spec["missed"], spec["mostMissed"], spec["overlap"], spec["count"], spec["grace"]) == (
        "all",
        3,
        "queue",
        4,
        300.0,
    )
    task = (await said("run", "both")).strip()
    assert (await client.task(task)).row.name == "reads"
    shown = await said("show", "both")
    assert f"\tstarted by hand\t{task}" in shown or f"\tended by hand\t{task}" in shown
    assert "both\t0 0 * * * (Europe/Athens)\treads\t" in (await said("list")).replace("@daily", "0 0 * * *")
    await said("add", "tea", "echo", "tea", "--in", "20m", *zone)
    await client.delete("workflow", "reads")
    told = await said("run", "both", code=1)
    assert told.startswith("It didn't start: there is no agent or workflow 'reads'")
    assert await said("remove", "tea") == "tea was removed; its tasks stay.\n"
    with pytest.raises(BadInput, match="--in soon: expected a duration"):
        await said("add", "x", "echo", "x", "--in", "soon", *zone)


def test_the_zone_of_this_machine_is_found_or_it_is_utc(tmp_path: Path) -> None:
    zones = tmp_path / "zoneinfo" / "Europe"
    zones.mkdir(parents=True)
    (zones / "Athens").write_bytes(b"")
    link = tmp_path / "localtime"
    link.symlink_to(zones / "Athens")
    assert here(local_zone({}, link)).key == "Europe/Athens"
    assert here(local_zone({"TZ": ":America/New_York"}, link)).key == "America/New_York"
    assert here(local_zone({}, tmp_path / "none")).key == "UTC"
    assert here(local_zone({"TZ": "EST5EDT,M3.2.0"}, link)).key == "UTC"
