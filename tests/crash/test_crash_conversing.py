"""No message is lost or filed twice, whoever writes at once and whenever the host is killed."""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agenthost.core.conversations import LineFilter
from agenthost.core.events import Answered, Created, Received, Reply
from agenthost.core.parts import text_of
from agenthost.core.ports import Filter
from agenthost.host.host import open_host
from agenthost.host.settings import load
from tests.crash.talker import CONVERSATIONS, MESSAGES, messages

ROOT = Path(__file__).parents[2]
ASKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: Asks, instructions: Ask., tools: [ask]}
"""
PLAYS = """\
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "Done."}
"""
KILLS = 5


def talk(home: Path, seed: int, after: float | None) -> bool:
    """Run the process, and kill it so many seconds after it is open; whether it came to its end."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTHOST_", "OPENAI_"))}
    environ |= {"AGENTHOST_HOME": str(home), "AGENTHOST_MODEL": f"scripted:{home}/plays.yaml"}
    command = [sys.executable, "-m", "tests.crash.talker", str(home), str(seed)]
    opened = home / "open"
    opened.unlink(missing_ok=True)
    with (home / "talker.log").open("a") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        try:
            if after is None:
                process.wait(100)
            else:
                until = time.monotonic() + 60
                while not opened.exists() and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.01)
                time.sleep(after)
        finally:
            process.kill()
            process.wait()
    return process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_every_message_is_filed_once_however_often_the_host_is_killed(tmp_path: Path, seed: int) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "agenthost.toml").write_text('[routing]\nmodel = ""\n')
    (home / "plays.yaml").write_text(PLAYS)
    (home / "asker.yaml").write_text(ASKER)
    draw = random.Random(seed)
    kills = sum(not talk(home, seed, draw.uniform(0.02, 0.5)) for _ in range(KILLS))
    assert talk(home, seed, None), (home / "talker.log").read_text()[-3000:]
    print(f"{kills} kills")
    asyncio.run(look(home))


async def look(home: Path) -> None:
    host = await open_host(load(home))
    try:
        heard: list[str] = []
        for row in await host.tasks(Filter(limit=1000)):
            for recorded in await host.events_of(row.id):
                if isinstance(recorded.event, Created):
                    heard.append(text_of(recorded.event.spec.message.parts))
                elif isinstance(recorded.event, Received):
                    heard.append(text_of(recorded.event.message.parts))
                elif isinstance(recorded.event, Answered) and isinstance(recorded.event.answer, Reply):
                    heard.append(recorded.event.answer.text)
        heard += [item for row in await host.tasks(Filter(limit=1000)) for item in await inbox(host, row.id)]
        for conversation in range(CONVERSATIONS):
            name = f"chat:{conversation}"
            lines = await host.conversing.lines(LineFilter(conversation=name, by="person", limit=1000))
            kept = [line for line in lines if not line.button]
            assert sorted(line.id for line in kept) == sorted(id for id, _ in messages(conversation))
            assert {line.state for line in lines} == {"filed"}
            for _, words in messages(conversation):
                token = re.compile(rf"\b{re.findall(r'c[0-9]+n[0-9]+', words)[0]}\b")
                times = sum(len(token.findall(text)) for text in heard)
                assert times == 1, (name, words, times)
        taken = [json.loads(line) for line in (home / "taken.jsonl").read_text().splitlines()]
        assert len({(line["conversation"], line["id"]) for line in taken}) == CONVERSATIONS * MESSAGES
    finally:
        await host.close()


async def inbox(host: object, task: str) -> list[str]:
    store = host._adapters.store  # type: ignore[attr-defined]  # pyright: ignore
    return [item.body.decode() for item in await store.inbox(task) if item.kind == "message"]
