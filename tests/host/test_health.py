"""What a host that runs says of itself: what is degraded, and how to mend it."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agenthost.core.api import Finding, Order
from agenthost.core.commands import CallModel, Evaluate, View
from agenthost.core.errors import Failure, StoreDamaged
from agenthost.core.events import Answered, Asked, Event, Recorded, Retried
from agenthost.core.models import ModelAnswer
from agenthost.core.stock import Census
from agenthost.host import health
from agenthost.host.health import Clock, Watch
from agenthost.host.host import Host, open_host
from agenthost.host.lately import MOST, WINDOW, Lately
from agenthost.host.settings import load
from agenthost.stores.backups import home as backups
from agenthost.stores.sqlite.stock import SQLiteStock
from tests.host.conftest import ECHO, ENVIRONMENT, Opens, followed

ENDLESS = 'rules:\n  - reply: {text: "You said {{said}}", delay: 600}\n'
QUICK = 'rules:\n  - reply: {text: "You said {{said}}"}\n'


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {each.what: each for each in found}


async def serving(tmp_path: Path) -> Host:
    settings = load(tmp_path / "home", ENVIRONMENT | {"AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"})
    host = await open_host(settings, work=True, serving=True)
    await host.recovered()
    return host


async def test_a_host_that_serves_says_how_it_is_and_one_of_a_command_does_not(opens: Opens, tmp_path: Path) -> None:
    host = await opens(QUICK, ECHO)
    names = {
        "disk",
        "database size",
        "back-up",
        "tasks",
        "queue",
        "model calls",
        "clock",
        "keys",
        "followers",
        "webhooks",
    }
    assert not names & by_name(await host.doctor()).keys()
    await host.close()
    host = await serving(tmp_path)
    found = by_name(await host.doctor())
    assert {found[name].status for name in names} == {"ok"}
    now = await host.health()
    assert (now.status, now.degraded) == ("ok", ())
    await host.drain()
    assert (await host.health()).status == "closing"
    await host.close()


async def test_a_task_that_rests_is_told_and_wants_nobodys_attention(opens: Opens, tmp_path: Path) -> None:
    await (await opens(ENDLESS, ECHO)).close()
    host = await serving(tmp_path)
    try:
        row = await host.start(Order("echo", "hello"))
        await host.pause(row.id)
        found = by_name(await host.doctor())
        assert "held tasks" not in found and found["tasks"].seen == "1 paused"
        assert (await host.health()).status == "ok"
        assert b'agenthost_tasks_held{hold="paused"} 1.0' in (await host.telling.metrics(""))[0]
        await host.cancel(row.id)
    finally:
        await host.close()


@pytest.mark.journals("a newer host wrote a part of one")
async def test_held_and_waiting_tasks_and_followers_are_told(opens: Opens, tmp_path: Path) -> None:
    host = await opens(ENDLESS, ECHO)
    row = await host.start(Order("echo", "hello"))
    while (await host.task(row.id)).row.seq < 3:
        await asyncio.sleep(0.01)
    await host.close()
    await asyncio.to_thread(_spoil, tmp_path / "home" / "agenthost.db", row.id)
    (tmp_path / "home" / "agenthost.toml").write_text("[work]\ntasks = 1\n")
    host = await serving(tmp_path)
    try:
        while not (await host.task(row.id)).row.hold:
            await asyncio.sleep(0.01)
        first, _ = await host.start(Order("echo", "one")), await host.start(Order("echo", "two"))
        async with asyncio.TaskGroup() as group:
            following = group.create_task(followed(host, first.id))
            while "1 follow" not in by_name(await host.doctor())["followers"].seen:
                await asyncio.sleep(0.01)
            found = by_name(await host.doctor())
            following.cancel()
        assert found["held tasks"].status == "warn" and row.id in found["held tasks"].seen
        assert "agenthost tasks cancel" in found["held tasks"].fix
        assert found["queue"].seen == "root tasks: 1 of 1 run, 1 wait"
        assert found["tasks"].seen in ("1 submitted, 1 working", "2 submitted")
        now = await host.health()
        assert now.status == "degraded" and [each.what for each in now.degraded] == ["held tasks"]  # type: ignore[union-attr]
    finally:
        await host.close()


def _spoil(database: Path, task: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE events SET kind = 'of-later' WHERE task = ? AND seq = 2", (task,))


async def test_models_that_fail_are_told_with_how_the_last_call_did(opens: Opens, tmp_path: Path) -> None:
    host = await opens("rules:\n  - when: {says: fine}\n    reply: {text: fine}\n", ECHO)
    await host.close()
    host = await serving(tmp_path)
    try:
        for number in range(3):
            row = await host.start(Order("echo", f"nobody has words for this {number}"))
            await followed(host, row.id)
        [told] = [each for each in await host.doctor() if each.what == "model calls"]
        assert told.status == "warn" and "3 of 3 calls failed" in told.seen and told.fix
    finally:
        await host.close()


async def test_a_store_that_cannot_be_read_is_told(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(QUICK, ECHO)
    await host.close()
    host = await serving(tmp_path)

    async def fails(*_: object) -> Census:
        raise StoreDamaged("the database is damaged; restore it")

    monkeypatch.setattr(SQLiteStock, "census", fails)
    try:
        now = await host.health()
        assert now.degraded == (Finding("fail", "tasks", "the database is damaged; restore it"),)
    finally:
        await host.close()


async def test_what_was_found_a_moment_ago_is_told_again(
    opens: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Watch.look

    async def counted(watch: Watch) -> list[Finding]:
        nonlocal looks
        looks += 1
        return await look(watch)

    monkeypatch.setattr(Watch, "look", counted)
    host = await opens(QUICK, ECHO)
    await asyncio.gather(*(host.health() for _ in range(20)))
    assert looks == 1


# --- one thing after the other


def told(
    *, free: int = 1 << 40, database: int = 1000, wal: int = 0, backup: float = 0.0, began: float = 0.0
) -> dict[str, Finding]:
    return by_name(health._disk(health._Disk(free, database, wal, backup, began), 100 * 86400.0))


def test_a_disk_that_fills_up_is_told_before_it_is_full() -> None:
    assert told()["disk"].status == "ok"
    assert told(free=(1 << 30) - 1)["disk"].status == "warn"
    assert told(free=1 << 25)["disk"].status == "fail" and "make room" in told(free=1 << 25)["disk"].fix


def test_a_database_that_grows_is_told() -> None:
    assert told()["database size"].status == "ok"
    assert "back-up" in told(wal=1 << 29)["database size"].fix
    assert "how long they are kept" in told(database=1 << 35)["database size"].fix
    assert "an upgrade keeps a copy" in told(database=3 << 30, free=4 << 30)["database size"].fix


def test_a_backup_that_is_old_or_missing_for_long_is_told() -> None:
    day = 86400.0
    assert told()["back-up"].status == told(began=95 * day)["back-up"].status == "ok"
    assert told(began=90 * day)["back-up"].status == "warn"
    assert told(backup=95 * day)["back-up"] == Finding("ok", "back-up", "the newest is 5.0 days old")
    assert told(backup=90 * day)["back-up"].status == "warn" and "--keep" in told(backup=90 * day)["back-up"].fix


def test_only_backups_that_are_still_there_count(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    noted = [backups.Noted(str(tmp_path / "gone"), 9.0), backups.Noted(str(tmp_path / "there"), 7.0)]
    (tmp_path / "backups.json").write_bytes(msgspec.json.encode(noted))
    (tmp_path / "token").write_text("")
    os.utime(tmp_path / "token", (5.0, 5.0))
    seen = health._look(tmp_path)
    assert (seen.backup, seen.began, seen.database) == (7.0, 5.0, 0) and seen.free > 0


def test_tasks_of_which_nothing_is_heard_are_named() -> None:
    found = by_name(health._tasks(Census({"working": 2}, quiet=("a", "b")), 0.0))
    assert found["quiet tasks"].status == "warn" and "a, b" in found["quiet tasks"].seen


def test_a_clock_that_jumps_is_told_and_one_that_goes_is_not() -> None:
    wall, steady = [1000.0], [5.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    wall[0], steady[0] = wall[0] + 9999, steady[0] + 9999
    assert clock.jumped() == 0
    wall[0] -= 3600
    assert clock.jumped() == -3600
    assert health._clock(-3600, 0).seen == "it was set by -3600 s since this host started"
    assert health._clock(0, 90).seen == "it is 90 s before the last event of the journal"
    assert health._clock(2, 2).status == "ok" and health._clock(0, -9e9).status == "ok"
    assert abs(Clock().jumped()) < 1


def test_keys_that_will_expire_are_told_before_they_do() -> None:
    assert health._keys(Census(expired=2)).status == "ok"
    assert health._keys(Census(expiring=1)).status == "warn"


# --- models lately


def calls(lately: Lately, model: str, *failures: str, task: str = "t") -> None:
    for number, code in enumerate(failures):
        command = f"m{number}"
        hear(lately, Asked(CallModel(command, model, View(0, 1))), task)
        hear(
            lately, Answered(command, failure=Failure(code, "no")) if code else Answered(command, ModelAnswer(())), task
        )


def hear(lately: Lately, event: Event, task: str = "t") -> None:
    lately.hear(Recorded(task, 1, 0.0, event))


def test_a_model_fails_where_half_of_its_calls_do_and_budgets_are_not_its_fault() -> None:
    lately = Lately(lambda: 0.0)
    calls(lately, "bad", "auth", "", "auth", "auth")
    calls(lately, "good", "", "", "", "auth", "auth", "auth", "")
    calls(lately, "poor", "budget", "budget", "budget", "stopped")
    calls(lately, "rare", "auth", "auth")
    hear(lately, Asked(Evaluate("e1", {})))
    hear(lately, Answered("e1", failure=Failure("script-error", "no")))
    assert [(each.model, each.failed, each.calls, each.last.code) for each in lately.failing()] == [
        ("bad", 3, 4, "auth")
    ]


def test_a_call_that_is_made_again_counts_each_time_and_old_ones_do_not() -> None:
    now = [0.0]
    lately = Lately(lambda: now[0])
    hear(lately, Asked(CallModel("m1", "slow", View(0, 1))))
    for attempt in range(2, 5):
        hear(lately, Retried("m1", attempt, Failure("overloaded", "later", temporary=True)))
    assert [each.failed for each in lately.failing()] == [3]
    now[0] = WINDOW + 1
    assert lately.failing() == []


def test_what_is_remembered_is_bounded() -> None:
    lately = Lately(lambda: 0.0)
    for number in range(25_000):
        hear(lately, Asked(CallModel("m1", "m", View(0, 1))), f"t{number}")
    calls(lately, "bad", *(["auth"] * (MOST + 100)))
    assert len(lately._open) <= 20_000 and lately.failing()[0].calls == MOST
