"""A process that is killed: it starts one task, or goes on with it, and ends with 0 once it is completed.

Run as `python -m tests.crash.one HOME`.
"""

import asyncio
import sys
from pathlib import Path

from agenthost.core.api import Order
from agenthost.host.host import open_host
from agenthost.host.settings import load

MANIFEST = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: thinker}
spec: {instructions: Think., budget: {cost: 5.00 USD}}
"""


async def main(home: Path) -> None:
    host = await open_host(load(home), work=True)
    await host.apply({"manifest.yaml": MANIFEST})
    row = await host.start(Order("thinker", text="think", key="one"))
    async for _ in host.follow(row.id):
        pass
    detail = await host.task(row.id)
    assert detail.row.state == "completed", detail.row
    entries = await host.ledger(row.id)
    assert [entry.settled for entry in entries] == [False] * (len(entries) - 1) + [True], entries
    assert detail.spent.cost > 0
    await host.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
