"""Schedules of a real host: made, due, started, seen, paused, stopped, gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from agenthost.core.access import Caller, Person
from agenthost.core.errors import Conflict
from agenthost.core.ports import Filter
from agenthost.core.schedules import NewSchedule, OwnSchedules, RunInfo
from agenthost.host.guarded import GuardedHost, Owners
from agenthost.host.host import Host
from tests.host.conftest import ECHO, Opens

SCHEDULE = """\
apiVersion: agenthost.dev/v1alpha1
kind: Schedule
metadata: {name: NAME}
spec: {SPEC}
"""
DAILY: dict[str, Any] = {
    "cron": "0 9 * * *",
    "timezone": "Europe/Athens",
    "run": {"agent": "echo", "text": "good morning"},
}
SLOW = 'rules:\n  - when: {says: "for ever"}\n    reply: {text: "I go on", pause: 600}\n  - reply: {text: "You said {{said}}"}\n'


def manifest(name: str, spec: str) -> dict[str, str]:
    return {f"{name}.yaml": SCHEDULE.replace("NAME", name).replace("SPEC", spec)}


def soon(seconds: float = 0.3) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def own(host: Host, caller: Caller | None = None) -> OwnSchedules:
    who = caller or Caller()
    guarded = GuardedHost(host, who, host.accounts, Owners(host._adapters.store))  # pyright: ignore[reportPrivateUsage]
    return host.schedules.of(who, guarded)


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not (value := await found()):
            await asyncio.sleep(0.01)
        return value


async def ran(schedules: OwnSchedules, name: str, state: str = "ended") -> list[RunInfo]:
    async def found() -> list[RunInfo]:
        return [run for run in (await schedules.runs(name)).items if run.state == state]

    return await until(found)


@pytest.fixture
async def host(opens: Opens) -> Host:
    return await opens(SLOW, ECHO, work=True, serving=True)


async def test_what_is_due_once_runs_once_as_its_person_and_is_done(host: Host) -> None:
    await host.accounts.put_person(Person("ann", "user", 1.0))
    schedules = own(host, Caller("ann", "user", ("read", "work")))
    spec = {"at": soon(), "run": {"agent": "echo", "text": "tea is ready"}, "conversation": "kitchen"}
    made = await schedules.add(NewSchedule("tea", spec))
    assert (made.state, made.person, made.due) == ("on", "ann", made.next[0])

    (run,) = await ran(schedules, "tea")
    assert run.outcome == "done" and run.due == made.due and not run.late
    task = (await host.task(run.task)).row
    assert (task.person, task.title, task.conversation) == ("ann", "tea is ready", "kitchen")
    spec_of = (await host.events(task.id, 0, 1))[0].event.spec  # type: ignore[union-attr]
    assert spec_of.via == f"schedule:{made.id}"
    assert spec_of.notes == {"schedule": {"id": made.id, "name": "tea", "due": made.due}}
    over = await schedules.show("tea")
    assert (over.state, over.due, over.next, over.why) == ("done", None, (), "it was to come once")
    assert len(await host.tasks(Filter())) == 1


async def test_a_manifest_is_a_schedule_as_whoever_applied_it(host: Host) -> None:
    done, problems = await host.apply(manifest("tea", f'at: "{soon()}", run: {{agent: echo, text: tea}}'), by="owner")
    assert not problems and [each.outcome for each in done] == ["created"]
    schedules = own(host)
    (run,) = await ran(schedules, "tea")
    assert (await host.task(run.task)).row.person == "owner"
    shown = await schedules.show("tea")
    assert shown.manifest and (await host.manifests("schedule"))["tea"]["spec"]["person"] == "owner"
    with pytest.raises(Conflict, match="delete schedule tea"):
        await schedules.remove("tea")
    # The same file again, though its time has passed: nothing is wrong with it, and nothing comes of it.
    text = manifest("tea", f'at: "{shown.spec["at"]}", run: {{agent: echo, text: tea}}')
    done, problems = await host.apply(text)
    assert not problems and [each.outcome for each in done] == ["unchanged"]
    with pytest.raises(Conflict, match="used by schedule 'tea'"):
        await host.delete("agent", "echo")
    await host.delete("schedule", "tea")
    assert await schedules.all() == []
    assert len(await host.tasks(Filter())) == 1
