"""Whatever a server or the way to it does wrong becomes Temporary or Permanent, with a code and words that help."""

import asyncio
import logging
import traceback
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agenthost.core.errors import AgentHostError, BadInput, Permanent, Temporary
from agenthost.core.models import Delta
from agenthost.models.limits import Limiter
from agenthost.models.openai import failures
from agenthost.models.openai.delays import LONGEST, delay_of
from agenthost.models.openai.wire import ErrorBody
from agenthost.testing.models import asked
from agenthost.testing.openai_server.service import serving
from tests.models.conftest import KEY, Bench

PEER = failures.Peer("acme", "m", "http://here/v1", ("ACME_KEY", "ACME_URL"), [KEY, "abc"], keyed=True)
NOW = 1_800_000_000.0


def mapped(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> AgentHostError:
    return failures.answered(status, headers or {}, body, PEER, NOW)


def error(message: str = "", type: str = "", code: str | None = None, param: str | None = None) -> bytes:
    import msgspec

    return msgspec.json.encode({"error": {"message": message, "type": type, "code": code, "param": param}})


@pytest.mark.parametrize(
    ("status", "body", "code", "temporary", "sent", "words"),
    [
        (400, error("Bad field."), "bad-request", False, False, "acme refused the request: Bad field."),
        (422, b'{"detail": [{"loc": ["x"]}]}', "bad-request", False, False, '[{"loc":["x"]}]'),
        (400, error("Unsupported.", param="reasoning_effort"), "bad-request", False, False, "Unsupported. Take `reasoning` out"),
        (413, b"", "bad-request", False, False, "it answered 413"),
        (401, error("No."), "auth", False, False, "Set ACME_KEY to a key that may use m"),
        (403, b"<html>", "auth", False, False, "refused the key: it answered 403 Forbidden."),
        (402, error("Pay."), "quota", False, False, "no money or quota left: Pay."),
        (404, error("No such model.", "invalid_request_error"), "not-found", False, False, "agenthost model list"),
        (404, b"<html>404</html>", "not-found", False, False, "Check ACME_URL; such an address mostly ends in /v1"),
        (404, b'{"detail": "Not Found"}', "not-found", False, False, "Check ACME_URL"),
        (405, b"", "not-found", False, False, "this does not look like OpenAI's API"),
        (429, b"", "rate-limit", True, False, "acme asks to slow down"),
        (429, error("Broke.", "insufficient_quota"), "quota", False, False, "Broke."),
        (408, b"", "provider-error", True, False, "it answered 408"),
        (500, error("Oops."), "provider-error", True, False, "acme failed: Oops."),
        (500, b"not json", "provider-error", True, False, "500 Internal Server Error"),
        (502, b"", "provider-error", True, True, "502"),
        (503, error("Busy.", "server_error"), "provider-error", True, False, "Busy."),
        (504, b"", "provider-error", True, True, "504"),
        (529, b"", "provider-error", True, False, "it answered 529."),
        (400, error("Too long.", code="context_length_exceeded"), "context-too-long", False, False, "than m can take"),
        (400, error("Long.", "exceed_context_size_error"), "context-too-long", False, False, "Long."),
        (400, error("Long.", "BadRequestError", param="input_tokens"), "context-too-long", False, False, "Long."),
        (400, error("", code="content_policy_violation"), "refused", False, False, "content_policy_violation"),
        (400, error("Key?", code="invalid_api_key"), "auth", False, False, "Key?"),
        (500, error("Slow.", code="rate_limit_exceeded"), "rate-limit", True, False, "Slow."),
        (400, b'{"error": "plain words"}', "bad-request", False, False, "plain words"),
        (400, b'{"object": "error", "message": "vllm", "code": 400}', "bad-request", False, False, "vllm"),
        (400, b'["a list"]', "bad-request", False, False, "it answered 400 Bad Request."),
        (302, b"", "not-found", False, False, "answered 302"),
    ],
)  # fmt: skip
def test_a_status_and_its_body_have_a_meaning(
    status: int, body: bytes, code: str, temporary: bool, sent: bool, words: str
) -> None:
    made = mapped(status, body)
    assert (made.code, isinstance(made, Temporary), getattr(made, "sent", False)) == (code, temporary, sent)
    assert words in made.message
    assert made.details["status"] == status


def test_a_redirect_names_where_it_points() -> None:
    assert "It points to https://else.where/." in mapped(301, b"", {"location": "https://else.where/"}).message


def test_the_providers_id_of_the_request_is_kept_for_its_support() -> None:
    assert mapped(500, b"", {"x-request-id": "req_1\n"}).details["request_id"] == "req_1 "


def test_a_missing_key_is_said_differently_than_a_wrong_one() -> None:
    nobody = failures.Peer("acme", "m", "http://here/v1", ("ACME_KEY", "ACME_URL"), [], keyed=False)
    assert "acme wants a key" in failures.answered(401, {}, b"", nobody, NOW).message


def test_a_providers_words_are_cut_cleaned_and_free_of_secrets() -> None:
    said = mapped(400, error(f"\x1b[31mYour key {KEY} is\nbad " + "x" * 900)).message
    assert KEY not in said
    assert "Your key *** is bad" in said
    assert "\x1b" not in said
    assert len(said) < 600
    assert KEY not in repr(PEER)


@pytest.mark.parametrize(
    ("body", "code", "temporary"),
    [
        (ErrorBody("Busy", "server_error"), "provider-error", True),
        (ErrorBody("Why not"), "provider-error", True),
        (ErrorBody(""), "provider-error", True),
        (ErrorBody("Slow", code="rate_limit_exceeded"), "rate-limit", True),
        (ErrorBody("Wrong", code="400"), "bad-request", False),
        (ErrorBody("Long", code="context_length_exceeded"), "context-too-long", False),
    ],
)
def test_an_error_inside_an_answer_has_a_meaning(body: ErrorBody, code: str, temporary: bool) -> None:
    made = failures.reported(body, PEER)
    assert (made.code, isinstance(made, Temporary)) == (code, temporary)


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "999999999"}, LONGEST),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True)}, 90),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True)}, 0),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-tokens": "20ms", "x-ratelimit-remaining-tokens": "0"}, 0.02),
        ({"x-ratelimit-reset-tokens": "12"}, 12),
        ({"x-ratelimit-reset-tokens": "a while"}, None),
        ({"x-ratelimit-reset-tokens": "5s", "x-ratelimit-remaining-tokens": "100"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset-requests": "2s"}, 2),
        (
            {"x-ratelimit-reset-requests": "2s", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0"},
            9,
        ),
    ],
)  # fmt: skip
def test_the_wait_that_is_asked_for(headers: dict[str, str], delay: float | None) -> None:
    assert delay_of(headers, NOW) == delay


# --- over real sockets --------------------------------------------------------------------------------


async def raised(bench: Bench, url: str, **settings: Any) -> AgentHostError:
    with pytest.raises(AgentHostError) as caught:
        await bench.model(url, **settings).answer(asked("?"), lambda delta: None)
    return caught.value


async def answering(bench: Bench, handler: Any) -> str:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return await bench.serve(app) + "/v1"


async def test_nobody_listening_is_temporary_and_nothing_was_sent(bench: Bench) -> None:
    async with serving(web.Application()) as url:
        pass
    made = await raised(bench, url + "/v1")
    assert isinstance(made, Temporary)
    assert (made.code, made.sent) == ("unreachable", False)
    assert "Check that it runs, and ACME_URL." in made.message


async def test_a_name_that_is_not_known(bench: Bench) -> None:
    made = await raised(bench, "http://no-such-host.invalid/v1", proxy="none")
    assert made.code == "unreachable"
    assert "DNS" in made.message


async def test_silence_is_a_timeout_and_the_answer_may_have_been_made(bench: Bench) -> None:
    url = await bench.server({"rules": [{"fail": {"kind": "stall"}, "reply": {"text": "one two three"}}]})
    told: list[Delta] = []
    with pytest.raises(Temporary) as caught:
        await bench.model(url, idle_timeout=0.2).answer(asked("?"), told.append)
    assert (caught.value.code, caught.value.sent) == ("timeout", True)
    assert "idle-timeout" in caught.value.message
    assert [delta.text for delta in told] == ["one "]


async def test_a_server_that_takes_the_request_and_says_nothing(bench: Bench) -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    made = await raised(bench, await answering(bench, silent), idle_timeout=0.2)
    assert (made.code, getattr(made, "sent", None)) == ("timeout", True)


@pytest.mark.parametrize(
    ("body", "media", "words"),
    [
        (b"<html></html>", "text/html", "HTML page instead of JSON. If it goes on, check that ACME_URL"),
        (b"  <html></html>", "application/json", "HTML page"),
        (b"{]", "application/json", "it is not JSON"),
        (b'{"choices": 3}', "application/json", "not of the API's form"),
        (b'{"choices": []}', "application/json", "empty list of choices"),
        (b'{"choices": [{}]}', "application/json", "no message"),
        (b'{"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}', "application/json", "without naming it"),
        (b"data: {]\n\n", "text/event-stream", "it is not JSON"),
        (b"data: [DONE]\n\n", "text/event-stream", "no choices"),
        (b'data: {"choices":[{"delta":{}}]}\n\ndata: [DONE]\n\n', "text/event-stream", "without a message"),
    ],
)  # fmt: skip
async def test_what_is_no_answer_says_so(bench: Bench, body: bytes, media: str, words: str) -> None:
    async def odd(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=media)

    made = await raised(bench, await answering(bench, odd))
    assert (made.code, getattr(made, "sent", None)) == ("bad-answer", True)
    assert words in made.message


@pytest.mark.parametrize(
    ("body", "media", "words"),
    [
        (b'{"output": 3}', "application/json", "not of the API's form"),
        (b"nope", "application/json", "it is not JSON"),
        (b'{"output": []}', "application/json", "empty list of outputs"),
        (b'{"output": [{"type": "reasoning"}]}', "application/json", "no message"),
        (b'{"output": [{"type": "function_call"}]}', "application/json", "without naming it"),
        (b"data: [DONE]\n\n", "text/event-stream", "without a response"),
        (b"data: nope\n\n", "text/event-stream", "not JSON"),
        (b'data: {"type": 3}\n\n', "text/event-stream", "not of the API's form"),
        (b'data: {"type": "response.completed"}\n\n', "text/event-stream", "no response"),
    ],
)  # fmt: skip
async def test_what_is_no_response_says_so(bench: Bench, body: bytes, media: str, words: str) -> None:
    async def odd(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=media)

    made = await raised(bench, await answering(bench, odd), wire="responses")
    assert made.code == "bad-answer"
    assert words in made.message


@pytest.mark.parametrize(
    ("wire", "body", "code"),
    [
        ("chat", b'data: {"error": {"message": "Busy", "type": "server_error"}}\n\n', "provider-error"),
        ("responses", b'data: {"type": "error", "message": "Busy", "code": "server_error"}\n\n', "provider-error"),
        ("responses", b'data: {"error": {"message": "Long", "code": "context_length_exceeded"}}\n\n', "context-too-long"),
        (
            "responses",
            b'data: {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "x"}}}\n\n',
            "rate-limit",
        ),
        ("responses", b'data: {"type": "response.failed", "response": {}}\n\n', "provider-error"),
        ("responses", b'data: {"type": "response.created"}\n\ndata: {"type": ""}\n\n', "cut"),
        ("chat", b'data: {"choices":[{"delta":{"content":"Hal', "cut"),
    ],
)  # fmt: skip
async def test_an_error_or_an_end_in_the_middle_of_a_stream(bench: Bench, wire: Any, body: bytes, code: str) -> None:
    async def odd(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/event-stream")

    made = await raised(bench, await answering(bench, odd), wire=wire)
    assert made.code == code


@pytest.mark.parametrize("wire", ["chat", "responses"])
@pytest.mark.parametrize("body", [b'{"error": {"message": "Gone", "code": "model_not_found"}}', b'{"status": "failed", "output": [], "choices": null, "error": {"code": "model_not_found"}}'])  # fmt: skip
async def test_an_error_with_status_200_is_an_error(bench: Bench, wire: Any, body: bytes) -> None:
    async def odd(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    assert (await raised(bench, await answering(bench, odd), wire=wire)).code == "not-found"


async def test_an_answer_that_only_lacks_its_polite_end_is_taken(bench: Bench) -> None:
    async def rude(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices":[{"delta":{"content":"Whole."},"finish_reason":"stop"}]}\n\n')
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.close()
        return response

    model = bench.model(await answering(bench, rude))
    answer = await model.answer(asked("x" * 400), lambda delta: None)
    assert answer.text == "Whole."
    # The count never came, and must not be taken for nothing.
    assert answer.usage.input > 100
    assert answer.usage.output >= 1


async def test_a_stream_that_is_done_and_does_not_end_is_not_waited_for(bench: Bench) -> None:
    async def lingering(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(
            b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        )
        await asyncio.sleep(3600)
        return response

    model = bench.model(await answering(bench, lingering))
    assert (await model.answer(asked("?"), lambda delta: None)).text == "Hi"


async def test_the_key_is_in_no_error_no_log_and_no_repr(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = await bench.server({"rules": [{"reply": {"text": "x"}}]}, key="another")
    model = bench.model(url, key=KEY, headers={"X-Secret": "s3cret-header"})
    with pytest.raises(Permanent) as caught:
        await model.answer(asked("?"), lambda delta: None)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.failure())
    shown += repr(model) + repr(model.__dict__["_peer"]) + caplog.text
    assert caught.value.code == "auth"
    assert "Incorrect API key provided: ***." in caught.value.message
    assert KEY not in shown
    assert "s3cret-header" not in shown


async def test_a_broken_connection_shows_no_key_in_its_traceback(bench: Bench) -> None:
    url = await bench.server({"rules": [{"fail": {"kind": "reset"}, "reply": {"text": "x"}}]})
    with pytest.raises(Temporary) as caught:
        await bench.model(url, key=KEY).answer(asked("?"), lambda delta: None)
    assert caught.value.__context__ is None
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["sk-\u0441yrillic", "sk-two\nlines"])
async def test_a_key_that_can_not_be_sent_is_refused_without_repeating_it(bench: Bench, key: str) -> None:
    with pytest.raises(BadInput, match="ACME_KEY holds a line break or a character") as caught:
        bench.model("http://127.0.0.1:1/v1", key=key)
    assert key not in str(caught.value)


async def test_a_header_that_can_not_be_sent_is_refused(bench: Bench) -> None:
    with pytest.raises(BadInput, match="'X-A' in \\[models.providers.acme\\]"):
        bench.model("http://127.0.0.1:1/v1", headers={"X-A": "a\r\nb"})


@pytest.mark.parametrize("media", ["application/json", "text/event-stream"])
async def test_an_answer_far_too_large_is_not_taken_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, media: str
) -> None:
    monkeypatch.setattr("agenthost.models.openai.reading.MOST_BYTES", 1000)
    monkeypatch.setattr("agenthost.models.openai.sse.MOST_BYTES", 1000)

    async def endless(request: web.Request) -> web.Response:
        return web.Response(body=b"data: " + b"x" * 200_000, content_type=media)

    made = await raised(bench, await answering(bench, endless))
    assert made.code == "bad-answer"
    assert "too large" in made.message


@pytest.mark.parametrize(
    ("problem", "code", "sent"),
    [
        (aiohttp.ConnectionTimeoutError(), "timeout", False),
        (aiohttp.SocketTimeoutError(), "timeout", True),
        (TimeoutError(), "timeout", True),
        (aiohttp.ClientPayloadError(), "cut", True),
        (aiohttp.ServerDisconnectedError(), "disconnected", True),
        (ConnectionResetError(), "disconnected", True),
        (OSError(), "disconnected", True),
    ],
)
def test_what_breaks_on_the_way_says_whether_the_request_may_have_arrived(
    problem: BaseException, code: str, sent: bool
) -> None:
    made = failures.transport(problem, PEER)
    assert isinstance(made, Temporary)
    assert (made.code, made.sent) == (code, sent)


async def test_a_wait_that_a_provider_asks_for_holds_back_its_other_calls_and_a_plain_failure_does_not(
    bench: Bench,
) -> None:
    rules = [
        {"when": {"says": "plain"}, "fail": {"kind": "server-error"}},
        {"when": {"says": "wait"}, "fail": {"kind": "overloaded", "retry": 3600}},
        {"reply": {"text": "x"}},
    ]
    limiter = Limiter()
    model = bench.model(await bench.server({"rules": rules}), limiter=limiter)
    with pytest.raises(Temporary):
        await model.answer(asked("plain"), lambda delta: None)
    await model.answer(asked("hello"), lambda delta: None)
    with pytest.raises(Temporary):
        await model.answer(asked("wait"), lambda delta: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await model.answer(asked("hello"), lambda delta: None)
    assert limiter.waiting == 0


async def test_tokens_of_a_call_that_was_refused_are_given_back_and_of_one_cut_are_not(bench: Bench) -> None:
    rules = [
        {"when": {"says": "no"}, "fail": {"kind": "bad-request"}},
        {"when": {"says": "cut"}, "fail": {"kind": "cut"}, "reply": {"text": "a b c"}},
        {"reply": {"text": "x", "usage": {"input": 1, "output": 1}}},
    ]
    request = {"max_output": 900}
    model = bench.model(await bench.server({"rules": rules}), limiter=Limiter(tokens_per_minute=2000))
    for words in ("no", "hello", "no", "hello", "cut"):
        try:
            async with asyncio.timeout(5):
                await model.answer(asked(words, **request), lambda delta: None)
        except AgentHostError:
            pass
    await model.answer(asked("hello", **request), lambda delta: None)  # half of the minute's worth is left
    with pytest.raises(AgentHostError):
        await model.answer(asked("cut", **request), lambda delta: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await model.answer(asked("hello", **request), lambda delta: None)
