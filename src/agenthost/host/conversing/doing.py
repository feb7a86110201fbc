"""Carries out what was decided about a message, as its person may do it. Doing it again changes nothing."""

import hashlib
import time
from typing import Literal

from msgspec import Struct

from agenthost.core.api import HostApi, Order
from agenthost.core.conversations import Button, Conversations, Line, thread_of
from agenthost.core.errors import Conflict, NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import Message, Part, TextPart
from agenthost.core.routing import Decision, Scene
from agenthost.core.tasks import Filter, TaskRow
from agenthost.host.conversing import scenes, wording

Became = Literal["order", "message", "answer", "told"]


class Done(Struct, frozen=True, omit_defaults=True):
    """What a message became: `id` of the task's message or of the task that it began; `text` and `buttons` are what the host says to it.
    `settled`: the questions that are open no more."""

    became: Became
    task: TaskRow | None = None
    id: str = ""
    text: str = ""
    buttons: tuple[Button, ...] = ()
    settled: tuple[str, ...] = ()


def key_of(line: Line, turn: str = "") -> str:
    """The idempotency key of the work that a line begins; `turn` tells apart what one line began at different times."""
    return f"line:{scenes.thread_words(thread_of(line))}\0{line.id}{turn}"


def order_of(line: Line, name: str) -> Order:
    """The work that a line begins."""
    return Order(
        name,
        scenes.said_by(line),
        line.files,
        key=hashlib.sha256(key_of(line, line.moved_from).encode()).hexdigest(),
        conversation=line.conversation,
        message=line.id,
    )


async def do(api: HostApi, kept: Conversations, line: Line, decision: Decision, scene: Scene) -> Done:
    """Do it. Raises what the host's use-cases raise, and then nothing was done."""
    meaning, task = decision.meaning, decision.task
    if meaning == "new":
        return await _begin(api, order_of(line, line.name))
    if meaning == "answer":
        return await _answer(api, line, decision, scene)
    if meaning in ("steer", "again"):
        return await _say(api, line, task)
    if meaning == "progress":
        text, buttons = wording.progress(await api.task(task), time.time())
        return Done("told", (await api.task(task)).row, text=text, buttons=buttons)
    if meaning == "cancel":
        return await _cancel(api, line, task)
    if meaning in ("pause", "resume"):
        return await _rest(api, task, meaning)
    if meaning == "list":
        return await _list(api, scene)
    return Done("told")


async def _begin(api: HostApi, order: Order) -> Done:
    if not order.name:
        raise NotFound("no task waits for this message; give a `task`, or the `name` of an agent that is to take it")
    row = await api.start(order)
    return Done("order", row, row.id)


async def _answer(api: HostApi, line: Line, decision: Decision, scene: Scene) -> Done:
    text = scenes.option_of(line, scene.topics) or line.text
    if line.files:
        await _tell(api, line, decision.task)
        text = text or ", ".join(file.name or file.media_type for file in line.files)
    question = decision.question
    try:
        answered = await api.reply(decision.task, text, question)
    except Conflict:
        detail = await api.task(decision.task)
        if detail.row.state in FINAL:
            return await _say(api, line, decision.task)
        # Somebody was quicker, or this was answered before the host was cut off: what was said is the task's all the same.
        if not line.files and not line.button:
            await _tell(api, line, decision.task)
        return Done("message", detail.row, _id(line), settled=(question,) if question else ())
    return Done(
        "answer", await _row(api, line, decision.task), question, settled=(f"{answered.task}/{answered.ask.id}",)
    )


async def _say(api: HostApi, line: Line, task: str) -> Done:
    row = await _row(api, line, task)
    if row.state not in FINAL:
        try:
            await _tell(api, line, task)
            return Done("message", row, _id(line))
        except Conflict:
            row = await _row(api, line, task)
    return await _again(api, line, row)


async def _row(api: HostApi, line: Line, task: str) -> TaskRow:
    """What a task is now, without what is below it, its questions and what it has used. Raises NotFound."""
    rows = await api.tasks(Filter(line.namespace, root=task, roots_only=True, limit=1))
    return rows[0] if rows else (await api.task(task)).row


async def _again(api: HostApi, line: Line, row: TaskRow) -> Done:
    """Further work on what has ended: a task of its own that begins with the files of that one, and knows what came of it."""
    files = {each.path: each.digest for each in await api.artifacts(row.id)}
    order = order_of(line, row.name)
    before = f"This goes on from earlier work, which has ended: “{row.title}”. Its files are here."
    said = scenes.said_by(line)
    text = f"{before}\n\n{said}" if row.kind == "agent" else said
    workspace = {path: digest for path, digest in files.items() if path}
    made = await api.start(_with(order, text, wording.title(row.title, 80), workspace))
    return Done("order", made, made.id)


def _with(order: Order, text: str, title: str, workspace: dict[str, str]) -> Order:
    return Order(
        order.name,
        text,
        order.files,
        key=order.key,
        title=title,
        workspace=workspace,
        conversation=order.conversation,
        message=order.message,
    )


def _id(line: Line) -> str:
    """The id of the message that a line is to its task: the same however often it is said."""
    return hashlib.sha256(key_of(line).encode()).hexdigest()[:32]


async def _tell(api: HostApi, line: Line, task: str) -> None:
    said = scenes.said_by(line)
    parts: tuple[Part, ...] = (*((TextPart(said),) if said else ()), *line.files)
    if parts:
        await api.say(task, Message("person", parts, _id(line)))


async def _cancel(api: HostApi, line: Line, task: str) -> Done:
    row = (await api.task(task)).row
    try:
        await api.cancel(task, reason="")
    except Conflict:
        return Done("told", row, text=f"“{wording.title(row.title)}” has ended already: {wording.state_of(row)}.")
    return Done("told", row, settled=("*",))


async def _rest(api: HostApi, task: str, meaning: str) -> Done:
    try:
        await (api.pause(task) if meaning == "pause" else api.resume(task))
    except Conflict as error:
        return Done("told", (await api.task(task)).row, text=error.message)
    row = (await api.task(task)).row
    told = "rests as soon as what it does has ended" if meaning == "pause" else "goes on"
    return Done("told", row, text=f"“{wording.title(row.title)}” {told}.")


async def _list(api: HostApi, scene: Scene) -> Done:
    topics = [topic for topic in scene.topics if topic.state not in FINAL][: wording.LISTED]
    rows = {topic.task: (await api.task(topic.task)).row for topic in topics}
    text, buttons = wording.listed(topics, rows, scene.open)
    return Done("told", text=text, buttons=buttons)
