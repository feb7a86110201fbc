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
        self.fails = False

    async def make(self, size: Size) -> Room:
        rooms = self

        class Made:
            alive = True

            async def close(self) -> str:
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
    pool.release("/w")
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
    pool.release("/w")
    assert not pool._locks
    await pool.close()
