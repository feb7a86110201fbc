"""A function that lies: whatever it answers, nothing outside of the workspace is touched, and nothing of a lie is kept."""

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import AgentHostError, Permanent, Temporary, Unavailable
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.host import posting
from agenthost.sandboxes.functions import folder, frames
from agenthost.sandboxes.functions.client import Functions
from tests.sandboxes.functions.conftest import SECRET, client

Answers = Callable[[dict[str, str], bytes], bytes]


def frame(head: Any, *contents: bytes) -> bytes:
    told = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(told).to_bytes(8, "big") + told + b"".join(contents)


def head(**changes: Any) -> dict[str, Any]:
    """An honest head of a run that leaves nothing."""
    plain = {"exit": 0, "limit": "", "duration": 0.1, "cut": 0, "stdout": 0, "stderr": 0, "files": [], "folders": []}
    return plain | changes


def file(path: str, content: bytes = b"x", **changes: Any) -> dict[str, Any]:
    hashed = hashlib.sha256(content).hexdigest()
    return {"path": path, "size": len(content), "sha256": hashed, "changed": True} | changes


def signed(headers: dict[str, str], body: bytes) -> str:
    stamp, nonce = headers["x-agenthost-time"].encode(), headers["x-agenthost-nonce"].encode()
    words = b"\n".join((b"answer", stamp, nonce, hashlib.sha256(body).hexdigest().encode()))
    return hmac.new(SECRET.encode(), words, hashlib.sha256).hexdigest()


@asynccontextmanager
async def liar(answer: Answers, signs: bool = True) -> AsyncIterator[str]:
    """A server that answers with raw bytes: `answer` gets headers and body; what it gives is signed, and sent whole."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = answer(headers, await reader.readexactly(int(headers.get("content-length", 0))))
            if not body.startswith(b"HTTP/"):
                sign = f"X-AgentHost-Signature: {signed(headers, body)}\r\n" if signs else ""
                body = f"HTTP/1.1 200 OK\r\n{sign}Content-Length: {len(body)}\r\n\r\n".encode() + body
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def run(url: str, workspace: Path, sandbox: Functions | None = None) -> SandboxOutcome:
    sandbox = sandbox or client(url, workspace.parent)
    return await sandbox.run(SandboxRun(("true",), str(workspace), SandboxPolicy(timeout=5)))


def tree(root: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(place, name), root): Path(place, name).read_bytes()
        for place, _, files in os.walk(root)
        for name in files
    }


@pytest.fixture
def workspace(workspaces: Path) -> Path:
    made = workspaces / "one"
    made.mkdir()
    (made / "mine").write_text("mine")
    return made


async def test_an_honest_answer_is_taken(workspace: Path) -> None:
    body = frame(head(exit=3, stdout=2, files=[file("a/b")], folders=["a"]), b"hi", b"x")
    async with liar(lambda *_: body) as url:
        outcome = await run(url, workspace)
    assert (outcome.exit_code, outcome.stdout) == (3, b"hi")
    assert tree(workspace) == {"a/b": b"x"}


HUGE = 10**12
LIES: dict[str, bytes] = {
    "nothing": b"",
    "garbage": os.urandom(200),
    "a length beyond its end": (1 << 40).to_bytes(8, "big") + b"{}",
    "no JSON": frame(b"{nope"),
    "deep JSON": frame(b"[" * 100_000),
    "another type": frame([1]),
    "a missing field": frame({"exit": 0}),
    "text for a number": frame(head(exit="0")),
    "a path upwards": frame(head(files=[file("../mine")]), b"x"),
    "a path upwards in the middle": frame(head(files=[file("a/../../mine")], folders=["a"]), b"x"),
    "an absolute path": frame(head(files=[file("/tmp/mine")]), b"x"),
    "an empty path": frame(head(files=[file("")]), b"x"),
    "a dot": frame(head(files=[file("./x")]), b"x"),
    "a zero byte": frame(head(files=[file("a\0b")]), b"x"),
    "half a character": frame(b'{"files": "\\ud800"}'),
    "a long name": frame(head(files=[file("n" * 300)]), b"x"),
    "a long path": frame(head(files=[file("/".join("n" * 600))]), b"x"),
    "a folder upwards": frame(head(folders=["../other"])),
    "a file twice": frame(head(files=[file("a"), file("a")]), b"x", b"x"),
    "a file as a folder": frame(head(files=[file("a")], folders=["a"]), b"x"),
    "a file below a file": frame(head(files=[file("a"), file("a/b")]), b"x", b"x"),
    "a file in no folder": frame(head(files=[file("a/b")]), b"x"),
    "another hash": frame(head(files=[file("a", sha256="0" * 64)]), b"x"),
    "a file that is as it was and wasn't": frame(head(files=[file("other", changed=False)])),
    "a file that is as it was with another hash": frame(head(files=[file("mine", b"other", changed=False)])),
    "a size below nothing": frame(head(files=[file("a", size=-1)])),
    "a size beyond the end": frame(head(files=[file("a", size=HUGE)]), b"x"),
    "an output beyond the end": frame(head(stdout=HUGE)),
    "an output below nothing": frame(head(stdout=-2, stderr=2)),
    "more output than a run may have": frame(head(stdout=2_000_000), bytes(2_000_000)),
    "an exit beyond a byte": frame(head(exit=10**30)),
    "an exit below nothing": frame(head(exit=-1)),
    "a limit that there isn't": frame(head(limit="x" * 1000)),
    "more than it says": frame(head(), b"more"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_and_nothing_of_it_is_kept(workspace: Path, lie: str) -> None:
    before = tree(workspace.parent)
    async with liar(lambda *_: LIES[lie]) as url:
        with pytest.raises(Permanent) as raised:
            await run(url, workspace)
    assert raised.value.code == "bad-answer"
    assert "Nothing of it was kept" in raised.value.message
    assert tree(workspace.parent) == before


async def test_a_folder_that_became_a_file_gives_way_with_what_was_never_sent(workspace: Path) -> None:
    (workspace / "a").mkdir()
    (workspace / "a/link").symlink_to("/etc")
    body = frame(head(files=[file("a")]), b"x")
    async with liar(lambda *_: body) as url:
        await run(url, workspace)
    assert tree(workspace) == {"a": b"x"}
    assert os.path.isdir("/etc")


async def test_an_answer_without_the_secret_or_to_another_request_is_refused(workspace: Path) -> None:
    honest = frame(head(files=[file("evil")]), b"x")
    async with liar(lambda *_: honest, signs=False) as url:
        with pytest.raises(Permanent, match="doesn't have the shared secret"):
            await run(url, workspace)

    kept: list[str] = []

    def replayed(headers: dict[str, str], body: bytes) -> bytes:
        kept.append(signed(headers, honest))
        return (
            f"HTTP/1.1 200 OK\r\nX-AgentHost-Signature: {kept[0]}\r\nContent-Length: {len(honest)}\r\n\r\n".encode()
            + honest
        )

    async with liar(replayed) as url:
        await run(url, workspace)
        (workspace / "evil").unlink()
        with pytest.raises(Permanent, match="not to this request"):
            await run(url, workspace)
    assert not (workspace / "evil").exists()


async def test_an_answer_without_end_is_cut_off(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 200_000
    monkeypatch.setattr("agenthost.sandboxes.functions.client.MOST", 100_000)
    monkeypatch.setattr("agenthost.sandboxes.functions.client._HEAD", 10_000)
    async with liar(lambda *_: body) as url:
        with pytest.raises(Permanent, match="more than 100000 bytes"):
            await run(url, workspace)


async def test_a_bomb_of_compression_stays_what_it_is(workspace: Path) -> None:
    import gzip

    bomb = gzip.compress(b"\0" * 50_000_000)
    body = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode() + bomb
    async with liar(lambda *_: body) as url:
        with pytest.raises(Permanent, match="shared secret"):
            await run(url, workspace)


async def test_one_that_dribbles_is_left_after_its_time(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.sandboxes.functions.client._START_SECONDS", 0.2)
    stop = asyncio.Event()

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(dribble, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sandbox = client(url, workspace.parent)
    try:
        with pytest.raises(Temporary, match="did not answer in") as raised:
            await sandbox.run(SandboxRun(("true",), str(workspace), SandboxPolicy(timeout=0.3)))
        assert (raised.value.code, raised.value.sent) == ("timeout", True)
    finally:
        stop.set()
        server.close()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", Temporary, "status 302"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Unavailable, "roles/run.invoker"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", Unavailable, "no function at"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\n\0\0\0", Temporary, "status 500"),
        (b"HTTP/9 what", Temporary, "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut", Temporary, "broke"),
    ],
)
async def test_other_answers_are_told_as_what_they_are(
    workspace: Path, answer: bytes, kind: type[AgentHostError], words: str
) -> None:
    async with liar(lambda *_: answer) as url:
        with pytest.raises(kind, match=words):
            await run(url, workspace)
        said = await client(url, workspace.parent).available()
        assert not said.available


async def test_links_in_the_workspace_are_not_written_through(workspace: Path) -> None:
    """Left there by an earlier run in another sandbox."""
    outside = workspace.parent.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (workspace / "dir").symlink_to(outside)
    (workspace / "file").symlink_to(outside / "kept")
    body = frame(head(files=[file("dir/kept"), file("file")], folders=["dir"]), b"x", b"x")
    async with liar(lambda *_: body) as url:
        await run(url, workspace)
    assert (outside / "kept").read_text() == "kept"
    assert (workspace / "dir" / "kept").read_text() == "x" and not (workspace / "dir").is_symlink()
    assert (workspace / "file").read_text() == "x" and not (workspace / "file").is_symlink()


async def test_the_token_is_the_one_that_the_command_prints_and_is_kept(workspaces: Path, workspace: Path) -> None:
    heard: list[str] = []

    def answer(headers: dict[str, str], body: bytes) -> bytes:
        heard.append(headers.get("authorization", ""))
        return frame(head())

    command = ("sh", "-c", f"echo x >> {workspaces}/asked; echo a.b.c")
    async with liar(answer) as url:
        sandbox = client(url, workspaces, identity="command", identity_command=command)
        for _ in range(2):
            await run(url, workspace, sandbox)
        assert heard == ["Bearer a.b.c"] * 2
        assert (workspaces / "asked").read_text() == "x\n"
        for words, said in (
            (("sh", "-c", "echo no account >&2; exit 1"), "no account.*gcloud auth login"),
            (("no-such-command",), "can't be started"),
            (("echo", "two words"), "no ID token"),
        ):
            with pytest.raises(Unavailable, match=said):
                await run(url, workspace, client(url, workspaces, identity="command", identity_command=words))


async def test_the_metadata_servers_token_is_for_this_function(workspaces: Path, workspace: Path) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    async def get(url: str, headers: dict[str, str], *_: Any) -> tuple[int, dict[str, str], bytes]:
        asked.append((url, headers))
        return 200, {}, b"a.b.c"

    async def secret(name: str) -> str:
        return SECRET

    from agenthost.sandboxes.functions.settings import FunctionsSettings

    async with liar(lambda *_: frame(head())) as url:
        settings = FunctionsSettings(url=url, identity="metadata", memory=4096)
        await run(url, workspace, Functions(settings, workspaces, secret, posting.post, get))
    ((asked_url, headers),) = asked
    assert asked_url.endswith("identity?audience=" + url.replace(":", "%3A").replace("/", "%2F"))
    assert headers == {"Metadata-Flavor": "Google"}


PATHS = st.text(st.sampled_from("ab./\0\n\ud800é"), max_size=12)
FILES = st.lists(st.builds(lambda path, content: (path, content), PATHS, st.binary(max_size=5)), max_size=6)


@settings(deadline=None)
@given(FILES, st.lists(PATHS, max_size=4))
def test_no_answer_writes_outside_of_the_workspace(files: list[tuple[str, bytes]], folders: list[str]) -> None:
    """Whatever its paths: it is refused, or all of it lies below the folder."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "workspace"
        root.mkdir()
        (root / "mine").write_text("mine")
        sent = folder.Packed(root, 1000)
        came = tuple(frames.CameFile(path, len(body), hashlib.sha256(body).hexdigest(), True) for path, body in files)
        answer = frames.Answer(0, "", 0.0, 0, 0, 0, came, tuple(folders))
        content = memoryview(b"".join(body for _, body in files))
        try:
            _, changed = folder.check(answer, content, sent, 1 << 20)
        except Permanent:
            assert tree(Path(name)) == {"workspace/mine": b"mine"}
            return
        folder.apply(root, answer, changed, sent)
        assert os.listdir(name) == ["workspace"]
        assert tree(root) == dict(files)


async def test_where_no_instance_is_free_it_is_called_again_and_says_so(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agenthost.sandboxes.functions.client._WAITS", (0.01, 0.01))
    busy = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
    answers = [busy, busy, frame(head()), busy, busy, busy]
    told: list[str] = []
    async with liar(lambda *_: answers.pop(0)) as url:
        sandbox = client(url, workspace.parent)
        assert (await sandbox.run(SandboxRun(("true",), str(workspace)), told.append)).exit_code == 0
        assert told == ["the function has no instance free; again in 0.01 s"] * 2
        with pytest.raises(Temporary, match="no instance free"):
            await run(url, workspace, sandbox)
    assert answers == []


async def test_no_more_are_sent_at_once_than_it_has_instances(workspaces: Path) -> None:
    at_once, most, told = 0, 0, []

    async def slow(url: str, headers: dict[str, str], body: bytes, *_: Any) -> tuple[int, dict[str, str], bytes]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        reply = frame(head())
        sign = signed({name.lower(): value for name, value in headers.items()}, reply)
        return 200, {"x-agenthost-signature": sign}, reply

    sandbox = client("http://127.0.0.1:1/", workspaces, concurrency=2)
    sandbox._post = slow  # pyright: ignore[reportPrivateUsage]
    folders = [workspaces / str(number) for number in range(6)]
    for made in folders:
        made.mkdir()
    await asyncio.gather(*(sandbox.run(SandboxRun(("true",), str(made)), told.append) for made in folders))
    assert most == 2
    assert set(told) == {"waits for one of the function's 2 instances"}
