"""Makes the exports that every later version must replay: run it with the release's code, and keep what it writes.

    .venv/bin/python -m tests.recordings.make tests/recordings

One of each kind: an agent that writes files and sends things, a workflow, delegation, an approval and a question, a host
that died while something unsafe was under way, a cancel, a fork, work that was checked and judged. Where a program is changed on purpose so that
it decides otherwise, the old ones go on being replayed as they are: that is what a version is for.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from agenthost.core.api import Order
from agenthost.core.parts import text_message
from agenthost.core.replaying import ForkOrder
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.testing.world import Lines

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: worker}
spec:
  description: Works
  instructions: Work.
  tools: [note, send, pay, ask]
  budget: {turns: 9, duration: 1h}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: leader}
spec: {description: Leads, instructions: Lead., tools: ["delegate:worker", note]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: relay}
spec:
  description: Twice at once, then judged, once more after a failure
  input: {topic: {type: string}}
  roles: {one: {agent: worker, replicas: 2}}
  steps:
    - {id: left, role: one, needs: [], prompt: "left {{ input.topic }}", timeout: 10m}
    - {id: right, role: one, needs: [], prompt: "right {{ input.topic }}", retry: {max: 1}}
    - {id: told, needs: [left, right], tool: note, with: {path: told.txt, text: "{{ steps.left.text }}"}}
  output: "{{ steps.right.text }}"
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: prover}
spec:
  description: Writes what is checked
  tools: [note]
  completion:
    rule: checks+supervisor
    criteria: [b.txt holds the sum., The tone is friendly.]
    checks: [{file: {path: b.txt, pattern: 'sum \\d+'}, proves: [1]}]
    supervisor: {instructions: Be strict.}
"""
PLAYS = """
rules:
  - when: {purpose: judge, matches: 'event (?P<look>\\d+) \\(look'}
    reply:
      text: '{"criteria": [{"number": 2, "met": true, "evidence": [{"event": {{look}}, "quote": "friend"}], "missing": ""}], "verdict": "done", "reason": "fine", "question": ""}'
  - when: {says: prove, turn: 0}
    reply: {calls: [{tool: note, arguments: {path: b.txt, text: "Dear friend, sum 3"}}]}
  - when: {offers: delegate_to_worker, turn: 0}
    reply: {calls: [{tool: note, arguments: {path: lead.txt, text: begun}}, {tool: delegate_to_worker, arguments: {task: "do it"}}]}
  - when: {offers: delegate_to_worker}
    reply: {text: "led: {{said}}"}
  - when: {says: pay}
    reply: {calls: [{tool: pay, arguments: {to: ann}}]}
  - when: {says: wreck}
    reply: {calls: [{tool: send, arguments: {to: nobody}}]}
  - when: {says: ask}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - when: {turn: 0}
    reply: {text: "first", calls: [{tool: note, arguments: {path: a.txt, text: one}}, {tool: note, arguments: {pth: wrong}}]}
  - when: {turn: 1}
    reply: {calls: [{tool: send, arguments: {to: ann}}, {tool: note, arguments: {path: a.txt, text: two}}]}
  - reply: {text: "ready: {{said}}"}
"""
TOOLS = "[tools]\n" + "".join(f'{name} = "tests.recordings.tools:{name}"\n' for name in ("note", "send", "pay"))


async def opened(folder: Path) -> Host:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "agenthost.toml").write_text(TOOLS)
    plays = folder / "plays.yaml"
    plays.write_text(PLAYS)
    host = await open_host(load(home, {"AGENTHOST_MODEL": f"scripted:{plays}"}), work=True, log=Lines())
    _, problems = await host.apply({"all.yaml": MANIFESTS})
    assert not problems, problems
    return host


async def ended(host: Host, task: str, *replies: str) -> str:
    waiting = list(replies)
    while (row := (await host.task(task)).row).state not in ("completed", "failed", "canceled"):
        if (await host.task(task)).questions:
            await host.reply(task, waiting.pop(0))
        await asyncio.sleep(0.01)
    print(row.name, row.state, row.reason)
    return task


async def crashed(folder: Path) -> str:
    """A task whose host dies in the middle of a call that isn't safe to repeat."""
    command = [sys.executable, "-m", "tests.recordings.make", str(folder), "wreck"]
    done = await asyncio.to_thread(subprocess.run, command, env=os.environ | {"WRECK": "1"}, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


async def wreck(folder: Path) -> None:
    host = await opened(folder)
    print((await host.start(Order("worker", "wreck it"))).id, flush=True)
    await asyncio.sleep(60)


async def all_of_them(folder: Path) -> dict[str, bytes]:
    """The exports by name."""
    found: dict[str, str] = {}
    crash = await crashed(folder)
    host = await opened(folder)
    try:
        found["crash"] = await ended(host, crash, "run it again")
        found["agent"] = await ended(host, (await host.start(Order("worker", "go"))).id)
        found["delegation"] = await ended(host, (await host.start(Order("leader", "go"))).id)
        found["workflow"] = await ended(host, (await host.start(Order("relay", "", inputs={"topic": "tea"}))).id)
        found["approval"] = await ended(host, (await host.start(Order("worker", "pay"))).id, "approve")
        found["denied"] = await ended(host, (await host.start(Order("worker", "pay"))).id, "no, never")
        asking = (await host.start(Order("worker", "ask"))).id
        await host.say(asking, text_message("person", "hurry"))
        found["question"] = await ended(host, asking, "red")
        cancelled = (await host.start(Order("worker", "ask"))).id
        await host.cancel(cancelled, reason="enough")
        found["cancelled"] = await ended(host, cancelled)
        found["proved"] = await ended(host, (await host.start(Order("prover", "prove it"))).id)
        found["fork"] = await ended(host, (await host.fork(found["agent"], ForkOrder(text="once more"))).id)
        return {name: await host.export(task) for name, task in found.items()}
    finally:
        await host.close()


def main() -> None:
    target = Path(sys.argv[1])
    if sys.argv[2:] == ["wreck"]:
        asyncio.run(wreck(target))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in asyncio.run(all_of_them(Path(folder))).items():
            if not (target / f"{name}.zip").exists():  # what an earlier version made stays
                (target / f"{name}.zip").write_bytes(content)


if __name__ == "__main__":
    main()
