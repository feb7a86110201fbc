"""What a page of a long listing reads, counted in steps of SQLite's machine and told by its plan: never by time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from agenthost.core.ports import Filter
from agenthost.stores.sqlite.connection import open_migrated
from agenthost.stores.sqlite.reads import counting, listing
from tests.testbeds.replayed import INVENTED

MANY = 20_000
PAGE = 50
BY_CHANGE = Filter(name="coder", roots_only=True, order="updated", limit=PAGE)
FIRST = "SEARCH tasks USING INDEX tasks_by_change (namespace=? AND name=?"
COUNTED = "SEARCH tasks USING COVERING INDEX tasks_by_change (namespace=? AND name=?"


def _fill(connection: sqlite3.Connection, many: int) -> None:
    """Root tasks of one agent, each changed at a time of its own, a child below each hundredth; half as many of another."""
    connection.execute("BEGIN")
    for number in range(many):
        for id, name, parent in (
            (f"t{number:06}", "coder", ""),
            *([(f"t{number:06}.c", "coder", f"t{number:06}")] if number % 100 == 0 else []),
            *([(f"u{number:06}", "tester", "")] if number % 2 == 0 else []),
        ):
            row = {
                "id": id,
                "name": name,
                "parent": parent,
                "root": id.partition(".")[0],
                "created": float(number),
                "updated": float(number * 7919 % many),
                "person": "ann" if number % 1000 == 0 else "bob",
                "state": "working" if number % 10 == 0 else "completed",
                "ended": int(number % 10 != 0),
            }
            values = {"kind": "agent", "namespace": "default", "seq": 1, "epoch": 1} | row
            rest = dict.fromkeys(("title", "hold", "outcome", "reason", "owner", "conversation"), "")
            values |= rest
            columns = ", ".join(values)
            places = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO tasks ({columns}) VALUES ({places})", tuple(values.values()))
    connection.execute("COMMIT")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    home = tmp_path_factory.mktemp("full")
    (home / INVENTED).touch()
    connection, _ = open_migrated(home / "agenthost.db")
    _fill(connection, MANY)
    yield connection
    connection.close()


def _read(connection: sqlite3.Connection, wanted: Filter) -> tuple[list[tuple[str, float]], int]:
    """Ids and times of a page, and how many instructions of SQLite's machine it took."""
    sql, values = listing(wanted)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(step, 1)
    rows = connection.execute(sql, values).fetchall()
    connection.set_progress_handler(None, 0)
    return [(row[0], row[5]) for row in rows], steps


def _plan(connection: sqlite3.Connection, sql: str, values: list[object]) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("more", [{}, {"states": ("completed",)}, {"person": "bob"}, {"changed_since": 5.0}])
def test_a_page_by_change_is_read_in_the_order_of_an_index_and_counted_in_it(
    full: sqlite3.Connection, more: dict[str, object]
) -> None:
    for wanted in (replace(BY_CHANGE, **more), replace(BY_CHANGE, before="t000100", before_change=900.0, **more)):
        plan = _plan(full, *listing(wanted))
        assert len(plan) == 1 and plan[0].startswith(FIRST), plan
        plan = _plan(full, *counting(wanted))
        assert len(plan) == 1 and plan[0].startswith(COUNTED), plan


def test_a_page_of_twenty_thousand_costs_what_one_of_two_hundred_does(full: sqlite3.Connection, tmp_path: Path) -> None:
    few, _ = open_migrated(tmp_path / "few.db")
    _fill(few, 200)
    page, steps = _read(full, BY_CHANGE)
    _, of_few = _read(few, BY_CHANGE)
    few.close()
    assert [at for _, at in page] == [float(MANY - 1 - n) for n in range(PAGE)]
    assert steps <= of_few * 1.1
    # All of them, for the measure: what a page must not come near.
    assert _read(full, replace(BY_CHANGE, limit=MANY))[1] > 100 * steps


def test_pages_by_change_go_through_all_and_a_late_one_costs_no_more(full: sqlite3.Connection) -> None:
    seen: list[tuple[str, float]] = []
    costs: list[int] = []
    wanted = replace(BY_CHANGE, limit=1000)
    while True:
        page, steps = _read(full, wanted)
        if not page:
            break
        costs.append(steps)
        seen += page
        wanted = replace(wanted, before=page[-1][0], before_change=page[-1][1])
    assert len(seen) == MANY and [at for _, at in seen] == [float(MANY - 1 - n) for n in range(MANY)]
    assert max(costs) <= costs[0] * 1.3
