"""Following a task and everything below it: the journal first, then live, nothing missed, nothing twice."""

from collections.abc import AsyncIterator

from agenthost.core.api import LiveDelta
from agenthost.core.errors import NotFound
from agenthost.core.events import Finished, Recorded
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter, Store
from agenthost.engine.bus import Follower
from agenthost.engine.engine import Engine

PAGE = 500


def within(task: str, id: str, tree: bool) -> bool:
    """Whether `id` is the task, or one below it."""
    return id == task or (tree and id.startswith(task + "."))


async def follow(
    engine: Engine, store: Store, task: str, after: dict[str, int] | None, tree: bool
) -> AsyncIterator[Recorded | LiveDelta]:
    """Events and deltas of a task's tree until the task has ended (or is held). Raises NotFound."""
    if await store.task(task) is None:
        raise NotFound(f"there is no task '{task}'; `agenthost tasks list` shows those that there are")
    seen = dict(after or {})
    follower = engine.services.bus.follow(task)
    try:
        while True:
            async for recorded in _from_journal(engine, store, task, seen, tree):
                yield recorded
            row = await store.task(task)
            if row is not None and (row.state in FINAL or row.hold) and row.seq <= seen.get(task, 0):
                return
            async for item in _live(follower, task, seen, tree):
                yield item
                if isinstance(item, Recorded) and item.task == task and isinstance(item.event, Finished):
                    return
    finally:
        engine.services.bus.leave(task, follower)


async def _live(follower: Follower, task: str, seen: dict[str, int], tree: bool) -> AsyncIterator[Recorded | LiveDelta]:
    """What comes, until something was missed or doesn't follow what was seen: then the journal is read."""
    while True:
        while follower.items:
            item = follower.items.popleft()
            if not within(task, item.task, tree):
                continue
            if isinstance(item, LiveDelta):
                yield item
                continue
            last = seen.get(item.task, 0)
            if item.seq <= last:
                continue
            if item.seq > last + 1:
                return
            seen[item.task] = item.seq
            yield item
        if follower.missed:
            follower.missed = False
            return
        await follower.wait()


async def _from_journal(
    engine: Engine, store: Store, task: str, seen: dict[str, int], tree: bool
) -> AsyncIterator[Recorded]:
    """The events of the tree that were not seen yet, in the order in which they happened."""
    rows = await tree_of(store, task) if tree else [task]
    pending: list[tuple[float, Recorded]] = []
    for id in rows:
        at = 0.0
        while True:
            page = await store.events(id, seen.get(id, 0), PAGE)
            for stored in page:
                # A clock that was set back must not turn a journal's order around.
                at = max(at, stored.at)
                pending.append((at, await engine.services.codec.decode(id, stored)))
            if page:
                seen[id] = page[-1].seq
            if len(page) < PAGE:
                break
    pending.sort(key=lambda entry: entry[0])
    for _, recorded in pending:
        yield recorded


async def tree_of(store: Store, task: str) -> list[str]:
    """The ids of a task and all below it, the task first."""
    found: list[str] = []
    before = ""
    while True:
        page = await store.tasks(Filter(root=root_id(task), before=before, limit=500))
        found += [row.id for row in page if within(task, row.id, True)]
        if len(page) < 500:
            break
        before = page[-1].id
    return sorted(found) if found else [task]
