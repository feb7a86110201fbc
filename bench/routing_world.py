"""A conversation of many tasks, for what is measured in it."""

from agenthost.core.conversations import Line, Thread
from agenthost.core.events import VERSION
from agenthost.core.ids import task_id
from agenthost.core.ports import NewTask, StoredEvent
from agenthost.core.tasks import TaskRow

THREAD = Thread("default", "owner", "bench")

THINGS = [
    "poster",
    "letter",
    "trip",
    "budget",
    "garden",
    "website",
    "invoice",
    "recipe",
    "lesson",
    "photo",
    "contract",
    "shelf",
    "engine",
    "menu",
    "translation",
]
FOR = [
    "school",
    "party",
    "landlord",
    "bakery",
    "club",
    "grandmother",
    "office",
    "neighbours",
    "wedding",
    "workshop",
    "library",
    "kitchen",
    "festival",
    "team",
]


def title(number: int) -> str:
    """What a task is called."""
    thing, whose = THINGS[number % len(THINGS)], FOR[number // len(THINGS) % len(FOR)]
    return f"The {thing} for the {whose}, number {number}"


def task(number: int) -> NewTask:
    """A task as it is made."""
    row = TaskRow(
        task_id(1_700_000_000_000 + number, number),
        "agent",
        "helper",
        "working" if number % 50 == 0 else "completed",
        float(number),
        float(number),
        title=title(number),
        conversation=THREAD.conversation,
        owner="bench",
        epoch=1,
    )
    return NewTask(row, StoredEvent(1, float(number), "created", VERSION, b"{}"))


def line(number: int) -> Line:
    """What was said for it."""
    id = task_id(1_700_000_000_000 + number, number)
    text = f"please see to it: {title(number)}, and mind what we said about the {FOR[number % len(FOR)]} last week"
    return Line(THREAD.conversation, f"m{number}", "person", "message", float(number), text, task=id)
