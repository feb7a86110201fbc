"""Slots go to those who have least, and whoever waits is told how many are before."""

import asyncio

from agenthost.models.llamacpp.queue import FairQueue, Who, who_of


async def served(queue: FairQueue, *asked: Who) -> list[Who]:
    """The order in which those who ask at once are served, one slot being taken when they come."""
    order: list[Who] = []

    async def ask(who: Who) -> None:
        async with queue.turn(who, lambda before: None):
            order.append(who)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, queue.turn(Who("first", "0"), lambda before: None):
        for who in asked:
            group.create_task(ask(who))
        await asyncio.sleep(0)
    return order


async def test_one_slot_goes_from_person_to_person() -> None:
    ann, bob, eve = Who("ann", "1"), Who("bob", "2"), Who("eve", "3")
    assert await served(FairQueue(1), ann, ann, ann, bob, eve) == [ann, bob, eve, ann, ann]


async def test_of_one_person_it_goes_from_task_to_task() -> None:
    greedy, other = Who("ann", "1"), Who("ann", "2")
    assert await served(FairQueue(1), greedy, greedy, greedy, other) == [greedy, other, greedy, greedy]


async def test_many_tasks_of_one_person_are_no_more_than_one_of_another() -> None:
    many = [Who("ann", str(task)) for task in range(5)]
    order = await served(FairQueue(1), *many, Who("bob", "b"))
    assert order.index(Who("bob", "b")) == 1


async def test_one_who_is_cancelled_in_the_moment_of_a_release_takes_no_slot() -> None:
    queue = FairQueue(1)
    async with asyncio.TaskGroup() as group, queue.turn(Who("ann", "1"), lambda before: None):
        gone = group.create_task(hold(queue, Who("bob", "2")))
        stays = group.create_task(hold(queue, Who("eve", "3")))
        await asyncio.sleep(0)
        gone.cancel()
    assert gone.cancelled()
    assert stays.done()
    async with asyncio.timeout(60), queue.turn(Who("ann", "1"), lambda before: None):
        assert queue.waiting == 0


async def test_whoever_waits_is_told_their_place_and_each_move() -> None:
    queue = FairQueue(1)
    told: list[int] = []
    async with asyncio.TaskGroup() as group, queue.turn(Who("ann", "1"), lambda before: None):
        group.create_task(hold(queue, Who("bob", "2")))
        await asyncio.sleep(0)
        group.create_task(hold(queue, Who("eve", "3"), told))
        await asyncio.sleep(0)
        assert told == [1]
        assert queue.waiting == 2
    assert told == [1, 0]


async def hold(queue: FairQueue, who: Who, told: list[int] | None = None) -> None:
    async with queue.turn(who, (told if told is not None else []).append):
        await asyncio.sleep(0)


async def test_whoever_gives_up_leaves_the_slot_to_the_next() -> None:
    queue = FairQueue(1)
    async with asyncio.TaskGroup() as group, queue.turn(Who("ann", "1"), lambda before: None):
        leaving = group.create_task(hold(queue, Who("bob", "2")))
        staying = group.create_task(hold(queue, Who("eve", "3")))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        assert queue.waiting == 1
    assert staying.done()
    async with queue.turn(Who("ann", "1"), lambda before: None):
        assert queue.waiting == 0


async def test_a_slot_that_came_as_its_taker_gave_up_isnt_lost() -> None:
    queue = FairQueue(1)
    async with asyncio.TaskGroup() as group:
        async with queue.turn(Who("ann", "1"), lambda before: None):
            leaving = group.create_task(hold(queue, Who("bob", "2")))
            await asyncio.sleep(0)
        leaving.cancel()  # it was granted, and hasn't run since
    async with asyncio.timeout(10), queue.turn(Who("ann", "1"), lambda before: None):
        pass


def test_a_request_is_its_persons_and_its_root_tasks() -> None:
    assert who_of({"person": "default/ann", "task": "abc.code-1.x"}) == Who("default/ann", "abc")


async def test_with_fewer_slots_nobody_is_served_before_enough_have_come_back() -> None:
    queue = FairQueue(2)
    order: list[str] = []

    async def ask(who: str) -> None:
        async with queue.turn(Who(who, who), lambda before: None):
            order.append(who)

    async with asyncio.TaskGroup() as group, queue.turn(Who("ann", "1"), lambda before: None):
        async with queue.turn(Who("bob", "2"), lambda before: None):
            queue.resize(1)
            group.create_task(ask("eve"))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == []
        queue.resize(2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["eve"]
