"""The ledger on a loop: waiting, cancelling at any point, asking idle holders, saying no."""

import asyncio
import contextlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput, Unavailable
from agenthost.core.machines import Gpu, MachineFacts, Need
from agenthost.machine.ledger import Ledger
from agenthost.testing.loops import fast

MIB = 1024 * 1024
FACTS = MachineFacts(4.0, 2000 * MIB, (Gpu("A Card", "cuda", 100 * MIB),))


def ledger() -> Ledger:
    return Ledger(FACTS, Need(1000 * MIB, 8.0, 100 * MIB))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_wait_are_seen_in_order_and_get_it_in_order() -> None:
    machine, got, lines = ledger(), [], []
    first = await machine.hold(Need(memory=600 * MIB), "first")

    async def take(who: str) -> None:
        hold = await machine.hold(Need(memory=600 * MIB), who, lines.append)
        got.append(who)
        await hold.release()

    async with asyncio.TaskGroup() as group:
        for who in ("second", "third"):
            group.create_task(take(who))
        await settle()
        assert [waiting.who for waiting in machine.waiting()] == ["second", "third"]
        assert [holding.who for holding in machine.holding()] == ["first"]
        await first.release()
        await first.release()

    assert got == ["second", "third"]
    assert lines == [
        "waits for 600 MiB of memory (0 before it)",
        "waits for 600 MiB of memory (1 before it)",
        "waits for 600 MiB of memory; it is next",
    ]
    assert machine.waiting() == machine.holding() == []


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (Need(memory=1001 * MIB), r"needs 1001 MiB of memory.* out 1000 MiB of the 2 GiB.*\[machine\] memory"),
        (Need(gpu_memory=101 * MIB), r"101 MiB of GPU memory.* 100 MiB \(here: A Card\).*\[machine\] gpu-memory"),
        (Need(cpu=9), r"needs 9 cores.* hands out 8 cores \(there are 4 cores\).*\[machine\] cpu"),
    ],
)
async def test_what_can_never_fit_is_refused_at_once_with_the_figures_and_the_setting(need: Need, words: str) -> None:
    machine = ledger()
    with pytest.raises(Unavailable, match=words):
        await machine.hold(need, "too much")
    assert machine.waiting() == []


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25))
def test_cancelling_at_any_point_leaves_nothing_behind(seed: int, count: int) -> None:
    """Takers of random size that are cancelled at random moments, also in that of their admission."""
    dice = random.Random(seed)
    most = 0

    async def work() -> None:
        nonlocal most
        machine = ledger()
        out = 0

        async def take(size: int, pause: float, length: float) -> None:
            nonlocal out, most
            await asyncio.sleep(pause)
            hold = await machine.hold(Need(memory=size * MIB, cpu=0.3), "taker")
            out += size
            most = max(most, out)
            try:
                await asyncio.sleep(length)
            finally:
                out -= size
                await hold.release()

        loop = asyncio.get_running_loop()
        takers = [loop.create_task(take(dice.randint(1, 1000), dice.random(), dice.random())) for _ in range(count)]
        for taker in takers:
            if dice.random() < 0.5:
                # A whole number of quarters often falls together with a release.
                loop.call_later(dice.randint(0, 12) / 4, taker.cancel)
        await asyncio.gather(*takers, return_exceptions=True)

        assert machine.waiting() == machine.holding() == []
        everything = await machine.hold(machine.whole, "all of it")
        await everything.release()
        await machine.close()

    fast(work())
    assert most <= 1000


async def test_cancelled_in_the_moment_of_its_admission_it_is_given_back() -> None:
    machine = ledger()
    first = await machine.hold(Need(memory=1000 * MIB), "first")
    waiting = asyncio.get_running_loop().create_task(machine.hold(Need(memory=1000 * MIB), "second"))
    await settle()
    await first.release()
    assert [holding.who for holding in machine.holding()] == ["second"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert machine.holding() == []


class Idler:
    """Holds a part of the machine; when it is idle, it lets go when asked."""

    def __init__(self, machine: Ledger, busy: bool = False) -> None:
        self.machine = machine
        self.busy = busy
        self.asked = 0
        self.hold: Any = None

    async def take(self, memory: int) -> None:
        self.hold = await self.machine.hold(Need(memory=memory * MIB), "idler", reclaim=self.reclaim)

    async def reclaim(self) -> None:
        self.asked += 1
        await asyncio.sleep(0.1)
        if not self.busy:
            await self.hold.release()


def test_an_idle_holder_is_asked_and_no_more_of_them_than_it_takes() -> None:
    async def work() -> None:
        machine = ledger()
        idlers = [Idler(machine) for _ in range(3)]
        for idler in idlers:
            await idler.take(300)
        hold = await machine.hold(Need(memory=350 * MIB), "a run")
        assert [idler.asked for idler in idlers] == [1, 0, 0]
        await hold.release()
        await machine.close()

    fast(work(), 60)


def test_a_busy_holder_is_asked_again_until_it_is_idle() -> None:
    async def work() -> None:
        machine = ledger()
        idler = Idler(machine, busy=True)
        await idler.take(1000)

        def idle() -> None:
            idler.busy = False

        asyncio.get_running_loop().call_later(10, idle)
        await machine.hold(Need(memory=1), "a run")
        assert 5 <= idler.asked <= 15
        await machine.close()

    fast(work(), 60)


def test_a_waiter_that_is_cancelled_doesnt_cut_a_release_short() -> None:
    async def work() -> None:
        machine = ledger()
        idler = Idler(machine)
        await idler.take(1000)
        waiting = asyncio.get_running_loop().create_task(machine.hold(Need(memory=1), "a run"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.sleep(1)
        assert machine.holding() == []
        await machine.close()

    fast(work(), 60)


def test_a_holder_that_hangs_or_fails_when_asked_keeps_nobody_from_the_next() -> None:
    async def work() -> list[dict[str, Any]]:
        machine, told = ledger(), []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        async def hang() -> None:
            await asyncio.sleep(3600)

        async def fail() -> None:
            raise OSError("no")

        await machine.hold(Need(memory=300 * MIB), "hangs", reclaim=hang)
        await machine.hold(Need(memory=300 * MIB), "fails", reclaim=fail)
        idler = Idler(machine)
        await idler.take(400)
        await machine.hold(Need(memory=400 * MIB), "a run")
        await machine.close()
        return told

    told = fast(work(), 60)
    assert [context["message"] for context in told] == ["fails failed to let go"]


async def test_closing_tells_those_who_wait() -> None:
    machine = ledger()
    await machine.hold(Need(memory=1000 * MIB), "first")
    waiting = asyncio.get_running_loop().create_task(machine.hold(Need(memory=1), "second"))
    await settle()
    await machine.close()
    with pytest.raises(Unavailable, match="host ends"):
        await waiting
    with pytest.raises(Unavailable, match="host ends"):
        await machine.hold(Need(memory=1), "third")
    with contextlib.suppress(asyncio.CancelledError):
        assert machine.waiting() == []


async def test_words_that_can_not_be_told_keep_nobody_waiting() -> None:
    def broken(text: str) -> None:
        raise RuntimeError("nobody listens")

    problems: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["exception"]))
    machine = Ledger(MachineFacts(4.0, 1000), Need(1000, 4))
    first = await machine.hold(Need(600), "first")
    with pytest.raises(RuntimeError):
        await machine.hold(Need(600), "second", broken)
    assert machine.waiting() == []

    def once(text: str) -> None:
        if "next" in text:
            raise RuntimeError("nobody listens any more")

    third = asyncio.get_running_loop().create_task(machine.hold(Need(600), "third", once))
    fourth = asyncio.get_running_loop().create_task(machine.hold(Need(700), "fourth", once))
    await asyncio.sleep(0)
    await first.release()
    await (await third).release()
    await (await fourth).release()
    assert machine.holding() == machine.waiting() == []
    assert [type(each) for each in problems] == [RuntimeError]


async def test_less_than_nothing_is_refused() -> None:
    machine = Ledger(MachineFacts(4.0, 1000), Need(1000, 4))
    for need in (Need(-1), Need(0, -1), Need(0, 0, -1)):
        with pytest.raises(BadInput):
            await machine.hold(need, "x")
    assert machine.holding() == []
