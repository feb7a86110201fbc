"""What was used, of whole days: kept by triggers of SQLite's ledger, so that it stays when the ledger's rows go, and needs no
look at them."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agenthost.core.budgets import Spend
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.ports import Settlement
from agenthost.stores.sqlite.connection import open_migrated
from agenthost.stores.sqlite.keeping import SQLiteKeeping
from agenthost.stores.sqlite.link import APPLICATION
from agenthost.stores.sqlite.migrating import migrations
from agenthost.stores.sqlite.statements import Statements
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


async def test_one_table_holds_what_was_used_and_one_statement_adds_to_it(store: SQLiteStore) -> None:
    await _used(store)
    with closing(sqlite3.connect(store.file)) as connection:
        kept = connection.execute("SELECT person, model, calls, tokens, cost, open FROM usage").fetchall()
        made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()]
    assert kept == [("ann", "m", 1, 30, 200_000_000, 0)]
    writing = re.compile(r"(INSERT INTO|INSERT OR REPLACE INTO|UPDATE) usage\b")
    statements = Statements()
    assert [sql.split()[2] for sql in made if writing.search(sql)] == ["usage_kept"]
    assert [name for name in statements.names() if writing.search(statements[name])] == ["forget_person_in_usage"]


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


@pytest.mark.parametrize(
    ("since", "until", "hours"), [(20_758.0, 20_788.0, 0), (20_758.5, 20_788.0, 1), (20_758.5, 20_788.25, 2)]
)
def test_a_months_figures_are_read_without_the_settled_ledger(
    tmp_path: Path, since: float, until: float, hours: int
) -> None:
    """The plan of the statement: of whole days nothing of it walks the ledger but by the index of what is open."""
    connection, _ = open_migrated(tmp_path / "agenthost.db")
    sql, values = adding_up(UsageFilter(by=("day", "agent"), since=since * 86_400, until=until * 86_400))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    connection.close()
    touching = [line for line in plan if "ledger" in line or "usage" in line]
    assert "SEARCH usage USING PRIMARY KEY (namespace=? AND day>? AND day<?)" in touching
    assert "SEARCH ledger USING INDEX ledger_open (namespace=? AND at>? AND at<?)" in touching
    assert len(touching) == 2 + hours
