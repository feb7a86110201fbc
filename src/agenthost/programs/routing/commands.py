"""Chat commands: `/cancel`, `/task ID words`, and so on, as a chat's menu or a person's fingers write them.

A command is a slash and a word at the beginning of a message, in Telegram's form also with the name of the bot that it is
for (`/cancel@our_bot`). What follows names a task by its id, by its number in the list or by words, or is what is said.
"""

import re

from msgspec import Struct

from agenthost.core.routing import Meaning

NAMES: dict[str, Meaning] = {
    "tasks": "list",
    "list": "list",
    "cancel": "cancel",
    "stop": "cancel",
    "status": "progress",
    "new": "new",
    "pause": "pause",
    "resume": "resume",
    "again": "again",
    "move": "move",
    "task": "steer",
    "start": "chat",
    "help": "chat",
}
"""What can be written, and what it means. Add a command here and in the channel's menu."""

ID = re.compile(r"#?(?<![\w.])([0-9a-hjkmnp-tv-z]{16}(?:\.[A-Za-z0-9_.~-]*[A-Za-z0-9_~])?)(?![\w])")
"""A task's id, written out: `core.ids.task_id`, and what comes after it of a child's."""

_FORM = re.compile(r"\s*/([A-Za-z_]{2,32})(?:@\w+)?(?:\s+|$)(.*)", re.DOTALL)


class ChatCommand(Struct, frozen=True, omit_defaults=True):
    """A command and what was written after it."""

    name: str
    meaning: Meaning
    rest: str = ""


def read(text: str) -> ChatCommand | None:
    """The command that a message is; None where it is none of ours."""
    form = _FORM.match(text)
    if form is None:
        return None
    name = form[1].lower()
    meaning = NAMES.get(name)
    return None if meaning is None else ChatCommand(name, meaning, form[2].strip())


def ids(text: str) -> list[str]:
    """The tasks' ids written out in a text, each once. A word of the language that looks like one has no digit."""
    return list(dict.fromkeys(id for id in ID.findall(text) if any(letter.isdecimal() for letter in id)))
