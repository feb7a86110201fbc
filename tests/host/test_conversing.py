"""Messages of a conversation find their task, and what tasks say is told there."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agenthost.core.api import Incoming, Placed
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.errors import Conflict, NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.routing import Decision
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


ROUTED = """\
rules:
  - when: {purpose: route}
    reply: {text: '{"task": 1, "meaning": "steer", "confidence": 0.93}'}
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?", options: [red, blue]}}]}
  - reply: {text: "You said {{said}}"}
"""


async def two_open(host: Host) -> tuple[str, str]:
    """Two tasks that wait for an answer: about a fence, and about a poem."""
    first = await place(host, "paint the fence", "m1", name="asker")
    second = await place(host, "/new write a poem about rivers", "m2", name="asker")
    assert first.task is not None and second.task is not None
    await said(host, 2)
    return first.task.id, second.task.id


async def test_who_isnt_sure_asks_and_what_comes_after_keeps_its_order(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    placed = await place(host, "make it a bit longer than that", "m3", name="asker")
    assert (placed.became, placed.task) == ("asked", None)
    (which,) = placed.said
    assert which.kind == "which" and [button.label for button in which.buttons][-1] == "Something new"
    behind = await place(host, "and not too short either", "m4", name="asker")
    assert behind.became == "kept"
    assert (await place(host, "make it a bit longer than that", "m3", name="asker")).became == "asked"
    button = next(each for each in which.buttons if "poem" in each.label)
    chosen = await place(host, "", "m5", button=button.data)
    assert chosen.task is not None and chosen.task.id == poem
    lines = {line.id: line for line in await host.conversing.lines(LineFilter(conversation="chat:1", by="person"))}
    assert (lines["m3"].state, lines["m3"].task) == ("filed", poem)
    assert lines["m3"].decision is not None and lines["m3"].decision.rule == "person"
    assert lines["m4"].state in ("filed", "asked")
    assert fence != poem


async def test_where_no_rule_is_sure_a_model_is_asked_once_and_its_cost_is_in_the_ledger(opens: Opens) -> None:
    host = await opens(ROUTED, ASKER, ECHO, work=True)
    _, poem = await two_open(host)
    placed = await place(host, "make it a bit longer than that", "m3", name="asker")
    assert placed.decision is not None and placed.task is not None
    assert (placed.became, placed.task.id, placed.decision.rule) == ("message", poem, "model")
    rows = await host.tasks(Filter(name="routing"))
    assert [row.kind for row in rows] == ["routing"]
    assert len(await host.ledger(rows[0].id)) == 1
    assert "routing" not in [row.kind for row in await host.tasks(Filter(roots_only=True))]
    reports = await host.replay(rows[0].id)
    assert [report.agrees for report in reports] == [True], reports


async def test_tasks_are_listed_asked_after_and_cancelled_by_chat(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    (listed,) = (await place(host, "/tasks", "m3")).said
    assert listed.text.splitlines() == [
        "1. write a poem about rivers: waits for an answer",
        "2. paint the fence: waits for an answer",
    ]
    (told,) = (await place(host, f"/status {fence}", "m4")).said
    assert "paint the fence" in told.text and "It asks: Which colour?" in told.text
    assert (await place(host, f"/cancel {poem}", "m5")).became == "told"
    assert await ended(host, poem) == "canceled"
    assert [line.text for line in await said(host, 5) if line.kind == "answer"] == ["Cancelled by owner."]


async def test_a_message_that_began_a_task_is_moved_to_another(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    lines = {line.id: line for line in await host.conversing.lines(LineFilter(conversation="chat:1", by="person"))}
    moved = await host.conversing.move(lines["m2"].place, fence)
    assert (moved.line.task, moved.line.moved_from) == (fence, poem)
    assert await ended(host, poem) == "canceled"
    with pytest.raises(Conflict, match="already"):
        await host.conversing.move(lines["m2"].place, fence)
    with pytest.raises(NotFound):
        await host.conversing.move(lines["m2"].place, "nothing")


async def test_what_was_kept_when_the_host_ended_is_done_at_the_next_start(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    line = Line(
        "chat:1", "m1", "person", "message", 1.0, "paint the fence", name="echo", channel="chat", state="waiting"
    )
    later = replace(line, id="m2", text="/new sing a song", decision=Decision("new", rule="command"), state="decided")
    await host._adapters.conversations.add([line, later])  # pyright: ignore[reportPrivateUsage]
    await host.close()
    host = await opens(REPLIES, work=True, toml=RULES)
    answers = await said(host, 2)
    assert sorted(answer.text for answer in answers) == ["You said paint the fence", "You said sing a song"]
    assert [line.state for line in await said(host, 2, "person")] == ["filed", "filed"]


async def test_one_conversation_is_heard_in_order_however_many_speak_at_once(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    await asyncio.gather(*(place(host, f"/new number {number}", f"m{number}", name="echo") for number in range(12)))
    await asyncio.gather(*(place(host, f"/new number {number}", f"m{number}", name="echo") for number in range(12)))
    lines = await said(host, 12, "person")
    assert len({line.task for line in lines}) == 12 and {line.state for line in lines} == {"filed"}
    assert len(await host.tasks(Filter(roots_only=True))) == 12


async def test_an_answer_that_was_meant_for_another_is_taken_back_and_its_task_asks_again(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    lines = await said(host, 2)
    of_fence = next(line for line in lines if line.task == fence)
    placed = await place(host, "", "m3", button=of_fence.buttons[1].data)
    assert placed.became == "answer"
    assert await ended(host, fence) == "completed"
    await said(host, 3)
    moved = await host.conversing.move(placed.line, poem)
    assert (moved.line.task, moved.line.moved_from) == (poem, fence)
    assert await ended(host, poem) == "completed"
    (again,) = [row for row in await host.tasks(Filter(roots_only=True)) if row.id not in (fence, poem)]
    detail = await host.task(again.id)
    assert [question.ask.question for question in detail.questions] == ["Which colour?"]
    topics = await host.conversing.topics("chat:1")
    assert [topic.task for topic in topics] == [again.id]


async def test_a_paused_task_is_resumed_by_chat(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, _ = await two_open(host)
    (told,) = (await place(host, f"/pause {fence}", "m3")).said
    assert "rests" in told.text
    (told,) = (await place(host, f"/resume {fence}", "m4")).said
    assert "goes on" in told.text
    assert (await host.task(fence)).row.hold == ""
