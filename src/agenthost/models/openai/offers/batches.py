"""Many requests that are answered within a day, for less. Source: OpenAI's API reference, "Batch".

A line of the file that goes there is a live call's body; a line of the file that comes back is a live call's answer.
What tools are called on the wire, where it isn't their own name, is kept with the batch (`metadata`), so that whoever
fetches the answers needs nothing but the id.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, BadInput, Failure
from agenthost.core.models import ModelRequest
from agenthost.core.offers import Batch, BatchAnswer
from agenthost.models.openai import failures
from agenthost.models.openai.content import Read, said
from agenthost.models.openai.names import own_names
from agenthost.models.openai.offers import files
from agenthost.models.openai.offers.asking import Asking
from agenthost.models.openai.wire import BadAnswer, Refused, Shape, Wire

_WHAT = "batches"
_REQUESTS, _BYTES = 50_000, 200_000_000  # the most that OpenAI takes in one
_NAMES = 16  # pairs that a batch's metadata holds
_PAGES = 100

State = Literal["waiting", "running", "ended", "failed", "canceled", "expired"]
_STATES: dict[str, State] = {
    "validating": "waiting",
    "in_progress": "running",
    "finalizing": "running",
    "cancelling": "running",
    "completed": "ended",
    "failed": "failed",
    "cancelled": "canceled",
    "expired": "expired",
}


class _Counts(Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class _Error(Struct):
    message: str | None = None
    code: str | None = None


class _Errors(Struct):
    data: list[_Error] | None = None


class _Batch(Struct):
    id: str
    status: str
    created_at: float | None = None
    request_counts: _Counts | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: _Errors | None = None
    metadata: dict[str, str] | None = None


class _Response(Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"{}")


class _Line(Struct):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


_batch = msgspec.json.Decoder(_Batch)
_page = msgspec.json.Decoder(files.Page[_Batch])
_line = msgspec.json.Decoder(_Line)


class Batches:
    """Batches over one wire."""

    def __init__(self, asking: Asking, wire: Wire, shape: Shape, read: Read) -> None:
        self._asking = asking
        self._wire = wire
        self._shape = msgspec.structs.replace(shape, stream=False)
        self._read = read

    async def start(self, requests: Mapping[str, ModelRequest]) -> Batch:
        """Send the requests as a file, and have it answered."""
        if not 0 < len(requests) <= _REQUESTS:
            raise BadInput(f"a batch holds 1 to {_REQUESTS:,} requests, not {len(requests):,}. Make several of them.")
        names: dict[str, str] = {}
        for request in requests.values():
            names |= own_names(request.tools)
        if len(names) > _NAMES:
            raise BadInput(
                f"a batch holds at most {_NAMES} tools whose names have other characters than letters, digits, _ and -; "
                f"these requests have {len(names)}. Make several batches."
            )
        lines = b"\n".join([await self._rendered(name, request) for name, request in requests.items()]) + b"\n"
        if len(lines) > _BYTES:
            raise BadInput(f"a batch holds at most {_BYTES // 10**6} MB, not {len(lines) // 10**6}. Make several.")
        kept = await files.put(self._asking, "batch.jsonl", lines, "batch")
        body: dict[str, Any] = {"input_file_id": kept.id, "endpoint": self._path, "completion_window": "24h"}
        if names:
            body["metadata"] = names
        try:
            content = await self._asking.post(_WHAT, "batches", body)
        except AgentHostError as error:
            if not getattr(error, "sent", False):
                with suppress(AgentHostError):
                    await files.delete(self._asking, kept.id)
            raise
        return self._shown(self._asking.read(content, _batch))

    async def get(self, id: str) -> Batch:
        """How a batch is, with its answers once it has ended."""
        path = f"batches/{self._asking.thing('batch', id)}"
        found = self._asking.read(await self._asking.get("batch", path, thing=id), _batch)
        shown = self._shown(found)
        if shown.state in ("waiting", "running"):
            return shown
        answers: dict[str, BatchAnswer] = {}
        for file in (found.error_file_id, found.output_file_id):
            if file:
                answers |= self._answers(await files.get(self._asking, file), found.metadata or {})
        return msgspec.structs.replace(shown, answers=answers)

    async def listed(self) -> list[Batch]:
        """Every batch, without answers."""
        found: dict[str, Batch] = {}
        query = {"limit": "100"}
        for _ in range(_PAGES):
            page = self._asking.read(await self._asking.get(_WHAT, "batches", query), _page)
            fresh = [batch for batch in page.data if batch.id not in found]
            found.update((batch.id, self._shown(batch)) for batch in fresh)
            if not page.has_more or not fresh:
                break
            query = {"limit": "100", "after": page.data[-1].id}
        return list(found.values())

    async def cancel(self, id: str) -> Batch:
        """Have no more of it answered."""
        path = f"batches/{self._asking.thing('batch', id)}/cancel"
        return self._shown(self._asking.read(await self._asking.act("batch", "POST", path, id), _batch))

    @property
    def _path(self) -> str:
        return f"/v1{self._wire.path}"

    async def _rendered(self, name: str, request: ModelRequest) -> bytes:
        body = self._wire.body(request, await said(request.turns, self._read), self._shape)
        return msgspec.json.encode({"custom_id": name, "method": "POST", "url": self._path, "body": body})

    def _shown(self, batch: _Batch) -> Batch:
        state = _STATES.get(batch.status)
        if state is None:
            raise self._asking.bad(f"its batch is in the unknown state {batch.status!r}")
        counts = batch.request_counts or _Counts()
        errors = (batch.errors.data if batch.errors is not None else None) or []
        reason = " ".join(self._asking.peer.clean(error.message or error.code or "") for error in errors)
        return Batch(
            batch.id,
            state,
            counts.total,
            counts.completed,
            counts.failed,
            batch.created_at or 0.0,
            reason=reason,
        )

    def _answers(self, content: bytes, names: dict[str, str]) -> dict[str, BatchAnswer]:
        answers: dict[str, BatchAnswer] = {}
        for text in content.splitlines():
            if not text.strip():
                continue
            try:
                line = _line.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise self._asking.bad("a line of its batch's results is not of the API's form") from None
            answers[line.custom_id] = self._answer(line, names)
        return answers

    def _answer(self, line: _Line, names: dict[str, str]) -> BatchAnswer:
        peer = self._asking.peer
        if line.response is None:
            error = line.error or _Error()
            return BatchAnswer(failure=_unanswered(error.code or "", peer.clean(error.message or ""), peer.name))
        body = bytes(line.response.body)
        if line.response.status_code != 200:
            problem = failures.answered(line.response.status_code, {}, body, peer, time.time())
            return BatchAnswer(failure=problem.failure())
        try:
            return BatchAnswer(self._wire.whole(body, names))
        except BadAnswer as error:
            problem = failures.bad_answer(str(error), peer)
        except Refused as error:
            problem = failures.reported(error.error, peer)
        return BatchAnswer(failure=problem.failure())


def _unanswered(code: str, said: str, name: str) -> Failure:
    if code == "batch_cancelled":
        return Failure("canceled", f"The batch was canceled before {name} answered this.")
    words = f": {said}" if said else ""
    return Failure("provider-error", f"{name} did not answer this in its batch{words}. Ask again.", temporary=True)
