"""The process that is killed: Telegram's outpost, forked from one that has loaded all that takes long.

Run as `python -m tests.outposts.outpost HOME API HOST TOKEN`. For each line on stdin it forks, tells the process id of the one that serves, and
says `ended` when that has. `HOST` is an address for `wire.WirePost`, or a folder: the home of a host, reached by its socket.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from agenthost.client.client import connect
from agenthost.outposts.channel.post import ClientPost
from agenthost.outposts.telegram import sending, serving
from tests.outposts.services import QUICK
from tests.outposts.wire import WirePost


async def serve(home: Path, api: str, host: str, token: str) -> None:
    sending.PATIENCE = 1  # of which a test waits out some
    settings = msgspec.structs.replace(QUICK, api_url=api, allow=("*",), pieces=5)
    post = WirePost(host) if host.startswith("http") else ClientPost(connect(Path(host), {}))
    async with serving.opened(serving.Part(settings, token, home, {"": post}), 1) as ready:
        await ready.courier.run()


def main(home: str, api: str, host: str, token: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(2, 1)  # what it logs
            try:
                asyncio.run(serve(Path(home), api, host, token))
            finally:
                os._exit(1)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("ended\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
