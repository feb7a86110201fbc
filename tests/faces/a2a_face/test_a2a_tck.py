"""The agent for A2A's conformance suites does what they ask for, by message id and by text."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from a2a.types.a2a_pb2 import Part, Task, TaskState

from agenthost.testing.a2a_tck.home import AGENT, LARGE, PLAYS, write_home
from tests.faces.a2a_face.clients import CALL, all_of, client, saying, sent, texts
from tests.faces.a2a_face.conftest import TOKEN, Serving, served

WAY = ("1.0", "JSONRPC")
S = TaskState


@pytest.fixture
async def tck(tmp_path: Path) -> AsyncGenerator[Serving]:
    """A host with that agent."""
    plays = tmp_path / "plays.yaml"
    plays.write_text(PLAYS)
    async with served(tmp_path / "home", [AGENT], f"scripted:{plays}") as serving:
        yield serving


async def played(serving: Serving, name: str, by: str) -> Task:
    async with client(serving, WAY) as to:
        request = saying("TCK", f"{name}-0f") if by == "id" else saying(f"{name} hello", "0f")
        return await sent(to, request)


by_both = pytest.mark.parametrize("by", ["id", "text"])


@by_both
async def test_every_behaviour_that_ends_at_once(tck: Serving, by: str) -> None:
    wanted = {
        "tck-complete-task": "Hello from TCK",
        "tck-artifact-text": "Generated text content",
        "tck-stream-001": "Stream hello from TCK",
        "tck-stream-artifact-text": "Streamed text content",
        "tck-stream-artifact-chunked": "chunk-1 chunk-2 chunk-3",
    }
    for name, text in wanted.items():
        task = await played(tck, name, by)
        assert task.status.state == S.TASK_STATE_COMPLETED and texts(task) == [text], name
    for name in ("tck-artifact-file", "tck-stream-artifact-file"):
        (artifact,) = (await played(tck, name, by)).artifacts
        assert artifact.parts[0] == Part(raw=b"tck", filename="output.txt", media_type="text/plain")
    (artifact,) = (await played(tck, "tck-artifact-data", by)).artifacts
    assert artifact.parts[0].data.struct_value.fields["count"].number_value == 42
    (artifact,) = (await played(tck, "tck-artifact-file-url", by)).artifacts
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        assert len((await http.get(artifact.parts[0].url)).content) == LARGE
    for name in ("tck-reject-task", "tck-task-failure"):
        task = await played(tck, name, by)
        assert task.status.state == S.TASK_STATE_FAILED and "rejected" in task.status.message.parts[0].text


@by_both
async def test_behaviours_that_want_more(tck: Serving, by: str) -> None:
    async with client(tck, WAY) as to:
        task = await played(tck, "tck-input-required", by)
        assert task.status.state == S.TASK_STATE_INPUT_REQUIRED
        task = await sent(to, saying("TCK follow-up completion", "tck-complete-task-0f", task.id))
        assert task.status.state == S.TASK_STATE_COMPLETED
        task = await played(tck, "tck-auth-required", by)
        assert task.status.state == S.TASK_STATE_AUTH_REQUIRED
        assert (await sent(to, saying("me", "m4", task.id))).status.state == S.TASK_STATE_COMPLETED
        task = await played(tck, "tck-multi-turn", by)
        task = await sent(to, saying("and more", "m2", task.id))
        assert task.status.state == S.TASK_STATE_INPUT_REQUIRED
        assert (await sent(to, saying("done", "m3", task.id))).status.state == S.TASK_STATE_COMPLETED


async def test_a_wait_blocks_who_waits_and_nobody_else(tck: Serving) -> None:
    async with client(tck, WAY) as to:
        request = saying("TCK", "tck-delayed-complete-0f", return_immediately=True)
        assert (await sent(to, request)).status.state in (S.TASK_STATE_SUBMITTED, S.TASK_STATE_WORKING)
        assert (await sent(to, saying("TCK", "tck-delayed-complete-0f"))).status.state == S.TASK_STATE_COMPLETED


async def test_a_stream_is_in_chunks(tck: Serving) -> None:
    async with client(tck, WAY, stream=True) as to:
        events = await all_of(to.send_message(saying("TCK", "tck-stream-artifact-chunked-0f"), context=CALL))
    chunks = [event.artifact_update for event in events if event.HasField("artifact_update")]
    assert len(chunks) >= 2 and [chunk.append for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    assert "".join(chunk.artifact.parts[0].text for chunk in chunks) == "chunk-1 chunk-2 chunk-3"


def test_its_home_says_which_agent_and_where_notifications_may_go(tmp_path: Path) -> None:
    write_home(tmp_path / "home", 8485, ("127.0.0.1:9000",))
    said = (tmp_path / "home" / "agenthost.toml").read_text()
    assert 'agent = "tck"' in said and "grpc-port = 8485" in said and 'private = ["127.0.0.1:9000"]' in said
