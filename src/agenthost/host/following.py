"""Following a task and everything below it: the journal first, then live, nothing missed, nothing twice."""

from collections.abc import AsyncIterator, Callable

import msgspec

from agenthost.core.api import LiveDelta
from agenthost.core.errors import AgentHostError, NotFound, Unusable
from agenthost.core.events import Finished, Recorded
from agenthost.core.ids import root_id
from agenthost.core.importing import IMPORTED
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter, Store
from agenthost.core.tasks import TaskRow
from agenthost.engine.bus import Follower
from agenthost.engine.engine import Engine

PAGE = 500

Live = Recorded | LiveDelta
_encode = msgspec.json.Encoder().encode


def within(task: str, id: str, tree: bool) -> bool:
    """Whether `id` is the task, or one below it."""
    return id == task or (tree and id.startswith(task + "."))


async def the_row(store: Store, task: str) -> TaskRow:
    """A task's row. Raises NotFound."""
    row = await store.task(task)
    if row is None:
        raise NotFound(f"there is no task '{task}'; `agenthost tasks list` shows those that there are")
    return row


async def tree_of(store: Store, task: str) -> list[TaskRow]:
    """A task and all below it, the task first. Raises NotFound."""
    row = await the_row(store, task)
    found: list[TaskRow] = []
    before = ""
    while True:
        page = await store.tasks(Filter(row.namespace, root=root_id(task), before=before, limit=PAGE))
        found += [each for each in page if within(task, each.id, True)]
        if len(page) < PAGE:
            return sorted(found, key=lambda each: each.id)
        before = page[-1].id


async def follow(
    engine: Engine,
    store: Store,
    task: str,
    after: dict[str, int] | None,
    tree: bool,
    redact: Callable[[bytes], bytes] = lambda body: body,
) -> AsyncIterator[Live]:
    """Events and deltas of a task's tree until the task has ended, or nothing in it goes on because of a hold.

    What comes live is shown as the journal has it: without secrets.
    """
    seen = dict(after or {})
    if seen:
        _need_past(await tree_of(store, task) if tree else [await the_row(store, task)], seen)
    follower = engine.services.bus.follow(task)
    failed: AgentHostError | None = None
    try:
        held = False
        young = None if after else engine.services.bus.young(task)
        if young is not None:
            # From the start, nothing forgotten and nothing held: what was told is all there is, and the rest comes.
            follower.items.extend(young)
        while True:
            if young is None:
                events, unread = await _from_journal(engine, store, task, seen, tree)
                for recorded in events:
                    yield recorded
                failed = unread or failed
                # Read after the journal: an end that is committed later comes to the follower.
                rows = await tree_of(store, task) if tree else [await the_row(store, task)]
                if rows[0].seq <= seen.get(task, 0) and _over(rows):
                    if failed is not None and rows[0].state not in FINAL:
                        raise failed
                    return
                held = any(row.hold == "dead-letter" for row in rows)
            young = None
            while (items := await _live(follower, task, seen, tree, held)) is not None:
                for item in _without_secrets(items, redact):
                    yield item
                    if isinstance(item, Recorded) and item.task == task and isinstance(item.event, Finished):
                        return
    finally:
        engine.services.bus.leave(task, follower)


def _need_past(rows: list[TaskRow], seen: dict[str, int]) -> None:
    """Raise Unusable where somebody says to have seen what was never written: they would miss what is written now."""
    for row in rows:
        if seen.get(row.id, 0) > row.seq:
            raise Unusable(
                f"there was no event {seen[row.id]} of the task '{row.id}', whose journal ends with {row.seq} (perhaps a "
                "back-up was put back); follow it from the beginning"
            )


def _without_secrets(items: list[Live], redact: Callable[[bytes], bytes]) -> list[Live]:
    """Events and deltas with known secrets taken out; themselves where there are none in them."""
    body = _encode(items)
    return items if redact(body) == body else [_clean(item, redact) for item in items]


def _clean(item: Live, redact: Callable[[bytes], bytes]) -> Live:
    return msgspec.json.decode(redact(_encode(item)), type=type(item))


def _over(rows: list[TaskRow]) -> bool:
    """Whether nothing more can happen: the task has ended, or all that could go on is held."""
    if rows[0].state in FINAL or rows[0].hold in ("dead-letter", IMPORTED):
        return True
    going = [row for row in rows if row.state not in FINAL]
    parents = {row.parent for row in going}
    return all(row.hold == "dead-letter" for row in going if row.id not in parents)


async def _live(follower: Follower, task: str, seen: dict[str, int], tree: bool, held: bool) -> list[Live] | None:
    """What has come, once there is something; None where the journal is to be read first.

    `held`: something in the tree is held, so that each end may be the last thing that happens.
    """
    while True:
        found = _taken(follower, task, seen, tree, held)
        if found:
            return found
        if follower.missed:
            follower.missed = False
            return None
        await follower.wait()


def _taken(follower: Follower, task: str, seen: dict[str, int], tree: bool, held: bool) -> list[Live]:
    """What is there, up to where something was missed or doesn't follow what was seen."""
    found: list[Live] = []
    items, follower.items = follower.items, []
    for place, item in enumerate(items):
        if follower.missed:
            follower.items = items[place:]
            break
        if not within(task, item.task, tree):
            continue
        if isinstance(item, Recorded):
            last = seen.get(item.task, 0)
            if item.seq <= last:
                continue
            if item.seq > last + 1:
                follower.missed = True
                follower.items = items[place + 1 :]
                break
            seen[item.task] = item.seq
            follower.missed = held and isinstance(item.event, Finished)
        found.append(item)
    return found


async def _from_journal(
    engine: Engine, store: Store, task: str, seen: dict[str, int], tree: bool
) -> tuple[list[Recorded], AgentHostError | None]:
    """The events of the tree that were not seen yet, in the order in which they happened; they count as seen.

    An event that can't be read is left out, and the second value says why.
    """
    failed: AgentHostError | None = None
    found: list[tuple[float, Recorded]] = []
    for id in [row.id for row in await tree_of(store, task)] if tree else [task]:
        latest = 0.0
        while True:
            page = await store.events(id, seen.get(id, 0), PAGE)
            for stored in page:
                # A clock that was set back must not change the order within a journal.
                latest = max(latest, stored.at)
                try:
                    found.append((latest, await engine.services.codec.decode(id, stored)))
                except AgentHostError as error:
                    failed = error
            if page:
                seen[id] = page[-1].seq
            if len(page) < PAGE:
                break
    # Whatever the clock did: a task's end comes after everything below it.
    found.sort(key=lambda each: (each[1].task == task and isinstance(each[1].event, Finished), each[0]))
    return [recorded for _, recorded in found], failed
