"""A provider that counts: OpenAI's chat completions by a playbook, in a process of its own.

An answer counts as given once its last byte was handed to the socket; until then nothing of it is counted.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from agenthost.core.models import ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall
from agenthost.models.playbook import Playbook, load_playbook


def request_of(body: dict[str, Any], agent: str) -> ModelRequest:
    """The request as a playbook reads it."""
    turns: list[Turn] = []
    instructions = ""
    for message in body["messages"]:
        content = message.get("content") or ""
        text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        calls = tuple(
            ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        )
        if message["role"] == "system":
            instructions += text
        elif message["role"] == "tool":
            turns.append(Turn("tool", (TextPart(text),), call_id=message["tool_call_id"]))
        else:
            turns.append(Turn(message["role"], (TextPart(text),) if text else (), calls))
    return ModelRequest(body["model"], instructions, tuple(turns), metadata={"agent": agent})


class Server:
    """Answers by the playbook after `latency` milliseconds, in two pieces."""

    def __init__(self, playbook: Playbook, record: Path, latency: float) -> None:
        self._playbook = playbook
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._latency = latency

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except ConnectionError:  # the other side was killed: that is what the test is about
            return web.Response()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        play = self._playbook.play(request_of(body, request.headers["X-AgentHost-Agent"]))
        if play is None:
            return web.json_response({"error": {"message": "the playbook has no reply"}}, status=400)
        await asyncio.sleep(self._latency / 1000)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        calls = [
            {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(play.calls)
        ]
        finish = "tool_calls" if calls else "stop"
        await self._send(response, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": play.text}}]})
        await asyncio.sleep(self._latency / 2000)
        await self._send(
            response, {"choices": [{"index": 0, "delta": {"tool_calls": calls}}]} if calls else {"choices": []}
        )
        await self._send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        usage = {"prompt_tokens": play.usage.input, "completion_tokens": play.usage.output}
        await self._send(response, {"choices": [], "usage": usage})
        key = request.headers["Idempotency-Key"]
        os.write(self._record, json.dumps({"key": key, "tokens": play.usage.total}).encode() + b"\n")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _send(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        frame = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"} | chunk
        await response.write(b"data: " + json.dumps(frame).encode() + b"\n\n")


async def main(playbook: str, record: str, latency: float) -> None:
    server = Server(load_playbook(playbook), Path(record), latency)
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


class Provider:
    """The server as a process, for as long as the context is open."""

    def __init__(self, playbook: Path, record: Path, latency: float) -> None:
        self._command = [sys.executable, "-m", "tests.crash.server", str(playbook), str(record), str(latency)]
        self._record = record
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> "Provider":
        root = Path(__file__).parent.parent.parent
        self._process = subprocess.Popen(
            self._command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{self._process.stdout.readline().strip()}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None and self._process.stdout is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def answered(self) -> dict[str, int]:
        """Tokens of every answer that was given, by idempotency key."""
        found: dict[str, int] = {}
        for line in self._record.read_text().splitlines():
            entry = json.loads(line)
            assert entry["key"] not in found, f"the call {entry['key']} was answered twice"
            found[entry["key"]] = entry["tokens"]
        return found


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
