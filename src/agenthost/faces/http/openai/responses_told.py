"""A response as it is told: items as they come, each event with its number.

Of a response that goes on in the background a number says where in the journal an event stands (event number times
STEP, and for a turn's words how many characters were told): so a client that comes back says how far it got. Others are
counted from 0.
"""

from typing import Any, Protocol

from agenthost.core.models import Usage
from agenthost.faces.http.openai.ids import message_id
from agenthost.faces.http.openai.reader import End
from agenthost.faces.http.openai.record import (
    Facts,
    Json,
    encode,
    function_call,
    message,
    record,
    status_of,
    text_part,
)

STEP = 1_000_000
_WORDS = 16
"""Numbers that are left for what stands before a turn's words."""


class Puts(Protocol):
    def put(self, frame: bytes) -> None: ...


class Nowhere:
    """Where events go that nobody wants: the items are built all the same."""

    def put(self, frame: bytes) -> None:
        pass


class Items:
    """Builds a response's items and writes its events. `after`: events up to that number were seen before."""

    joins = False

    def __init__(self, sink: Puts, task: str, facts: Facts, after: int = -1) -> None:
        self.output: list[Json] = []
        self._sink = sink
        self._task = task
        self._facts = facts
        self._after = after
        self._placed = bool(facts.notes.get("background"))
        self._number = -1
        self._open: Json | None = None
        self._pieces: list[str] = []
        self._length = 0
        self._words_from = 0
        self._head = b""

    # --- what a Reader tells ---

    def begin(self, status: str) -> None:
        """The response begins, and is `queued` or `in_progress`."""
        for kind in ("created", status):
            self._event(f"response.{kind}", 0, {"response": record(self._facts, status, [])})

    def text(self, piece: str, seq: int) -> None:
        if self._open is None or self._open["type"] != "message":
            self._close(seq)
            self._message(seq)
        self._pieces.append(piece)
        before = self._length
        self._length += len(piece)
        if self._placed:
            self._number = max(self._number + 1, self._words_from + self._length)
            seen = self._after - self._words_from
            if self._number <= self._after:
                return
            piece = piece[seen - before :] if before < seen else piece
        else:
            self._number += 1
            if self._number <= self._after:
                return
        self._sink.put(
            self._head + encode(piece) + b',"logprobs":[],"sequence_number":' + str(self._number).encode() + b"}\n\n"
        )

    def reasoning(self, piece: str, seq: int) -> None:
        if self._placed:
            return  # it is in no journal, and a client that comes back would count items otherwise
        if self._open is None or self._open["type"] != "reasoning":
            self._close(seq)
            item: Json = {"id": f"rs_{self._task}_{seq}", "type": "reasoning", "summary": [], "status": "in_progress"}
            self._add(item, seq)
            part = {"type": "summary_text", "text": ""}
            self._event("response.reasoning_summary_part.added", seq, self._where("summary_index") | {"part": part})
        self._pieces.append(piece)
        self._event("response.reasoning_summary_text.delta", seq, self._where("summary_index") | {"delta": piece})

    def turn_over(self, seq: int, more: bool) -> None:
        self._close(seq, "commentary" if more else "final_answer")

    def end(self, end: End, usage: Usage) -> Json:
        """The calls, and how it ended; the whole response."""
        self._close(end.seq)
        for ask in end.calls:
            begun = function_call(self._task, ask, "in_progress")
            self._add(begun, end.seq)
            done = function_call(self._task, ask)
            where = {"item_id": done["id"], "output_index": len(self.output)}
            self._event("response.function_call_arguments.delta", end.seq, where | {"delta": done["arguments"]})
            arguments = {"name": ask.tool, "arguments": done["arguments"]}
            self._event("response.function_call_arguments.done", end.seq, where | arguments)
            self._done(done, end.seq)
        status = status_of(end)
        whole = record(self._facts, status, self.output, end, usage)
        kind = "failed" if status == "cancelled" else status
        self._event(f"response.{kind}", end.seq, {"response": whole})
        return whole

    def so_far(self, status: str) -> Json:
        """The response while it is made."""
        output = [*self.output]
        if self._open is not None and self._open["type"] == "message":
            output.append(message(self._open["id"], "".join(self._pieces), "in_progress"))
        return record(self._facts, status, output)

    # --- items ---

    def _message(self, seq: int) -> None:
        id = message_id(self._task, seq)
        self._add(message(id, "", "in_progress"), seq)
        where = {"item_id": id, "output_index": len(self.output), "content_index": 0}
        self._event("response.content_part.added", seq, where | {"part": text_part("")})
        told = encode({"type": "response.output_text.delta"} | where)
        self._head = b"event: response.output_text.delta\ndata: " + told[:-1] + b',"delta":'
        self._words_from = seq * STEP + _WORDS

    def _close(self, seq: int, phase: str = "final_answer") -> None:
        """The item that is open is complete."""
        item, text = self._open, "".join(self._pieces)
        if item is None:
            return
        if item["type"] == "message":
            where = self._where("content_index")
            self._event("response.output_text.done", seq, where | {"text": text, "logprobs": []})
            self._event("response.content_part.done", seq, where | {"part": text_part(text)})
            self._done(message(item["id"], text, "completed", phase), seq)
        else:
            where, part = self._where("summary_index"), {"type": "summary_text", "text": text}
            self._event("response.reasoning_summary_text.done", seq, where | {"text": text})
            self._event("response.reasoning_summary_part.done", seq, where | {"part": part})
            self._done(item | {"summary": [part], "status": "completed"}, seq)

    def _add(self, item: Json, seq: int) -> None:
        self._open, self._pieces, self._length = item, [], 0
        self._event("response.output_item.added", seq, {"output_index": len(self.output), "item": item})

    def _done(self, item: Json, seq: int) -> None:
        self._open, self._pieces = None, []
        self._event("response.output_item.done", seq, {"output_index": len(self.output), "item": item})
        self.output.append(item)

    def _where(self, index: str) -> Json:
        assert self._open is not None
        return {"item_id": self._open["id"], "output_index": len(self.output), index: 0}

    def _event(self, kind: str, seq: int, told: dict[str, Any]) -> None:
        self._number = max(self._number + 1, seq * STEP if self._placed else 0)
        if self._number > self._after:
            body = encode({"type": kind} | told | {"sequence_number": self._number})
            self._sink.put(b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n")
