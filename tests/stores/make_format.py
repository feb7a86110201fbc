"""Makes the home of an earlier release, for the tests of migrations: run it with that release's code.

    git worktree add /tmp/then COMMIT
    PYTHONPATH=/tmp/then/src python tests/stores/make_format.py tests/stores/format-1.tar.gz

What comes out is a tar of a home at rest: its database, its files by content hash, its secrets. It holds a task of each kind:
ended, of a workflow, with files, with an event that was put aside, waiting for a person, cancelled, and one in the middle.
"""

import asyncio
import sqlite3
import sys
import tarfile
import tempfile
from pathlib import Path

from agenthost.core.api import Order
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec: {description: Says it back, instructions: Say it back.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: Asks, instructions: Ask., tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {description: Writes, instructions: Write., tools: [workspace]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: slow}
spec: {description: Takes long, instructions: Wait.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: pair}
spec:
  description: One after the other
  roles: {one: {agent: echo, replicas: 2}}
  steps:
    - {id: left, role: one, prompt: "left {{ task.text }}"}
    - {id: right, role: one, needs: [left], prompt: "right {{ task.text }}"}
"""
PLAYS = """
rules:
  - when: {agent: asker, turn: 0}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - when: {agent: writer, turn: 0}
    reply: {calls: [{tool: write_file, arguments: {path: note.txt, content: "kept since then"}}]}
  - when: {agent: slow}
    reply: {text: "late", delay: 600}
  - reply: {text: "You said {{said}}"}
"""


async def ended(host: Host, name: str, text: str) -> None:
    """Work from beginning to end."""
    row = await host.start(Order(name, text, title=text[:20]))
    async for _ in host.follow(row.id):
        pass


async def until(host: Host, task: str, events: int) -> None:
    """Until a task has so many events."""
    while len(await host.events(task)) < events:
        await asyncio.sleep(0.02)


async def fill(home: Path, plays: Path) -> None:
    """Work of every kind, and then the host stops."""
    host = await open_host(load(home, {"AGENTHOST_MODEL": f"scripted:{plays}", "AGENTHOST_SANDBOX": "bubblewrap"}))
    try:
        await host.apply({"all.yaml": MANIFESTS})
        await host.set_secret("SOME_KEY", "a value that nobody sees")
        await ended(host, "echo", "hello")
        await ended(host, "echo", "long " + "word " * 4000)
        await ended(host, "writer", "write it down")
        await ended(host, "pair", "both")
        asked = await host.start(Order("asker", "ask me"))
        while not (await host.task(asked.id)).questions:
            await asyncio.sleep(0.02)
        gone = await host.start(Order("slow", "never mind"))
        await host.cancel(gone.id)
        async for _ in host.follow(gone.id):
            pass
        slow = await host.start(Order("slow", "in the middle"))
        await until(host, slow.id, 3)
    finally:
        await host.close()


def main(target: Path) -> None:
    """Make the home and pack it."""
    with tempfile.TemporaryDirectory() as folder:
        home, plays = Path(folder, "home"), Path(folder, "plays.yaml")
        home.mkdir()
        plays.write_text(PLAYS)
        asyncio.run(fill(home, plays))
        with sqlite3.connect(home / "agenthost.db") as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with tarfile.open(target, "w:gz") as tar:
            for name in ("agenthost.db", "blobs", "secret.key", "secrets.json"):
                tar.add(home / name, name)
        print(f"{target}: format {version}, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
