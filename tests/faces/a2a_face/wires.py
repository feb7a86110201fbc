"""A2A 1.0 by hand over each binding, so that a test sees what is on the wire and no client mends it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import httpx
from a2a.types import a2a_pb2, a2a_pb2_grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2

from tests.faces.a2a_face.conftest import TOKEN, Serving

PUSHES = "/tasks/{taskId}/pushNotificationConfigs"
PATHS = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", PUSHES),
    "GetTaskPushNotificationConfig": ("GET", PUSHES + "/{id}"),
    "ListTaskPushNotificationConfigs": ("GET", PUSHES),
    "DeleteTaskPushNotificationConfig": ("DELETE", PUSHES + "/{id}"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}
OTHER_REQUESTS = {
    "SendStreamingMessage": "SendMessageRequest",
    "CreateTaskPushNotificationConfig": "TaskPushNotificationConfig",
}


class Refused(Exception):
    """An error of the protocol: its code in the binding's own words, and the reason of its ErrorInfo."""

    def __init__(self, code: Any, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Wire:
    """One binding to the default agent."""

    def __init__(self, serving: Serving, binding: str, grpc_at: str) -> None:
        self.binding = binding
        self._http = httpx.AsyncClient(base_url=serving.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
        self._channel = grpc.aio.insecure_channel(grpc_at) if grpc_at else None
        self._stub: Any = a2a_pb2_grpc.A2AServiceStub(self._channel) if self._channel is not None else None

    async def close(self) -> None:
        await self._http.aclose()
        if self._channel is not None:
            await self._channel.close()

    async def call(self, method: str, params: dict[str, Any], version: str = "1.0") -> dict[str, Any]:
        """What a call gives, as JSON. Raises Refused."""
        if self.binding == "GRPC":
            try:
                return MessageToDict(await self._rpc(method, params, version))
            except grpc.aio.AioRpcError as error:
                raise _refused(error) from error
        response = await self._http.send(self._request(method, params, version))
        return self._result(response.status_code, response.json())

    async def stream(self, method: str, params: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """A stream's events, as JSON. Raises Refused."""
        if self.binding == "GRPC":
            try:
                async for event in self._rpc(method, params, "1.0"):
                    yield MessageToDict(event)
            except grpc.aio.AioRpcError as error:
                raise _refused(error) from error
            return
        response = await self._http.send(self._request(method, params, "1.0"), stream=True)
        try:
            if not response.headers["content-type"].startswith("text/event-stream"):
                self._result(response.status_code, json.loads(await response.aread()))
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield self._result(200, json.loads(line[5:]))
        finally:
            await response.aclose()

    def _rpc(self, method: str, params: dict[str, Any], version: str) -> Any:
        made = getattr(a2a_pb2, OTHER_REQUESTS.get(method, f"{method}Request"))()
        metadata = (("authorization", f"Bearer {TOKEN}"), ("a2a-version", version))
        return getattr(self._stub, method)(ParseDict(params, made, ignore_unknown_fields=True), metadata=metadata)

    def _request(self, method: str, params: dict[str, Any], version: str) -> httpx.Request:
        headers = {"A2A-Version": version}
        if self.binding == "JSONRPC":
            body = {"jsonrpc": "2.0", "id": "one", "method": method, "params": params}
            return self._http.build_request("POST", "/a2a", json=body, headers=headers)
        verb, path = PATHS[method]
        rest = {key: value for key, value in params.items() if f"{{{key}}}" not in path}
        path = "/a2a" + path.format(**params)
        if verb == "GET":
            query = {key: str(value).lower() if isinstance(value, bool) else value for key, value in rest.items()}
            return self._http.build_request(verb, path, params=query, headers=headers)
        return self._http.build_request(verb, path, json=rest if verb == "POST" else None, headers=headers)

    def _result(self, status: int, said: dict[str, Any]) -> dict[str, Any]:
        if self.binding == "JSONRPC":
            assert status == 200 and said["jsonrpc"] == "2.0" and said["id"] == "one", said
            if "error" in said:
                raise Refused(said["error"]["code"], _reason(said["error"]["data"]))
            return said["result"] or {}
        if status >= 400:
            assert said["error"]["code"] == status and said["error"]["message"], said
            raise Refused(status, _reason(said["error"]["details"]))
        return said


def _reason(details: list[dict[str, Any]]) -> str:
    first = details[0]
    assert first["@type"] == "type.googleapis.com/google.rpc.ErrorInfo" and first["domain"] == "a2a-protocol.org"
    return first["reason"]


def _refused(error: grpc.aio.AioRpcError) -> Refused:
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    told: Any = status_pb2.Status()
    told.ParseFromString(raw)
    info: Any = error_details_pb2.ErrorInfo()
    assert told.details[0].Unpack(info) and info.domain == "a2a-protocol.org"
    return Refused(error.code().name, info.reason)
