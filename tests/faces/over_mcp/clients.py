"""The official Python client, at both revisions."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

NEW, OLD = "2026-07-28", "legacy"


@asynccontextmanager
async def client(url: str, headers: Mapping[str, str], mode: str = NEW, **more: Any) -> AsyncGenerator[Client]:
    async with httpx2.AsyncClient(headers=dict(headers), timeout=httpx2.Timeout(30, read=120)) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode, **more) as made:
            yield made
