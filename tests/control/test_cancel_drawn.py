"""Drawn runs, ended in drawn ways at drawn moments while answers, pauses and messages come, beside ordinary work: nothing is left."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp

from agenthost.core.access import Caller
from agenthost.core.api import Order
from agenthost.core.errors import Conflict, NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import text_message
from agenthost.core.ports import Filter
from agenthost.core.schedules import NewSchedule
from tests.control.bed import PATIENCE, Bed, made
from tests.control.runs import KINDS
from tests.faces.over_mcp.clients import plain

RUNS = 48
LOAD = 6
HANGS_UP = 8

Way = Callable[[Bed, str, random.Random], Awaitable[object]]


async def at_once(bed: Bed, task: str, draw: random.Random) -> None:
    await bed.host.cancel(task)


async def twice(bed: Bed, task: str, draw: random.Random) -> None:
    await asyncio.gather(bed.host.cancel(task), bed.host.cancel(task), return_exceptions=True)


async def rested(bed: Bed, task: str, draw: random.Random) -> None:
    await bed.host.pause(task)
    await asyncio.sleep(draw.choice((0, 0, 0.1)))
    await bed.host.cancel(task)


async def while_it_rests(bed: Bed, task: str, draw: random.Random) -> None:
    await asyncio.gather(bed.host.pause(task), bed.host.cancel(task), return_exceptions=True)


async def while_it_goes_on(bed: Bed, task: str, draw: random.Random) -> None:
    await bed.host.pause(task)
    await asyncio.sleep(draw.choice((0, 0.1)))
    await asyncio.gather(bed.host.resume(task), bed.host.cancel(task), return_exceptions=True)


async def while_it_is_answered(bed: Bed, task: str, draw: random.Random) -> None:
    """Approvals are granted, budgets raised, questions of the task and of those below it answered at that moment."""
    asked = (await bed.host.task(task)).questions
    answers = [bed.host.reply(task, "approve", f"{each.task}/{each.ask.id}") for each in asked]
    await asyncio.gather(*answers, bed.host.cancel(task), return_exceptions=True)


async def while_it_is_told(bed: Bed, task: str, draw: random.Random) -> None:
    said = bed.host.say(task, text_message("owner", "and quickly"))
    await asyncio.gather(said, bed.host.cancel(task), return_exceptions=True)


async def below_first(bed: Bed, task: str, draw: random.Random) -> None:
    below = [row.id for row in await bed.host.tasks(Filter(root=task)) if row.parent and row.state not in FINAL]
    chosen = draw.choice([*below, task])
    await asyncio.gather(bed.host.cancel(chosen), bed.host.cancel(task), return_exceptions=True)


WAYS: tuple[Way, ...] = (
    at_once,
    at_once,
    twice,
    rested,
    while_it_rests,
    while_it_goes_on,
    while_it_is_answered,
    while_it_is_answered,
    while_it_is_told,
    below_first,
)


async def one(bed: Bed, name: str, way: Way, delay: float, draw: random.Random) -> None:
    row = await bed.host.start(bed.order(name))
    await asyncio.sleep(delay)
    with suppress(Conflict):
        await way(bed, row.id, draw)
    await bed.cancel(row.id)  # whatever the way has come to
    await bed.ended(row.id)
    state = (await bed.host.task(row.id)).row.state
    assert state == "canceled", (name, way.__name__, delay, state)


async def hangs_up_on_openai(bed: Bed, delay: float) -> None:
    """A streamed answer of `/v1`, left in the middle."""
    headers = {"Authorization": f"Bearer {bed.token}", "X-AgentHost-On-Disconnect": "cancel"}
    body = {"model": "streams", "messages": [{"role": "user", "content": "go"}], "stream": True}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{bed.url}/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        with suppress(TimeoutError):
            await asyncio.wait_for(answer.read(), delay)


async def hangs_up_on_mcp(bed: Bed, delay: float) -> None:
    """A call of a tool at `/mcp`, left in the middle."""
    async with plain(f"{bed.url}/mcp", {"Authorization": f"Bearer {bed.token}"}) as mcp:
        with suppress(TimeoutError):
            await asyncio.wait_for(mcp.post("tools/call", {"name": "streams", "arguments": {"text": "go"}}), delay)


async def by_a_schedule(bed: Bed, number: int, delay: float) -> None:
    schedules = bed.host.schedules.of(Caller(), bed.host)
    spec = {"cron": "0 0 1 1 *", "run": {"agent": "top", "text": "go"}}
    made = await schedules.add(NewSchedule(f"yearly-{number}", spec))
    run = await schedules.run(made.id)
    await asyncio.sleep(delay)
    while not (task := (await schedules.runs(made.id)).items[0].task):
        await asyncio.sleep(0.02)
    with suppress(NotFound):
        await bed.cancel(task)
    await bed.ended(task)
    while (run := (await schedules.runs(made.id)).items[0]).state != "ended":
        await asyncio.sleep(0.02)
    assert run.outcome == "canceled"


async def ordinary(bed: Bed, over: asyncio.Event) -> int:
    """Work that goes on meanwhile, and is none of anybody's business."""
    done = 0
    while not over.is_set():
        row = await bed.host.start(Order("worker", "go"))
        await bed.ended(row.id)
        assert (await bed.host.task(row.id)).row.state == "completed"
        done += 1
    return done


async def test_whatever_ends_them_whenever_nothing_is_left(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or time.time())
    print(f"CRASH_SEED={seed}")
    draw = random.Random(seed)
    async with made(tmp_path) as bed:
        with suppress(TimeoutError):  # then what is left says where it hangs
            async with asyncio.timeout(PATIENCE):
                print(f"{await drawn(bed, draw)} ordinary runs meanwhile")
                await bed.quiet()
        left = await bed.left()
        assert not any(left.values()), {what: those for what, those in left.items() if those}


async def drawn(bed: Bed, draw: random.Random) -> int:
    """Start and end them all; how much ordinary work was done meanwhile."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as load:
        working = [load.create_task(ordinary(bed, over)) for _ in range(LOAD)]
        async with asyncio.TaskGroup() as group:
            for number in range(RUNS):
                name = KINDS[number] if number < len(KINDS) else draw.choice(KINDS)
                group.create_task(one(bed, name, draw.choice(WAYS), draw.uniform(0, 0.8), random.Random(number)))
            for _ in range(HANGS_UP):
                hangs_up = draw.choice((hangs_up_on_openai, hangs_up_on_mcp))
                group.create_task(hangs_up(bed, draw.uniform(0.05, 1.0)))
            for number in range(2):
                group.create_task(by_a_schedule(bed, number, draw.uniform(0, 0.5)))
        over.set()
    return sum(each.result() for each in working)
