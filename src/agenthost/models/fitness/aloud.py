"""What a probe finds, and what is told meanwhile, in one stream as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from agenthost.core.errors import AgentHostError

T = TypeVar("T")
Tell = Callable[[str], None]


async def aloud(work: Callable[[Tell], AsyncGenerator[T]]) -> AsyncGenerator[T | str]:
    """The items of `work`, and between them the lines that it tells, none twice in a row. Raises what it raises; where
    nobody listens any more, it is cancelled."""
    queue: asyncio.Queue[T | str | AgentHostError | None] = asyncio.Queue()
    told = ""

    def tell(line: str) -> None:
        nonlocal told
        if line != told:
            told = line
            queue.put_nowait(line)

    failed: AgentHostError | None = None
    left: GeneratorExit | None = None
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(_work(work(tell), queue))
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, AgentHostError):
                    failed = item
                else:
                    yield item
        except GeneratorExit as error:  # raised below: the group would wrap it
            left = error
        finally:
            worker.cancel()
    if left is not None:
        raise left
    if failed is not None:
        raise failed


async def _work(items: AsyncGenerator[T], queue: "asyncio.Queue[T | str | AgentHostError | None]") -> None:
    try:
        async with aclosing(items):
            async for item in items:
                queue.put_nowait(item)
    except AgentHostError as error:
        queue.put_nowait(error)
    finally:
        queue.put_nowait(None)
