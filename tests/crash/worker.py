"""The process that is killed: a host that starts work, follows it, and answers questions about doubts.

Run as `python -m tests.crash.worker HOME ORDERS`. It ends with 0 once every order has ended. What it
has seen stands in HOME/seen.jsonl, what it was asked and said in HOME/answers.jsonl.
"""

import asyncio
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import msgspec

from agenthost.core.api import LiveDelta, Order
from agenthost.core.lifecycle import FINAL
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.crash import tools


class Note:
    """Appends lines to a file; a line is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, value: object) -> None:
        os.write(self._file, json.dumps(value).encode() + b"\n")


async def follow(host: Host, task: str, seen: Note) -> None:
    async for item in host.follow(task):
        if not isinstance(item, LiveDelta):
            body = hashlib.sha256(msgspec.json.encode(item.event)).hexdigest()
            seen({"task": item.task, "seq": item.seq, "body": body, "at": time.time()})


async def answer(host: Host, tasks: list[str], answers: Note) -> None:
    """Answer doubts as a person would who can look at the other side's books."""
    while True:
        await asyncio.sleep(0.05)
        for task in tasks:
            for question in (await host.task(task)).questions:
                key = f"{question.task}/{question.ask.about}"
                happened = any(effect["key"] == key for effect in tools.effects())
                said = "it happened" if happened else "run it again"
                answers({"key": key, "said": said})
                await host.reply(task, said, f"{question.task}/{question.ask.id}")


async def main(home: Path, orders: int) -> None:
    started = time.time()
    host = await open_host(load(home), work=True)
    ready = Note(home / "starts.jsonl")
    unfinished = host.engine.working()
    await host.apply({"manifests.yaml": (Path(__file__).parent / "manifests.yaml").read_text()})
    opened = time.time()
    rows = [
        await host.start(Order("office", inputs={"name": str(number)}, key=f"order-{number}"))
        for number in range(orders)
    ]
    # Only now, else most kills on a slow machine would come before there is any work.
    ready({"at": started, "open": opened, "unfinished": unfinished})
    seen = Note(home / "seen.jsonl")
    async with asyncio.TaskGroup() as group:
        answering = group.create_task(answer(host, [row.id for row in rows], Note(home / "answers.jsonl")))
        following = [group.create_task(follow(host, row.id, seen)) for row in rows]
        await asyncio.gather(*following)
        answering.cancel()
    ended = [(await host.task(row.id)).row.state for row in rows]
    assert all(state in FINAL for state in ended), ended
    await host.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
