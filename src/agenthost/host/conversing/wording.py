"""What the host itself says in a conversation, in words."""

from collections.abc import Sequence

from agenthost.core.api import TaskDetail
from agenthost.core.conversations import Button, Line
from agenthost.core.lifecycle import FINAL
from agenthost.core.routing import Candidate, Topic
from agenthost.core.tasks import TaskRow
from agenthost.programs.routing import buttons

NEW = "Something new"
"""What stands beside the tasks that a message may be for."""

LISTED = 20
"""The most tasks that one list names."""

_STATES = {
    "submitted": "waits for its turn",
    "working": "at work",
    "input-required": "waits for an answer",
    "auth-required": "waits for a sign-in",
    "completed": "done",
    "failed": "failed",
    "canceled": "cancelled",
    "rejected": "refused",
}


def state_of(row: TaskRow, asks: bool = False) -> str:
    """How a task is, in a few words."""
    if row.hold == "paused":
        return "paused"
    if row.hold:
        return "held: it can't go on by itself"
    if asks and row.state not in FINAL:
        return _STATES["input-required"]
    return _STATES.get(row.state, row.state)


def title(text: str, most: int = 60) -> str:
    """A title that fits a line."""
    words = " ".join(text.split())
    return words if len(words) <= most else words[: most - 1] + "…"


def of(line: Line) -> str:
    """A person's line in a few words."""
    names = ", ".join(file.name or file.media_type for file in line.files)
    return title(line.text) or title(line.forwarded) or names or "your message"


def which(line: Line, candidates: Sequence[Candidate], titles: dict[str, str]) -> tuple[str, tuple[Button, ...]]:
    """The question for which task a message is, with a button for each that it may be."""
    named = [(title(titles.get(each.task, each.task)), each.task) for each in candidates if each.task]
    named.append((NEW, ""))
    shown = of(line)
    rows = "\n".join(f"{number}. {name}" for number, (name, _) in enumerate(named, 1))
    pressed = tuple(Button(name, buttons.which(line.place, task)) for name, task in named)
    return f"Which one is “{shown}” for?\n{rows}", pressed


def corrected(line: Line, new: str) -> str:
    """The new words of an earlier message, as its task is told them. Words that were passed on aren't said again: they
    were nobody's order."""
    old = title(line.text)
    return f"In place of my earlier message{f' (“{old}”)' if old else ''}:\n{new or '(no words)'}"


def withdrawn(line: Line) -> str:
    """That a message was taken back, as its task is told it."""
    old = title(line.text) or ("what was passed on" if line.forwarded else "a file")
    return f"I take back my earlier message (“{old}”): go on as if it had never come, as far as that can be."


def listed(topics: Sequence[Topic], rows: dict[str, TaskRow], total: int) -> tuple[str, tuple[Button, ...]]:
    """The tasks that go on, numbered."""
    if not topics:
        return "Nothing is going on. Say what is to be done.", ()
    lines = [
        f"{number}. {title(topic.title)}: {state_of(rows[topic.task], bool(topic.asks))}"
        for number, topic in enumerate(topics, 1)
    ]
    if total > len(topics):
        lines.append(f"… and {total - len(topics)} more")
    return "\n".join(lines), tuple(
        Button(title(each.title, 30), buttons.order("progress", each.task)) for each in topics
    )


def progress(detail: TaskDetail, now: float) -> tuple[str, tuple[Button, ...]]:
    """How far a task is."""
    row = detail.row
    lines = [f"“{title(row.title)}” ({row.name}): {state_of(row, bool(detail.questions))}."]
    if row.state in FINAL:
        if row.reason:
            lines.append(row.reason)
        return "\n".join(lines), ()
    lines[0] += (
        f" Begun {_ago(now - row.created)}, last step {_ago(now - row.updated)}, {detail.spent.turns} model calls."
    )
    lines += [f"· {title(child.title)}: {state_of(child)}" for child in detail.children if child.state not in FINAL][:8]
    lines += [f"It asks: {question.ask.question}" for question in detail.questions][:3]
    return "\n".join(lines), (Button("Cancel", buttons.order("cancel", row.id)),)


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now" if seconds < 5 else f"{int(seconds)} seconds ago"
