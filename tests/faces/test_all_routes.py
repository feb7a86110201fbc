"""Every route of what `agenthost up` serves, whatever protocol it is: without a token, as who may only read, as another user.
One that nobody decided on here fails."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.routing import BaseRoute, Route

from agenthost.cli.serving import Listening, served
from agenthost.core.access import Key, Person, Role
from agenthost.core.api import Order
from agenthost.core.ports import Filter
from agenthost.faces.http import server
from agenthost.faces.http.operations import _Methods  # pyright: ignore[reportPrivateUsage]
from agenthost.host.host import Host, open_host
from agenthost.host.reception import digest_of
from agenthost.host.settings import load
from tests.faces.rest.test_rights import DECIDED

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WORDS = "words of ann's that nobody else reads"
ECHO = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: echo}\nspec: {instructions: Say it back.}\n"
PLAYS = 'rules:\n  - when: {says: "for ever"}\n    reply: {text: "I go on", pause: 600}\n  - reply: {text: "You said {{said}}"}\n'
PEOPLE: dict[str, Role] = {"ann": "user", "bob": "user", "vera": "read-only"}


class Try(NamedTuple):
    """A request on something of Ann's, or that would begin something, and the statuses that it has: for `bob`, who is
    another user, and for `vera`, who may only read. `refused`: what is said where the protocol refuses with status 200."""

    method: str
    path: str
    bob: int
    vera: int
    body: Any = None
    refused: str = ""


PUBLIC: dict[str, tuple[str, ...]] = {
    "/sign-in": ("GET", "POST"),
    "/sign-out": ("POST",),
    "/sign-in/oidc/{name}": ("GET",),
    "/sign-in/oidc/{name}/callback": ("GET",),
    "/.well-known/agent-card.json": ("GET",),
    "/.well-known/agent.json": ("GET",),
    "/.well-known/jwks.json": ("GET",),
    "/a2a/.well-known/agent-card.json": ("GET",),
    "/a2a/{agent}/.well-known/agent-card.json": ("GET",),
}
"""Routes besides the API's operations that need no token, with the methods that they have."""


def rpc(method: str, params: Any, id: int | str = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def mcp(tool: str, **arguments: str) -> dict[str, Any]:
    """A call of a tool by MCP's revision without sessions."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "all-routes", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return rpc("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})


SAID = [{"role": "user", "content": "hello"}]
MESSAGE = {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "hello"}]}}
RUN = {"threadId": "t", "runId": "r", "state": {}, "tools": [], "context": [], "forwardedProps": {}}
RUN |= {"messages": [{"id": "u1", "role": "user", "content": "hello"}]}
A2A = tuple(
    each
    for base in ("/a2a", "/a2a/echo")
    for each in (
        Try("GET", f"{base}/tasks/{{task}}", 404, 200),
        Try("POST", f"{base}/tasks/{{going}}:cancel", 404, 403, {}),
        Try("POST", f"{base}/tasks/{{task}}:subscribe", 404, 400, {}),
        Try("POST", f"{base}/message:send", 200, 403, MESSAGE),
        Try("POST", f"{base}/message:stream", 200, 403, MESSAGE),
        Try("GET", f"{base}/tasks/{{task}}/pushNotificationConfigs", 404, 403),
        Try("GET", f"{base}/v1/tasks/{{task}}", 404, 200),
        Try("GET", f"{base}/extendedAgentCard", 200, 200),
    )
)
A2A_RPC = tuple(
    each
    for base in ("/a2a", "/a2a/", "/a2a/echo", "/a2a/echo/")
    for each in (
        Try("POST", base, 200, 200, rpc("GetTask", {"id": "{task}"}), "there is no task"),
        Try("POST", base, 200, 403, rpc("SendMessage", MESSAGE)),
    )
)
TRIED: dict[str, tuple[Try, ...]] = {
    "/v1/models": (Try("GET", "/v1/models", 200, 200),),
    "/v1/models/{id:path}": (Try("GET", "/v1/models/echo", 200, 200),),
    "/v1/chat/completions": (Try("POST", "/v1/chat/completions", 200, 403, {"model": "echo", "messages": SAID}),),
    "/v1/responses": (
        Try("POST", "/v1/responses", 200, 403, {"model": "echo", "input": "hello"}),
        Try("POST", "/v1/responses", 404, 403, {"model": "echo", "input": "x", "previous_response_id": "{response}"}),
    ),
    "/v1/responses/{id}": (
        Try("GET", "/v1/responses/{response}", 404, 200),
        Try("DELETE", "/v1/responses/{response}", 404, 403),
    ),
    "/v1/responses/{id}/cancel": (Try("POST", "/v1/responses/{response}/cancel", 404, 400),),
    "/v1/responses/{id}/input_items": (Try("GET", "/v1/responses/{response}/input_items", 404, 200),),
    "/v1/conversations": (Try("POST", "/v1/conversations", 200, 403, {}),),
    "/v1/conversations/{id}": (
        Try("GET", "/v1/conversations/{conversation}", 404, 404),
        Try("POST", "/v1/conversations/{conversation}", 404, 404, {"metadata": {"a": "b"}}),
        Try("DELETE", "/v1/conversations/{conversation}", 404, 404),
    ),
    "/v1/conversations/{id}/items": (
        Try("GET", "/v1/conversations/{conversation}/items", 404, 404),
        Try("POST", "/v1/conversations/{conversation}/items", 404, 404, {"items": SAID}),
    ),
    "/v1/conversations/{id}/items/{item}": (
        Try("GET", "/v1/conversations/{conversation}/items/{item}", 404, 404),
        Try("DELETE", "/v1/conversations/{conversation}/items/{item}", 404, 404),
    ),
    "/v1/files": (Try("GET", "/v1/files", 200, 200), Try("POST", "/v1/files", 400, 400, {})),
    "/v1/files/{id}": (Try("GET", "/v1/files/{file}", 404, 404), Try("DELETE", "/v1/files/{file}", 404, 404)),
    "/v1/files/{id}/content": (Try("GET", "/v1/files/{file}/content", 404, 404),),
    "/v1/embeddings": (Try("POST", "/v1/embeddings", 404, 403, {"model": "none", "input": "hello"}),),
    "/v1/moderations": (Try("POST", "/v1/moderations", 404, 403, {"model": "none", "input": "hello"}),),
    "/v1/images/generations": (Try("POST", "/v1/images/generations", 404, 403, {"model": "none", "prompt": "a cat"}),),
    "/v1/audio/speech": (
        Try("POST", "/v1/audio/speech", 404, 403, {"model": "none", "input": "hello", "voice": "alloy"}),
    ),
    "/v1/audio/transcriptions": (Try("POST", "/v1/audio/transcriptions", 400, 400, {}),),
    "/v1/{path:path}": (Try("GET", "/v1/nothing", 404, 404), Try("POST", "/v1/completions", 404, 404, {})),
    "/ag-ui/{agent}": (Try("GET", "/ag-ui/echo", 200, 200), Try("POST", "/ag-ui/echo", 200, 403, RUN)),
    "/mcp": (
        Try("POST", "/mcp", 200, 200, mcp("agenthost_wait", task="{task}"), "there is no task"),
        Try("POST", "/mcp", 200, 200, mcp("agenthost_cancel", task="{going}"), "there is no task"),
        Try("POST", "/mcp", 200, 200, mcp("echo", text="hello")),
    ),
    "/a2a": A2A_RPC[0:2],
    "/a2a/": A2A_RPC[2:4],
    "/a2a/{agent}": A2A_RPC[4:6],
    "/a2a/{agent}/": A2A_RPC[6:8],
    "/a2a/message:send": (A2A[3],),
    "/a2a/message:stream": (A2A[4],),
    "/a2a/tasks": (Try("GET", "/a2a/tasks", 200, 200),),
    "/a2a/tasks/{below:path}": (A2A[0], A2A[1], A2A[2], A2A[5]),
    "/a2a/v1/{below:path}": (A2A[6],),
    "/a2a/extendedAgentCard": (A2A[7],),
    "/a2a/{agent}/{below:path}": A2A[8:],
}
"""Routes besides the API's operations that need a token, each with what is tried on it."""


class Up(NamedTuple):
    """What is served, where, and the tokens of people."""

    host: Host
    url: str
    routes: list[BaseRoute]
    tokens: dict[str, str]

    def http(self, token: str = "") -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, follow_redirects=False)


@pytest.fixture
async def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Up]:
    """As `agenthost up` serves it, with all that it has."""
    made: list[Any] = []
    real = server.application

    def application(*parts: Any) -> Any:
        made.append(real(*parts))
        return made[-1]

    monkeypatch.setattr(server, "application", application)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "plays.yaml").write_text(PLAYS)
    (home / "agenthost.toml").write_text("[http]\nrate = 0\n")
    environment = {"AGENTHOST_SANDBOX": "bubblewrap", "AGENTHOST_MODEL": f"scripted:{tmp_path}/plays.yaml"}
    host = await open_host(load(home, environment), work=True)
    try:
        await host.apply({"echo.yaml": ECHO})
        tokens = {name: f"ah_token-of-{name}" for name in PEOPLE}
        for name, role in PEOPLE.items():
            await host.accounts.put_person(Person(name, role, 1.0))
            await host.accounts.put_key(Key(name, name, digest_of(tokens[name]), 1.0))
        async with served(host, home / "host.sock", Listening("127.0.0.1", 0)) as url:
            inner = made[0]
            while not hasattr(inner, "routes"):
                inner = inner._app
            yield Up(host, url, inner.routes, tokens)
    finally:
        await host.close()


def decided(route: BaseRoute) -> bool:
    """Whether somebody decided on a route, and on each method that it has."""
    assert isinstance(route, Route), f"{route} holds other routes: look into it"
    if isinstance(route.endpoint, _Methods):
        return all(served.operation.id in DECIDED for served in route.endpoint._methods.values())
    if route.path in PUBLIC:
        return (route.methods or set()) - {"HEAD"} <= set(PUBLIC[route.path])
    return route.path in TRIED


async def test_every_route_was_decided_on(up: Up) -> None:
    assert [route for route in up.routes if not decided(route)] == []
    there = {route.path for route in up.routes if isinstance(route, Route)}
    assert {*PUBLIC, *TRIED} <= there


async def test_without_a_token_there_is_only_what_is_public(up: Up) -> None:
    """By every method, whether the route has it or not."""
    for route in up.routes:
        assert isinstance(route, Route)
        path = route.path.replace(":path}", "}").replace("{", "").replace("}", "")
        operations = isinstance(route.endpoint, _Methods)
        open_to = (
            {method for method, served in route.endpoint._methods.items() if served.operation.right is None}
            if operations
            else set(PUBLIC.get(route.path, ()))
        )
        for token in ("", "ah_wrong"):
            async with up.http(token) as http:
                for method in METHODS:
                    status = (await http.request(method, path)).status_code
                    where = f"{method} {path}: {status}"
                    if not open_to:
                        assert status == 401, where
                    elif method in open_to:
                        assert status not in (401, 403) or path == "/sign-in" or path == "/sign-out", where
                    else:
                        assert status in (200, 401, 403, 404, 405), where  # HEAD is where GET is


async def anns(up: Up) -> dict[str, str]:
    """What is hers: a response of OpenAI's API, which is a task, and one that goes on."""
    async with up.http(up.tokens["ann"]) as http:
        made = await http.post("/v1/responses", json={"model": "echo", "input": WORDS})
        assert made.status_code == 200, made.text
        said = {"items": [{"type": "message", "role": "user", "content": WORDS}]}
        conversation = (await http.post("/v1/conversations", json=said)).json()["id"]
        item = (await http.get(f"/v1/conversations/{conversation}/items")).json()["data"][0]["id"]
        file = (await http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a.txt", WORDS)})).json()[
            "id"
        ]
    (row,) = await up.host.tasks(Filter(person="ann"))
    going = await up.host.start(Order("echo", "for ever", person="ann"))
    kept = {"conversation": conversation, "item": item, "file": file}
    return {"task": row.id, "response": made.json()["id"], "going": going.id} | kept


def filled(value: Any, places: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, place in places.items():
        text = text.replace("{" + name + "}", place)
    return json.loads(text)


@pytest.mark.parametrize("who", ["bob", "vera"])
async def test_what_is_anns_is_not_bobs_and_who_may_only_read_begins_nothing(up: Up, who: str) -> None:
    places = await anns(up)
    async with up.http(up.tokens[who]) as http:
        http.headers.update({"Accept": "application/json, text/event-stream"})
        wrong: list[str] = []
        for path, tries in TRIED.items():
            for each in tries:
                where = filled(each.path, places)
                headers = {"A2A-Version": "0.3" if "/v1/tasks" in where else "1.0"}
                if path == "/mcp":
                    name = each.body["params"]["name"]
                    headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name}
                body = filled(each.body, places) if each.body is not None else None
                answer = await http.request(each.method, where, json=body, headers=headers)
                shown = f"{who}: {each.method} {where}: {answer.status_code} {answer.text[:300]}"
                right = answer.status_code == getattr(each, who)
                if who == "bob":
                    right = right and each.refused in answer.text and WORDS not in answer.text
                if not right:
                    wrong.append(shown)
    assert not wrong, "\n".join(wrong)
    left = {row.id: row.state for row in await up.host.tasks(Filter(person="ann"))}
    assert left.keys() == {places["task"], places["going"]} and left[places["going"]] in ("submitted", "working")
    assert bool(await up.host.tasks(Filter(person=who))) == (who == "bob")
