"""What else the scripted server does: embeddings, moderation, pictures, speech, files, batches.

Nothing thinks here. A text's vector counts its words, harm is flagged by the word "harm", a picture is one colour that
follows from its prompt, and what was "spoken" carries its words, so that they can be "heard" again.
"""

import struct
import time
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from email import message_from_string
from email.message import Message
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from agenthost.models.playbook import Fail
from agenthost.testing.openai_server import faults

Heard = Callable[[web.Request], Awaitable[web.Response | None]]
Batched = Callable[[str, bytes], tuple[int, dict[str, Any]]]

_DIMENSIONS = 64
_CREATED = 1_767_225_600  # seconds since the epoch; a fixed time
_BATCH = ("validating", "in_progress", "completed")


class Offers:
    """`absent`: endpoints that this server hasn't (`images`, `audio`, ...), answered with `missing`, a status. `troubles`: by
    the end of a path, the failures that come before it works. `links`: pictures are given as addresses, of the host
    named, or of this server where it is empty. `twist`: changes what an endpoint answers, as a careless server does."""

    def __init__(
        self,
        absent: Sequence[str] = (),
        missing: int = 404,
        troubles: dict[str, list[Fail]] | None = None,
        links: str | None = None,
        twist: Callable[[str, dict[str, Any]], Any] | None = None,
    ) -> None:
        self._absent = tuple(absent)
        self._missing = missing
        self._troubles = troubles or {}
        self._links = links
        self._twist = twist or _as_it_is
        self._files: dict[str, tuple[str, str, bytes]] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._made = 0
        self._pictures: dict[str, bytes] = {}
        self.forms: list[dict[str, Any]] = []
        """The forms that came: fields as text, files as (name, type, bytes)."""

    def add(self, app: web.Application, heard: Heard, batched: Batched) -> None:
        """Add the routes. `heard` keeps a request and refuses a wrong key; `batched` answers one of a batch."""
        self._heard, self._batched = heard, batched
        for method, path, handler in (
            ("POST", "embeddings", self._embeddings),
            ("POST", "moderations", self._moderations),
            ("POST", "images/generations", self._images),
            ("POST", "images/edits", self._edits),
            ("POST", "audio/speech", self._speech),
            ("POST", "audio/transcriptions", self._transcription),
            ("GET", "files", self._list_files),
            ("POST", "files", self._put_file),
            ("GET", "files/{id}/content", self._get_file),
            ("DELETE", "files/{id}", self._delete_file),
            ("POST", "batches", self._start_batch),
            ("GET", "batches", self._list_batches),
            ("GET", "batches/{id}", self._batch),
            ("POST", "batches/{id}/cancel", self._cancel_batch),
        ):
            app.router.add_route(method, f"/v1/{path}", self._fenced(path, handler))
        app.router.add_get("/pictures/{name}", self._picture)

    def _fenced(
        self, path: str, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            refused = await self._heard(request)
            if refused is not None:
                return refused
            if path.startswith(self._absent) and self._absent:
                return web.Response(status=self._missing, text="Not here")
            waiting = self._troubles.get(path)
            if waiting:
                fail = waiting.pop(0)
                response = await faults.before_answer(fail, request, "chat")
                if response is not None:
                    return response
                faults.reset(request)
                return web.Response()
            answer = await handler(request)
            if isinstance(answer, web.StreamResponse):
                return answer
            return web.json_response(self._twist(path, answer))

        return handle

    # --- meaning and rules ------------------------------------------------------------------------

    async def _embeddings(self, request: web.Request) -> dict[str, Any]:
        body = await request.json()
        texts: list[str] = [body["input"]] if isinstance(body["input"], str) else body["input"]
        size = body.get("dimensions") or _DIMENSIONS
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(text, size)}
            for index, text in enumerate(texts)
        ]
        tokens = sum(len(text.split()) for text in texts)
        return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": tokens}}

    async def _moderations(self, request: web.Request) -> Any:
        body = await request.json()
        given: str | list[Any] = body["input"]
        if isinstance(given, list) and not all(isinstance(piece, str) for piece in given):
            if sum(piece["type"] == "image_url" for piece in given) > 1:
                return faults.error(400, "invalid_request_error", "", "One picture at a time.")
            results = [_judged(" ".join(str(piece.get("text", "")) for piece in given))]
        else:
            results = [_judged(text) for text in ([given] if isinstance(given, str) else given)]
        return {"id": "modr_1", "model": body["model"], "results": results}

    # --- pictures ---------------------------------------------------------------------------------

    async def _images(self, request: web.Request) -> Any:
        body = await request.json()
        if "gpt-image" in body["model"] and "response_format" in body:
            return faults.error(400, "invalid_request_error", "unknown_parameter", "Unknown: 'response_format'.")
        return self._drawn(request, body["prompt"], body.get("size"))

    async def _edits(self, request: web.Request) -> dict[str, Any]:
        form = await self._form(request)
        return self._drawn(request, form["prompt"], form.get("size"))

    def _drawn(self, request: web.Request, prompt: str, size: str | None) -> dict[str, Any]:
        width, _, height = (size if size and size != "auto" else "8x8").partition("x")
        content = _png(min(int(width), 64), min(int(height), 64), sha256(prompt.encode()).digest()[:3])
        usage = {"input_tokens": len(prompt.split()), "output_tokens": 272, "total_tokens": len(prompt.split()) + 272}
        entry: dict[str, Any] = {"b64_json": b64encode(content).decode(), "revised_prompt": f"A drawing: {prompt}"}
        if self._links is not None:
            name = f"{len(self._pictures)}.png"
            self._pictures[name] = content
            entry = {"url": f"{self._links or f'{request.scheme}://{request.host}'}/pictures/{name}"}
        return {"created": _CREATED, "data": [entry], "usage": usage}

    async def _picture(self, request: web.Request) -> web.Response:
        content = self._pictures.get(request.match_info["name"])
        return web.Response(body=content) if content else web.Response(status=404)

    # --- sound ------------------------------------------------------------------------------------

    async def _speech(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("response_format") == "opus":
            return web.Response(body=_ogg(body["input"].encode()), content_type="audio/opus")
        return web.Response(body=_wav(body["input"].encode()), content_type="audio/wav")

    async def _transcription(self, request: web.Request) -> Any:
        form = await self._form(request)
        content: bytes = form["file"][2]
        if not content.startswith((b"RIFF", b"OggS")):
            return faults.error(400, "invalid_request_error", "", "Invalid file format.")
        text = content[44:].rstrip(b"\0").decode()
        if form.get("response_format") == "verbose_json":
            if "transcribe" in form["model"]:
                return faults.error(400, "invalid_request_error", "unsupported_value", "verbose_json isn't known.")
            return {"text": text, "language": form.get("language", "english"), "duration": len(text) / 10}
        return {"text": text, "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 5}}

    # --- files and batches ------------------------------------------------------------------------

    async def _put_file(self, request: web.Request) -> dict[str, Any]:
        form = await self._form(request)
        name, _, content = form["file"]
        return self._keep(name, form["purpose"], content)

    def _keep(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        self._made += 1
        id = f"file-{self._made}"
        self._files[id] = (name, purpose, content)
        return self._file(id)

    def _file(self, id: str) -> dict[str, Any]:
        name, purpose, content = self._files[id]
        return {
            "id": id,
            "object": "file",
            "bytes": len(content),
            "created_at": _CREATED,
            "filename": name,
            "purpose": purpose,
        }

    async def _list_files(self, request: web.Request) -> dict[str, Any]:
        ids = list(self._files)
        after = request.query.get("after")
        left = ids[ids.index(after) + 1 :] if after in ids else ids
        page = left[:2]
        return {"object": "list", "data": [self._file(id) for id in page], "has_more": len(left) > len(page)}

    async def _get_file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["id"])
        return web.Response(body=found[2]) if found else _no(request.match_info["id"])

    async def _delete_file(self, request: web.Request) -> Any:
        id = request.match_info["id"]
        return _no(id) if self._files.pop(id, None) is None else {"id": id, "object": "file", "deleted": True}

    async def _start_batch(self, request: web.Request) -> Any:
        body = await request.json()
        found = self._files.get(body["input_file_id"])
        if found is None:
            return _no(body["input_file_id"])
        id = f"batch_{len(self._batches) + 1}"
        lines = [msgspec.json.decode(line) for line in found[2].splitlines()]
        batch = {
            "id": id,
            "object": "batch",
            "endpoint": body["endpoint"],
            "created_at": int(time.time()),
            "metadata": body.get("metadata"),
            "lines": lines,
        }
        self._batches[id] = batch | {"status": _BATCH[0], "request_counts": {"total": 0, "completed": 0, "failed": 0}}
        return self._shown(id)

    async def _batch(self, request: web.Request) -> Any:
        id = request.match_info["id"]
        batch = self._batches.get(id)
        if batch is None:
            return _no(id)
        if batch["status"] in _BATCH[:2]:  # each look finds it one step further
            batch["status"] = _BATCH[_BATCH.index(batch["status"]) + 1]
            if batch["status"] == "completed":
                self._answer(batch)
        return self._shown(id)

    async def _list_batches(self, request: web.Request) -> dict[str, Any]:
        ids = list(self._batches)
        after = request.query.get("after")
        left = ids[ids.index(after) + 1 :] if after in ids else ids
        return {"object": "list", "data": [self._shown(id) for id in left[:2]], "has_more": len(left) > 2}

    async def _cancel_batch(self, request: web.Request) -> Any:
        id = request.match_info["id"]
        if id not in self._batches:
            return _no(id)
        self._batches[id]["status"] = "cancelled"
        return self._shown(id)

    def _shown(self, id: str) -> dict[str, Any]:
        return {key: value for key, value in self._batches[id].items() if key != "lines"}

    def _answer(self, batch: dict[str, Any]) -> None:
        good: list[bytes] = []
        bad: list[bytes] = []
        for number, line in enumerate(batch["lines"]):
            status, body = self._batched(line["url"], msgspec.json.encode(line["body"]))
            response = {"status_code": status, "request_id": f"req_{number}", "body": body}
            entry = {"id": f"br_{number}", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if status == 200 else bad).append(msgspec.json.encode(entry))
        good.reverse()  # a provider promises no order
        batch["request_counts"] = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}
        for field, lines in (("output_file_id", good), ("error_file_id", bad)):
            batch[field] = self._keep(f"{field}.jsonl", "batch_output", b"\n".join(lines))["id"] if lines else None

    async def _form(self, request: web.Request) -> dict[str, Any]:
        form: dict[str, Any] = {}
        for name, file, kind, content in _parts(request.headers["Content-Type"], await request.read()):
            value: Any = content.decode() if file is None else (file, kind, content)
            if name.endswith("[]"):
                form.setdefault(name, []).append(value)
            else:
                form[name] = value
        self.forms.append(form)
        return form


def _parts(kind: str, body: bytes) -> Iterator[tuple[str, str | None, str, bytes]]:
    """The parts of a form (RFC 7578): name, the file's name where it is one, media type, content."""
    boundary = Message()
    boundary["Content-Type"] = kind
    for part in body.split(b"--" + str(boundary.get_param("boundary")).encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = message_from_string(head.decode())
        name = str(headers.get_param("name", header="Content-Disposition"))
        file = headers.get_filename()
        yield name, file, headers.get_content_type(), content.removesuffix(b"\r\n")


def _as_it_is(path: str, body: dict[str, Any]) -> Any:
    return body


def _no(id: str) -> web.Response:
    return faults.error(404, "invalid_request_error", "", f"No such object: {id}")


def _judged(text: str) -> dict[str, Any]:
    harm = 0.97 if "harm" in text else 0.01
    return {
        "flagged": harm > 0.5,
        "categories": {"violence": harm > 0.5, "sexual": False},
        "category_scores": {"violence": harm, "sexual": 0.001},
    }


def _vector(text: str, size: int) -> list[float]:
    """How often each word is there, at a place that follows from the word; of length one."""
    counts = [0.0] * size
    for word in text.lower().split():
        counts[int.from_bytes(sha256(word.strip(".,!?").encode()).digest()[:4], "big") % size] += 1.0
    length = sum(count * count for count in counts) ** 0.5 or 1.0
    return [count / length for count in counts]


def _png(width: int, height: int, colour: bytes) -> bytes:
    """A picture of one colour (W3C PNG, 3rd edition)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + colour * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _ogg(words: bytes) -> bytes:
    """What begins as an Ogg file does, and has words where a recording of `_wav` has its samples."""
    return b"OggS".ljust(44, b"\0") + words


def _wav(samples: bytes) -> bytes:
    """A recording whose samples are `samples`."""
    head = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", len(samples))
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(samples)) + b"WAVE" + head + samples
