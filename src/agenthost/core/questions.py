"""Questions to people: how long they wait, who may answer, how they are shown whole or cut. Pure."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.commands import Ask

HOST = "host"
"""Who a reply is by that nobody gave: the question's default."""

TIME_LIMIT = "time-limit"
"""The channel of a default: nobody answered in time."""

GRANT = "grant:"
"""What the name begins with of who answers by a grant; its id follows."""

REQUESTER = "requester"
"""Among those who may answer: whoever gave the work."""

ROLE = "role:"
"""What an entry begins with that means everybody of a role."""

APPROVE, DENY = "approve", "deny"
ALWAYS = "approve always"
"""The answer that agrees, and for later calls with the same arguments too."""

DECISIONS = (APPROVE, DENY)

YES = frozenset((APPROVE, "approved", "yes", "y", "ok", ALWAYS, "always"))
"""The answers to an approval that agree. Any other refuses."""

SHOWN = 6000
"""Characters of a question that a front end shows at once."""

_HEAD = 4
_HIDDEN = ("Cf", "Zl", "Zp", "Co", "Cn", "Cs")


class Asking(Struct, frozen=True, omit_defaults=True):
    """How questions are asked where a manifest says nothing; pinned when a task begins.

    `approvals` and `questions`: seconds until the default counts as the answer, 0 for never. `by`: who may answer
    (see `may_answer`), empty for whoever may work on the task.
    """

    approvals: float = 0.0
    questions: float = 0.0
    by: tuple[str, ...] = ()


def reply_id(question: str) -> str:
    """The id of the inbox item that answers a question: the same for everybody, so that the first answer counts."""
    return f"reply:{question}"


def agrees(text: str) -> bool:
    """Whether an answer to an approval is a yes. Anything else is a no."""
    return text.strip().lower() in YES


def for_good(text: str) -> bool:
    """Whether an answer to an approval agrees for later calls too."""
    return text.strip().lower() in (ALWAYS, "always")


def may_answer(by: tuple[str, ...], person: str, role: str, requester: str) -> bool:
    """Whether somebody is one of those who may answer: `owner`, `requester`, `role:ROLE` or people's ids."""
    wanted = {person, f"{ROLE}{role}"}
    wanted |= {"owner"} if role == "owner" else set()
    wanted |= {REQUESTER} if person == requester else set()
    return not wanted.isdisjoint(by)


def who(by: tuple[str, ...], requester: str) -> str:
    """Those who may answer, in words."""
    told = [f"whoever gave the work ({requester})" if entry == REQUESTER else _name(entry) for entry in by]
    return " or ".join(told)


def _name(entry: str) -> str:
    if entry == "owner":
        return "an owner"
    return f"anybody of the role {entry.removeprefix(ROLE)}" if entry.startswith(ROLE) else f"'{entry}'"


def ends(ask: Ask, at: float) -> float:
    """When a question that was asked `at` ends by its default, in seconds since the epoch; 0 for never."""
    return at + ask.expires if ask.expires is not None else 0.0


def terms_of(ask: Ask, at: float = 0.0) -> str:
    """Until when an answer is waited for, and what counts then; empty where that has no end."""
    if ask.expires is None:
        return ""
    until = f"{datetime.fromtimestamp(at + ask.expires, UTC):%Y-%m-%d %H:%M} UTC" if at else f"{ask.expires:g} s"
    then = f"'{ask.default}'" if ask.default else "that nobody answered"
    return f"Without an answer {'by' if at else 'within'} {until} it ends: {then}."


def readable(arguments: dict[str, Any]) -> str:
    """Arguments as a person reads them: JSON with a line for each, in which no sign hides, or turns what stands beside it."""
    plain = msgspec.json.format(msgspec.json.encode(arguments), indent=2).decode()
    if plain.isascii():
        return plain
    return "".join(json.dumps(sign)[1:-1] if unicodedata.category(sign) in _HIDDEN else sign for sign in plain)


def cut(text: str, most: int = SHOWN, all_of_it: str = "") -> str:
    """A question as a front end shows it: its beginning and its end where it is long, and how to see all. What is left
    out is never less than what is said about it."""
    if len(text) <= most + 200:
        return text
    head, tail = most * (_HEAD - 1) // _HEAD, most // _HEAD
    left = len(text) - head - tail
    where = f"; see all of it: {all_of_it}" if all_of_it else ""
    return f"{text[:head]}\n[... {left:,} characters are left out here{where} ...]\n{text[-tail:]}"


def about(ask: Ask) -> dict[str, Any]:
    """What programs want to know of an approval beside its words; nothing of another question."""
    if ask.kind != "approval":
        return {}
    told = {
        "tool": ask.tool,
        "arguments": ask.arguments,
        "by": list(ask.by),
        "reason": ask.reason,
        "default": ask.default,
    }
    return {name: value for name, value in told.items() if value or name == "arguments"}


def shown(task: str, ask: Ask, most: int = SHOWN) -> str:
    """A question's text for a channel that can't show any length."""
    return cut(ask.question, most, f"GET /api/v1/tasks/{task}/approvals, or `agenthost tasks show {task} --json`")
