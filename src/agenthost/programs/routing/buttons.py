"""The data of buttons: what is pressed under a line of the host, in at most 64 bytes.

`answer:QUESTION:N` answers a question with its option N, from 1; `which:PLACE:TASK` says for which task line PLACE is (none: a new
one); `cancel:TASK`, `pause:TASK`, `resume:TASK`, `progress:TASK` and `list:` ask for that. A question or task whose name is
too long stands as `~` and the beginning of its hash, and is known again among those that are there.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal, get_args

from msgspec import Struct

MOST_BYTES = 64
"""What Telegram takes as `callback_data` (Bot API, InlineKeyboardButton)."""

Verb = Literal["answer", "which", "cancel", "pause", "resume", "progress", "list"]
VERBS: dict[str, Verb] = {verb: verb for verb in get_args(Verb)}


class Press(Struct, frozen=True, omit_defaults=True):
    """What a button says. `task` for all but `answer`, where `question` is one (`TASK/COMMAND`) and `option` the number of what
    was chosen, from 1; `line` is the place that `which` is about. Names that were too long stand in their short form: see `meant`."""

    verb: Verb
    task: str = ""
    question: str = ""
    option: int = 0
    line: int = 0


def answer(question: str, option: int) -> str:
    """The option numbered `option`, from 1, of a question (`TASK/COMMAND`)."""
    return f"answer:{_short(question)}:{option}"


def which(line: int, task: str) -> str:
    """Line `line` (its place) is for `task`; for a new one where that is empty."""
    return f"which:{line}:{_short(task)}"


def order(verb: Literal["cancel", "pause", "resume", "progress"], task: str) -> str:
    """Something to be done with a task."""
    return f"{verb}:{_short(task)}"


LIST = "list:"
"""Show what is going on."""


def read(data: str) -> Press | None:
    """What a button says; None where it isn't one of these."""
    name, _, rest = data.partition(":")
    verb = VERBS.get(name)
    if verb is None or not data.isascii() or len(data) > MOST_BYTES:
        return None
    if verb == "list":
        return Press(verb) if not rest else None
    if verb == "answer":
        question, _, number = rest.rpartition(":")
        return Press(verb, question=question, option=int(number)) if question and _counts(number) else None
    if verb == "which":
        number, _, task = rest.partition(":")
        return Press(verb, task=task, line=int(number)) if _counts(number) else None
    return Press(verb, task=rest) if rest else None


def meant(name: str, known: Iterable[str]) -> str:
    """The task or question that a button names: of those known where it stands there in its short form, empty where none is."""
    if not name.startswith("~"):
        return name
    return next((one for one in known if _short(one) == name), "")


def _counts(number: str) -> bool:
    return number.isdecimal() and len(number) <= 15


def _short(name: str) -> str:
    if len(name) <= 40 and name.isascii() and not name.startswith("~") and ":" not in name:
        return name
    return "~" + hashlib.sha256(name.encode()).hexdigest()[:24]
