"""Push notifications: told to an address until it hears, signed, also by the host that comes after, never to a private place."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import jwt
import pytest
import uvicorn
from a2a.types.a2a_pb2 import (
    AuthenticationInfo,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import InvalidParamsError, TaskNotFoundError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agenthost.core.access import ALL_RIGHTS, DeedFilter, Key, Person, Right, Role
from agenthost.core.administration import NewPerson, PersonChange
from agenthost.faces.http.a2a import notify
from agenthost.faces.http.server import listen
from agenthost.host.reception import digest_of, new_secret
from tests.faces.a2a_face.clients import CALL, WAYS, all_of, calling, client, saying, sent
from tests.faces.a2a_face.conftest import ASKER, ECHO, MODEL, Serving, served

S10 = ("1.0", "JSONRPC")


class Hook:
    """Hears notifications; answers with the statuses it is told to, then 200."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.place = f"127.0.0.1:{port}"
        self.statuses: list[int] = []
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.more = asyncio.Condition()

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            async with self.more:
                self.heard.append((dict(request.headers), body))
                self.more.notify_all()
        return Response(status_code=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else None)

    @property
    def states(self) -> list[str]:
        told = [json.loads(body) for _, body in self.heard]
        return [each["statusUpdate"]["status"]["state"] for each in told if "statusUpdate" in each]

    async def until(self, state: str) -> None:
        async with asyncio.timeout(60), self.more:
            await self.more.wait_for(lambda: state in self.states)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@pytest.fixture
async def hook() -> AsyncGenerator[Hook]:
    listener = listen("127.0.0.1", 0)
    made = Hook(listener.getsockname()[1])
    app = Starlette(routes=[Route("/hook", made.__call__, methods=["POST"])])
    server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listener]))
        yield made
        server.should_exit = server.force_exit = True
    listener.close()


@pytest.fixture
async def serving(
    tmp_path: Path, scripted: str, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Serving]:
    """A host that may tell that address."""
    monkeypatch.setattr(notify.Notifier.__init__, "__defaults__", ((0.01,) * 8,))
    async with served(tmp_path / "home", [ECHO, ASKER], MODEL, settings(scripted, hook)) as serving:
        yield serving


def settings(scripted: str, hook: Hook) -> str:
    return f'{scripted}[network]\nprivate = ["{hook.place}"]\n'


def config(hook: Hook, **more: Any) -> TaskPushNotificationConfig:
    return TaskPushNotificationConfig(url=hook.url, **more)


async def test_what_becomes_of_a_task_is_told_in_order_and_signed(serving: Serving, hook: Hook) -> None:
    auth = AuthenticationInfo(scheme="Bearer", credentials="their secret")
    async with client(serving, S10, "asker") as to:
        given = config(hook, token="t1", authentication=auth)
        task = await sent(to, saying("go", task_push_notification_config=given))
        await hook.until("TASK_STATE_INPUT_REQUIRED")
        await sent(to, saying("red", "m2", task.id))
        await hook.until("TASK_STATE_COMPLETED")
    working, done = "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"
    assert hook.states == [working, "TASK_STATE_INPUT_REQUIRED", working, done]
    assert any("artifactUpdate" in json.loads(body) for _, body in hook.heard)
    async with serving.http("") as http:
        key = jwt.PyJWK((await http.get("/.well-known/jwks.json")).json()["keys"][0])
    for headers, body in hook.heard:
        assert headers["x-a2a-notification-token"] == "t1" and headers["authorization"] == "Bearer their secret"
        claims = jwt.decode(headers["x-agenthost-signature"], key, ["EdDSA"], audience=hook.url)
        assert claims["task"] == task.id and claims["sha256"] == hashlib.sha256(body).hexdigest()
    # What is kept can't be read by who reads the database. That all was told is noted after the answer to the last.
    async with asyncio.timeout(10):
        while not (kept := (await serving.host.pushes.of(task.id))[0]).done:
            await asyncio.sleep(0.005)
    assert kept.done and "secret" not in kept.credentials and kept.token != "t1"


async def test_an_address_that_fails_is_told_again_and_one_that_redirects_is_not_followed(
    serving: Serving, hook: Hook
) -> None:
    hook.statuses = [500, 503, 429, 302, 500]
    async with client(serving, S10, "echo") as to:
        await sent(to, saying("hello", task_push_notification_config=config(hook)))
        await hook.until("TASK_STATE_COMPLETED")


async def test_an_address_that_is_gone_is_forgotten(serving: Serving, hook: Hook) -> None:
    hook.statuses = [410]
    async with client(serving, S10, "echo") as to:
        task = await sent(to, saying("hello", task_push_notification_config=config(hook)))
        async with asyncio.timeout(30):
            while await serving.host.pushes.of(task.id):
                await asyncio.sleep(0.01)
    assert hook.heard == []


@pytest.mark.parametrize("change", ["disabled", "removed"])
async def test_an_address_of_somebody_who_may_not_use_the_host_any_more_is_told_nothing(
    serving: Serving, hook: Hook, change: str
) -> None:
    admin = serving.host.admin()
    await admin.add_person(NewPerson("otto"))
    made = await admin.make_key(person="otto")
    async with client(serving, S10, "asker", token=made.secret) as to:
        request = saying("go", task_push_notification_config=config(hook))
        (only,) = await all_of(to.send_message(request, context=calling(made.secret)))
        await hook.until("TASK_STATE_INPUT_REQUIRED")
        if change == "disabled":
            await admin.change_person("otto", PersonChange(disabled=True, tasks="keep"))
        else:
            await admin.delete_person("otto", "keep")
        heard = len(hook.heard)
        await serving.host.reply(only.task.id, "red")
        async with asyncio.timeout(30):
            while await serving.host.pushes.of(only.task.id):
                await asyncio.sleep(0.01)
    assert len(hook.heard) == heard


async def test_the_next_host_tells_what_this_one_had_no_time_for(tmp_path: Path, scripted: str, hook: Hook) -> None:
    home, toml = tmp_path / "home", settings(scripted, hook)
    async with served(home, [ECHO, ASKER], MODEL, toml) as serving, client(serving, S10, "asker") as to:
        task = await sent(to, saying("go", task_push_notification_config=config(hook)))
        await hook.until("TASK_STATE_INPUT_REQUIRED")
        port = int(serving.url.rpartition(":")[2])
    before = len(hook.heard)
    async with served(home, [], MODEL, toml, port) as serving, client(serving, S10, "asker") as to:
        await sent(to, saying("red", "m2", task.id))
        await hook.until("TASK_STATE_COMPLETED")
    assert hook.states.count("TASK_STATE_INPUT_REQUIRED") == 1 and len(hook.heard) > before


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/", "http://[::1]:80/", "http://169.254.169.254/latest", "file:///etc/passwd", "nonsense"],
)
async def test_nothing_is_sent_to_a_private_place(serving: Serving, url: str) -> None:
    async with client(serving, S10, "echo") as to:
        task = await sent(to, saying("hello"))
        with pytest.raises(InvalidParamsError):
            await to.create_task_push_notification_config(
                TaskPushNotificationConfig(task_id=task.id, id="p", url=url), context=CALL
            )


@pytest.mark.parametrize("way", [way for way in WAYS if way[1] != "GRPC"], ids=lambda way: "-".join(way))
async def test_addresses_are_kept_listed_changed_and_deleted(
    serving: Serving, hook: Hook, way: tuple[str, str]
) -> None:
    async with client(serving, way, "echo") as to:
        task = await sent(to, saying("hello"))
        for id in ("a", "b"):
            made = await to.create_task_push_notification_config(config(hook, task_id=task.id, id=id), context=CALL)
            assert (made.id, made.url, made.task_id) == (id, hook.url, task.id)
        one = GetTaskPushNotificationConfigRequest(task_id=task.id, id="b")
        assert (await to.get_task_push_notification_config(one, context=CALL)).id == "b"
        if way == ("0.3", "HTTP+JSON"):
            return  # 0.3 has neither of the others over HTTP+JSON
        all_of = ListTaskPushNotificationConfigsRequest(task_id=task.id)
        listed = await to.list_task_push_notification_configs(all_of, context=CALL)
        assert [each.id for each in listed.configs] == ["a", "b"]
        gone = DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="b")
        await to.delete_task_push_notification_config(gone, context=CALL)
        await to.delete_task_push_notification_config(gone, context=CALL)
        with pytest.raises(TaskNotFoundError):
            await to.get_task_push_notification_config(one, context=CALL)


async def enter(serving: Serving, name: str, role: Role, *rights: Right) -> str:
    """Somebody with a key; their token."""
    secret = new_secret()
    await serving.host.accounts.put_person(Person(name, role, 0.0))
    await serving.host.accounts.put_key(
        Key(f"k-{secret[-8:]}", name, digest_of(secret), 0.0, rights=rights or ALL_RIGHTS)
    )
    return secret


async def called(serving: Serving, key: str, method: str, **params: Any) -> Any:
    """A method of the agent `asker` over JSON-RPC: the result, or the status that refused it."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with serving.http(key) as http:
        answer = await http.post("/a2a/asker", json=body, headers={"A2A-Version": "1.0"})
    return answer.json()["result"] if answer.status_code == 200 else answer.status_code


async def test_who_may_only_look_has_nobody_told_and_takes_nothing_away(serving: Serving, hook: Hook) -> None:
    ann, less = await enter(serving, "ann", "user"), await enter(serving, "ann", "user", "read")
    vera, otto = await enter(serving, "vera", "read-only"), await enter(serving, "otto", "operator")
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "go"}]}
    task = (await called(serving, ann, "SendMessage", message=message))["task"]["id"]
    given = {"taskId": task, "id": "hers", "url": hook.url, "token": "a token of ann's"}
    assert (await called(serving, ann, "CreateTaskPushNotificationConfig", **given))["token"] == "a token of ann's"
    one = {"taskId": task, "id": "hers"}
    for token in (less, vera):
        made = await called(serving, token, "CreateTaskPushNotificationConfig", **(given | {"id": "theirs"}))
        got = await called(serving, token, "GetTaskPushNotificationConfig", **one)
        gone = await called(serving, token, "DeleteTaskPushNotificationConfig", **one)
        assert (made, got, gone) == (403, 403, 403)
    assert [push.id for push in await serving.host.pushes.of(task)] == ["hers"]
    # Who manages everybody's tasks sees that there is one, and not what only the other side is to know.
    assert "token" not in await called(serving, otto, "GetTaskPushNotificationConfig", **one)
    assert (await called(serving, ann, "GetTaskPushNotificationConfig", **one))["token"] == "a token of ann's"
    (line,) = await serving.host.accounts.deeds(DeedFilter(what="push.make"))
    assert (line.person, line.thing) == ("ann", f"{task} {hook.url}")


async def test_who_may_not_use_the_host_any_more_is_told_nothing(serving: Serving, hook: Hook) -> None:
    ann = await enter(serving, "ann", "user")
    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "go"}]}
    told = {"taskPushNotificationConfig": {"url": hook.url}}
    task = (await called(serving, ann, "SendMessage", message=message, configuration=told))["task"]["id"]
    await hook.until("TASK_STATE_INPUT_REQUIRED")
    await serving.host.admin().change_person("ann", PersonChange(disabled=True, tasks="keep"))
    before = len(hook.heard)
    await serving.host.reply(task, "red")
    async for _ in serving.host.follow(task):
        pass
    async with asyncio.timeout(30):
        while await serving.host.pushes.of(task):
            await asyncio.sleep(0.01)
    assert len(hook.heard) == before
