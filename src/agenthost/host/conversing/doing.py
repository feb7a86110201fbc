"""Carries out what was decided about a message, as its person may do it. Doing it again changes nothing."""

import hashlib
import time
from contextlib import suppress
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.api import HostApi, Order
from agenthost.core.conversations import Button, Line, thread_of
from agenthost.core.errors import Conflict, NotFound
from agenthost.core.events import Received
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import Message, Part, TextPart
from agenthost.core.routing import Decision, Scene
from agenthost.core.tasks import TaskRow
from agenthost.host.conversing import scenes, wording

Became = Literal["order", "message", "answer", "told"]

HERE = "message"
"""What an answer came by, where its channel has no name."""

FORWARDED = "(see what I passed on)"
"""The words of an answer that is nothing but what somebody else wrote."""


class Done(Struct, frozen=True, omit_defaults=True):
    """What a message became: `id` of the task's message or of the task that it began; `text` and `buttons` are what the
    host says to it. `settled`: the questions that are open no more."""

    became: Became
    task: TaskRow | None = None
    id: str = ""
    text: str = ""
    buttons: tuple[Button, ...] = ()
    settled: tuple[str, ...] = ()


def key_of(line: Line, turn: str = "") -> str:
    """The idempotency key of the work that a line begins; `turn` tells apart what one line began at different times."""
    return f"line:{scenes.thread_words(thread_of(line))}\0{line.id}{turn}"


def versions(line: Line) -> str:
    """What tells apart what is done with a line's text and with those that it had before."""
    return f":{len(line.before)}" if line.before else ""


def order_of(line: Line, name: str) -> Order:
    """The work that a line begins."""
    return Order(
        name,
        scenes.said_by(line),
        line.files,
        key=hashlib.sha256(key_of(line, line.moved_from).encode()).hexdigest(),
        title="" if line.text else wording.title(line.forwarded, 80),
        conversation=line.conversation,
        message=line.id,
    )


async def do(api: HostApi, line: Line, decision: Decision, scene: Scene, again: bool = False) -> Done:
    """Do it; `again`: it was begun, and perhaps done, before the host was cut off. Raises what the host's use-cases
    raise, and then nothing was done."""
    meaning, task = decision.meaning, decision.task
    if meaning == "new":
        return await _begin(api, order_of(line, line.name))
    if meaning == "answer":
        return await _answer(api, line, decision, scene, again)
    if meaning in ("steer", "again"):
        return await say(api, line, task)
    if meaning == "progress":
        detail = await api.task(task)
        text, buttons = wording.progress(detail, time.time())
        return Done("told", detail.row, text=text, buttons=buttons)
    if meaning == "cancel":
        return await _cancel(api, task, again)
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


async def _answer(api: HostApi, line: Line, decision: Decision, scene: Scene, again: bool) -> Done:
    text = scenes.option_of(line, scene.topics) or line.text
    if line.files or line.forwarded:
        # An answer is the person's own words: what comes with them is told as what it is.
        text = text or ", ".join(file.name or file.media_type for file in line.files) or FORWARDED
        with suppress(Conflict):  # it has ended, and so says what follows
            await tell(api, replace(line, text=""), decision.task, beside_id(line))
    via = line.channel or HERE
    try:
        answered = await api.reply(decision.task, text, decision.question, via=via)
        answers = f"{answered.task}/{answered.ask.id}"
    except Conflict as conflict:
        row = (await api.task(decision.task)).row
        answers = _answered(conflict, line, text, via) if again else ""
        if not answers:
            return await _late(api, line, decision.question, row)
    return Done("answer", (await api.task(decision.task)).row, answers, settled=(answers,))


def _answered(conflict: Conflict, line: Line, text: str, via: str) -> str:
    """The question that a line has answered, before the host was cut off; empty where somebody else did."""
    given = conflict.details
    whose = given.get("by") == line.person and given.get("via") == via and given.get("at", 0.0) >= line.at
    said = text.strip()
    # The number of an option counts as its words.
    same = said.lower() == str(given.get("text", "")).strip().lower() or said.isdigit()
    return f"{given['task']}/{given['question']}" if whose and same else ""


async def _late(api: HostApi, line: Line, question: str, row: TaskRow) -> Done:
    """Somebody was quicker with an answer: what was said is the task's all the same."""
    if row.state in FINAL:
        return await say(api, line, row.id)
    words = bool(line.text) and not line.button
    if words:
        await tell(api, replace(line, files=(), forwarded=""), row.id)
    return Done("message", row, _id(line) if words else beside_id(line), settled=(question,) if question else ())


async def say(api: HostApi, line: Line, task: str) -> Done:
    """Say a line to a task; where that has ended, it is taken up again, unless it has heard the line."""
    row = (await api.task(task)).row
    if row.state not in FINAL:
        try:
            await tell(api, line, task)
            return Done("message", row, _id(line))
        except Conflict:
            row = (await api.task(task)).row
    if await _heard(api, line, task):
        return Done("message", row, _id(line))
    return await _again(api, line, row)


async def _heard(api: HostApi, line: Line, task: str) -> bool:
    """Whether a task had a line before the host was cut off."""
    after, id = 0, _id(line)
    while page := await api.events(task, after):
        if any(isinstance(each.event, Received) and each.event.message.id == id for each in page):
            return True
        after = page[-1].seq
    return False


async def _again(api: HostApi, line: Line, row: TaskRow) -> Done:
    """Further work on what has ended: a task of its own that begins with the files of that one, and knows what came of
    it."""
    files = {each.path: each.digest for each in await api.artifacts(row.id)}
    order = order_of(line, row.name)
    before = f"This goes on from earlier work, which has ended: “{row.title}”. Its files are here."
    said = scenes.said_by(line)
    text = f"{before}\n\n{said}" if row.kind == "agent" else said
    workspace = {path: digest for path, digest in files.items() if path}
    made = await api.start(replace(order, text=text, title=wording.title(row.title, 80), workspace=workspace))
    return Done("order", made, made.id)


def _id(line: Line) -> str:
    """The id of the message that a line is to its task: the same however often it is said."""
    return hashlib.sha256(key_of(line).encode()).hexdigest()[:32]


def beside_id(line: Line) -> str:
    """The id of the message of what comes with an answer."""
    return hashlib.sha256(f"{key_of(line)}\0beside".encode()).hexdigest()[:32]


async def tell(api: HostApi, line: Line, task: str, id: str = "") -> None:
    """Say a line to a task that goes on. Raises Conflict where it has ended."""
    said = scenes.said_by(line)
    parts: tuple[Part, ...] = (*((TextPart(said),) if said else ()), *line.files)
    if parts:
        await api.say(task, Message("person", parts, id or _id(line)))


async def _cancel(api: HostApi, task: str, again: bool) -> Done:
    row = (await api.task(task)).row
    try:
        await api.cancel(task, reason="")
    except Conflict:
        if again and row.state == "canceled":
            return Done("told", row, settled=("*",))
        return Done("told", row, text=f"“{wording.title(row.title)}” has ended already: {wording.state_of(row)}.")
    return Done("told", row, settled=("*",))


async def _rest(api: HostApi, task: str, meaning: str) -> Done:
    try:
        await (api.pause(task) if meaning == "pause" else api.resume(task))
    except Conflict as error:
        row = (await api.task(task)).row
        # What goes on already was perhaps told to before the host was cut off.
        if meaning == "pause" or row.hold or row.state in FINAL:
            return Done("told", row, text=error.message)
    row = (await api.task(task)).row
    told = "rests as soon as what it does has ended" if meaning == "pause" else "goes on"
    return Done("told", row, text=f"“{wording.title(row.title)}” {told}.")


async def _list(api: HostApi, scene: Scene) -> Done:
    topics = [topic for topic in scene.topics if topic.state not in FINAL][: wording.LISTED]
    rows = {topic.task: (await api.task(topic.task)).row for topic in topics}
    text, buttons = wording.listed(topics, rows, scene.open)
    return Done("told", text=text, buttons=buttons)
