"""Every keeper by the suite; of SQLite, that no place is given twice."""

import sqlite3

import pytest
from stores.twins import InMemory, InSQLite

from agenthost.core.keeping import Keeping
from agenthost.core.ports import Store
from agenthost.stores.sqlite import keeping as adapter
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.keeping import KeepingSuite, begun


class TestMemory(InMemory, KeepingSuite):
    pass


class TestSQLite(InSQLite, KeepingSuite):
    @pytest.mark.parametrize("order", ["ASC", "DESC"])
    async def test_a_place_isnt_given_again_after_the_newest_events_were_deleted(
        self, keeping: Keeping, store: SQLiteStore, order: str
    ) -> None:
        for task in ("t1", "t2", "t3"):
            await begun(store, task)
        seen = (await keeping.placed(0, "default"))[1]
        with sqlite3.connect(store.file) as connection:
            for (task,) in connection.execute(f"SELECT id FROM tasks WHERE id <> 't1' ORDER BY id {order}").fetchall():
                connection.execute("DELETE FROM events WHERE task = ?", (task,))
        connection.close()
        await begun(store, "t4")
        assert [each.task for each in (await keeping.placed(seen, "default"))[0]] == ["t4"]

    async def test_whoever_has_few_tasks_reads_on_in_bounded_steps(
        self, keeping: Keeping, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adapter, "LOOKED_AT", 3)
        for number in range(8):
            await begun(store, f"t{number}", "bob" if number < 7 else "ann")
        place, steps, found = 0, 0, list[str]()
        while place < await keeping.newest():
            page, place = await keeping.placed(place, "default", "ann")
            found += [each.task for each in page]
            steps += 1
        assert (found, steps) == (["t7"], 3)
