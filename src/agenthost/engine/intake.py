"""What comes from outside for a task, from its inbox into its journal."""

from typing import Any

import msgspec

from agenthost.core.commands import Ask, StartChild
from agenthost.core.events import Answered, CancelAsked, Noted, Paused, Received, Reply, Resumed
from agenthost.core.parts import Message
from agenthost.core.ports import InboxItem
from agenthost.engine import children
from agenthost.engine.services import Services
from agenthost.engine.step import Step
from agenthost.programs.base import BaseState, Open

_message = msgspec.json.Decoder(Message)
_body = msgspec.json.Decoder(dict[str, str])


async def take(services: Services, state: BaseState, step: Step, item: InboxItem) -> None:
    """Move one item into the journal. One that can't be read or has no use is put aside, and the journal says so."""
    step.taken.append(item.id)
    try:
        if item.kind == "message":
            step.event(Received(_message.decode(item.body)))
        elif item.kind == "cancel":
            step.event(_cancel(item))
        elif item.kind == "pause":
            body = _body.decode(item.body)
            step.event(Paused(body.get("by", "owner"), body.get("reason", "")))
        elif item.kind == "resume":
            step.event(Resumed(_body.decode(item.body).get("by", "owner")))
        elif item.kind == "reply":
            _reply(state, step, _body.decode(item.body))
        elif item.kind == "child":
            await _child(services, state, step, children.read_report(item.body))
        else:
            step.event(Noted(f"an inbox item of the unknown kind '{item.kind}' was put aside"))
    except msgspec.MsgspecError as error:
        step.event(Noted(f"an inbox item of the kind '{item.kind}' can't be read and was put aside: {error}"))


def _cancel(item: InboxItem) -> CancelAsked:
    body = _body.decode(item.body)
    return CancelAsked(body.get("by", "owner"), body.get("reason", ""))


def cancel_of(item: InboxItem) -> CancelAsked:
    """What a cancel says, as far as it can be read."""
    try:
        return _cancel(item)
    except msgspec.MsgspecError:
        return CancelAsked()


def _reply(state: BaseState, step: Step, body: dict[str, str]) -> None:
    entry: Open | None = state.open.get(body.get("question", ""))
    details: dict[str, Any] = dict(body)
    if entry is None or not isinstance(entry.command, Ask):
        step.event(Noted("an answer came to a question that is no longer open", details=details))
        return
    ask, text = entry.command, body.get("text", "")
    if ask.kind == "doubt" and text.strip().lower() not in ask.options:
        # A slip of the pen must neither repeat what may have happened nor give it up.
        told = f"the answer to the question is none of: {', '.join(ask.options)}; it waits on"
        step.event(Noted(told, ask.id, details))
        return
    step.event(Answered(ask.id, Reply(text, body.get("by", "owner"), body.get("via", ""))))


async def _child(services: Services, state: BaseState, step: Step, report: children.ChildReport) -> None:
    entry = state.open.get(report.command)
    if entry is None or not isinstance(entry.command, StartChild):
        return
    result = report.result
    if entry.command.workspace == "copy":
        result = await services.merge(state.spec, result, step.files)
        step.files.update(result.changes)
        step.merged = True
    step.event(Answered(report.command, result))
