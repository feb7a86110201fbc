"""A process that is killed: it has many texts embedded for a person, one request each, whose tokens tell them apart.

Run as `python -m tests.control.vectors HOME FIRST`: a text of FIRST words, one of a word more, and so on.
"""

import asyncio
import os
import sys
from pathlib import Path

from agenthost.core.errors import BudgetRefused
from agenthost.host.host import open_host
from agenthost.host.settings import load

AT_ONCE = 3


async def main(home: Path, first: int) -> None:
    host = await open_host(load(home))
    (home / f"started-{os.getpid()}").touch()
    abilities = await host.abilities("vectors", "ann", "default")
    try:
        while True:
            async with asyncio.TaskGroup() as group:
                for words in range(first, first + AT_ONCE):
                    group.create_task(abilities.embed(["w " * words]))
            first += AT_ONCE
    except* BudgetRefused:
        await host.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
