"""Other providers through their own SDKs: one plain call each against a server of theirs, or at least a client."""

import struct
from typing import Any
from zlib import crc32

import msgspec
import pytest
from aiohttp import web

from agenthost.core.errors import Permanent, Unavailable
from agenthost.core.models import ModelRequest, Usage
from agenthost.models.playbook import as_playbook
from agenthost.models.providers.names import KEYLESS, KEYS
from agenthost.testing.models import answered, asked
from agenthost.testing.openai_server.service import Service
from tests.models.providers.conftest import KEY, Desk

HELLO = {
    "rules": [
        {"when": {"instructions": "Be brief."}, "reply": {"text": "Hello there.", "usage": {"input": 9, "output": 3}}}
    ]
}


async def chat_server(desk: Desk) -> str:
    """Chat Completions, as Mistral, Groq, DeepSeek and others speak it too."""
    service = Service(as_playbook(HELLO), desk.folder, key=KEY)
    return await desk.serve(service.application())


@pytest.mark.parametrize(("kind", "path"), [("mistral", ""), ("moonshotai", "/v1"), ("huggingface", "/v1")])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_plain_call(desk: Desk, kind: str, path: str, stream: bool) -> None:
    model = desk.model(kind, await chat_server(desk) + path, stream=stream)
    answer, told = await answered(model, asked("?"))
    assert answer.text == "Hello there."
    # Streams count tokens only where that is asked for, which not every SDK does: then it is our own guess.
    assert answer.usage == Usage(9, 3) or (stream and kind != "moonshotai" and answer.usage.total > 0)
    assert "".join(delta.text for delta in told) == ("Hello there." if stream else "")


async def test_a_plain_call_of_groq_whose_paths_are_its_own(desk: Desk) -> None:
    service = Service(as_playbook(HELLO), desk.folder, key=KEY)
    inner = service.application()
    outer = web.Application()
    outer.add_subapp("/openai", inner)
    answer, _ = await answered(desk.model("groq", await desk.serve(outer), stream=False), asked("?"))
    assert answer.text == "Hello there." and answer.usage == Usage(9, 3)


async def test_a_plain_call_of_cohere(desk: Desk) -> None:
    heard: list[dict[str, Any]] = []

    async def chat(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        heard.append(await request.json())
        return web.json_response(
            {
                "id": "1",
                "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": "Hello there."}]},
                "usage": {"tokens": {"input_tokens": 9, "output_tokens": 3}},
            }
        )

    app = web.Application()
    app.router.add_post("/v2/chat", chat)
    answer, _ = await answered(desk.model("cohere", await desk.serve(app), stream=False), asked("?"))
    assert answer.text == "Hello there." and answer.usage == Usage(9, 3)
    assert heard[0]["messages"][0]["content"] == "Be brief."


def frame(kind: str, body: dict[str, Any]) -> bytes:
    """A message of AWS's event streams (`vnd.amazon.eventstream`)."""
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":event-type", kind.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    payload = msgspec.json.encode(body)
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    begun = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return begun + struct.pack(">I", crc32(begun))


AWS = {"region_name": "eu-west-1", "aws_access_key_id": "AKIATEST0000", "aws_secret_access_key": "test-secret-0000"}
NOVA = "amazon.nova-lite-v1:0"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_plain_call_of_bedrock(desk: Desk, stream: bool) -> None:
    usage = {"inputTokens": 9, "outputTokens": 3, "totalTokens": 12}

    async def converse(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIATEST0000/")
        assert (await request.json())["system"][0] == {"text": "Be brief."}
        message = {"role": "assistant", "content": [{"text": "Hello there."}]}
        body = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
        return web.json_response(body)

    async def streamed(request: web.Request) -> web.Response:
        frames = [
            frame("messageStart", {"role": "assistant"}),
            frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello there."}}),
            frame("contentBlockStop", {"contentBlockIndex": 0}),
            frame("messageStop", {"stopReason": "end_turn"}),
            frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
        ]
        return web.Response(body=b"".join(frames), content_type="application/vnd.amazon.eventstream")

    app = web.Application()
    app.router.add_post("/model/{id}/converse", converse)
    app.router.add_post("/model/{id}/converse-stream", streamed)
    model = desk.model("bedrock", await desk.serve(app), NOVA, key="", stream=stream, options=AWS)
    answer, _ = await answered(model, asked("?"))
    assert answer.text == "Hello there." and answer.usage == Usage(9, 3)


async def test_bedrock_too_is_called_once_and_says_what_is_wrong(desk: Desk) -> None:
    calls: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        calls.append(request.path)
        headers = {"x-amzn-errortype": "AccessDeniedException"}
        return web.json_response({"message": "not yours"}, status=403, headers=headers)

    async def fail(request: web.Request) -> web.Response:
        calls.append(request.path)
        headers = {"x-amzn-errortype": "ServiceUnavailableException"}
        return web.json_response({"message": "busy"}, status=503, headers=headers)

    for handler, code in ((refuse, "auth"), (fail, "provider-error")):
        app = web.Application()
        app.router.add_post("/model/{id}/converse", handler)
        model = desk.model("bedrock", await desk.serve(app), NOVA, key="", stream=False, options=AWS)
        calls.clear()
        with pytest.raises(Exception) as caught:
            await model.answer(asked("?"), lambda delta: None)
        assert getattr(caught.value, "code", "") == code, caught.value
        assert len(calls) == 1


@pytest.mark.parametrize("kind", sorted(set(KEYS) - {"azure", "google-cloud", "snowflake", "heroku"}))
async def test_every_provider_gets_a_client_or_says_what_it_needs(desk: Desk, kind: str) -> None:
    options = {"region_name": "eu-west-1"} if kind == "bedrock" else {}
    model = desk.model(kind, "", "some/model", options=options)
    await model.open()
    assert KEY not in repr(model)


async def test_what_a_provider_needs_beside_the_key_is_said(desk: Desk) -> None:
    with pytest.raises(Unavailable, match="the provider 'azure' can't be used: .*azure_endpoint"):
        await desk.model("azure", "", "some-model").open()


def test_the_table_of_providers_is_pydantic_ais() -> None:
    from pydantic_ai.providers import infer_provider_class

    for name in KEYS:
        assert infer_provider_class(name)
    assert set(KEYS) >= KEYLESS


async def test_an_answer_of_nothing_but_an_error_is_told_in_the_providers_own_words(desk: Desk) -> None:
    async def refuse(request: web.Request) -> web.Response:
        body = {"type": "error", "error": {"type": "invalid_request_error", "message": f"no {KEY}\x1b[31m"}}
        return web.json_response(body, status=400)

    app = web.Application()
    app.router.add_post("/v1/messages", refuse)
    with pytest.raises(Permanent) as caught:
        await desk.model("anthropic", await desk.serve(app)).answer(ModelRequest("m", "", asked("?").turns), print)
    assert caught.value.message == "anthropic refused the request: no *** [31m"
