"""The floors: what an agent loop costs over aiohttp alone, and with a journal of five rows a run.

No adapters, no tools' schemas, no ledger, no budgets, no recovery: nobody could use them. They say what
this machine allows.
"""

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add two numbers.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a", "b"],
            },
        },
    }
]


def add(a: int, b: int) -> str:
    """The tool of every subject."""
    return str(a + b)


class Bare:
    """A loop over aiohttp that keeps nothing."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[int, str] = {}

    async def open(self, urls: dict[int, str], folder: str) -> None:
        self._urls = urls
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def run(self, latency: int, number: int) -> str:
        url = f"{self._urls[latency]}/chat/completions"
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "You add numbers with the tool."},
            {"role": "user", "content": "What is 2 + 3?"},
        ]
        await self.keep(number, "started", messages)
        while True:
            message = await self._ask(url, messages)
            messages.append(message)
            await self.keep(number, "answered", message)
            if not message.get("tool_calls"):
                await self.keep(number, "finished", message)
                return message["content"]
            for call in message["tool_calls"]:
                result = add(**json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
                await self.keep(number, "called", messages[-1])

    async def _ask(self, url: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        assert self._session is not None
        body = json.dumps({"model": "fake", "messages": messages, "tools": TOOLS}).encode()
        async with self._session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
            return json.loads(await response.read())["choices"][0]["message"]

    async def keep(self, run: int, kind: str, value: Any) -> None:
        """Remember a step: here, not at all."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class Journalled(Bare):
    """The same, with each of a run's five steps committed (WAL, `synchronous=FULL`) before the next begins.

    Steps of many runs are committed together: whatever came while a commit was on its way is the next one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._busy = False
        self._database: sqlite3.Connection | None = None

    async def open(self, urls: dict[int, str], folder: str) -> None:
        await super().open(urls, folder)
        self._database = sqlite3.connect(
            Path(folder) / "journal.db", isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("CREATE TABLE journal (id INTEGER PRIMARY KEY, run INTEGER, kind TEXT, body BLOB)")

    async def keep(self, run: int, kind: str, value: Any) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((run, kind, json.dumps(value).encode()), future))
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._commit)
        await future

    def _commit(self) -> None:
        group, self._waiting = self._waiting, []
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, [row for row, _ in group])

        def done(_: Any) -> None:
            writing.result()
            for _row, future in group:
                if not future.done():
                    future.set_result(None)
            self._busy = bool(self._waiting)
            if self._busy:
                self._commit()

        writing.add_done_callback(done)

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        assert self._database is not None
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO journal (run, kind, body) VALUES (?, ?, ?)", rows)
        self._database.execute("COMMIT")

    async def close(self) -> None:
        await super().close()
        self._thread.shutdown()
        if self._database is not None:
            self._database.close()
