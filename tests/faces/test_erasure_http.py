"""Deletion over HTTP: whose a task is decides, what goes on is refused, and a name is said twice."""

import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agenthost.core.access import Key, Person
from agenthost.core.api import Order
from agenthost.faces.http import erasure
from agenthost.faces.http.app import Face
from agenthost.faces.http.server import Offer, listen, serve
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load

ECHO = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: echo}\nspec: {instructions: Say it back.}\n"
PLAYS = 'rules:\n  - when: {says: "for ever"}\n    reply: {text: going, delay: 600}\n  - reply: {text: done}\n'
Ask = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[tuple[Host, Ask]]:
    (tmp_path / "plays.yaml").write_text(PLAYS)
    environment = {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}
    async with AsyncExitStack() as stack:
        host = await open_host(load(tmp_path, environment), work=True)
        stack.push_async_callback(host.close)
        await host.apply({"echo.yaml": ECHO})
        reception = await host.reception()
        for person, role in (("ann", "user"), ("eve", "user"), ("rob", "read-only"), ("own", "owner")):
            await host.accounts.put_person(Person(person, role, 1.0))  # type: ignore[arg-type]
            await host.accounts.put_key(Key(person, person, digest_of(f"ah_{person}"), 1.0))
        listener = listen("127.0.0.1", 0)
        offer = Offer(reception, (listener,), (Face(operations=erasure.operations(host.erasure)),))
        await stack.enter_async_context(serve(host, tmp_path / "host.sock", None, offer))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"

        async def ask(person: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
            token = {"Authorization": f"Bearer ah_{person}"} if person else {}
            async with session.request(method, base + path, json=body, headers=token) as response:
                text = await response.text()
                return response.status, json.loads(text) if text else None

        yield host, ask


async def done(host: Host, person: str, text: str = "hi") -> str:
    row = await host.start(Order("echo", text, person=person))
    if text == "hi":
        async for _ in host.follow(row.id):
            pass
    return row.id


async def test_a_task_is_deleted_by_its_person_and_by_nobody_else(served: tuple[Host, Ask]) -> None:
    host, ask = served
    task = await done(host, "ann")
    theirs = await done(host, "rob")
    assert (await ask("", "DELETE", f"/tasks/{task}"))[0] == 401
    assert (await ask("eve", "DELETE", f"/tasks/{task}"))[0] == 404
    assert (await ask("rob", "DELETE", f"/tasks/{theirs}"))[0] == 403
    assert (await ask("ann", "GET", f"/tasks/{task}"))[0] == 200
    status, told = await ask("ann", "DELETE", f"/tasks/{task}")
    assert (status, told["tasks"]) == (200, 1)
    for method in ("GET", "DELETE"):
        assert (await ask("ann", method, f"/tasks/{task}"))[0] == 404
    assert (await ask("own", "DELETE", f"/tasks/{theirs}"))[0] == 200


async def test_a_task_that_goes_on_needs_force(served: tuple[Host, Ask]) -> None:
    host, ask = served
    task = await done(host, "ann", "for ever")
    status, problem = await ask("ann", "DELETE", f"/tasks/{task}")
    assert (status, problem["code"]) == (409, "conflict")
    assert (await ask("ann", "DELETE", f"/tasks/{task}?force=perhaps"))[0] == 400
    assert (await ask("ann", "DELETE", f"/tasks/{task}?force=true"))[0] == 200
    assert (await ask("ann", "GET", f"/tasks/{task}"))[0] == 404


async def test_all_of_a_person_goes_once_their_name_is_said_twice(served: tuple[Host, Ask]) -> None:
    host, ask = served
    task, other = await done(host, "ann"), await done(host, "eve")
    body = {"kind": "person", "name": "ann", "confirm": "ann"}
    for person in ("ann", "eve", "rob"):
        assert (await ask(person, "POST", "/erasures", body))[0] == 403
    for wrong in ({}, body | {"confirm": "an"}, body | {"name": "", "confirm": ""}, body | {"kind": "world"}):
        assert (await ask("own", "POST", "/erasures", wrong))[0] in (400, 422)
    status, told = await ask("own", "POST", "/erasures", body)
    assert (status, told["tasks"], told["people"]) == (200, 1, 1)
    assert (await ask("own", "GET", f"/tasks/{task}"))[0] == 404
    assert (await ask("own", "GET", f"/tasks/{other}"))[0] == 200
