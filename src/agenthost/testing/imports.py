"""The conformance suite of `core.importing.Imports`. Subclass `ImportsSuite` and give it a fixture `kept`: a store, its
imports and its webhooks, all over the same thing, open."""

import pytest
from msgspec import Struct

from agenthost.core.errors import LostLease
from agenthost.core.importing import IMPORTED, Foreign, Imports
from agenthost.core.lifecycle import State
from agenthost.core.ports import Filter, InboxItem, Store, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import Webhook, Webhooks


class Kept(Struct):
    """What the suite is run over."""

    store: Store
    imports: Imports
    webhooks: Webhooks


def _foreign(id: str, state: State = "completed", hold: bool = False) -> Foreign:
    row = TaskRow(
        id,
        "agent",
        "coder",
        state,
        created=1.0,
        updated=2.0,
        person="ann",
        parent=id.rpartition(".")[0],
        root=id.partition(".")[0],
        title="done there",
        hold=IMPORTED if hold else "",
        seq=2,
    )
    events = (StoredEvent(1, 1.0, "created", 1, b"{}"), StoredEvent(2, 2.0, "finished", 1, b"[]"))
    return Foreign(row, events)


class ImportsSuite:
    """What every keeper of imports does."""

    async def test_tasks_are_kept_whole_with_their_files(self, kept: Kept) -> None:
        tree = [_foreign("t1"), _foreign("t1.a")]
        files = {"t1": {"a.txt": "sha256:1"}, "t1.a@base": {"b/c.txt": "sha256:2"}}
        assert await kept.imports.take_in(tree, files)
        assert await kept.store.task("t1") == tree[0].row
        assert await kept.store.task("t1.a") == tree[1].row
        assert tuple(await kept.store.events("t1.a")) == tree[1].events
        assert await kept.store.files("t1") == files["t1"]
        assert await kept.store.files("t1.a@base") == files["t1.a@base"]
        assert [row.id for row in await kept.store.tasks(Filter(roots_only=True))] == ["t1"]

    async def test_where_one_is_there_nothing_is_kept(self, kept: Kept) -> None:
        assert await kept.imports.take_in([_foreign("t1.a")], {})
        assert not await kept.imports.take_in([_foreign("t1"), _foreign("t1.a")], {"t1": {"a": "sha256:1"}})
        assert await kept.store.task("t1") is None
        assert await kept.store.files("t1") == {}

    async def test_nobody_works_on_one_that_had_not_ended(self, kept: Kept) -> None:
        assert await kept.imports.take_in([_foreign("t1", "working", hold=True), _foreign("t2")], {})
        assert await kept.store.claimable("me", 9.0, 10) == []
        for task in ("t1", "t2"):
            with pytest.raises(LostLease):
                await kept.store.claim(task, "me", 9.0)
            await kept.store.hold(task, "", "")
            assert not await kept.store.put(InboxItem(task, "x", "message", b"{}", 9.0))
        assert await kept.store.claimable("me", 9.0, 10) == []
        assert (await kept.store.ledger("t1"), await kept.store.inbox("t1")) == ([], [])

    async def test_nobody_is_told_of_what_happened_elsewhere(self, kept: Kept) -> None:
        await kept.webhooks.put(Webhook("w", "ann", "https://example.com", 0.5))
        assert await kept.imports.take_in([_foreign("t1"), _foreign("t2", "input-required", hold=True)], {})
        assert await kept.webhooks.marks(10) == []
