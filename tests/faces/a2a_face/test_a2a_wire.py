"""A2A as it stands on the wire: versions, errors, cards, keys, contexts, repetitions, other people's tasks."""

import base64
import hashlib
import json
import sqlite3
import stat
from contextlib import closing
from typing import Any

import jwt
import pytest
from a2a.utils.errors import VersionNotSupportedError
from a2a.utils.signing import InvalidSignaturesError, create_signature_verifier
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.access import Key, Person
from agenthost.core.errors import BadInput
from agenthost.core.tasks import Filter, TaskRow
from agenthost.faces.http.a2a.listing import NANO, nanoseconds
from agenthost.faces.http.a2a.routes import A2AFace, A2AParts
from agenthost.host.settings import A2ASettings
from tests.faces.a2a_face.clients import card_of
from tests.faces.a2a_face.conftest import TOKEN, Serving

NAMES = {"TaskNotFound": -32001, "Unsupported": -32004, "ContentType": -32005, "Version": -32009}


async def rpc(
    serving: Serving, method: str, params: Any, path: str = "/a2a/echo", token: str = TOKEN, **headers: str
) -> Any:
    async with serving.http(token) as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = await http.post(path, json=body, headers={"A2A-Version": "1.0"} | headers)
        return response.json()


DEEP: Any = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"data": "x"}]}
for _ in range(300):
    DEEP = {**DEEP, "parts": [{"data": [DEEP["parts"][0]["data"]]}]}


def message(text: str = "", id: str = "m1", parts: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"message": {"messageId": id, "role": "ROLE_USER", "parts": parts or [{"text": text}], **more}}


async def code(serving: Serving, method: str, params: Any, **more: Any) -> int:
    said = await rpc(serving, method, params, **more)
    assert said["id"] == 1 and "result" not in said, said
    return said["error"]["code"]


async def done(serving: Serving, params: Any, **more: Any) -> dict[str, Any]:
    said = await rpc(serving, "SendMessage", params, **more)
    assert "result" in said, said
    return said["result"]["task"]


# --- errors and versions ----------------------------------------------------------------------------


async def test_errors_have_the_protocols_codes(serving: Serving) -> None:
    task = (await done(serving, message("hello")))["id"]
    assert await code(serving, "GetTask", {"id": "nothing"}) == -32001
    assert await code(serving, "GetTask", {"id": task}, path="/a2a/asker") == -32001  # another agent's
    assert await code(serving, "CancelTask", {"id": task}) == -32002
    assert await code(serving, "SubscribeToTask", {"id": task}) == -32004
    assert await code(serving, "SendMessage", message("more", taskId=task)) == -32004
    odd = [{"raw": "dGNr", "mediaType": "application/x-odd"}]
    assert await code(serving, "SendMessage", message(parts=odd)) == -32005
    assert await code(serving, "NoSuchMethod", {}) == -32601
    assert await code(serving, "SendMessage", {}) == -32602
    assert await code(serving, "SendMessage", {"message": {"role": 7}}) == -32602
    assert await code(serving, "ListTasks", {"pageSize": 1000}) == -32602
    assert await code(serving, "ListTasks", {"pageToken": "none of ours"}) == -32602
    assert await code(serving, "GetTask", {"id": task, "historyLength": -1}) == -32602
    elsewhere = [{"url": "https://example.com/a.txt", "filename": "a.txt"}]
    assert await code(serving, "SendMessage", message(parts=elsewhere)) == -32602
    assert await code(serving, "GetTask", {"id": task}, path="/a2a/nobody") == -32001


async def test_odd_words_have_an_answer_and_what_is_kept_is_bounded(serving: Serving) -> None:
    assert await code(serving, "SendMessage", message("hello", id="m" * 513)) == -32602
    assert await code(serving, "SendMessage", message("hello", contextId="c" * 513)) == -32602
    assert await code(serving, "SendMessage", message("   ")) == -32602
    said = await rpc(serving, "SendMessage", message("a\x00b \u202e", contextId="c/../é\n"))
    assert said["result"]["task"]["contextId"] == "c/../é\n"
    async with serving.http() as http:
        lone = b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"\\ud800"}]}}}'
        answer = await http.post("/a2a/echo", content=lone, headers={"A2A-Version": "1.0"})
        assert answer.status_code == 200 and answer.json()["error"]["code"] == -32602


async def test_a_message_for_a_task_that_works_is_heard_at_its_next_step(serving: Serving) -> None:
    params = message("slowly, please") | {"configuration": {"returnImmediately": True}}
    task = await done(serving, params)
    ended = await done(serving, message("one thing more", "m2", taskId=task["id"]))
    assert ended["id"] == task["id"] and ended["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [said["parts"][0]["text"] for said in ended["history"]] == ["slowly, please", "one thing more"]
    assert [said["messageId"] for said in ended["history"]] == ["m1", "m2"]


async def test_a_version_that_is_not_served_is_refused_by_name(serving: Serving) -> None:
    assert await code(serving, "GetTask", {"id": "x"}, **{"A2A-Version": "9.9"}) == -32009
    assert await code(serving, "GetTask", {"id": "x"}, **{"A2A-Version": ""}) == -32009  # none is 0.3
    async with serving.http() as http:
        refused = await http.get("/a2a/echo/tasks/x", headers={"A2A-Version": "9.9"})
        assert refused.status_code == 400
        assert refused.json()["error"]["details"][0]["reason"] == "VERSION_NOT_SUPPORTED"
        assert (await http.get("/a2a/echo/tasks/x?A2A-Version=1.0")).status_code == 404
    assert VersionNotSupportedError


async def test_http_json_errors_are_googles_status(serving: Serving) -> None:
    async with serving.http() as http:
        http.headers["A2A-Version"] = "1.0"
        for method, path, status, word in (
            ("GET", "/a2a/echo/tasks/nothing", 404, "NOT_FOUND"),
            ("GET", "/a2a/echo/nothing", 404, "NOT_FOUND"),
            ("DELETE", "/a2a/echo/tasks/nothing", 405, "UNIMPLEMENTED"),
            ("POST", "/a2a/echo/message:send", 400, "INVALID_ARGUMENT"),
        ):
            said = await http.request(method, path, json={} if method == "POST" else None)
            assert (said.status_code, said.json()["error"]["status"]) == (status, word), path
        listed = await http.get("/a2a/tasks?pageSize=5")
        assert listed.json() == {"tasks": [], "nextPageToken": "", "pageSize": 5, "totalSize": 0}


async def test_bad_bodies_have_an_answer(serving: Serving) -> None:
    async with serving.http() as http:
        for body in (b"", b"\xff\xfe", b"[]", b"{", b'{"jsonrpc": "1.0"}', b"[" * 100_000):
            said = await http.post("/a2a/echo", content=body, headers={"Content-Type": "application/json"})
            assert said.status_code == 200 and said.json()["error"]["code"] in (-32700, -32600, -32603), body[:9]
        deep = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": DEEP}})
        said = await http.post("/a2a/echo", content=deep, headers={"A2A-Version": "1.0"})
        assert said.json()["error"]["code"] in (-32602, -32603)
        assert (await http.post("/a2a/echo", content=b"x" * (49 * 1024 * 1024))).status_code == 413


# --- who may ----------------------------------------------------------------------------------------


async def test_without_a_token_there_are_cards_and_nothing_else(serving: Serving) -> None:
    async with serving.http("") as http:
        for path in (
            "/.well-known/agent-card.json",
            "/.well-known/jwks.json",
            "/a2a/echo/.well-known/agent-card.json",
        ):
            assert (await http.get(path)).status_code == 200, path
        for method, path in (
            ("POST", "/a2a"),
            ("POST", "/a2a/echo"),
            ("GET", "/a2a/echo/tasks"),
            ("GET", "/a2a/tasks"),
        ):
            refused = await http.request(method, path)
            assert refused.status_code == 401, path
            assert refused.json()["error"]["status"] == "UNAUTHENTICATED" and "WWW-Authenticate" in refused.headers
        assert (await http.get("/a2a/nobody/.well-known/agent-card.json")).status_code == 404


async def test_anothers_task_is_not_there(serving: Serving) -> None:
    secret = "ah_another-persons-token-here"
    accounts = serving.host.accounts
    await accounts.put_person(Person("ann", "user", 1.0))
    await accounts.put_key(Key("k1", "ann", hashlib.sha256(secret.encode()).hexdigest(), 1.0))
    task = (await done(serving, message("mine", contextId="c")))["id"]
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        assert await code(serving, method, {"id": task}, token=secret) == -32001
    assert await code(serving, "SendMessage", message("me too", taskId=task), token=secret) == -32001
    config = {"taskId": task, "id": "p", "url": "https://example.com"}
    for method in (
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
    ):
        assert await code(serving, method, config, token=secret) == -32001
    assert (await rpc(serving, "ListTasks", {}, token=secret))["result"]["totalSize"] == 0
    # The same context is another one: nothing of the other's exchange is told.
    own = await done(serving, message("what did I say?", contextId="c"), token=secret)
    assert own["artifacts"][0]["parts"][0]["text"] == "You said what did I say?"
    assert (await serving.host.task(own["id"])).row.person == "ann"


async def test_who_may_only_read_is_told_so(serving: Serving) -> None:
    secret = "ah_a-persons-token-who-reads"
    accounts = serving.host.accounts
    await accounts.put_person(Person("rod", "read-only", 1.0))
    await accounts.put_key(Key("k2", "rod", hashlib.sha256(secret.encode()).hexdigest(), 1.0))
    task = (await done(serving, message("mine")))["id"]
    async with serving.http(secret) as http:
        http.headers["A2A-Version"] = "1.0"
        assert (await http.get(f"/a2a/echo/tasks/{task}")).status_code == 200
        said = await http.post("/a2a/echo/message:send", json=message("hello"))
        body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message("hello")}
        for refused in (said, await http.post("/a2a/echo", json=body)):
            assert refused.status_code == 403 and refused.json()["error"]["status"] == "PERMISSION_DENIED"


# --- contexts and repetitions -----------------------------------------------------------------------


async def test_a_context_goes_on_and_a_task_keeps_to_its_own(serving: Serving) -> None:
    first = await done(serving, message("hello", contextId="c1"))
    second = await done(serving, message("and again", "m2", contextId="c1"))
    assert first["contextId"] == second["contextId"] == "c1" and first["id"] != second["id"]
    spec = (await serving.host.events(second["id"], 0, 1))[0].event.spec  # type: ignore[union-attr]
    assert [turn.text for turn in spec.terms.history] == ["hello", "You said hello"]
    fresh = await done(serving, message("hello"))
    assert fresh["contextId"] not in ("", "c1")
    asking = await done(serving, message("go", contextId="c2"), path="/a2a")
    assert await code(serving, "SendMessage", message("x", taskId=asking["id"], contextId="c1"), path="/a2a") == -32602
    ended = await done(serving, message("red", "m3", taskId=asking["id"]), path="/a2a")
    assert ended["contextId"] == "c2" and ended["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_the_same_key_gives_the_same_task_and_the_same_message_id_alone_another(serving: Serving) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await done(serving, message("once", contextId="c1"), **key)
    again = await done(serving, message("once", contextId="c1"), **key)
    other = await done(serving, message("once", contextId="c1"))
    assert first["id"] == again["id"] != other["id"]


async def test_data_fills_the_inputs_of_a_workflow_and_is_told_to_an_agent(serving: Serving) -> None:
    flow = (
        "apiVersion: agenthost.dev/v1alpha1\nkind: Workflow\nmetadata: {name: flow}\n"
        "spec:\n  description: Greets\n  input: {who: {type: string}, times: {type: integer}}\n"
        "  roles: {one: {agent: echo}}\n"
        '  steps: [{id: say, role: one, prompt: "{{ input.who }} {{ input.times }}"}]\n'
        '  output: "{{ steps.say.text }}"\n'
    )
    await serving.host.apply({"flow.yaml": flow})
    said = await done(serving, message(parts=[{"data": {"who": "Ann", "times": 2}}]), path="/a2a/flow")
    assert said["artifacts"][0]["parts"] == [{"text": "You said Ann 2"}]
    assert await code(serving, "SendMessage", message(parts=[{"data": {"whom": 1}}]), path="/a2a/flow") == -32602
    told = await done(serving, message(parts=[{"data": {"a": 1}}]))
    assert told["artifacts"][0]["parts"][0]["text"] == 'You said {"a":1}'
    assert told["history"][0]["parts"] == [{"data": {"a": 1}, "mediaType": "application/json"}]


# --- cards ------------------------------------------------------------------------------------------


async def test_a_card_is_signed_and_verifies_by_the_hosts_key(serving: Serving) -> None:
    async with serving.http("") as http:
        keys = (await http.get("/.well-known/jwks.json")).json()["keys"]
        served = (await http.get("/.well-known/agent-card.json")).json()
        again = await http.get("/.well-known/agent-card.json")
        etag = {"If-None-Match": again.headers["ETag"]}
        assert (await http.get("/.well-known/agent-card.json", headers=etag)).status_code == 304
    asked: list[tuple[str | None, str | None]] = []

    def key(kid: str | None, jku: str | None) -> jwt.PyJWK:
        asked.append((kid, jku))
        return jwt.PyJWK(next(each for each in keys if each["kid"] == kid))

    verify = create_signature_verifier(key, ["EdDSA"])
    card = await card_of(serving, "echo")
    verify(card)
    assert asked[0] == (keys[0]["kid"], f"{serving.url}/.well-known/jwks.json")
    card.description = "Something else"
    with pytest.raises(InvalidSignaturesError):
        verify(card)
    # As it is served, for who verifies that: RFC 8785 is sorted JSON where all names are ASCII.
    signature = served.pop("signatures")[-1]
    payload = json.dumps(served, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    body = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    token = f"{signature['protected']}.{body}.{signature['signature']}"
    assert jwt.api_jws.decode(token, jwt.PyJWK(keys[0]), ["EdDSA"]) == payload
    assert stat.S_IMODE((serving.host.settings.folder / "host.key").stat().st_mode) == 0o600


async def test_a_card_says_where_and_how_for_both_versions(serving: Serving) -> None:
    async with serving.http("") as http:
        root = (await http.get("/.well-known/agent-card.json")).json()
        own = (await http.get("/a2a/echo/.well-known/agent-card.json")).json()
    assert root["name"] == "asker" and own["name"] == "echo"
    assert {each["url"] for each in own["supportedInterfaces"]} == {f"{serving.url}/a2a/echo"}
    assert own["url"] == f"{serving.url}/a2a/echo" and own["protocolVersion"].startswith("0.3")  # for 0.3
    assert own["capabilities"]["streaming"] and own["capabilities"]["pushNotifications"]
    assert own["skills"][0]["tags"] and own["securitySchemes"]


async def test_the_extended_card_tells_more_to_who_may_use_the_agent(serving: Serving) -> None:
    boss = (
        "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: boss}\n"
        "spec: {description: Leads, tools: ['delegate:echo']}\n"
    )
    await serving.host.apply({"boss.yaml": boss})
    said = await rpc(serving, "GetExtendedAgentCard", {}, path="/a2a/boss")
    assert [skill["id"] for skill in said["result"]["skills"]] == ["boss", "echo"]
    async with serving.http() as http:
        by_rest = await http.get("/a2a/boss/extendedAgentCard", headers={"A2A-Version": "1.0"})
        public = (await http.get("/a2a/boss/.well-known/agent-card.json")).json()
    assert len(by_rest.json()["skills"]) == 2 and len(public["skills"]) == 1


async def test_what_goes_wrong_beside_the_face_is_raised_as_it_is(serving: Serving) -> None:
    host = serving.host
    parts = A2AParts(A2ASettings(), host.settings.folder, host.pushes, host.outgoing)
    with pytest.raises(BadInput, match="beside"):
        async with A2AFace(host, parts).running():
            raise BadInput("something beside it")


@pytest.mark.journals("its copies of a task have no journals")
async def test_a_page_of_twenty_thousand_tasks_reads_a_pages_rows(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await done(serving, message("hello")))["id"]
    columns = "kind, name, state, created, updated, namespace, person, parent, root, title, hold, outcome, reason, seq, epoch, owner, ended, conversation"
    with closing(sqlite3.connect(serving.host.settings.folder / "agenthost.db")) as database, database:
        # The same task, over and over: what differs is its id and when it changed, a fraction of a microsecond apart.
        copied = columns.replace("updated", "updated - 1 - ?2 / 2e6")
        database.executemany(
            f"INSERT INTO tasks (id, {columns}) SELECT ?1, {copied} FROM tasks WHERE id = ?3",
            [(f"copy{number:05}", number, first) for number in range(19_999)],
        )
    store = serving.host._adapters.store  # pyright: ignore[reportPrivateUsage]
    read: list[int] = []
    tasks = store.tasks

    async def counted(wanted: Filter) -> list[TaskRow]:
        rows = await tasks(wanted)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(store, "tasks", counted)
    seen: list[str] = []
    token = ""
    for _ in range(3):
        page = (await rpc(serving, "ListTasks", {"pageSize": 40, "pageToken": token}))["result"]
        assert (len(page["tasks"]), page["totalSize"]) == (40, 20_000)
        seen += [task["id"] for task in page["tasks"]]
        token = page["nextPageToken"]
    assert seen == [first, *(f"copy{number:05}" for number in range(119))]
    assert read == [41, 41, 41]


@given(st.floats(min_value=0, max_value=2**33))
def test_a_pages_end_is_the_very_time_of_its_last_row(at: float) -> None:
    again = nanoseconds(at) / NANO
    assert again == at or at < 2**22, "a double from 1970-02-18 on is coarser than a nanosecond"
