"""What happens to a task, told as an answer: words as they come, calls for the client, questions, the end."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agenthost.core.api import LiveDelta
from agenthost.core.commands import Ask, CallModel, Verdict
from agenthost.core.events import Answered, Asked, Event, Finished, Recorded, Started
from agenthost.core.models import ModelAnswer, Usage
from agenthost.core.parts import DataPart, FilePart, Part, TextPart
from agenthost.core.questions import SHOWN, cut
from agenthost.faces.http.openai.content import json_text

BETWEEN = "\n\n"
"""What stands between the words of two turns in one answer."""


class Writer(Protocol):
    """Who tells a client. `seq` is the number of the event that it belongs to: of a model's words, that of the asking.

    `joins`: all turns are one text, and something stands between the words of two."""

    joins: bool

    def text(self, piece: str, seq: int) -> None: ...

    def reasoning(self, piece: str, seq: int) -> None: ...

    def turn_over(self, seq: int, more: bool) -> None:
        """The model's answer is committed, by event `seq`; `more`: the task goes on from it."""
        ...


class End(Struct, frozen=True):
    """Why an answer ends: `calls` of the client's tools, a `question` to a person, or the task's own end.

    `text` is the whole of what came out where the task has ended."""

    calls: tuple[Ask, ...] = ()
    question: str = ""
    finished: Finished | None = None
    text: str = ""
    seq: int = 0

    @property
    def verdict(self) -> Verdict | None:
        return self.finished.verdict if self.finished is not None else None

    @property
    def reason(self) -> str:
        """OpenAI's finish reason; empty where the task came to nothing."""
        verdict = self.verdict
        if verdict is None:
            return "tool_calls" if self.calls else "stop"
        if verdict.outcome == "done":
            return "stop"
        if verdict.code == "refused":
            return "content_filter"
        return "length" if verdict.outcome == "partly" and self.text else ""


class Reader:
    """Reads the items of one task's tree. `hold`: only what came out in the end is told (an answer in JSON must not be
    told before it is known to be right). `known`: up to this event the journal was there before, so that pieces of the
    turn that goes on were missed; it is told when it is whole."""

    def __init__(self, task: str, writer: Writer, hold: bool = False, known: int = 0) -> None:
        self.seq = 0
        self.usage = Usage()
        self.calls: list[Ask] = []
        self.question: tuple[str, Ask] | None = None
        self.finished: Finished | None = None
        self._task = task
        self._writer = writer
        self._hold = hold
        self._known = known
        self._turn = ""
        self._asked = 0
        self._live = False
        self._sent = ""
        self._last = ""
        self._joined = False
        self._between = False

    def delta(self, item: LiveDelta) -> None:
        """A provisional piece."""
        if not self._live or item.command != self._turn or item.task != self._task:
            return
        delta = item.delta
        if delta.reset:
            # What was told can't be taken back: the rest is told once it is known whether it goes on from there.
            self._live = not self._sent
        elif delta.text:
            self._tell(delta.text)
        elif delta.reasoning:
            self._writer.reasoning(delta.reasoning, self._asked)

    def event(self, recorded: Recorded) -> None:
        """Something that is in the journal."""
        event = recorded.event
        if isinstance(event, Answered) and isinstance(event.answer, ModelAnswer):
            self.usage = _sum(self.usage, event.answer.usage)
        if recorded.task == self._task:
            self.seq = recorded.seq
            self._own(event)
        elif isinstance(event, Asked) and isinstance(event.command, Ask):
            self.question = (recorded.task, event.command)

    def _own(self, event: Event) -> None:
        if isinstance(event, Asked):
            command = event.command
            if isinstance(command, CallModel) and command.purpose == "turn":
                self._turn, self._sent, self._asked = command.id, "", self.seq
                self._live = not self._hold and self.seq > self._known
            elif isinstance(command, Ask) and command.kind == "tool":
                self.calls.append(command)
            elif isinstance(command, Ask):
                self.question = (self._task, command)
        elif isinstance(event, Answered) and event.command == self._turn and isinstance(event.answer, ModelAnswer):
            self._answered(event.answer)
        elif isinstance(event, Finished):
            self.finished = event

    def _answered(self, answer: ModelAnswer) -> None:
        self._live = False
        if not self._hold:
            self._complete(answer.text)
        cut = answer.stop == "length" and not answer.calls
        self._last = self._last + answer.text if self._joined else answer.text
        self._joined = cut
        self._between = bool(self._last) and not cut
        self._writer.turn_over(self.seq, more=bool(answer.calls) or cut)

    def _complete(self, text: str) -> None:
        """Tell what is missing of a turn's words."""
        if text.startswith(self._sent):
            rest = text[len(self._sent) :]
        else:
            rest = BETWEEN + text
        if rest:
            self._tell(rest)

    def _tell(self, piece: str) -> None:
        if self._between:
            self._between = False
            if self._writer.joins:
                self._writer.text(BETWEEN, self._asked)
        self._sent += piece
        self._writer.text(piece, self._asked)

    def end(self) -> End:
        """The end of the answer, with what came out where it was not told yet."""
        if self.calls:
            return End(tuple(self.calls), seq=self.seq)
        if self.finished is None:
            assert self.question is not None
            told, self._asked = question_text(self.question[1]), self.seq
            self._tell(told)
            return End((), told, seq=self.seq)
        text = text_of(self.finished.parts)
        if text and (self._hold or not same(text, self.finished.parts, self._last)):
            self._sent, self._asked = "", self.seq
            self._tell(text)
        return End((), "", self.finished, text, self.seq)


def in_run(recorded: Recorded) -> bool:
    """Whether an event may stand among the commands that one answer of a model led to."""
    return isinstance(recorded.event, Asked | Started)


def question_text(ask: Ask) -> str:
    """A question to a person as the words of an answer."""
    words = cut(ask.question, SHOWN, "the task's approvals in the host's own API")
    if not ask.options:
        return words
    return words + "\n" + "\n".join(f"- {option}" for option in ask.options)


def text_of(parts: tuple[Part, ...]) -> str:
    """What came out of a task, in words: data as JSON, files by name and address."""
    return "\n".join(_told(part) for part in parts)


def _told(part: Part) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, FilePart):
        return f"{part.name or 'a file'} ({part.media_type}): /api/v1/files/{part.digest}"
    return json_text(part.data)


def same(text: str, parts: tuple[Part, ...], said: str) -> bool:
    """Whether the model's last words are what came out, though JSON may be written otherwise."""
    if text == said:
        return True
    if len(parts) != 1 or not isinstance(parts[0], DataPart):
        return False
    try:
        value: Any = msgspec.json.decode(said)
    except msgspec.DecodeError:
        return False
    return value == parts[0].data


def total(usages: Iterable[Usage]) -> Usage:
    """What several used."""
    found = Usage()
    for usage in usages:
        found = _sum(found, usage)
    return found


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input + other.input,
        one.output + other.output,
        one.cached + other.cached,
        one.reasoning + other.reasoning,
        one.cache_written + other.cache_written,
    )
