"""What was used, of whole days: kept by triggers of SQLite's ledger, so that it stays when the ledger's rows go, and needs no
look at them."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from agenthost.core.budgets import Spend
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.ports import Settlement
from agenthost.stores.sqlite.keeping import SQLiteKeeping
from agenthost.stores.sqlite.link import APPLICATION
from agenthost.stores.sqlite.migrating import migrations
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.stores.sqlite.usage import adding_up
from agenthost.testing.stores import entry, new_task, step


async def _used(store: SQLiteStore) -> None:
    await store.create(new_task("a", owner="w", epoch=1))
    reserved = (entry("a", "m1", person="ann"), entry("a", "m2", person="ann"))
    await store.append(step("a", 2, reserve=reserved))
    await store.append(step("a", 3, settle=(Settlement("m1", 1, Spend(1, 30, 0.2), "m"),)))


FIGURES = [
    UsageLine(1, 100, 0.25, 1, 0, person="ann", model="default"),
    UsageLine(1, 30, 0.2, 0, 0, person="ann", model="m"),
]
BY = UsageFilter(by=("person", "model"))


async def test_figures_outlive_the_rows_of_the_ledger_until_they_are_forgotten(
    store: SQLiteStore,
) -> None:
    keeping = SQLiteKeeping(store)
    await _used(store)
    assert await keeping.usage(BY) == FIGURES
    await store.write(lambda connection, _: connection.execute("DELETE FROM ledger") and None)
    assert await keeping.usage(BY) == FIGURES
    await keeping.forget_usage("default", "bob")
    assert await keeping.usage(BY) == FIGURES
    await keeping.forget_usage("default", "ann")
    assert await keeping.usage(BY) == []


def _before(file: Path) -> None:
    """A database of the version before, with a ledger."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        scripts = migrations()
        version = next(place for place, script in enumerate(scripts) if "CREATE TABLE usage" in script)
        for script in scripts[:version]:
            connection.executescript(script)
        for line in (f"user_version = {version}", f"application_id = {APPLICATION}"):
            connection.execute(f"PRAGMA {line}")
        for command, settled in (("m1", 1), ("m2", 0)):
            values = ("a", "a", command, 1, "coder", "m" if settled else "default", 1001.5, "ann", "default", b"[]")
            spent = (1, 30, 0.2) if settled else (None, None, None)
            connection.execute(
                f"INSERT INTO ledger VALUES (NULL{', ?' * 18})", (*values, 1, 100, 0.25, *spent, settled, 1)
            )


async def test_a_database_from_before_has_its_figures_at_once(tmp_path: Path) -> None:
    await asyncio.to_thread(_before, tmp_path / "old.db")
    store = SQLiteStore(tmp_path / "old.db")
    await store.open()
    assert await SQLiteKeeping(store).usage(BY) == FIGURES
    await store.close()


async def test_a_months_figures_are_read_without_the_settled_ledger(store: SQLiteStore) -> None:
    """The plan of the statement: nothing of it walks the ledger but by the index of what is open."""
    seen: list[str] = []
    real = store.read

    def read(function, *arguments):
        def explained(connection, statements, wanted):
            sql, values = adding_up(wanted)
            seen.extend(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))
            return function(connection, statements, wanted)

        return real(explained, *arguments)

    store.read = read
    await SQLiteKeeping(store).usage(UsageFilter(by=("day", "agent"), since=20_758 * 86_400.0, until=20_788 * 86_400.0))
    touching = [line for line in seen if "ledger" in line or "usage" in line]
    assert any("SEARCH usage USING PRIMARY KEY (namespace=? AND day>? AND day<?)" in line for line in touching)
    assert any("SEARCH ledger USING INDEX ledger_open (namespace=? AND at>? AND at<?)" in line for line in touching)
    assert len(touching) == 2
