"""Answers to questions: which question is meant, who may answer it, and who has."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.access import OWNER
from agenthost.core.api import OpenQuestion
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, BadInput, Conflict, Forbidden
from agenthost.core.events import Answered, Recorded, Reply
from agenthost.core.ports import InboxItem, Store
from agenthost.core.questions import may_answer, reply_id, who
from agenthost.core.tasks import TaskRow

_body = msgspec.json.Decoder(dict[str, str])


class Given(Struct, frozen=True):
    """An answer that was given: to which question of which task, what, by whom, over which channel and when."""

    task: str
    question: str
    text: str
    by: str
    via: str
    at: float


def named(questions: Sequence[OpenQuestion], question: str) -> list[OpenQuestion]:
    """Those that a caller means: all where they name none."""
    return [open for open in questions if question in ("", open.ask.id, f"{open.task}/{open.ask.id}")]


def option(ask: Ask, text: str) -> str:
    """An option by its number or in its own spelling, anything else as it is. Raises BadInput where only an option will do."""
    wanted = text.strip()
    if ask.options and wanted.isdigit() and 1 <= int(wanted) <= len(ask.options):
        return ask.options[int(wanted) - 1]
    found = next((option for option in ask.options if option.lower() == wanted.lower()), None)
    if found is None and ask.kind == "doubt":
        raise BadInput(f"answer with one of: {', '.join(ask.options)}")
    return text if found is None else found


def item(open: OpenQuestion, text: str, by: str, via: str) -> InboxItem:
    """What an answer is in the task's inbox, where the first one counts."""
    body = msgspec.json.encode({"question": open.ask.id, "text": text, "by": by, "via": via})
    return InboxItem(open.task, reply_id(open.ask.id), "reply", body, time.time())


def need_answerer(ask: Ask, person: str, role: str, requester: str) -> None:
    """Raises Forbidden, which says who may answer, where somebody may not."""
    if ask.by and not may_answer(ask.by, person, role, requester):
        raise not_yours(ask, requester)


def not_yours(ask: Ask, requester: str) -> Forbidden:
    """That a question is others' to answer, and whose."""
    told = who(ask.by, requester)
    return Forbidden(f"you may not answer this question; {told} may", may=list(ask.by))


def need_owner(ask: Ask, by: str, requester: str) -> None:
    """The same of whoever comes as the owner, whose requests nobody else looks at."""
    if by == OWNER:
        need_answerer(ask, OWNER, "owner", requester)


async def last_answer(
    store: Store, rows: Sequence[TaskRow], question: str, journal: Callable[[str], Awaitable[list[Recorded]]]
) -> Given | None:
    """The answer that was given to a question of these tasks; without a name, the newest of all."""
    found: list[Given] = []
    for row in rows:
        task, _, id = question.rpartition("/")
        if task and task != row.id:
            continue
        for came in await store.inbox(row.id):
            if came.kind == "reply" and (not id or came.id == reply_id(id)):
                body = _body.decode(came.body)
                found.append(_given(row.id, body.get("question", ""), body, came.at))
        try:
            events = await journal(row.id)
        except AgentHostError:
            continue  # a journal that can't be read says nothing here
        for recorded in events:
            event = recorded.event
            if isinstance(event, Answered) and isinstance(event.answer, Reply) and id in ("", event.command):
                found.append(_given(row.id, event.command, msgspec.structs.asdict(event.answer), recorded.at))
    return max(found, key=lambda given: given.at, default=None)


def _given(task: str, question: str, body: dict[str, Any], at: float) -> Given:
    return Given(task, question, body.get("text", ""), body.get("by", ""), body.get("via", ""), at)


def answered_already(given: Given) -> Conflict:
    """That somebody was first: who, what, over which channel and when."""
    over = f" over {given.via}" if given.via else ""
    when = f"{datetime.fromtimestamp(given.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    said = given.text if len(given.text) <= 200 else f"{given.text[:200]}..."
    return Conflict(
        f"the question was answered already: '{said}', by {given.by or 'somebody'}{over}, at {when}",
        **msgspec.structs.asdict(given),
    )
