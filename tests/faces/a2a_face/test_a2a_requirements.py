"""What the specification of A2A 1.0 requires of a server, on the wire of each binding."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from agenthost.testing.a2a_tck.home import AGENT, PLAYS
from tests.faces.a2a_face.clients import BINDINGS
from tests.faces.a2a_face.conftest import TOKEN, Serving, free_port, served
from tests.faces.a2a_face.wires import Refused, Wire

ERRORS = {
    "TASK_NOT_FOUND": (-32001, 404, "NOT_FOUND"),
    "TASK_NOT_CANCELABLE": (-32002, 400, "FAILED_PRECONDITION"),
    "UNSUPPORTED_OPERATION": (-32004, 400, "FAILED_PRECONDITION"),
    "CONTENT_TYPE_NOT_SUPPORTED": (-32005, 400, "INVALID_ARGUMENT"),
    "VERSION_NOT_SUPPORTED": (-32009, 400, "FAILED_PRECONDITION"),
    "INVALID_PARAMS": (-32602, 400, "INVALID_ARGUMENT"),
}
"""Section 5.4: each error in the words of the three bindings."""
ENDED = ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED")
NO_TASK = {"id": "no-such-task"}
NO_PUSH = {"taskId": "no-such-task", "id": "p"}


@pytest.fixture
async def played(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[tuple[Serving, str]]:
    """A host with the agent for the suites, and where its gRPC is, which is served where it is tested."""
    (tmp_path / "plays.yaml").write_text(PLAYS)
    toml = '[network]\nprivate = ["localhost:*", "127.0.0.1:*"]\n[a2a]\nagent = "tck"\n'
    port = 0
    if "binding" in request.fixturenames and request.getfixturevalue("binding") == "GRPC":
        port = free_port()
        toml += f"grpc-port = {port}\n"
    async with served(tmp_path / "home", [AGENT], f"scripted:{tmp_path / 'plays.yaml'}", toml) as serving:
        yield serving, f"127.0.0.1:{port}" if port else ""


@pytest.fixture
async def wire(binding: str, played: tuple[Serving, str]) -> AsyncGenerator[Wire]:
    made = Wire(played[0], binding, played[1])
    yield made
    await made.close()


def saying(id: str, **more: Any) -> dict[str, Any]:
    return {"message": {"messageId": f"tck-{id}-1", "role": "ROLE_USER", "parts": [{"text": "TCK"}], **more}}


async def sent(wire: Wire, id: str, configuration: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return (await wire.call("SendMessage", saying(id, **more) | {"configuration": configuration or {}}))["task"]


async def refused(wire: Wire, reason: str, method: str, params: dict[str, Any], version: str = "1.0") -> None:
    with pytest.raises(Refused) as caught:
        if method in ("SubscribeToTask", "SendStreamingMessage"):
            async for _ in wire.stream(method, params):
                pass
        else:
            await wire.call(method, params, version)
    wanted = ERRORS[reason][BINDINGS.index(wire.binding)]
    assert (caught.value.code, caught.value.reason) == (wanted, reason), (method, params)


# --- errors -----------------------------------------------------------------------------------------


async def test_each_error_is_told_in_the_bindings_own_words(wire: Wire) -> None:
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        await refused(wire, "TASK_NOT_FOUND", method, NO_TASK)
    await refused(wire, "TASK_NOT_FOUND", "SendMessage", saying("complete-task", taskId="no-such-task"))
    await refused(wire, "TASK_NOT_FOUND", "SendStreamingMessage", saying("complete-task", taskId="no-such-task"))
    for method in ("GetTaskPushNotificationConfig", "DeleteTaskPushNotificationConfig"):
        await refused(wire, "TASK_NOT_FOUND", method, NO_PUSH)
    await refused(wire, "TASK_NOT_FOUND", "ListTaskPushNotificationConfigs", {"taskId": "no-such-task"})
    there = NO_PUSH | {"url": "https://example.com"}
    await refused(wire, "TASK_NOT_FOUND", "CreateTaskPushNotificationConfig", there)

    task = await sent(wire, "complete-task")
    await refused(wire, "TASK_NOT_CANCELABLE", "CancelTask", {"id": task["id"]})
    await refused(wire, "UNSUPPORTED_OPERATION", "SubscribeToTask", {"id": task["id"]})
    await refused(wire, "UNSUPPORTED_OPERATION", "SendMessage", saying("complete-task", taskId=task["id"]))
    none_there = {"taskId": task["id"], "id": "none"}
    await refused(wire, "TASK_NOT_FOUND", "GetTaskPushNotificationConfig", none_there)
    odd = saying("x", parts=[{"raw": "dGNr", "mediaType": "application/x-odd"}])
    await refused(wire, "CONTENT_TYPE_NOT_SUPPORTED", "SendMessage", odd)
    for version in ("99.0", "0.2", "0.4", "2.0", "one"):
        await refused(wire, "VERSION_NOT_SUPPORTED", "GetTask", {"id": task["id"]}, version)
    for version in ("1.0", "1.0.3"):
        assert (await wire.call("GetTask", {"id": task["id"]}, version))["id"] == task["id"]


async def test_parameters_are_looked_at_before_anything_is_done(wire: Wire) -> None:
    wrong = saying("complete-task", contextId="another", taskId=(await sent(wire, "input-required"))["id"])
    await refused(wire, "INVALID_PARAMS", "SendMessage", wrong)
    await refused(wire, "INVALID_PARAMS", "SendMessage", {})
    await refused(wire, "INVALID_PARAMS", "SendMessage", {"message": {"messageId": "m", "role": "ROLE_USER"}})
    for params in ({"pageSize": 0}, {"pageSize": 101}, {"pageSize": -1}, {"historyLength": -1}, {"pageToken": "x-y"}):
        await refused(wire, "INVALID_PARAMS", "ListTasks", params)
    if wire.binding != "GRPC":  # by gRPC a state is a number, and a time is a time
        await refused(wire, "INVALID_PARAMS", "ListTasks", {"status": "NO_SUCH_STATE"})
        with pytest.raises(Refused) as caught:
            await wire.call("ListTasks", {"statusTimestampAfter": "yesterday"})
        assert caught.value.code in (-32602, 400)


async def test_a_version_that_is_not_served_is_refused_for_methods_of_0_3_too(played: tuple[Serving, str]) -> None:
    async with played[0].http() as http:
        for version, code in (("0.2", -32009), ("99.0", -32009), ("0.3", -32001), ("0.3.0", -32001), ("", -32001)):
            body = {"jsonrpc": "2.0", "id": 7, "method": "tasks/get", "params": {"id": "no-such-task"}}
            said = (await http.post("/a2a", json=body, headers={"A2A-Version": version})).json()
            assert (said["id"], said["error"]["code"]) == (7, code), version
        answer = await http.get("/a2a/v1/tasks/no-such-task", headers={"A2A-Version": "0.2"})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"


# --- tasks and messages -----------------------------------------------------------------------------


async def test_names_enums_and_times_are_as_the_specification_writes_them(wire: Wire) -> None:
    task = await sent(wire, "complete-task", extraField="is ignored")
    assert task["status"]["state"] == "TASK_STATE_COMPLETED" and task["history"][0]["role"] == "ROLE_USER"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", task["status"]["timestamp"])
    names: set[str] = set()

    def walk(value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            names.add(str(key))
            if isinstance(inner, dict | list):
                walk(inner)

    walk(task)
    assert not [name for name in names if "_" in name]


async def test_contexts_and_ids_are_kept_made_and_inferred(wire: Wire) -> None:
    first, second = await sent(wire, "complete-task"), await sent(wire, "complete-task")
    assert first["id"] != second["id"] and first["contextId"] and first["contextId"] != second["contextId"]
    assert (await sent(wire, "complete-task", contextId="mine"))["contextId"] == "mine"
    asking = await sent(wire, "input-required", contextId="mine")
    assert asking["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    went_on = await sent(wire, "complete-task", taskId=asking["id"])
    assert (went_on["id"], went_on["contextId"]) == (asking["id"], "mine")
    assert went_on["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_history_has_as_many_messages_as_are_wanted_and_in_their_order(wire: Wire) -> None:
    asking = await sent(wire, "input-required", parts=[{"text": "first"}])
    silent = await sent(wire, "complete-task", {"historyLength": 0}, taskId=asking["id"], parts=[{"text": "last"}])
    assert not silent.get("history")
    told = (await wire.call("GetTask", {"id": asking["id"]}))["history"]
    assert [each["parts"][0]["text"] for each in told] == ["first", "What else is there to know?", "last"]
    assert [each["role"] for each in told] == ["ROLE_USER", "ROLE_AGENT", "ROLE_USER"]
    for wanted in (0, 1, 2, 9):
        some = (await wire.call("GetTask", {"id": asking["id"], "historyLength": wanted})).get("history", [])
        assert some == told[max(0, 3 - wanted) :]


async def test_pages_have_every_task_once_the_last_changed_first(wire: Wire) -> None:
    made = [(await sent(wire, "complete-task", contextId="many"))["id"] for _ in range(5)]
    await sent(wire, "complete-task", contextId="other")
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = await wire.call("ListTasks", {"contextId": "many", "pageSize": 2, "pageToken": token})
        assert page["totalSize"] == 5 and page["pageSize"] == 2
        found += page["tasks"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert [task["id"] for task in found] == made[::-1]
    assert not any("artifacts" in task for task in found)
    if wire.binding != "GRPC":  # whose JSON leaves out what is empty
        assert page["nextPageToken"] == ""
    whole = await wire.call("ListTasks", {"contextId": "many", "includeArtifacts": True, "historyLength": 1})
    assert {task["artifacts"][0]["parts"][0]["text"] for task in whole["tasks"]} == {"Hello from TCK"}
    asking = await sent(wire, "input-required", contextId="many")
    waiting = await wire.call("ListTasks", {"contextId": "many", "status": "TASK_STATE_INPUT_REQUIRED"})
    assert [task["id"] for task in waiting["tasks"]] == [asking["id"]]


async def test_who_waits_gets_the_end_and_who_does_not_gets_the_beginning(wire: Wire) -> None:
    at_once = await sent(wire, "delayed-complete", {"returnImmediately": True})
    assert at_once["status"]["state"] not in ENDED
    waited = await sent(wire, "delayed-complete", {"returnImmediately": False})
    assert waited["status"]["state"] == "TASK_STATE_COMPLETED"
    asks = await sent(wire, "auth-required")
    assert asks["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    canceled = await wire.call("CancelTask", {"id": asks["id"]})
    assert (canceled["id"], canceled["status"]["state"]) == (asks["id"], "TASK_STATE_CANCELED")


# --- streams ----------------------------------------------------------------------------------------


async def test_a_stream_begins_with_the_task_and_ends_with_its_end(wire: Wire) -> None:
    events = [event async for event in wire.stream("SendStreamingMessage", saying("stream-003"))]
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "task" and "artifactUpdate" in kinds and kinds[-1] == "statusUpdate"
    states = [event["statusUpdate"]["status"]["state"] for event in events if "statusUpdate" in event]
    assert states[-1] == "TASK_STATE_COMPLETED" and len(set(states)) == len(states)


async def test_every_follower_has_the_same_events_and_one_that_leaves_takes_none_along(wire: Wire) -> None:
    asking = await sent(wire, "input-required")
    here: list[asyncio.Event] = [asyncio.Event() for _ in range(3)]

    async def follow(at: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with contextlib.aclosing(wire.stream("SubscribeToTask", {"id": asking["id"]})) as events:
            async for event in events:
                found.append(event)
                here[at].set()
                if at == 2:
                    break
        return found

    async with asyncio.TaskGroup() as group:
        following = [group.create_task(follow(at)) for at in range(3)]
        for each in here:
            await each.wait()
        await following[2]
        await sent(wire, "complete-task", taskId=asking["id"])
    first, second, left = (each.result() for each in following)
    assert first == second and left == first[:1]
    assert first[0]["task"]["id"] == asking["id"] and len(first) > 2
    assert first[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


# --- notifications and cards ------------------------------------------------------------------------


async def test_addresses_are_kept_told_and_forgotten(wire: Wire) -> None:
    heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def hear(request: web.Request) -> web.Response:
        await heard.put((request.headers["Authorization"], await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        # Any port of this machine is allowed by `localhost:*`, as a suite listens wherever there is room.
        url = f"http://localhost:{runner.addresses[0][1]}/hook"
        config = {"id": "p", "url": url, "authentication": {"scheme": "Bearer", "credentials": "secret"}}
        asking = await sent(wire, "input-required", {"taskPushNotificationConfig": config})
        place = {"taskId": asking["id"], "id": "p"}
        assert (await wire.call("GetTaskPushNotificationConfig", place))["url"] == url
        listed = await wire.call("ListTaskPushNotificationConfigs", {"taskId": asking["id"]})
        assert [each["id"] for each in listed["configs"]] == ["p"]
        await sent(wire, "complete-task", taskId=asking["id"])
        while True:
            shown, told = await asyncio.wait_for(heard.get(), 30)
            assert shown == "Bearer secret" and len(told) == 1
            if told.get("statusUpdate", {}).get("status", {}).get("state") in ENDED:
                break
        for _ in range(2):
            assert await wire.call("DeleteTaskPushNotificationConfig", place) == {}
        await refused(wire, "TASK_NOT_FOUND", "GetTaskPushNotificationConfig", place)
        made = await wire.call("CreateTaskPushNotificationConfig", {"taskId": asking["id"], "url": url})
        assert made["id"] and made["taskId"] == asking["id"]
    finally:
        await runner.cleanup()


async def test_the_extended_card_names_addresses_that_can_be_reached(wire: Wire, played: tuple[Serving, str]) -> None:
    card = await wire.call("GetExtendedAgentCard", {})
    by_http = [each for each in card["supportedInterfaces"] if each["protocolBinding"] != "GRPC"]
    assert {each["url"] for each in by_http} == {f"{played[0].url}/a2a/tck"}
    assert card["provider"]["url"] == played[0].url


async def test_a_large_file_has_an_address_that_can_be_fetched(wire: Wire) -> None:
    (artifact,) = (await sent(wire, "artifact-file-url"))["artifacts"]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        assert (await http.get(artifact["parts"][0]["url"])).status_code == 200
