"""The clients that were made for 0.3 and know nothing of 1.0: Python's and npm's."""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from testbeds.npm import NODE, npm_folder
from testbeds.pypi import python_with

from tests.faces.a2a_face.conftest import ASKER, MODEL, TOKEN, Serving, free_port, served

PYTHON = "a2a-sdk[grpc]==0.3.26"
NPM = {"@a2a-js/sdk": "0.3.14"}
HERE = Path(__file__).parent


@pytest.fixture
async def asking(binding: str, tmp_path: Path, scripted: str) -> AsyncGenerator[Serving]:
    """A host whose default agent asks; notifications may go to this machine. gRPC is served where it is tested."""
    toml = f'{scripted}[network]\nprivate = ["localhost:*"]\n[a2a]\nagent = "asker"\n'
    toml += f"grpc-port = {free_port()}\n" if binding == "GRPC" else ""
    async with served(tmp_path / "home", [ASKER], MODEL, toml) as serving:
        yield serving


async def test_answers_are_what_clients_of_0_3_can_read(serving: Serving) -> None:
    async with serving.http() as http:

        async def rpc(method: str, params: Any) -> dict[str, Any]:
            body = {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}
            response = await http.post("/a2a/echo", json=body)
            said = response.json()
            assert response.status_code == 200 and said["id"] == "x" and ("result" in said) != ("error" in said)
            return said

        said = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
        for method, params in (
            ("message/send", {}),
            ("message/send", {"message": {"kind": "message"}}),
            ("message/send", {"message": said | {"parts": "words"}}),
            ("message/send", {"message": said | {"parts": [{"kind": "other"}]}}),
            ("message/stream", {"invalid": "params"}),
            ("tasks/get", {}),
        ):
            error = (await rpc(method, params))["error"]
            assert error["code"] == -32602 and "pydantic" not in str(error), (method, params)
        task = (await rpc("message/send", {"message": said}))["result"]["id"]
        config = {"taskId": task, "pushNotificationConfig": {"url": "https://93.184.216.34/hook"}}
        kept = (await rpc("tasks/pushNotificationConfig/set", config))["result"]
        assert (await rpc("tasks/pushNotificationConfig/get", {"id": task}))["result"] == kept
        named = {"id": task, "pushNotificationConfigId": kept["pushNotificationConfig"]["id"]}
        for _ in range(2):
            assert await rpc("tasks/pushNotificationConfig/delete", named) == {
                "jsonrpc": "2.0",
                "id": "x",
                "result": None,
            }
        assert (await rpc("tasks/pushNotificationConfig/get", {"id": task}))["error"]["code"] == -32001
        for path, code in ((f"{task}:subscribe", -32004), ("none:subscribe", -32001)):
            refused = await http.get(f"/a2a/echo/v1/tasks/{path}")
            assert refused.status_code >= 400 and refused.json()["code"] == code, refused.text
        refused = await http.post("/a2a/echo/v1/message:stream", json={"request": {"messageId": "m"}})
        assert refused.status_code == 400 and refused.json()["code"] == -32602
        request = {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "hi"}]}
        streamed = await http.post("/a2a/echo/v1/message:stream", json={"request": request})
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert "TASK_STATE_COMPLETED" in streamed.text


async def told(*line: str) -> dict[str, Any]:
    made = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await made.communicate()
    assert made.returncode == 0, err.decode() + out.decode()
    found: dict[str, Any] = {}
    for line in out.splitlines():
        for key, value in json.loads(line).items():
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.slow
async def test_pythons_client_of_0_3_does_all_that_it_can(asking: Serving, binding: str) -> None:
    python = await asyncio.to_thread(lambda: python_with(PYTHON))
    seen = await told(str(python), str(HERE / "early.py"), asking.url, binding, TOKEN)
    assert seen["card"] == ["asker"] and seen["version"][0].startswith("0.3")
    assert seen["state"] == ["input-required", "completed"] and seen["question"] == ["Which colour?"]
    assert seen["hook"] == ["http://localhost:9/hook"]
    assert {"artifact-update", "status-update"} <= set(seen["kinds"][0])
    assert {"artifact-update", "status-update"} <= set(seen["followed"][0])
    assert seen["words"] == [["You said blue"]]
    assert seen["history"] == [["Which colour?", "blue"]] and seen["context"] == [True]
    assert seen["canceled"] == ["canceled"] and sorted(seen["parts"][0]) == ["data", "file", "text"]
    assert "no-such-task" in seen["missing"][0] and seen["extended"] == ["asker"]


@pytest.mark.slow
async def test_npms_client_of_0_3_does_all_that_it_can(serving: Serving, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(lambda: npm_folder(**NPM))
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    shutil.copy(HERE / "early.mjs", tmp_path / "early.mjs")
    for binding in ("JSONRPC", "HTTP+JSON"):
        seen = await told(str(NODE), str(tmp_path / "early.mjs"), serving.url, binding, TOKEN)
        assert seen["card"] == ["asker"], binding
        assert seen["state"] == ["input-required", "completed"] and seen["question"] == ["Which colour?"]
        assert seen["kinds"][0][-1] == "status-update" and "artifact-update" in seen["kinds"][0]
        assert seen["words"] == ["You said blue"] and seen["canceled"] == ["canceled"]
        assert seen["missing"][0] == "Task not found" or "no-such-task" in seen["missing"][0]
