"""`/api/v1/webhooks` over a real host on a port: made, listed, tried, removed, and nobody else's."""

import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agenthost.core.access import Key, Person
from agenthost.core.api import Order
from agenthost.faces.http import webhooks
from agenthost.faces.http.app import Face
from agenthost.faces.http.server import Offer, listen, serve
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load
from agenthost.sandboxes.egress.way import Way
from agenthost.testing.openai_server.service import serving

ECHO = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: echo}\nspec: {instructions: Say it back.}\n"
Ask = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]


@pytest.fixture
async def called() -> AsyncGenerator[tuple[str, list[Any]]]:
    """Somebody who is called: where, and what came."""
    calls: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        calls.append(json.loads(await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    async with serving(app) as url:
        yield f"http://hook.lan:{url.rpartition(':')[2]}/hook", calls


@pytest.fixture
async def served(
    tmp_path: Path, called: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Host, Ask]]:
    async def look_up(way: Way, host: str, port: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)]

    monkeypatch.setattr(Way, "_look_up", look_up)
    private = called[0].split("/")[2]
    (tmp_path / "agenthost.toml").write_text(f'[network]\nprivate = ["{private}"]\n')
    (tmp_path / "plays.yaml").write_text("rules:\n  - reply: {text: done}\n")
    environment = {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}
    async with AsyncExitStack() as stack:
        host = await open_host(load(tmp_path, environment), work=True)
        stack.push_async_callback(host.close)
        await host.apply({"echo.yaml": ECHO})
        reception = await host.reception()
        for person, role in (("ann", "user"), ("eve", "user"), ("rob", "read-only")):
            await host.accounts.put_person(Person(person, role, 1.0))  # type: ignore[arg-type]
            await host.accounts.put_key(Key(person, person, digest_of(f"ah_{person}"), 1.0))
        listener = listen("127.0.0.1", 0)
        offer = Offer(reception, (listener,), (Face(operations=webhooks.operations(host.webhooks)),))
        await stack.enter_async_context(serve(host, tmp_path / "host.sock", None, offer))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1/webhooks"

        async def ask(person: str, method: str, path: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
            token = {"Authorization": f"Bearer ah_{person}"} if person else {}
            async with session.request(method, base + path, json=body, headers=token | headers) as response:
                text = await response.text()
                return response.status, json.loads(text) if text else None

        yield host, ask


async def test_a_webhook_is_made_tried_listed_and_removed(
    served: tuple[Host, Ask], called: tuple[str, list[Any]]
) -> None:
    host, ask = served
    url, calls = called
    status, made = await ask("ann", "POST", "", {"url": url}, **{"Idempotency-Key": "one"})
    assert status == 201 and made["secret"].startswith("whsec_")
    assert await ask("ann", "POST", "", {"url": url}, **{"Idempotency-Key": "one"}) == (201, made)
    shown = {key: value for key, value in made.items() if key != "secret"}
    assert await ask("ann", "GET") == (200, {"items": [shown], "next": ""})
    assert await ask("ann", "GET", f"/{made['id']}") == (200, shown)
    status, delivery = await ask("ann", "POST", f"/{made['id']}/test")
    assert (status, delivery["state"], delivery["body"]["type"]) == (202, "waiting", "webhook.test")
    row = await host.start(Order("echo", "hi", person="ann"))
    await host.start(Order("echo", "hi", person="eve"))
    async for _ in host.follow(row.id):
        pass
    while True:
        _, page = await ask("ann", "GET", f"/{made['id']}/deliveries")
        if [each["state"] for each in page["items"]] == ["delivered"] * 2:
            break
    assert {call["data"].get("task", "") for call in calls} == {"", row.id}
    _, first = await ask("ann", "GET", f"/{made['id']}/deliveries?limit=1")
    _, second = await ask("ann", "GET", f"/{made['id']}/deliveries?limit=1&before={first['next']}")
    assert first["items"] + second["items"] == page["items"]
    assert (await ask("ann", "DELETE", f"/{made['id']}"))[0] == 204
    assert (await ask("ann", "GET", f"/{made['id']}"))[0] == 404


async def test_nobody_else_comes_near_it(served: tuple[Host, Ask]) -> None:
    host, ask = served
    _, made = await ask("ann", "POST", "", {"url": "https://a.example/hook"})
    row = await host.start(Order("echo", "hi", person="ann"))
    one = f"/{made['id']}"
    for method, path in (("GET", one), ("DELETE", one), ("POST", f"{one}/test"), ("GET", f"{one}/deliveries")):
        assert (await ask("eve", method, path))[0] == 404, (method, path)
        assert (await ask("", method, path))[0] == 401
    assert await ask("eve", "GET") == (200, {"items": [], "next": ""})
    assert (await ask("eve", "POST", "", {"url": "https://e.example", "task": row.id}))[0] == 404
    assert (await ask("rob", "POST", "", {"url": "https://r.example"}))[0] == 403
    assert (await ask("ann", "POST", "", {"url": "https://a.example", "task": row.id}))[1]["task"] == row.id


async def test_a_lesser_key_is_not_given_the_answer_to_another_one(
    served: tuple[Host, Ask], called: tuple[str, list[Any]], tmp_path: Path
) -> None:
    host, ask = served
    await host.accounts.put_key(Key("less", "ann", digest_of("ah_less"), 1.0, rights=("read",)))
    _, made = await ask("ann", "POST", "", {"url": called[0]}, **{"Idempotency-Key": "one"})
    status, told = await ask("less", "POST", "", {"url": called[0]}, **{"Idempotency-Key": "one"})
    assert status == 403 and made["secret"] not in str(told)
    # Nor is the secret kept in the clear with the answer.
    for file in tmp_path.glob("agenthost.db*"):
        assert made["secret"].encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 5},
        {"url": "http://127.0.0.1/x"},
        {"url": "https://a.example", "events": ["nonsense"]},
        {"url": "https://a.example", "events": []},
        {"url": "https://a.example", "colour": "red"},
        {"url": "https://a.example", "secret": "short"},
        [],
    ],
)
async def test_what_cant_be_used_is_refused(served: tuple[Host, Ask], body: Any) -> None:
    _, ask = served
    status, problem = await ask("ann", "POST", "", body)
    # What isn't as the description says, and what is and can't be used all the same.
    assert (status, problem["code"]) in ((400, "bad-input"), (422, "unusable"))
    assert await ask("ann", "GET") == (200, {"items": [], "next": ""})
