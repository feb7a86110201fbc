"""Limits of a provider: who may start when, on a clock that the test turns."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.models.limits import Limiter
from tests.models.clock import play


async def starts(
    limiter: Limiter, calls: int, takes: float = 0.0, tokens: int = 0, used: int | None = None
) -> list[float]:
    """When each of `calls` calls made at once may start. Each takes so many seconds."""
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def call() -> None:
        await limiter.acquire(tokens)
        began.append(round(loop.time(), 6))
        await asyncio.sleep(takes)
        limiter.release(tokens, used)

    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(call())
    return began


def test_without_limits_everything_starts_at_once() -> None:
    assert play(starts(Limiter(), 50)) == [0.0] * 50


def test_requests_beyond_a_minutes_worth_come_evenly() -> None:
    assert play(starts(Limiter(requests_per_minute=6), 9)) == [0.0] * 6 + [10.0, 20.0, 30.0]


def test_tokens_beyond_a_minutes_worth_wait_for_theirs() -> None:
    assert play(starts(Limiter(tokens_per_minute=600), 4, tokens=300)) == [0.0, 0.0, 30.0, 60.0]


def test_tokens_that_were_not_used_are_given_back() -> None:
    assert play(starts(Limiter(tokens_per_minute=600), 4, tokens=300, used=0)) == [0.0] * 4


def test_tokens_that_nobody_knows_of_stay_taken() -> None:
    assert play(starts(Limiter(tokens_per_minute=600), 3, tokens=600, used=None)) == [0.0, 60.0, 120.0]


def test_a_call_that_used_more_than_was_thought_makes_others_wait() -> None:
    assert play(starts(Limiter(tokens_per_minute=600, concurrency=1), 2, tokens=300, used=900)) == [0.0, 60.0]


def test_a_call_larger_than_a_minutes_worth_waits_for_a_full_bucket_and_goes() -> None:
    assert play(starts(Limiter(tokens_per_minute=600), 2, tokens=1000)) == [0.0, pytest.approx(100.0)]


def test_calls_at_once_are_bounded() -> None:
    assert play(starts(Limiter(concurrency=2), 6, takes=5)) == [0.0, 0.0, 5.0, 5.0, 10.0, 10.0]


def test_a_pause_holds_everybody_back_and_the_longest_counts() -> None:
    async def work() -> list[float]:
        limiter = Limiter()
        limiter.pause(7)
        limiter.pause(3)
        return await starts(limiter, 3)

    assert play(work()) == [7.0] * 3


def test_a_pause_reaches_those_who_wait_already() -> None:
    async def work() -> list[float]:
        limiter = Limiter(requests_per_minute=60)
        asyncio.get_running_loop().call_later(0.5, limiter.pause, 20)
        return await starts(limiter, 62)

    assert play(work())[60:] == [20.5, 20.5]


def test_whoever_comes_first_goes_first() -> None:
    async def work() -> list[str]:
        limiter = Limiter(tokens_per_minute=60)
        order: list[str] = []

        async def call(name: str, tokens: int) -> None:
            await limiter.acquire(tokens)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for name, tokens in (("first", 60), ("large", 60), ("small", 1)):
                group.create_task(call(name, tokens))
        return order

    assert play(work()) == ["first", "large", "small"]


def test_who_gives_up_waiting_holds_nobody_back() -> None:
    async def work() -> tuple[int, float, int]:
        limiter = Limiter(concurrency=1)
        await limiter.acquire()
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(limiter.acquire()) for _ in range(3)]
            await asyncio.sleep(1)
            before = limiter.waiting
            waiting[0].cancel()
            await asyncio.sleep(1)
            limiter.release()
            await asyncio.sleep(1)
            assert waiting[1].done() and not waiting[2].done()
            limiter.release()
        return before, asyncio.get_running_loop().time(), limiter.waiting

    assert play(work()) == (3, 3.0, 0)


def test_who_is_cancelled_in_the_moment_of_its_turn_passes_it_on() -> None:
    async def work() -> bool:
        limiter = Limiter(concurrency=1)
        await limiter.acquire()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(limiter.acquire())
            second = group.create_task(limiter.acquire())
            await asyncio.sleep(1)
            limiter.release()  # the turn is the first one's, who hasn't heard of it yet
            first.cancel()
            await asyncio.sleep(1)
            return second.done()

    assert play(work())


@given(
    per_minute=st.integers(1, 600),
    concurrency=st.integers(1, 5),
    calls=st.integers(1, 40),
    takes=st.floats(0, 3),
)
def test_no_window_of_a_minute_has_more_than_twice_its_worth(
    per_minute: int, concurrency: int, calls: int, takes: float
) -> None:
    """A full bucket and its refill are what may start within a minute; nothing is lost, nobody starves."""
    began = play(starts(Limiter(requests_per_minute=per_minute, concurrency=concurrency), calls, takes))
    assert len(began) == calls
    assert began == sorted(began)
    for start in began:
        assert sum(start <= at < start + 60 for at in began) <= 2 * per_minute + 1
    for start in began:
        assert sum(start <= at < start + takes - 1e-5 for at in began) <= concurrency
