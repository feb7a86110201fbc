"""What is told of a task: the body of each delivery, made from the journal."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from agenthost.core.commands import Ask, Verdict
from agenthost.core.events import Answered, Asked, Event, Finished, Recorded, Reply
from agenthost.core.lifecycle import FINAL
from agenthost.core.questions import about, ends, shown
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import Delivery, Told, Webhook


def is_told(event: Event) -> bool:
    """Whether somebody may want to hear of an event."""
    return (
        isinstance(event, Finished)
        or (isinstance(event, Asked) and isinstance(event.command, Ask))
        or (isinstance(event, Answered) and isinstance(event.answer, Reply))
    )


def tell(
    webhooks: list[Webhook], row: TaskRow, events: list[Recorded], answered: set[str], ended: float = 0.0
) -> list[Delivery]:
    """The deliveries that events of a task lead to, in order; what was before a webhook was made is old news.

    `answered`: questions that nobody has to hear of any more. `ended`: when its end was written, where that is later than
    the time of the event, which is that of its step's beginning: what is stopped then may take long to stop.
    """
    found: list[Delivery] = []
    for recorded in events:
        event = recorded.event
        if isinstance(event, Finished) and not row.parent:
            there = [each for each in webhooks if each.created <= max(recorded.at, ended)]
            found += _for_each(there, row, recorded, "task.ended", _end(row, event))
        elif isinstance(event, Asked) and isinstance(event.command, Ask) and event.command.id not in answered:
            there = [each for each in webhooks if each.created <= recorded.at]
            found += _for_each(there, row, recorded, "task.question", {"question": _question(row.id, recorded)})
        elif isinstance(event, Answered) and isinstance(event.answer, Reply) and event.answer.via != "grant":
            there = [each for each in webhooks if each.created <= recorded.at]
            answer = {"text": event.answer.text, "by": event.answer.by, "via": event.answer.via}
            found += _for_each(
                there, row, recorded, "task.answered", {"question": {"id": event.command}, "answer": answer}
            )
    return found


def end_of(row: TaskRow) -> list[Recorded]:
    """The end of a task by its row alone, as it would be in its journal; nothing where it goes on."""
    if row.state not in FINAL:
        return []
    verdict = msgspec.convert({"outcome": row.outcome, "reason": row.reason}, Verdict)
    return [Recorded(row.id, row.seq, row.updated, Finished(verdict))]


def answered_in(events: Iterable[Recorded]) -> set[str]:
    """The commands that have their answer."""
    return {recorded.event.command for recorded in events if isinstance(recorded.event, Answered)}


def test_delivery(webhook: Webhook, number: str, at: float) -> Delivery:
    """What is sent to try a webhook out."""
    body = _body("webhook.test", at, {"webhook": webhook.id})
    return Delivery(_id(webhook, "test", number), webhook.id, f"test-{number}", "webhook.test", at, body, due=at)


def _for_each(
    webhooks: list[Webhook], row: TaskRow, recorded: Recorded, event: Told, data: dict[str, Any]
) -> list[Delivery]:
    body = _body(event, recorded.at, _about(row) | data)
    return [
        Delivery(
            _id(webhook, row.id, str(recorded.seq)), webhook.id, row.root, event, recorded.at, body, due=recorded.at
        )
        for webhook in webhooks
        if event in webhook.events and webhook.task in ("", row.root)
    ]


def _about(row: TaskRow) -> dict[str, Any]:
    return {
        "task": row.id,
        "root": row.root,
        "name": row.name,
        "title": row.title,
        "conversation": row.conversation,
        "namespace": row.namespace,
        "person": row.person,
    }


def _end(row: TaskRow, event: Finished) -> dict[str, Any]:
    return {
        "state": row.state,
        "outcome": event.verdict.outcome,
        "reason": event.verdict.reason,
        "code": event.verdict.code,
    }


def _question(task: str, recorded: Recorded) -> dict[str, Any]:
    assert isinstance(recorded.event, Asked) and isinstance(recorded.event.command, Ask)
    ask = recorded.event.command
    told: dict[str, Any] = {"id": ask.id, "kind": ask.kind, "text": shown(task, ask), "options": list(ask.options)}
    until = ends(ask, recorded.at)
    return told | {"tool": ask.tool} | about(ask) | ({"until": until} if until else {})


def _body(event: Told, at: float, data: dict[str, Any]) -> bytes:
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": event, "timestamp": when, "data": data})


def _id(webhook: Webhook, *what: str) -> str:
    """The id of a delivery: the same for the same event, so that it is kept once and known again by who is told."""
    return "msg_" + hashlib.sha256("\0".join((webhook.id, *what)).encode()).hexdigest()[:32]
