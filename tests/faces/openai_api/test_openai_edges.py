"""What comes from strangers, in pieces, broken, over restarts and while the host stops."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from agenthost.cli.serving import Listening, served
from agenthost.host.host import Host, open_host
from tests.faces.openai_api.conftest import Bench, somebody

USER: Any = {"role": "user", "content": "weather"}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


async def raw(bench: Bench, request: bytes, end: bool = False) -> tuple[int, Any]:
    """Send bytes as they are; status and body of the answer."""
    port = int(bench.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
            if end:
                writer.write_eof()
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[16:]) for line in lines if line.startswith(b"content-length: "))
            body = await reader.readexactly(length)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return int(head.split(b" ")[1]), json.loads(body)


def post(bench: Bench, body: bytes, path: str = "/v1/chat/completions", length: int | None = None) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {bench.token}",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


# --- other people -----------------------------------------------------------------------------------


async def test_what_is_somebody_else_s_is_not_there(bench: Bench) -> None:
    mine = await bench.client.responses.create(model="helper", input="a secret")
    calls = await bench.client.chat.completions.create(model="helper", messages=[USER], tools=[WEATHER])
    kept = await bench.host.put_file("a.txt", b"mine")
    async with await somebody(bench, "eve", "user") as eve:
        for call in (
            eve.responses.retrieve(mine.id),
            eve.responses.cancel(mine.id),
            eve.responses.input_items.list(mine.id),
            eve.responses.create(model="helper", input="x", previous_response_id=mine.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        with pytest.raises(openai.NotFoundError, match="No such file"):
            content: Any = [{"type": "file", "file": {"file_id": kept.digest}}]
            await eve.chat.completions.create(model="helper", messages=[{"role": "user", "content": content}])
        message = calls.choices[0].message.model_dump(exclude_none=True)
        id = message["tool_calls"][0]["id"]
        result: Any = {"role": "tool", "tool_call_id": id, "content": "forged"}
        theirs = await eve.chat.completions.create(model="helper", messages=[USER, message, result])
        assert theirs.choices[0].message.content == "It is forged."
        (waiting,) = [task for task in await bench.tasks() if task.state == "input-required"]
        assert waiting.person == "owner"
        assert (await bench.tasks())[0].person == "eve"


async def test_who_may_only_read_starts_nothing(bench: Bench) -> None:
    made = await bench.client.responses.create(model="helper", input="hello")
    running = await bench.client.responses.create(model="helper", input="forever", background=True)
    async with await somebody(bench, "ann", "read-only", ("read",)) as ann:
        assert (await ann.responses.retrieve(made.id)).output_text == "You said: hello"
        for call in (
            ann.responses.create(model="helper", input="x"),
            ann.chat.completions.create(model="helper", messages=[USER]),
            ann.responses.cancel(running.id),
            ann.responses.delete(made.id),
        ):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await call
            assert refused.value.code == "insufficient_permissions"
    assert [task.state for task in await bench.tasks()] == ["working", "completed"]
    assert (await bench.client.responses.retrieve(made.id)).status == "completed"


# --- broken requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b'{"model": "helper", "messages": [{"role": "user", "content": "\xff"}], "input": "\xff"}',
        b'{"model": "helper", "messages": ' + b"[" * 5000 + b', "input": ' + b"[" * 5000,
        b'{"model": 3, "messages": [], "input": ""}',
        b'{"model": "helper"}',
        b'{"model": "helper", "messages": [null], "input": [null]}',
        b'{"model": "", "messages": [{"role": "user", "content": "x"}], "input": "x"}',
        b'{"model": "helper", "messages": [{"role": "user", "content": ""}], "input": ""}',
        b'{"model": "helper", "messages": [{"role": "user", "content": [{"type": "text"}]}], "input": [{"role": "user", "content": [{"type": "input_text"}]}]}',
        b'{"model": "../..", "messages": [{"role": "user", "content": "x"}], "input": "x"}',
        b'{"model": "helper", "messages": [{"role": "user", "content": "\\ud800"}], "input": "\\ud800"}',
    ],
)
async def test_a_body_that_can_not_be_read_is_an_error_of_the_client_s(bench: Bench, path: str, body: bytes) -> None:
    status, told = await raw(bench, post(bench, body, path))
    assert status in (400, 404), told
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert told["error"]["type"] == "invalid_request_error"
    assert await bench.tasks() == []


async def test_a_body_that_is_too_large_is_refused_before_it_comes(bench: Bench) -> None:
    status, told = await raw(bench, post(bench, b"{", length=1_000_000_000))
    assert status == 413 and "64" in told["error"]["message"].replace("67,108,864", "64 MiB")


async def test_a_client_that_hangs_up_in_its_request_starts_nothing(bench: Bench) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await raw(bench, post(bench, b'{"model": "helper", "messages": [', length=500), end=True)
    assert (await bench.client.models.list()).data
    assert await bench.tasks() == []


async def test_a_wrong_token_is_told_in_openai_s_shape_on_every_path(bench: Bench) -> None:
    for path in ("/v1/models", "/v1/nothing"):
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer no\r\n\r\n".encode()
        status, told = await raw(bench, request)
        assert (status, told["error"]["code"]) == (401, "invalid_api_key")


# --- elsewhere --------------------------------------------------------------------------------------


async def agenthost(bench: Bench, *words: str) -> str:
    """What the command says."""
    command = Path(sys.executable).parent / "agenthost"
    environment = os.environ | {"AGENTHOST_HOME": bench.host.settings.home}
    process = await asyncio.create_subprocess_exec(
        command, *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out
    return out.decode()


async def test_a_call_for_the_client_is_shown_and_answered_by_the_command_line_too(bench: Bench) -> None:
    first = await bench.client.chat.completions.create(model="helper", messages=[USER], tools=[WEATHER])
    (task,) = await bench.tasks()
    shown = await agenthost(bench, "tasks", "show", task.id)
    assert "Run your tool 'weather' with these arguments" in shown and '"city": "Rome"' in shown
    assert "input-required" in shown
    await agenthost(bench, "tasks", "reply", task.id, "sunny")
    message: Any = first.choices[0].message.model_dump(exclude_none=True)
    result: Any = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}
    second = await bench.client.chat.completions.create(model="helper", messages=[USER, message, result])
    assert second.choices[0].message.content == "It is sunny."
    assert len(await bench.tasks()) == 1


# --- over restarts ----------------------------------------------------------------------------------


async def test_calls_questions_and_responses_outlive_the_host(bench: Bench, tmp_path: Path) -> None:
    first = await bench.client.chat.completions.create(model="helper", messages=[USER], tools=[WEATHER])
    asked = await bench.client.responses.create(model="asker", input="make it nice")
    made = await bench.client.responses.create(model="helper", input="hello")
    async with restarted(bench.host, tmp_path) as url, AsyncOpenAI(api_key=bench.token, base_url=f"{url}/v1") as client:
        message: Any = first.choices[0].message.model_dump(exclude_none=True)
        result: Any = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}
        second = await client.chat.completions.create(model="helper", messages=[USER, message, result])
        assert second.choices[0].message.content == "It is sunny."
        assert (await client.responses.retrieve(made.id)).output_text == "You said: hello"
        assert (await client.responses.retrieve(asked.id)).output_text == asked.output_text
        answered = await client.responses.create(model="asker", input="blue", previous_response_id=asked.id)
        assert answered.output_text == "How large?"
        more = await client.responses.create(model="helper", input="more", previous_response_id=made.id)
        assert more.output_text == "You said: more"


@contextlib.asynccontextmanager
async def restarted(host: Host, tmp_path: Path) -> Any:
    """Another host of the same home, once the first has let go of it."""
    await host.close()
    settings = host.settings
    again = await open_host(settings, work=True, serving=True)
    try:
        async with served(again, tmp_path / "again.sock", Listening("127.0.0.1", 0)) as url:
            yield url
    finally:
        await again.close()


async def test_a_stream_says_that_the_host_stops(tmp_path: Path, bench: Bench) -> None:
    async with served(bench.host, tmp_path / "other.sock", Listening("127.0.0.1", 0)) as url:
        client = AsyncOpenAI(api_key=bench.token, base_url=f"{url}/v1", max_retries=0)
        stream = await client.chat.completions.create(
            model="helper", messages=[{"role": "user", "content": "forever"}], stream=True
        )
        await anext(aiter(stream))
    with pytest.raises(openai.APIError, match="the host stops; the task goes on"):
        async for _ in stream:
            pass
    await client.close()
