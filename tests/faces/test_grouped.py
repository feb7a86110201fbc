"""What a task group's body raises comes out as it is, once the tasks have ended in their own way."""

import asyncio

import pytest

from agenthost.core.errors import BadInput
from agenthost.faces.http.grouped import grouped


async def test_what_the_body_raises_is_raised_as_it_is_after_the_tasks_have_ended() -> None:
    stop, ended = asyncio.Event(), list[str]()

    async def work() -> None:
        await stop.wait()
        await asyncio.sleep(0)
        ended.append("in its own way")

    with pytest.raises(BadInput, match="no"):
        async with grouped() as group:
            group.create_task(work())
            await asyncio.sleep(0)
            try:
                raise BadInput("no")
            finally:
                stop.set()
    assert ended == ["in its own way"]


async def test_what_a_task_raises_ends_the_body_and_comes_in_a_group() -> None:
    async def work() -> None:
        raise BadInput("no")

    with pytest.raises(BaseExceptionGroup) as found:
        async with grouped() as group:
            group.create_task(work())
            await asyncio.Event().wait()
    assert found.group_contains(BadInput, match="no")
