"""Rooms are made, waited for and given up; whatever is cancelled meanwhile, none is forgotten."""

import asyncio
from typing import Any, cast

import pytest

from agenthost.core.errors import Unavailable
from agenthost.sandboxes.attached.pool import Pool, PoolSettings, Size
from agenthost.sandboxes.attached.room import Room

USUAL, OTHER = Size(1, 1.0, 1, 1), Size(2, 1.0, 1, 1)


class Rooms:
    """Makes rooms with nothing in them, one at a time when it is told to, and knows which are open."""

    def __init__(self) -> None:
        self.open: list[Any] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.fails = False

    async def make(self, size: Size) -> Room:
        rooms = self

        class Made:
            alive = True

            def __init__(self) -> None:
                self.hung_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            def die(self) -> None:
                self.alive = False
                self.hung_up.set_result("the room is gone")

            async def close(self) -> str:
                await rooms.may_end.wait()
                if self in rooms.open:  # twice is as good as once
                    rooms.open.remove(self)
                return ""

        made = Made()
        self.open.append(made)  # as an engine has it before its answer comes
        self.asked.set()
        await self.go_on.wait()
        if self.fails:
            self.open.remove(made)
            raise Unavailable("no room")
        return cast(Room, made)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def cancelled_while_made(rooms: Rooms, pool: Pool, size: Size) -> None:
    taking = asyncio.get_running_loop().create_task(pool.take("/w", size))
    await rooms.asked.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await pool.release("/w")
    rooms.go_on.set()
    await turns()


async def test_a_room_that_nobody_waits_for_any_more_serves_the_next() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=1))
    await cancelled_while_made(rooms, pool, USUAL)
    (made,) = rooms.open
    assert (await pool.take("/x", USUAL)).room is made
    await pool.close()
    assert not rooms.open


async def test_a_room_of_another_size_is_destroyed_when_nobody_waits_for_it() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=1))
    await cancelled_while_made(rooms, pool, OTHER)
    assert not rooms.open
    await pool.close()


async def test_closing_waits_for_a_room_that_is_being_made() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=1))
    taking = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    await rooms.asked.wait()
    taking.cancel()
    await asyncio.wait([taking])
    closing = asyncio.get_running_loop().create_task(pool.close())
    await turns()
    assert not closing.done()
    rooms.go_on.set()
    await closing
    assert not rooms.open


async def test_nothing_is_kept_of_a_workspace_whose_room_could_not_be_made() -> None:
    rooms = Rooms()
    rooms.fails = True
    rooms.go_on.set()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=0))
    with pytest.raises(Unavailable):
        await pool.take("/w", USUAL)
    assert not pool._taking
    await pool.close()


# --- which rooms stay, and how long ----------------------------------------------------------------------


def ready(**settings: Any) -> tuple[Rooms, Pool]:
    """Rooms that are made at once."""
    rooms = Rooms()
    rooms.go_on.set()
    return rooms, Pool(rooms.make, PoolSettings(USUAL, **{"warm": 0, **settings}))


async def used(pool: Pool, workspace: str, size: Size = USUAL) -> Any:
    """A run in a workspace; its room."""
    held = await pool.take(workspace, size)
    pool.give_back(held)
    return held.room


async def test_of_too_many_the_one_used_longest_ago_is_given_up() -> None:
    rooms, pool = ready(most=2)
    first, second = await used(pool, "/a"), await used(pool, "/b")
    assert await used(pool, "/a") is first
    third = await used(pool, "/c")
    await turns()
    assert rooms.open == [first, third]
    assert await used(pool, "/b") is not second
    await pool.close()
    assert not rooms.open


async def test_rooms_in_use_are_not_given_up_however_many_there_are() -> None:
    rooms, pool = ready(most=1)
    held = [await pool.take(f"/{number}", USUAL) for number in range(3)]
    pool.give_back(held[0])
    await turns()
    assert rooms.open == [each.room for each in held[1:]]
    pool.give_back(held[1])
    pool.give_back(held[2])
    await turns()
    assert rooms.open == [held[2].room]
    await pool.close()


async def test_a_room_unused_for_long_is_given_up_and_one_in_use_is_not() -> None:
    rooms, pool = ready(idle=0.01)
    room = await used(pool, "/w")
    held = await pool.take("/w", USUAL)
    assert held.room is room
    await asyncio.sleep(0.05)
    assert rooms.open == [room]
    pool.give_back(held)
    while rooms.open:
        await asyncio.sleep(0.005)
    assert not pool._held
    await pool.close()


async def test_a_workspace_released_while_its_room_is_made_keeps_none() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=0))
    taking = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    await rooms.asked.wait()
    await pool.release("/w")
    rooms.go_on.set()
    held = await taking
    assert rooms.open == [held.room]  # its run isn't lost
    pool.give_back(held)
    await turns()
    assert not rooms.open
    assert not pool._held and not pool._taking
    await pool.close()


async def test_releasing_waits_until_the_rooms_are_gone_also_when_it_is_cancelled() -> None:
    rooms, pool = ready()
    await used(pool, "/w")
    await used(pool, "/w", OTHER)
    await used(pool, "/x")
    rooms.may_end.clear()
    releasing = asyncio.get_running_loop().create_task(pool.release("/w"))
    await turns()
    releasing.cancel()
    await turns()
    assert not releasing.done()
    rooms.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await releasing
    assert len(rooms.open) == 1
    await pool.close()
    assert not rooms.open


async def test_two_runs_of_one_workspace_at_once_share_its_room() -> None:
    rooms, pool = ready(idle=0.01)
    first, second = await asyncio.gather(pool.take("/w", USUAL), pool.take("/w", USUAL))
    assert first is second and len(rooms.open) == 1
    pool.give_back(first)
    await asyncio.sleep(0.03)
    assert len(rooms.open) == 1  # the other one still runs
    pool.give_back(second)
    while rooms.open:
        await asyncio.sleep(0.005)
    await pool.close()


async def test_a_second_taker_has_its_turn_where_making_the_room_failed_for_the_first() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=0))
    rooms.fails = True
    first = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    second = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    await rooms.asked.wait()
    rooms.go_on.set()
    with pytest.raises(Unavailable):
        await first
    rooms.fails = False
    held = await second
    pool.give_back(held)
    assert await used(pool, "/w") is held.room
    assert not pool._taking
    await pool.close()
    assert not rooms.open


async def test_a_room_that_died_between_two_runs_is_destroyed_and_replaced() -> None:
    rooms, pool = ready()
    room = await used(pool, "/w")
    room.die()
    await turns()
    assert not rooms.open  # nobody has to come for it
    assert (await used(pool, "/w")).alive
    await pool.close()


async def test_a_room_that_died_in_a_run_is_destroyed_when_the_next_one_comes_or_its_runs_have_ended() -> None:
    rooms, pool = ready()
    first, second = await pool.take("/w", USUAL), await pool.take("/w", USUAL)
    cast(Any, first.room).die()
    await turns()
    pool.give_back(first)
    third = await pool.take("/w", USUAL)
    assert third.room is not first.room
    pool.give_back(second)
    pool.give_back(third)
    await turns()
    assert rooms.open == [third.room]
    cast(Any, third.room).die()
    await pool.close()
    assert not rooms.open


async def test_a_room_that_died_while_it_waited_is_destroyed_and_another_made_after_the_next_run() -> None:
    rooms, pool = ready(warm=1)
    pool.refill()
    await turns()
    (dead,) = rooms.open
    dead.die()
    await turns()
    assert not rooms.open
    room = await used(pool, "/w")
    await turns()
    assert len(rooms.open) == 2 and room in rooms.open and dead not in rooms.open
    await pool.close()
    assert not rooms.open


async def test_closing_while_a_room_is_made_for_a_run_leaves_none() -> None:
    rooms = Rooms()
    pool = Pool(rooms.make, PoolSettings(USUAL, warm=0))
    taking = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    await rooms.asked.wait()
    closing = asyncio.get_running_loop().create_task(pool.close())
    await turns()
    assert not closing.done()
    rooms.go_on.set()
    await closing
    assert not rooms.open
    with pytest.raises(Unavailable, match="closed"):
        await taking
    with pytest.raises(Unavailable, match="closed"):
        await pool.take("/x", USUAL)


@pytest.mark.parametrize("ticks", range(8))
async def test_closing_at_any_moment_leaves_no_room(ticks: int) -> None:
    rooms, pool = ready(warm=1)
    taking = asyncio.get_running_loop().create_task(pool.take("/w", USUAL))
    for _ in range(ticks):
        await asyncio.sleep(0)
    await pool.close()
    assert not rooms.open
    await asyncio.wait([taking])
    if taking.exception() is None:
        pool.give_back(taking.result())
    await turns()
    assert not rooms.open


async def test_a_room_that_can_not_be_destroyed_stands_in_no_others_way(caplog: pytest.LogCaptureFixture) -> None:
    rooms, pool = ready()
    first = await used(pool, "/a")
    await used(pool, "/b")

    async def close() -> str:
        raise Unavailable("the engine is gone")

    first.close = close
    await pool.close()
    assert rooms.open == [first]
    await turns()
    assert not caplog.records
