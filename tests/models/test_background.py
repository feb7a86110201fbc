"""Answers made in the background: begun once, followed, found again by their handle, cancelled."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from agenthost.core.errors import BadInput, Permanent, Temporary
from agenthost.core.models import Delta, ModelAnswer
from agenthost.models.openai.background import BackgroundModel
from agenthost.testing.models import asked
from agenthost.testing.openai_server.background import Background
from tests.models.conftest import Bench

WORDS = "one two three four five"
SAID = {"rules": [{"reply": {"text": WORDS, "calls": [{"tool": "add", "arguments": {"a": 1}}]}}]}


async def model(bench: Bench, playbook: dict[str, Any] = SAID, stream: bool = True, **options: Any) -> BackgroundModel:
    url = await bench.server(playbook, **options)
    return bench.model(url, kind=BackgroundModel, wire="responses", stream=stream)


async def told(made: BackgroundModel, handle: str) -> tuple[ModelAnswer, str]:
    deltas: list[Delta] = []
    answer = await made.resume(handle, asked("?"), deltas.append)
    return answer, "".join(delta.text for delta in deltas)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_begun_stored_and_fetched_as_often_as_one_likes(bench: Bench, stream: bool) -> None:
    made = await model(bench, stream=stream)
    handle = await made.begin(asked("?"))
    body = bench.bodies()[0]
    assert (body["background"], body["store"], body.get("stream", False)) == (True, True, stream)
    first, second = await told(made, handle), await told(made, handle)
    assert first == second
    assert first[0].text == WORDS and first[0].calls[0].name == "add" and first[0].usage.total
    assert first[1] == (WORDS if stream else "")
    assert len(bench.answers()) == 1


async def test_a_stream_that_is_cut_goes_on_where_it_was(bench: Bench) -> None:
    made = await model(bench, background=Background(cuts=2))
    answer, words = await told(made, await made.begin(asked("?")))
    assert answer.text == words == WORDS
    assert len(bench.answers()) == 1


async def test_one_that_takes_its_time_is_waited_for(bench: Bench) -> None:
    made = await model(bench, stream=False, latency=0.2)
    answer, _ = await told(made, await made.begin(asked("?")))
    assert answer.text == WORDS


async def test_another_process_fetches_what_this_one_began(bench: Bench) -> None:
    url = await bench.server(SAID, pause=0.01)
    handle = await bench.model(url, kind=BackgroundModel, wire="responses").begin(asked("?"))
    assert (await told(bench.model(url, kind=BackgroundModel, wire="responses"), handle))[0].text == WORDS


async def test_to_stop_waiting_leaves_the_answer_and_to_cancel_ends_it(bench: Bench) -> None:
    background = Background()
    made = await model(bench, pause=0.2, background=background)
    handle = await made.begin(asked("?"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(told(made, handle), 0.05)
    assert not background.cancelled
    await made.cancel(handle)
    assert background.cancelled == [handle]
    with pytest.raises(Permanent) as caught:
        await told(made, handle)
    assert caught.value.code == "gone"
    await made.cancel("resp_unknown")


async def test_one_that_the_provider_lost_is_gone(bench: Bench) -> None:
    made = await model(bench)
    with pytest.raises(Permanent) as caught:
        await told(made, "resp_7")
    assert caught.value.code == "gone" and "resp_7" in caught.value.message


@pytest.mark.parametrize(
    ("answer", "kind", "sent"),
    [
        ({"id": "r", "status": "failed", "error": {"code": "server_error", "message": "broke"}}, Temporary, True),
        ({"id": "r", "status": "failed", "error": {"code": "invalid_prompt", "message": "no"}}, Temporary, True),
        ("<html>", Temporary, False),
    ],
)
async def test_a_failed_answer_may_cost_and_a_failed_look_costs_nothing(
    bench: Bench, answer: Any, kind: type[Exception], sent: bool
) -> None:
    async def look(request: web.Request) -> web.Response:
        return web.Response(text=answer) if isinstance(answer, str) else web.json_response(answer)

    app = web.Application()
    app.router.add_get("/v1/responses/{id}", look)
    url = await bench.serve(app) + "/v1"
    made = bench.model(url, kind=BackgroundModel, wire="responses", stream=False, idle_timeout=0.2)
    with pytest.raises(kind) as caught:
        await told(made, "r")
    assert isinstance(caught.value, Temporary) and caught.value.sent is sent


async def test_a_look_that_fails_for_a_while_is_made_again(bench: Bench) -> None:
    looks = 0

    async def look(request: web.Request) -> web.Response:
        nonlocal looks
        looks += 1
        if looks < 3:
            return web.Response(status=(429, 503)[looks - 1])
        content = [{"type": "output_text", "text": "Hello."}]
        output = [{"type": "message", "content": content}]
        return web.json_response({"id": "r", "status": "completed", "output": output})

    app = web.Application()
    app.router.add_get("/v1/responses/{id}", look)
    made = bench.model(await bench.serve(app) + "/v1", kind=BackgroundModel, wire="responses", stream=False)
    assert (await told(made, "r"))[0].text == "Hello."
    assert looks == 3


async def test_an_answer_without_id_is_none(bench: Bench) -> None:
    async def begin(request: web.Request) -> web.Response:
        return web.json_response({"status": "queued"})

    app = web.Application()
    app.router.add_post("/v1/responses", begin)
    made = bench.model(await bench.serve(app) + "/v1", kind=BackgroundModel, wire="responses")
    with pytest.raises(Temporary, match="no id"):
        await made.begin(asked("?"))


def test_chat_completions_have_no_background(tmp_path: Any) -> None:
    with pytest.raises(BadInput, match='wire = "responses"'):
        Bench.model(_Nothing(), "http://127.0.0.1:1/v1", kind=BackgroundModel)  # type: ignore[arg-type]


class _Nothing:
    sessions: Any = object()
