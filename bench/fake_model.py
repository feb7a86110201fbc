"""A fake model server: OpenAI's Chat Completions over raw sockets, as fast as Python can.

Run as `python -m bench.fake_model`; it prints its port. The first part of a path says how it
behaves: `/l200/v1/chat/completions` answers after 200 ms. A request whose last message is a tool's
result is answered with words, any other with a call of the tool `add`. Below `/loop...` it calls the
tool until a result says `done`. A request without tools is always answered with words. Below `/s2000/...` the
answer is a stream of 2000 tokens, each a chunk of its own, as fast as it is taken.
"""

import asyncio
import sys
from typing import cast

from bench.loops import run

CALL = b'{"id":"call_1","type":"function","function":{"name":"add","arguments":"{\\"a\\": 2, \\"b\\": 3}"}}'
CALL_DELTA = CALL.replace(b"{", b'{"index":0,', 1)
WORDS = ["The", "sum", "of", "the", "two", "numbers", "that", "you", "gave", "me", "is", "5", "."]
TEXT = " ".join(WORDS)
_HEAD = b'{"id":"chatcmpl-1","created":1767225600,"model":"fake","object":'
_WHOLE = (
    _HEAD + b'"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":%s%s},'
    b'"finish_reason":"%s"}],"usage":{"prompt_tokens":%d,"completion_tokens":12,"total_tokens":%d}}'
)


def _chunk(delta: bytes, finish: bytes = b"null") -> bytes:
    return (
        b"data: "
        + _HEAD
        + b'"chat.completion.chunk","choices":[{"index":0,"delta":'
        + delta
        + b',"finish_reason":'
        + finish
        + b"}]}\n\n"
    )


_ROLE = _chunk(b'{"role":"assistant","content":""}')
_CALL_CHUNKS = _ROLE + _chunk(b'{"tool_calls":[' + CALL_DELTA + b"]}") + _chunk(b"{}", b'"tool_calls"')
_TEXT_CHUNKS = (
    _ROLE
    + b"".join(_chunk(b'{"content":"' + word.encode() + b'"}') for word in (WORDS[0], *(f" {w}" for w in WORDS[1:])))
    + _chunk(b"{}", b'"stop"')
)
_TOKEN = _chunk(b'{"content":" token"}')
_TOKEN = b"%x\r\n%s\r\n" % (len(_TOKEN), _TOKEN)
_AT_ONCE = 8
"""Tokens that a streamed answer writes in one turn of the loop."""
_USAGE = (
    b"data: " + _HEAD + b'"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":12,'
    b'"total_tokens":%d}}\n\n'
)


def answer(path: bytes, body: bytes) -> bytes:
    """The whole HTTP response to a request."""
    last = body.rfind(b'"role"')
    if b'"tools"' not in body:
        calls = False
    elif path.startswith(b"/loop"):
        calls = b'"done"' not in body[last - 200 :]
    else:
        calls = b'"tool"' not in body[last : last + 14]
    tokens = len(body) // 4
    if b'"stream":true' in body or b'"stream": true' in body:
        events = (_CALL_CHUNKS if calls else _TEXT_CHUNKS) + _USAGE % (tokens, tokens + 12) + b"data: [DONE]\n\n"
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(events), events)
        )
    if calls:
        content = _WHOLE % (b"null", b',"tool_calls":[' + CALL + b"]", b"tool_calls", tokens, tokens + 12)
    else:
        content = _WHOLE % (b'"' + TEXT.encode() + b'"', b"", b"stop", tokens, tokens + 12)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(content),
        content,
    )


def delay(path: bytes) -> float:
    """Seconds that a path asks for: `/l200/...` and `/loop200/...` are 0.2."""
    first = path[1 : path.find(b"/", 1)]
    digits = first.lstrip(b"lop")
    return int(digits) / 1000 if digits.isdigit() else 0.0


class Connection(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._got = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._got = self._got + data if self._got else data
        while True:
            end = self._got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._got[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._got) < end + 4 + size:
                if b"expect: 100-continue" in head and self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            path = self._got.split(b" ", 2)[1]
            body, self._got = self._got[end + 4 : end + 4 + size], self._got[end + 4 + size :]
            if path.startswith(b"/s"):
                self._loop.create_task(self._stream(int(path[2 : path.find(b"/", 1)])))
                continue
            reply, wait = answer(path, body), delay(path)
            if wait:
                self._loop.call_later(wait, self._send, reply)
            else:
                self._send(reply)

    async def _stream(self, tokens: int) -> None:
        self._send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(0, tokens, _AT_ONCE):
            self._send(_TOKEN * _AT_ONCE)
            while self._transport is not None and self._transport.get_write_buffer_size() > 65536:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
        end = _chunk(b"{}", b'"stop"') + _USAGE % (10, 10 + tokens) + b"data: [DONE]\n\n"
        self._send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(end), end))

    def _send(self, reply: bytes) -> None:
        if self._transport is not None:
            self._transport.write(reply)


async def main() -> None:
    """Serve until standard input ends: whoever started this is gone then."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    run(main())
