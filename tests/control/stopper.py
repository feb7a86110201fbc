"""A process that is killed: it starts a run of each kind, has them cancelled once they are under way, and waits.

Run as `python -m tests.control.stopper HOME SANDBOX`.
"""

import asyncio
import sys
from pathlib import Path

from agenthost.core.api import Order
from agenthost.host.host import open_host
from agenthost.host.settings import load
from tests.control.runs import FLOWS

STOPPED = ("streams", "retries", "stubborn", "asks", "top", "runs", "fans", "begun", "approved", "bounded", "checked")
PAUSED = "asks"


async def main(home: Path, sandbox: str) -> None:
    host = await open_host(load(home, {"AGENTHOST_SANDBOX": sandbox}), work=True)
    _, problems = await host.apply({"m.yaml": (home / "manifests.txt").read_text()})
    assert not problems, problems
    rows = [await host.start(Order(name, "" if name in FLOWS else "go")) for name in STOPPED]
    resting = await host.start(Order(PAUSED, "go"))
    while not (home / "there").exists() or not (await host.task(resting.id)).questions:
        await asyncio.sleep(0.01)
    await host.pause(resting.id)
    while host.engine.working() and resting.id in host.engine.working():
        await asyncio.sleep(0.01)
    for row in (*rows, resting):
        await host.cancel(row.id)
    (home / "cancelled").touch()
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
