"""Following: from any point, with writers at work, nothing is missed and nothing comes twice."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from agenthost.core.api import LiveDelta, Order
from agenthost.core.commands import Verdict
from agenthost.core.errors import Unusable
from agenthost.core.events import Created, Event, Finished, Noted, Recorded
from agenthost.core.models import Delta
from agenthost.core.parts import text_message
from agenthost.core.ports import Append, NewTask, StoredEvent
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.engine import bus as bus_module
from agenthost.engine.bus import Bus
from agenthost.engine.codec import Codec
from agenthost.engine.engine import Engine
from agenthost.host.following import follow, tree_of
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_blobs import MemoryBlobs
from tests.host.conftest import ECHO, PAIR, PLAYS, Opens, followed


class World:
    """A store and a bus with one writer, as the engine's owners write: commit first, then tell."""

    def __init__(self, young: bool = False) -> None:
        self.young = young
        self.store = MemoryStore()
        self.bus = Bus()
        self.codec = Codec(MemoryBlobs(), lambda body: body)
        self.engine = cast(Engine, SimpleNamespace(services=SimpleNamespace(bus=self.bus, codec=self.codec)))
        self.seq: dict[str, int] = {}
        self.at = 1000.0

    async def create(self, task: str) -> None:
        parent, _, command = task.rpartition(".")
        spec = TaskSpec(
            task, "agent", "a", "sha256:0", text_message("owner", "x"), parent=parent, parent_command=command
        )
        row = TaskRow(task, "agent", "a", "working", self.at, self.at, parent=parent, root=spec.root, seq=1, epoch=1)
        event = Recorded(task, 1, self.at, Created(spec))
        await self.store.create(NewTask(row, (await self.codec.encode([event]))[0]))
        self.seq[task] = 1
        if self.young and not parent:
            self.bus.begin(task)
        self.bus.committed([event])

    async def add(self, task: str, *events: Event) -> None:
        recorded = [Recorded(task, self.seq[task] + number, self.at, event) for number, event in enumerate(events, 1)]
        stored = await self.codec.encode(recorded)
        ended = isinstance(events[-1], Finished)
        state = "completed" if ended else "working"
        await self.store.append(Append(task, 1, stored, state, self.at, "done" if ended else ""))
        self.seq[task] += len(events)
        self.bus.committed(recorded)

    async def finish(self, task: str) -> None:
        await self.add(task, Finished(Verdict("done")))

    async def all(self, root: str) -> list[tuple[str, int]]:
        return [(row.id, seq) for row in await tree_of(self.store, root) for seq in range(1, self.seq[row.id] + 1)]


async def write(world: World, chance: random.Random, steps: int) -> None:
    """A tree at work: notes, children that appear and end, a clock that goes back now and then."""
    alive = ["r"]
    for step in range(steps):
        world.at += chance.choice([1.0, 0.0, -5.0])
        task = chance.choice(alive)
        what = chance.random()
        if what < 0.2 and len(alive) < 5:
            alive.append(f"{task}.c{step}")
            await world.create(alive[-1])
        elif what < 0.3 and task != "r" and not any(each.startswith(task + ".") for each in alive):
            alive.remove(task)
            await world.finish(task)
        else:
            await world.add(task, *(Noted(f"{step}") for _ in range(chance.randint(1, 4))))
        if chance.random() < 0.3:
            world.bus.delta(task, "m1", 1, Delta(text="x"))
        await asyncio.sleep(0)
    for task in sorted(alive, key=len, reverse=True):
        await world.finish(task)


async def slow(world: World, chance: random.Random, after: dict[str, int], got: list[Recorded]) -> None:
    async for item in follow(world.engine, world.store, "r", after, True):
        if isinstance(item, Recorded):
            got.append(item)
        for _ in range(chance.randint(0, 3)):
            await asyncio.sleep(0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=some.integers(0, 2**32),
    waiting=some.sampled_from([2, 7, 4096]),
    head=some.integers(0, 20),
    young=some.booleans(),
)
def test_every_follower_sees_every_event_once_and_in_order(
    seed: int, waiting: int, head: int, young: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Followers from the start, from a point on, and one that stopped and came again, some of them too slow."""
    monkeypatch.setattr(bus_module, "MOST_WAITING", waiting)

    async def run() -> None:
        chance = random.Random(seed)
        world = World(young)
        await world.store.open()
        await world.create("r")
        await write_head(world, head)
        point = {"r": chance.randint(0, world.seq["r"])}
        whole: list[Recorded] = []
        later: list[Recorded] = []
        again: list[Recorded] = []

        async def comes_again() -> None:
            seen: dict[str, int] = {}
            while True:
                async for item in follow(world.engine, world.store, "r", seen, True):
                    if isinstance(item, Recorded):
                        again.append(item)
                        seen[item.task] = item.seq
                        if item.task == "r" and isinstance(item.event, Finished):
                            return
                        if chance.random() < 0.2:
                            break

        async with asyncio.TaskGroup() as group:
            group.create_task(slow(world, random.Random(seed + 1), {}, whole))
            group.create_task(slow(world, random.Random(seed + 2), point, later))
            group.create_task(comes_again())
            group.create_task(write(world, chance, 40))
        everything = await world.all("r")
        for got, begun in ((whole, {}), (later, point), (again, dict[str, int]())):
            places = [(item.task, item.seq) for item in got]
            assert sorted(places) == sorted(place for place in everything if place[1] > begun.get(place[0], 0))
            for task in world.seq:
                numbers = [seq for each, seq in places if each == task]
                assert numbers == sorted(numbers)
        assert not world.bus.followed("r")
        await world.store.close()

    asyncio.run(run())


async def write_head(world: World, count: int) -> None:
    for number in range(count):
        await world.add("r", Noted(str(number)))


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    made = World()
    await made.store.open()
    yield made
    await made.store.close()


async def test_without_its_tree_only_the_task_itself_is_followed(world: World) -> None:
    await world.create("r")
    await world.create("r.c1")
    await world.finish("r.c1")
    await world.finish("r")
    items = [item async for item in follow(world.engine, world.store, "r", None, False)]
    assert [(item.task, item.seq) for item in items if isinstance(item, Recorded)] == [("r", 1), ("r", 2)]


async def test_a_task_that_is_held_while_it_is_followed_ends_the_following(world: World) -> None:
    await world.create("r")
    items = follow(world.engine, world.store, "r", None, True)
    first = await anext(items)
    assert isinstance(first, Recorded)

    async def hold() -> None:
        await asyncio.sleep(0)
        await world.store.hold("r", "dead-letter", "a fault")
        world.bus.look_again("r")

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        assert [item async for item in items] == []


async def test_a_held_child_ends_the_following_only_once_nothing_else_goes_on(world: World) -> None:
    for task in ("r", "r.c1", "r.c2"):
        await world.create(task)
    await world.store.hold("r.c1", "dead-letter", "a fault")
    got: list[Any] = []

    async def hear() -> None:
        got.extend([item async for item in follow(world.engine, world.store, "r", None, True)])

    async def work() -> None:
        for _ in range(5):
            await world.add("r.c2", Noted("on"))
            await asyncio.sleep(0)
        await world.finish("r.c2")

    async with asyncio.TaskGroup() as group:
        group.create_task(hear())
        group.create_task(work())
    assert [item.task for item in got].count("r.c2") == 7


async def test_who_follows_a_young_task_from_its_start_needs_no_journal_until_it_is_held(world: World) -> None:
    world.young = True
    await world.create("r")
    await world.add("r", Noted("on"))
    reads = 0
    events = world.store.events

    async def counted(task: str, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        nonlocal reads
        reads += 1
        return await events(task, after, limit)

    world.store.events = counted
    items = follow(world.engine, world.store, "r", None, True)
    told = [await anext(items), await anext(items)]
    assert [item.seq for item in told if isinstance(item, Recorded)] == [1, 2] and reads == 0
    await world.store.hold("r", "dead-letter", "a fault")
    world.bus.look_again("r")
    assert [item async for item in items] == [] and reads == 1 and world.bus.young("r") is None


async def test_who_has_seen_the_end_of_a_young_task_is_told_nothing_more(world: World) -> None:
    world.young = True
    await world.create("r")
    await world.finish("r")
    async with asyncio.timeout(10):
        for cut in range(3):
            items = [item async for item in follow(world.engine, world.store, "r", {"r": cut}, True)]
            assert [item.seq for item in items if isinstance(item, Recorded)] == [1, 2][cut:]


async def test_a_task_that_has_told_much_is_no_longer_remembered(world: World) -> None:
    world.young = True
    await world.create("r")
    await write_head(world, bus_module.YOUNG)
    assert world.bus.young("r") is None


def test_a_tree_is_read_by_its_index_however_many_tasks_there_are(tmp_path: Path) -> None:
    from agenthost.core.ports import Filter
    from agenthost.stores.sqlite.connection import open_database
    from agenthost.stores.sqlite.reads import listing

    connection = open_database(tmp_path / "agenthost.db")
    sql, values = listing(Filter(root="abc", before="abc.x", limit=500))
    plan = " ".join(str(row[-1]) for row in connection.execute("EXPLAIN QUERY PLAN " + sql, values))
    assert "PRIMARY KEY (id>? AND id<?)" in plan, plan
    connection.close()


async def test_the_real_host_tells_children_that_appear(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR)
    task = (await host.start(Order("pair", "x"))).id
    events = await followed(host, task)
    detail = await host.task(task)
    want = {(row.id, seq) for row in (detail.row, *detail.children) for seq in range(1, row.seq + 1)}
    assert {(each.task, each.seq) for each in events} == want and len(events) == len(want)
    after = {events[4].task: events[4].seq}
    rest = await followed(host, task, after)
    assert {(each.task, each.seq) for each in rest} == {place for place in want if place[1] > after.get(place[0], 0)}
    assert not any(isinstance(each, LiveDelta) for each in rest)


async def test_who_says_to_have_seen_what_was_never_written_is_told_so(opens: Opens) -> None:
    """Else they would wait for ever, as after a back-up was put back."""
    host = await opens(PLAYS, ECHO, PAIR, work=True)
    row = await host.start(Order("pair", "hi"))
    whole = await followed(host, row.id)
    child = next(recorded.task for recorded in whole if recorded.task != row.id)
    last = (await host.task(row.id)).row.seq
    assert await followed(host, row.id, {row.id: last}) != []  # the children's
    for after in ({row.id: last + 1}, {child: 10**9}):
        with pytest.raises(Unusable, match="from the beginning"):
            await followed(host, row.id, after)
    with pytest.raises(Unusable, match="from the beginning"):
        await followed(host, row.id, {row.id: last + 1}, False)
    # What is said of others' journals means nothing.
    assert len(await followed(host, row.id, {"another": 10**9})) == len(whole)
    newest = await host.keeping.newest()
    assert (await host.news(newest)).items == ()
    with pytest.raises(Unusable, match="without a cursor"):
        await host.news(newest + 1)
    with pytest.raises(Unusable, match="without a cursor"):
        await anext(cast("Any", host.watch(newest + 1)))


@pytest.mark.journals("an event is lost on purpose")
async def test_an_event_that_cannot_be_read_ends_nobodys_stream_of_everything(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    first = await host.start(Order("echo", "hello " * 10_000))
    await followed(host, first.id)
    second = await host.start(Order("echo", "hi"))
    await followed(host, second.id)
    expected = [(recorded.task, recorded.seq) for task in (first.id, second.id) for recorded in await host.events(task)]
    big = [event for event in await host._adapters.store.events(first.id) if b"$blob" in event.body]  # pyright: ignore[reportPrivateUsage]
    assert big
    for path in (host.settings.folder / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    readable = [(task, seq) for task, seq in expected if task == second.id or seq not in {event.seq for event in big}]
    found = (await host.news(0)).items
    assert [(recorded.task, recorded.seq) for _, recorded in found] == readable
    async with aclosing(cast("Any", host.watch(0))) as items:
        live = [await anext(items) for _ in readable]
    assert [(recorded.task, recorded.seq) for _, recorded in live] == readable
