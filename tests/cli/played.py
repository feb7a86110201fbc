"""`run` against a recorded journal, as a program of its own: what, and `running` for a host elsewhere."""

import asyncio
import sys
from collections.abc import AsyncIterator

from agenthost.cli.connect import Reached
from agenthost.cli.follow import follow
from agenthost.cli.screen import Screen
from agenthost.cli.summary import summarise
from agenthost.core.api import LiveDelta
from agenthost.core.events import Recorded
from tests.cli.fakes import FakeHost
from tests.cli.recorded import ROOT, Item, Recorder, question, sketch_to_code


def endless() -> list[Item]:
    to = Recorder()
    to.begin("agent", "coder")
    return to.items


def rest() -> list[Item]:
    return question(answered=True)[len(question()) :]


class Played(FakeHost):
    """Goes on for ever where nothing is asked and nobody cancels."""

    async def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        async for item in super().follow(task, after, tree):
            yield item
            await asyncio.sleep(0.005)
        while sys.argv[1] == "endless" and not self.cancelled:
            await asyncio.sleep(0.01)


async def main(what: str, own: bool) -> int:
    plays = {"question": question, "endless": endless, "demo": sketch_to_code}
    host = Played(plays[what](), rest if what == "question" else None)
    screen = Screen()
    code, view = await follow(Reached(host, own), screen, ROOT)
    if code is None:
        code = await summarise(Reached(host, own), screen, view)
    for text in host.said:
        screen.line(f"replied: {text}")
    for reason in host.cancelled:
        screen.line(f"cancelled: {reason}")
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], "running" not in sys.argv)))
