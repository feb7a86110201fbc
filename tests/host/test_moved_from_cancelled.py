"""A message is moved away from a task that somebody cancels: it doesn't go on under another name."""

import pytest

from agenthost.core.ports import Filter
from agenthost.core.replaying import ForkOrder
from agenthost.core.tasks import TaskRow
from tests.host.conftest import ASKER, ECHO, Opens
from tests.host.test_conversing import REPLIES, RULES, ended, place, two_open


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_what_was_cancelled_does_not_go_on_from_before_a_message_that_is_moved(
    opens: Opens, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    placed = await place(host, f"/task {fence} in oil", "m3")
    assert placed.task is not None and placed.task.id == fence
    if when == "before":
        await host.cancel(fence)
        assert await ended(host, fence) == "canceled"
    fork = host.fork

    async def cancelled_first(task: str, order: ForkOrder) -> TaskRow:
        going = await fork(task, order)
        await host.cancel(fence)
        assert await ended(host, fence) == "canceled"
        return going

    monkeypatch.setattr(host, "fork", cancelled_first)
    moved = await host.conversing.move(placed.line, poem)
    assert moved.line.task == poem
    others = [row.id for row in await host.tasks(Filter(roots_only=True)) if row.id not in (fence, poem)]
    assert [await ended(host, other) for other in others] == ["canceled"] * (when == "meanwhile")
    await host.cancel(poem)
