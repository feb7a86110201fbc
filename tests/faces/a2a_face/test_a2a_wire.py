"""JSON-RPC as it stands on the wire."""

from typing import Any

from tests.faces.a2a_face.conftest import Serving


async def rpc(
    serving: Serving, method: str, params: dict[str, Any], path: str = "/a2a/echo", version: str = "1.0"
) -> Any:
    async with serving.http() as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = await http.post(path, json=body, headers={"A2A-Version": version} if version else {})
        return response.json()


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}], **more}}


async def test_a_message_is_a_task_and_its_answer_an_artifact(serving: Serving) -> None:
    said = await rpc(serving, "SendMessage", message("hello"))
    print(said)
    task = said["result"]["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["artifacts"][0]["parts"] == [{"text": "You said hello"}]
