"""A process that is killed: it starts the work of several people, or goes on with it, and ends with 0 once all has ended.

Run as `python -m tests.control.worker HOME`.
"""

import asyncio
import os
import sys
from pathlib import Path

from agenthost.core.api import Order
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

PEOPLE = ("ann", "bob", "eve")
WORDS = ("plain", "busy", "cut", "long")
ORDERS = 8
MANIFEST = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: clerk}
spec: {instructions: Work., tools: [look], maxOutputTokens: 300}
"""


async def one(host: Host, person: str, number: int) -> None:
    text = f"{WORDS[number % len(WORDS)]} {number}"
    row = await host.start(Order("clerk", text, person=person, key=f"{person}-{number}"))
    async for _ in host.follow(row.id):
        pass


async def main(home: Path) -> None:
    host = await open_host(load(home), work=True)
    await host.apply({"manifest.yaml": MANIFEST})
    (home / f"started-{os.getpid()}").touch()
    async with asyncio.TaskGroup() as group:
        for number in range(ORDERS):
            for person in PEOPLE:
                group.create_task(one(host, person, number))
    await host.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
