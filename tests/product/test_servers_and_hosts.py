"""Servers that checks look at, and hosts that code may reach: a whole host with a real sandbox."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.events import Answered, Asked, Finished, Recorded, RunResult
from agenthost.core.tools import ToolResult
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.testing.outside import API, OTHER, Outside, outside

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"it works")
http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""

FETCH = f"""
import ssl, urllib.request
for name in ("{API}", "{OTHER}"):
    try:
        with urllib.request.urlopen("http://" + name + "/") as answer:
            print(answer.read().decode())
    except OSError as problem:
        print(problem)
"""

MANIFESTS = f"""
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {{name: up}}
spec:
  input: {{file: {{type: string}}}}
  steps:
    - id: write
      command: |
        cat > app.py <<'END'
        {SERVER.strip().replace(chr(10), chr(10) + "        ")}
        END
    - {{id: serve, serve: "python {{{{ input.file }}}}", probe: {{port: 8000, body: works, within: 10s}}}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: builder}}
spec:
  tools: [workspace]
  completion:
    rule: checks
    checks: [{{serve: python app.py, probe: {{port: 8000, path: /x, body: works, within: 10s}}}}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: fetcher}}
spec:
  tools: [workspace]
  sandbox: {{network: granted, hosts: [{API}]}}
"""

PLAYS = {
    "rules": [
        {
            "when": {"agent": "builder", "turn": 0},
            "reply": {"calls": [{"tool": "write_file", "arguments": {"path": "app.py", "content": "import no_such"}}]},
        },
        {
            "when": {"agent": "builder", "says": "No module named"},
            "reply": {"calls": [{"tool": "write_file", "arguments": {"path": "app.py", "content": SERVER}}]},
        },
        {
            "when": {"agent": "fetcher", "turn": 0},
            "reply": {
                "calls": [
                    {"tool": "write_file", "arguments": {"path": "fetch.py", "content": FETCH}},
                    {"tool": "run", "arguments": {"command": "python fetch.py"}},
                ]
            },
        },
        {"reply": {"text": "It is done."}},
    ]
}


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def host(tmp_path: Path, world: Outside) -> AsyncIterator[Host]:
    (tmp_path / "plays.json").write_text(json.dumps(PLAYS))
    private = json.dumps([f"{API}:80", f"{OTHER}:80"])
    (tmp_path / "agenthost.toml").write_text(
        f'[models]\ndefault = "scripted:{tmp_path}/plays.json"\n[network]\nprivate = {private}\n'
    )
    opened = await open_host(load(tmp_path, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
    if not (await opened._adapters.sandbox.available()).available:
        await opened.close()
        pytest.skip("no sandbox here")
    made: Any = opened._adapters.sandbox._made["bubblewrap"]
    while hasattr(made, "inner"):
        made = made.inner
    made._way._resolve = world.resolve
    done, problems = await opened.apply({"m.yaml": MANIFESTS})
    assert done and not problems
    yield opened
    await opened.close()


async def followed(host: Host, order: Order) -> tuple[list[Recorded], list[str]]:
    """A task's events, and what was told meanwhile."""
    row = await host.start(order)
    events: list[Recorded] = []
    notices: list[str] = []
    async for item in host.follow(row.id):
        if isinstance(item, LiveDelta):
            notices += [item.delta.notice] if item.delta.notice else []
        else:
            events.append(item)
    return events, notices


def results(events: list[Recorded]) -> list[RunResult]:
    return [
        one.event.answer
        for one in events
        if isinstance(one.event, Answered) and isinstance(one.event.answer, RunResult)
    ]


def outcome(events: list[Recorded]) -> str:
    last = events[-1].event
    assert isinstance(last, Finished)
    return last.verdict.outcome


async def test_a_step_serves_and_the_journal_has_what_the_host_saw(host: Host) -> None:
    events, _ = await followed(host, Order("up", inputs={"file": "app.py"}))
    assert outcome(events) == "done"
    seen = results(events)[-1]
    assert seen.exit_code == 0
    assert seen.stdout.startswith("GET http://127.0.0.1:8000/: asked ")
    assert "200 OK" in seen.stdout and seen.stdout.endswith("it works\n")
    assert "sha256 " in seen.stdout

    events, _ = await followed(host, Order("up", inputs={"file": "other.py"}))
    assert outcome(events) == "unachievable"
    assert "can't open file" in results(events)[-1].stderr
    assert (
        results(events)[-1].stderr.rstrip().endswith("the server ended before it was asked for anything (exit code 2)")
    )


async def test_an_agent_hears_why_its_server_does_not_come_up_and_mends_it(host: Host) -> None:
    events, _ = await followed(host, Order("builder", text="Build it."))
    assert outcome(events) == "done"
    first, second = results(events)
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert "ModuleNotFoundError" in first.stderr
    assert "GET /x HTTP/1.1" in second.stderr


async def test_an_agents_code_reaches_what_is_granted_and_is_told_what_is_not(host: Host, world: Outside) -> None:
    events, notices = await followed(host, Order("fetcher", text="Fetch it."))
    assert outcome(events) == "done"
    ran = [
        one.event.answer
        for one in events
        if isinstance(one.event, Answered) and isinstance(one.event.answer, ToolResult)
    ]
    assert "hello from outside" in ran[-1].text
    refused = f"sandbox: refused connection to {OTHER}:80: not granted"
    assert refused in ran[-1].text
    assert notices == [refused]
    assert world.asked == [API]
    calls = [one.event.command for one in events if isinstance(one.event, Asked)]
    assert [call.repeatable for call in calls if getattr(call, "tool", "") == "run"] == [False]
