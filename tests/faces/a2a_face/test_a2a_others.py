"""Agents that others' servers serve are agents of ours: the SDK's own server for 1.0, and that of 0.3."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from testbeds.pypi import python_with

from agenthost.core.api import Order
from agenthost.core.commands import Ask
from agenthost.core.events import Asked, Finished, Recorded
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.faces.a2a_face.conftest import free_port

HERE = Path(__file__).parent
EARLY = ("a2a-sdk[http-server]==0.3.26", "uvicorn==0.38.0")
FAR = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: far}
spec: {description: Elsewhere, runtime: a2a, a2a: {url: URL}}
"""


@contextlib.asynccontextmanager
async def other(line: list[str], port: int) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), httpx.AsyncClient() as http:
            while process.returncode is None:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{url}/.well-known/agent-card.json")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture(params=["0.3 JSONRPC", "1.0 JSONRPC", "1.0 HTTP+JSON"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Host]:
    """A host whose agent `far` is served by the SDK's own server, in a process of its own."""
    version, _, binding = request.param.partition(" ")
    port = free_port()
    if version == "0.3":
        python = await asyncio.to_thread(lambda: python_with(*EARLY))
        line = [str(python), str(HERE / "others_early.py"), str(port)]
    else:
        line = [sys.executable, str(HERE / "others.py"), str(port), binding]
    async with other(line, port) as url:
        home = tmp_path / "home"
        home.mkdir()
        (home / "agenthost.toml").write_text('[network]\nprivate = ["127.0.0.1:*"]\n')
        opened = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap"}), work=True)
        try:
            _, problems = await opened.apply({"far.yaml": FAR.replace("URL", url)})
            assert not problems, problems
            yield opened
        finally:
            await opened.close()


async def ended(host: Host, task: str, answer: str = "") -> Finished:
    """How a task ends. `answer`: what its question is answered with."""
    async with asyncio.timeout(60):
        async for item in host.follow(task):
            if not isinstance(item, Recorded):
                continue
            if isinstance(item.event, Finished) and item.task == task:
                return item.event
            if isinstance(item.event, Asked) and isinstance(item.event.command, Ask):
                assert item.event.command.question == "Which colour?"
                await host.reply(task, answer)
    raise AssertionError("it didn't end")


@pytest.mark.slow
async def test_an_agent_of_anothers_server_answers_asks_and_fails(host: Host) -> None:
    said = await ended(host, (await host.start(Order("far", "briefly, please"))).id)
    assert said.verdict.outcome == "done" and "Briefly: briefly, please" in str(said.parts)

    row = await host.start(Order("far", "work"))
    done = await ended(host, row.id)
    assert done.verdict.outcome == "done" and "Done: work" in str(done.parts)
    (file,) = await host.artifacts(row.id)
    assert file.path == "a.txt" and await host.get_file(file.digest) == b"hello"

    answered = await ended(host, (await host.start(Order("far", "ask me"))).id, "blue")
    assert answered.verdict.outcome == "done" and "Done: blue" in str(answered.parts)

    failed = await ended(host, (await host.start(Order("far", "fail"))).id)
    assert failed.verdict.outcome == "blocked" and "It broke." in failed.verdict.reason
