"""Lines stand in the order in which they came, also where the first one takes long to be kept."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agenthost.core.api import Incoming
from agenthost.core.conversations import Line
from tests.host.conftest import ECHO, Opens, log, opens

__all__ = ["log", "opens"]
HERE = "chat:1"


async def test_who_comes_second_stands_behind_the_first_however_long_that_takes(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens("rules: [{reply: {text: done}}]", ECHO, work=True, toml='[routing]\nmodel = ""\n')
    kept: Any = host._adapters.conversations  # pyright: ignore[reportPrivateUsage]
    add, slow = kept.add, asyncio.Event()

    async def late(lines: Sequence[Line], words: Sequence[str] = ()) -> list[Line]:
        if any(line.id == "m1" for line in lines):
            await slow.wait()
        return await add(lines, words)

    monkeypatch.setattr(kept, "add", late)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(host.place(Incoming("paint the fence", conversation=HERE, key="m1", name="echo")))
        await asyncio.sleep(0.05)
        second = group.create_task(host.place(Incoming("write a poem", conversation=HERE, key="m2", name="echo")))
        await asyncio.sleep(0.05)
        slow.set()
    assert first.result().line < second.result().line
