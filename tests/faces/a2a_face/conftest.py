"""A real host behind HTTP on loopback, its model the scripted OpenAI server; the callers are known by their tokens."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import Unauthenticated
from agenthost.faces.http.a2a.routes import A2AFace, A2AParts
from agenthost.faces.http.callers import admit
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.testing.openai_server.process import OpenAIServer

TOKEN = "the owner's token"
ECHO = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: echo}
spec: {description: Says it back, instructions: Say it back.}
"""
ASKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {description: Asks, instructions: Ask., tools: [ask]}
"""
WRITER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {description: Writes, instructions: Write., tools: [write_file]}
"""
PLAYS = """\
rules:
  - when: {says: slowly, turn: 0}
    reply: {text: "one two three four five six", pause: 0.05}
  - when: {says: forever, turn: 0}
    reply: {text: "one two three", delay: 600}
  - when: {says: nonsense}
    fail: {kind: bad-request, message: "no such thing"}
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - when: {turn: 0, offers: write_file}
    reply: {calls: [{tool: write_file, arguments: {path: out/hello.txt, content: "hello there"}}]}
  - reply: {text: "You said {{said}}"}
"""


class Serving:
    """One run of a host behind HTTP."""

    def __init__(self, host: Host, face: A2AFace, port: int) -> None:
        self.host = host
        self.face = face
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)


async def known(host: HostApi, token: str) -> tuple[Caller, HostApi]:
    if token != TOKEN:
        raise Unauthenticated("nobody has this token")
    return Caller(), host


def guarded(app: ASGIApp, host: HostApi) -> ASGIApp:
    """What stands in front of every path: the caller is noted where there is one."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        if token == TOKEN:
            admit(scope, Caller(), host)
        elif "/.well-known/" not in scope["path"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return front


def free_port() -> int:
    with socket.socket() as side:
        side.bind(("127.0.0.1", 0))
        return side.getsockname()[1]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(home: Path, manifests: list[str], model: str, toml: str = "", port: int = 0) -> AsyncGenerator[Serving]:
    """Serve the host of a home."""
    home.mkdir(exist_ok=True)
    (home / "agenthost.toml").write_text(toml)
    host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": model}), work=True)
    try:
        _, problems = await host.apply({f"{at}.yaml": text for at, text in enumerate(manifests)})
        assert not problems, problems

        async def known_here(token: str, address: str) -> tuple[Caller, HostApi]:
            return await known(host, token)

        face = A2AFace(host, A2AParts(host.settings.a2a, home, host.pushes, host.guard, known_here))
        async with face.running():
            app = guarded(Starlette(routes=face.routes()), host)
            config = uvicorn.Config(app, port=port or free_port(), log_config=None, lifespan="off", ws="none")
            server = _Server(config)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve())
                while not server.started and not serving.done():
                    await asyncio.sleep(0.01)
                try:
                    yield Serving(host, face, config.port)
                finally:
                    server.should_exit = True
                    server.force_exit = True
    finally:
        await host.close()


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[str]:
    """The settings of a host whose model is the scripted server."""
    plays = tmp_path / "plays.yaml"
    plays.write_text(PLAYS)
    with OpenAIServer(plays, tmp_path / "heard") as server:
        yield f'[models.providers.play]\nbase-url = "{server.url}"\napi-key = "k"\n'


MODEL = "play:any"


@pytest.fixture
async def serving(tmp_path: Path, scripted: str) -> AsyncGenerator[Serving]:
    """A host with three agents."""
    async with served(tmp_path / "home", [ECHO, ASKER, WRITER], MODEL, scripted) as serving:
        yield serving


