"""Who comes in at the door, what the owner publishes there, and that nothing is loaded for nobody."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from agenthost.core.access import Key, Person, Role
from agenthost.host.reception import digest_of, new_secret
from tests.faces.over_mcp.clients import NEW, OLD, client, plain
from tests.faces.over_mcp.conftest import Door, Opens
from tests.faces.over_mcp.test_mcp_tools import words

MODES = pytest.mark.parametrize("mode", [NEW, OLD])
OWN = '[mcp.servers]\nown = "tests.faces.over_mcp.own:server"\n'


async def enter(door: Door, name: str, role: Role) -> dict[str, str]:
    """What somebody new sends to be let in."""
    secret = new_secret()
    accounts = door.host.accounts
    await accounts.put_person(Person(name, role, 0.0))
    await accounts.put_key(Key(f"key-{name}", name, digest_of(secret), 0.0))
    return {"Authorization": f"Bearer {secret}"}


@MODES
async def test_nobody_sees_what_is_somebody_elses(door: Door, mode: str) -> None:
    ada, bob = await enter(door, "ada", "user"), await enter(door, "bob", "user")
    async with client(door.url, ada, mode) as mcp:
        result = await mcp.call_tool("writer", {"text": "note"})
        task = str((result.meta or {})["dev.agenthost/task"])
        assert [one.name for one in (await mcp.list_resources()).resources] == ["notes/a b.txt"]
    assert (await door.host.task(task)).row.person == "ada"
    async with client(door.url, bob, mode) as mcp:
        assert (await mcp.list_resources()).resources == []
        for uri in (f"agenthost://tasks/{task}", f"agenthost://tasks/{task}/artifacts/notes/a%20b.txt"):
            with pytest.raises(MCPError, match="there is no task"):
                await mcp.read_resource(uri)
        for tool in ("agenthost_wait", "agenthost_answer", "agenthost_cancel"):
            assert (await mcp.call_tool(tool, {"task": task, "answer": "x"})).is_error
    async with plain(door.url, bob, mode, can={"extensions": {"io.modelcontextprotocol/tasks": {}}}) as mcp:
        for method in ("tasks/get", "tasks/cancel", "tasks/result"):
            assert "error" in await mcp.ask(method, {"taskId": task}), method
        crossed = {"name": "writer", "arguments": {"text": "note"}, "requestState": task, "inputResponses": {}}
        if mode == NEW:
            assert (await mcp.ask("tools/call", crossed))["error"]["code"] == -32602


async def test_a_session_is_whose_it_began(door: Door) -> None:
    ada, bob = await enter(door, "ada", "user"), await enter(door, "bob", "user")
    async with plain(door.url, ada, OLD) as mcp:
        async with plain(door.url, bob) as other:
            other.session = mcp.session
            assert (await other.post("tools/list"))["error"]["message"] == "Session not found"
        assert (await mcp.ask("tools/list"))["tools"]


@MODES
async def test_who_may_only_look_calls_nothing(opens: Opens, mode: str) -> None:
    async with opens(OWN) as door:
        headers = await enter(door, "eve", "read-only")
        async with client(door.url, headers, mode) as mcp:
            names = {tool.name for tool in (await mcp.list_tools()).tools}
            refused = [await mcp.call_tool("echo", {"text": "x"}), await mcp.call_tool("whoami", {})]
    assert {"echo", "whoami"} <= names
    assert [result.is_error for result in refused] == [True, True]
    assert all("may" in words(result) for result in refused)


@MODES
async def test_a_published_server_is_served_beside_the_agents_and_acts_as_its_caller(opens: Opens, mode: str) -> None:
    async with opens(OWN) as door:
        headers = await enter(door, "ada", "user")
        async with client(door.url, headers, mode) as mcp:
            result = await mcp.call_tool("whoami", {})
            shadowed = await mcp.call_tool("echo", {"text": "x"})
            counted = await mcp.call_tool("lived", {})
            tools = [tool.name for tool in (await mcp.list_tools()).tools]
    assert words(result) == "ada sees 0 tasks"
    assert words(shadowed) == "You said x"  # the agent's name is the agent's
    assert words(counted) == "alive"
    assert tools.count("echo") == 1


@MODES
async def test_what_breaks_in_a_published_server_shows_nothing_of_its_inside(opens: Opens, mode: str) -> None:
    async with opens(OWN) as door, plain(door.url, door.headers, mode) as mcp:
        read = await mcp.post("resources/read", {"uri": "own://broken"})
        got = await mcp.post("prompts/get", {"name": "breaks"})
        assert "tools" in await mcp.ask("tools/list")
    for answer in (read, got):
        assert answer["error"]["code"] == -32603
        assert "the inside" not in str(answer)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("tests.faces.over_mcp.nowhere:server", "ModuleNotFoundError"),
        ("tests.faces.over_mcp.own:nothing", "AttributeError"),
        ("tests.faces.over_mcp.own", "give it as module:attribute"),
        ("tests.faces.over_mcp.own:NUMBER", "give an MCPServer"),
    ],
)
async def test_a_published_server_that_cant_be_had_is_told_of(opens: Opens, place: str, told: str) -> None:
    async with opens(f'[mcp.servers]\nbroken = "{place}"\n') as door, plain(door.url, door.headers) as mcp:
        for _ in range(2):
            answer = await mcp.post("tools/list")
    assert told in answer["error"]["message"]
    assert "broken" in answer["error"]["message"]
    assert answer["error"]["data"]["code"] == "unavailable"


async def test_a_published_server_that_cant_begin_takes_nothing_with_it(opens: Opens) -> None:
    async with opens('[mcp.servers]\nstillborn = "tests.faces.over_mcp.own:stillborn"\n') as door:
        async with plain(door.url, door.headers) as mcp:
            answer = await mcp.post("tools/list")
        assert (await door.host.info()).serving is False
    assert answer["error"]["data"]["code"] == "internal"
    assert "the inside" not in str(answer)


@pytest.mark.parametrize(("header", "value"), [("Host", "evil.example.com"), ("Origin", "http://evil.example.com")])
async def test_foreign_names_and_pages_are_refused_in_the_protocols_own_shape(
    door: Door, header: str, value: str
) -> None:
    async with plain(door.url, door.headers) as mcp:
        answer = await mcp.post("tools/list", None, **{header: value})
    assert answer["jsonrpc"] == "2.0" and answer["error"]["data"]["code"] in ("host-header", "origin")


@MODES
async def test_a_broken_body_gets_an_error_of_the_protocol(door: Door, mode: str) -> None:
    async with plain(door.url, door.headers, mode) as mcp:
        for body in (b"{", b"[]", b"\xff\xfe", b'{"jsonrpc": "2.0", "id": 1}'):
            told: Any = await mcp.raw(body)
            assert told["error"]["code"] in (-32700, -32600, -32602), (body, told)
        assert "tools" in await mcp.ask("tools/list")


@MODES
async def test_only_what_the_settings_offer_is_a_tool(opens: Opens, mode: str) -> None:
    async with opens('[mcp]\ntools = ["ec*", "greet"]\n') as door, client(door.url, door.headers, mode) as mcp:
        tools = {tool.name for tool in (await mcp.list_tools()).tools}
        prompts = {prompt.name for prompt in (await mcp.list_prompts()).prompts}
        with pytest.raises(MCPError, match="Unknown tool: judge"):
            await mcp.call_tool("judge", {"text": "x"})
    assert tools == {"echo", "greet", "agenthost_wait", "agenthost_answer", "agenthost_cancel"}
    assert prompts == {"echo", "greet"}


async def test_without_the_extra_the_door_says_how_to_get_it(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agenthost.faces.http.mcp.server", None)
    async with opens() as door, plain(door.url, door.headers) as mcp:
        answer = await mcp.post("tools/list")
    assert "pip install 'agenthost[mcp]'" in answer["error"]["message"]
    assert answer["error"]["data"]["code"] == "unavailable"


async def test_a_host_that_mcp_is_turned_off_for_has_no_such_path(opens: Opens) -> None:
    async with opens("[mcp]\nenabled = false\n") as door, plain(door.url, door.headers) as mcp:
        answer = await mcp.post("tools/list")
    assert answer["code"] == "not-found"


def test_the_official_package_is_loaded_for_the_first_request_only() -> None:
    line = (
        "import sys; import agenthost.cli.main, agenthost.cli.serving, agenthost.faces.http.mcp.face; "
        "print([name for name in sys.modules if name.split('.')[0] in ('mcp', 'mcp_types')])"
    )
    found = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_no_session_takes_up_what_was_told_to_another(door: Door) -> None:
    ada, bob = await enter(door, "ada", "user"), await enter(door, "bob", "user")
    async with plain(door.url, ada, OLD) as mcp, plain(door.url, bob, OLD) as other:
        last = await mcp.broken("tools/call", {"name": "echo", "arguments": {"text": "ada's own words"}})
        assert "ada's own words" in str(await mcp.taken_up(last, 1))
        await other.ask("tools/list")
        for place in range(int(last) + 20):
            heard: list[object] = []
            with suppress(TimeoutError, httpx2.ReadError):
                async with asyncio.timeout(0.2):
                    heard += await other.taken_up(str(place), 1)
            assert "ada's own words" not in str(heard), place
