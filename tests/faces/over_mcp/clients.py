"""The official Python client at both revisions, and plain HTTP for what it has no words for."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

NEW, OLD = "2026-07-28", "legacy"


@asynccontextmanager
async def client(url: str, headers: Mapping[str, str], mode: str = NEW, **more: Any) -> AsyncGenerator[Client]:
    timeout = httpx2.Timeout(30, read=120)
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=timeout) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, **more) as made,
    ):
        yield made


class Plain:
    """JSON-RPC over HTTP by hand. `can`: the capabilities that the client declares."""

    def __init__(self, http: httpx2.AsyncClient, url: str, can: dict[str, Any], session: str = "") -> None:
        self._http = http
        self._url = url
        self._can = can
        self.session = session
        self.heard: list[dict[str, Any]] = []

    async def ask(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The answer's `result`, or its whole `error`."""
        answer = await self.post(method, params, **headers)
        return answer.get("result", answer)

    async def post(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        params = dict(params or {})
        told = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": NEW, "Mcp-Method": method}
        if self.session:
            told = told | {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": self.session}
        elif method != "initialize":
            meta = {f"io.modelcontextprotocol/{name}": value for name, value in self._envelope().items()}
            params["_meta"] = meta | params.get("_meta", {})
            if "name" in params or "uri" in params or "taskId" in params:
                told["Mcp-Name"] = params.get("name") or params.get("uri") or params["taskId"]
        else:
            del told["MCP-Protocol-Version"]
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        if method.startswith("notifications/"):
            del body["id"]
        async with self._http.stream("POST", self._url, json=body, headers=told | headers) as response:
            self.session = response.headers.get("mcp-session-id", self.session)
            if "text/event-stream" not in response.headers.get("content-type", ""):
                content = await response.aread()
                return json.loads(content) if content else {}
            async for line in response.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    message = json.loads(line[5:])
                    self.heard.append(message)
                    if "id" in message and "method" not in message:
                        return message
        return {}

    async def broken(self, method: str, params: dict[str, Any]) -> str:
        """Ask, and hang up after the first event; its id."""
        told = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = told | {"Mcp-Session-Id": self.session}
        async with self._http.stream("POST", self._url, json=body, headers=headers) as response:
            async for line in response.aiter_lines():
                if line.startswith("id:"):
                    return line[3:].strip()
        raise AssertionError("no event came")

    async def taken_up(self, last: str, most: int) -> list[dict[str, Any]]:
        """What came after an event, up to the answer of request `most`."""
        headers = {"Accept": "text/event-stream", "MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": last}
        found: list[dict[str, Any]] = []
        async with self._http.stream("GET", self._url, headers=headers | {"Mcp-Session-Id": self.session}) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    found.append(json.loads(line[5:]))
                    if found[-1].get("id") == most:
                        break
        return found

    async def listens(self, opened: asyncio.Event) -> None:
        """Hear what comes by the session's own stream, until it is cut."""
        headers = {"Accept": "text/event-stream", "MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": self.session}
        async with self._http.stream("GET", self._url, headers=headers) as response:
            assert response.status_code == 200
            opened.set()
            async for line in response.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    self.heard.append(json.loads(line[5:]))

    async def raw(self, body: bytes) -> Any:
        """The answer to bytes as they are."""
        told = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        told |= {"MCP-Protocol-Version": "2025-11-25" if self.session else NEW}
        if self.session:
            told["Mcp-Session-Id"] = self.session
        return (await self._http.post(self._url, content=body, headers=told)).json()

    def _envelope(self) -> dict[str, Any]:
        return {
            "protocolVersion": NEW,
            "clientInfo": {"name": "plain", "version": "1"},
            "clientCapabilities": self._can,
        }


@asynccontextmanager
async def plain(
    url: str, headers: Mapping[str, str], mode: str = NEW, can: dict[str, Any] | None = None
) -> AsyncGenerator[Plain]:
    async with httpx2.AsyncClient(headers=dict(headers), timeout=httpx2.Timeout(30, read=120)) as http:
        made = Plain(http, url, can or {})
        if mode == OLD:
            about = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "plain", "version": "1"}}
            await made.ask("initialize", about | {"capabilities": can or {}})
            await made.post("notifications/initialized")
        yield made
