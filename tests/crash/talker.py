"""The process that is killed while people write: a host, and two who write at once in each of several conversations.

Run as `python -m tests.crash.talker HOME SEED`. What was taken stands in HOME/taken.jsonl; whatever isn't there is said again, and some
of what is. It ends with 0 once all was taken and has found its task.
"""

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from agenthost.core.api import Incoming
from agenthost.core.conversations import LineFilter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.crash.worker import Note

CONVERSATIONS, MESSAGES = 4, 14
WRITERS = 2


def messages(conversation: int) -> Iterator[tuple[str, str]]:
    """What is said in a conversation: id and words, each said nowhere else. A third begins something, the others may be for any of it."""
    for number in range(MESSAGES):
        words = f"c{conversation}n{number}"
        yield f"m{number}", f"/new do {words}" if number % 3 == 0 else f"and see to it that {words} comes first"


async def write(host: Host, conversation: int, writer: int, taken: set[tuple[str, str]], note: Note) -> None:
    """Say what is one writer's to say, until it is taken."""
    draw = random.Random(f"{sys.argv[2]}-{conversation}-{writer}")
    name = f"chat:{conversation}"
    for number, (id, words) in enumerate(messages(conversation)):
        again = draw.random() < 0.2
        if number % WRITERS != writer or ((name, id) in taken and not again):
            continue
        await host.place(Incoming(words, name="asker", conversation=name, key=id, channel="chat"))
        note({"conversation": name, "id": id})


async def choose(host: Host, conversation: int) -> None:
    """Say which one, where it is asked: the first that is offered."""
    name, wanted = f"chat:{conversation}", 0
    async for line in host.conversing.listen(LineFilter(conversation=name, by="host", after=wanted)):
        if line.kind == "which":
            await host.place(
                Incoming(conversation=name, key=f"w-{line.id}", button=line.buttons[0].data, channel="chat")
            )


async def main(home: Path) -> None:
    host = await open_host(load(home), work=True)
    await host.apply({"asker.yaml": (home / "asker.yaml").read_text()})
    (home / "open").touch()
    file = home / "taken.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    taken = {(line["conversation"], line["id"]) for line in lines}
    note = Note(file)
    async with asyncio.TaskGroup() as group:
        choosing = [group.create_task(choose(host, each)) for each in range(CONVERSATIONS)]
        async with asyncio.TaskGroup() as writing:
            for each in range(CONVERSATIONS):
                for writer in range(WRITERS):
                    writing.create_task(write(host, each, writer, taken, note))
        while await host._adapters.conversations.behind():  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0.05)
        for each in choosing:
            each.cancel()
    await host.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
