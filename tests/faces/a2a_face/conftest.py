"""A real host behind HTTP on loopback, its model the scripted OpenAI server; the callers are known by their tokens."""

import contextlib
import gc
import socket
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from agenthost.cli.serving import Listening
from agenthost.cli.serving import served as up
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.testing.openai_server.process import OpenAIServer

TOKEN = "ah_the-token-of-the-owner-here"
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

    def __init__(self, host: Host, url: str) -> None:
        self.host = host
        self.url = url

    @property
    def grpc(self) -> str:
        """Where gRPC is served."""
        settings = self.host.settings.a2a
        return f"{settings.grpc_host}:{settings.grpc_port}"

    def http(self, token: str = TOKEN) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as side:
        side.bind(("127.0.0.1", 0))
        return side.getsockname()[1]


@pytest.fixture(params=["JSONRPC", "HTTP+JSON", "GRPC"])
def binding(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each binding. What gRPC leaves behind takes a lock when it goes, so that it goes here and not on a later loop."""
    yield request.param
    if request.param == "GRPC":
        gc.collect()


@contextlib.asynccontextmanager
async def served(
    home: Path, manifests: Sequence[str], model: str, toml: str = "", port: int = 0
) -> AsyncGenerator[Serving]:
    """Serve the host of a home as `agenthost up` does."""
    home.mkdir(exist_ok=True)
    (home / "agenthost.toml").write_text(toml)
    if not (home / "token").exists():
        (home / "token").touch(0o600)
        (home / "token").write_text(TOKEN)
    host = await open_host(load(home, {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": model}), work=True)
    try:
        _, problems = await host.apply({f"{at}.yaml": text for at, text in enumerate(manifests)})
        assert not problems, problems
        async with up(host, home / "host.sock", Listening("127.0.0.1", port)) as url:
            yield Serving(host, url)
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
async def serving(request: pytest.FixtureRequest, tmp_path: Path, scripted: str) -> AsyncGenerator[Serving]:
    """A host with three agents; it serves gRPC where the test's `way` is by that."""
    toml = f'{scripted}[a2a]\nagent = "asker"\n'
    if "way" in request.fixturenames and request.getfixturevalue("way")[1] == "GRPC":
        toml += f"grpc-port = {free_port()}\n"
    async with served(tmp_path / "home", [ECHO, ASKER, WRITER], MODEL, toml) as serving:
        yield serving
