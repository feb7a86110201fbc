"""Messages of a conversation find their task, and what tasks say is told there."""

import asyncio
from typing import Any

import pytest

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.errors import NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.host.host import Host
from host.conftest import ASKER, ECHO, Opens

REPLIES = """\
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""
RULES = '[routing]\nmodel = ""\n'


async def place(host: Host, text: str, key: str = "", **more: Any) -> Placed:
    return await host.place(Incoming(text, conversation="chat:1", key=key, channel="chat", **more))


async def said(host: Host, count: int, by: str = "host") -> list[Line]:
    """The lines of one side, as soon as there are so many."""
    wanted = LineFilter(conversation="chat:1", limit=100)
    async with asyncio.timeout(20):
        while len(found := [line for line in await host.conversing.lines(wanted) if line.by == by]) < count:
            await asyncio.sleep(0.01)
    assert len(found) == count, found
    return found


async def ended(host: Host, task: str) -> str:
    async with asyncio.timeout(20):
        while (row := (await host.task(task)).row).state not in FINAL:
            await asyncio.sleep(0.01)
    return row.state


async def test_what_is_new_begins_a_task_and_its_answer_is_told(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    placed = await place(host, "paint the fence", "m1", name="echo")
    assert (placed.became, placed.decision and placed.decision.meaning) == ("order", "new")
    assert placed.task is not None and placed.task.conversation == "chat:1"
    (line,) = await said(host, 1)
    assert (line.kind, line.text, line.task, line.reply_to) == (
        "answer",
        "You said paint the fence",
        placed.task.id,
        "m1",
    )
    again = await place(host, "paint the fence", "m1", name="echo")
    assert again.line == placed.line and again.task is not None and again.task.id == placed.task.id
    assert len(await said(host, 1, "person")) == 1


async def test_a_question_is_told_and_its_answer_finds_it(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    placed = await place(host, "paint the fence", "m1", name="asker")
    assert placed.task is not None
    (line,) = await said(host, 1)
    assert (line.kind, line.text, line.state) == ("question", "Which colour?", "asked")
    assert [button.label for button in line.buttons] == ["red", "blue"]
    answered = await place(host, "", "m2", button=line.buttons[1].data)
    assert answered.became == "answer"
    assert [each.text for each in await said(host, 2)][1:] == ["You said blue"]
    assert await ended(host, placed.task.id) == "completed"


async def test_an_answer_from_elsewhere_is_told_as_settled(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    placed = await place(host, "paint the fence", "m1", name="asker")
    assert placed.task is not None
    await said(host, 1)
    await host.reply(placed.task.id, "red", by="ann")
    lines = await said(host, 3)
    assert [line.kind for line in lines] == ["question", "settled", "answer"]
    assert lines[1].text == "ann answered “Which colour?”: red"
    assert lines[0].state == "filed"


async def test_nobody_for_it_is_an_error_and_a_reply_finds_its_task(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    with pytest.raises(NotFound, match="name"):
        await place(host, "paint the fence", "m0")
    first = await place(host, "paint the fence", "m1", name="asker")
    second = await place(host, "/new write a poem about rivers", "m2", name="asker")
    assert first.task is not None and second.task is not None
    assert first.task.id != second.task.id
    lines = await said(host, 2)
    told = next(line for line in lines if line.task == first.task.id)
    await host.conversing.sent(told.place, ["701"])
    answered = await place(host, "red", "m3", reply_to="701")
    assert answered.became == "answer" and answered.task is not None and answered.task.id == first.task.id
    assert answered.decision is not None and answered.decision.rule == "reply"
