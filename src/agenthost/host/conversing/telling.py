"""What tasks say in their conversations: made from their journals, each once."""

import json
import mimetypes
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.api import Artifact
from agenthost.core.commands import Ask
from agenthost.core.conversations import Button, Line, Thread
from agenthost.core.events import Answered, Asked, Event, Finished, Recorded, Reply
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import DataPart, FilePart, Part, text_of
from agenthost.core.tasks import TaskRow
from agenthost.programs.routing import buttons


class Said(Struct, frozen=True, omit_defaults=True):
    """What a task's events came to: lines of the host, and questions that are open no more (`*`: all of the root's)."""

    lines: tuple[Line, ...] = ()
    settled: tuple[str, ...] = ()


class About(Struct, frozen=True, omit_defaults=True):
    """Where and how a task's lines are told: in which conversation, under which label, in answer to which message; whose questions are open there by
    their id (`TASK/COMMAND`); the files of its workspace."""

    thread: Thread
    root: TaskRow
    channel: str = ""
    label: str = ""
    reply_to: str = ""
    open: Mapping[str, Line] = {}
    artifacts: Sequence[Artifact] = ()


def is_said(event: Event) -> bool:
    """Whether a conversation may have to hear of an event. An answer without content is that of a question that nobody may answer any more, or of anything else that failed."""
    if isinstance(event, Answered):
        return event.answer is None or isinstance(event.answer, Reply)
    return isinstance(event, Finished) or (isinstance(event, Asked) and isinstance(event.command, Ask))


def tell(about: About, row: TaskRow, events: Sequence[Recorded], new: Sequence[Recorded]) -> Said:
    """The lines that `new` events of a task (of the conversation's root or below it) lead to; `events` is its whole journal."""
    answers = {each.event.command: each.event for each in events if isinstance(each.event, Answered)}
    asks = {each.event.command.id: each.event.command for each in events if isinstance(each.event, Asked)}
    lines: list[Line] = []
    settled: list[str] = []
    over = row.state in FINAL
    for recorded in new:
        event = recorded.event
        if isinstance(event, Asked) and isinstance(event.command, Ask):
            if event.command.id not in answers and not over and event.command.kind != "tool":
                lines.append(_question(about, recorded, event.command))
        elif isinstance(event, Answered) and isinstance(asks.get(event.command), Ask):
            question = f"{row.id}/{event.command}"
            settled.append(question)
            if question in about.open and isinstance(event.answer, Reply):
                lines.append(_settled(about, recorded, about.open[question], event.answer))
        elif isinstance(event, Finished):
            settled += ["*"] if not row.parent else [id for id in about.open if id.startswith(f"{row.id}/")]
            if not row.parent:
                lines.append(_end(about, recorded, event))
    return Said(tuple(lines), tuple(settled))


def line(about: About, id: str, at: float, text: str, task: str = "") -> Line:
    """A line of the host's in that conversation."""
    thread = about.thread
    made = Line(
        thread.conversation, id, "host", "told", at, text, task=task, label=about.label, reply_to=about.reply_to
    )
    return replace(made, channel=about.channel, namespace=thread.namespace, person=thread.person)


def _line(about: About, recorded: Recorded, text: str) -> Line:
    return line(about, f"{recorded.task}:{recorded.seq}", recorded.at, text, about.root.id)


def _question(about: About, recorded: Recorded, ask: Ask) -> Line:
    id = f"{recorded.task}/{ask.id}"
    pressed = tuple(Button(option, buttons.answer(id, number)) for number, option in enumerate(ask.options, 1))
    return replace(_line(about, recorded, ask.question), kind="question", question=id, buttons=pressed, state="asked")


def _settled(about: About, recorded: Recorded, asked: Line, answer: Reply) -> Line:
    short = asked.text.splitlines()[0] if asked.text else ""
    if answer.by == "host":
        text = f"Nobody answered in time: “{short}”. It goes on with: {answer.text or 'no answer'}"
    else:
        text = f"{answer.by} answered “{short}”: {answer.text}"
    return replace(_line(about, recorded, text), kind="settled", question=asked.question, reply_to=asked.id)


def _end(about: About, recorded: Recorded, event: Finished) -> Line:
    verdict = event.verdict
    text = _words(event.parts)
    if verdict.outcome == "canceled":
        why = verdict.reason.removeprefix("cancelled").removeprefix(":").strip().rstrip(".")
        text = f"Cancelled {why}." if why.startswith("by ") else f"Cancelled{': ' + why if why else ''}."
    elif verdict.outcome != "done":
        text = f"{text}\n\n{_ENDS.get(verdict.outcome, 'Failed')}: {verdict.reason}".strip()
    files = [part for part in event.parts if isinstance(part, FilePart)]
    named = {file.digest for file in files}
    made = (each for each in about.artifacts if each.path in event.artifacts and each.digest not in named)
    files += map(file_of, made)
    return replace(_line(about, recorded, text or "Done."), kind="answer", files=tuple(files))


_ENDS = {
    "partly": "Done in part",
    "blocked": "Blocked",
    "unachievable": "This can't be done",
    "needs-person": "A person is needed",
}


def _words(parts: tuple[Part, ...]) -> str:
    text = text_of(parts)
    data = [json.dumps(part.data, ensure_ascii=False, indent=1) for part in parts if isinstance(part, DataPart)]
    return "\n".join([text, *data] if text else data)


def file_of(artifact: Artifact) -> FilePart:
    """A file of a workspace as it is sent."""
    media = mimetypes.guess_type(artifact.path)[0] or "application/octet-stream"
    return FilePart(artifact.digest, media, artifact.size, artifact.path.rpartition("/")[2])
