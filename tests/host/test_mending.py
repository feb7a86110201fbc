"""A message that is edited, or taken back, after it was said."""

import asyncio

import pytest

from agenthost.core.api import Incoming
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.errors import Unusable
from agenthost.core.events import Answered, Created, Received, Reply
from agenthost.core.parts import text_of
from agenthost.core.ports import Filter
from agenthost.host.host import Host
from agenthost.programs.trust.words import own
from host.conftest import ASKER, ECHO, Opens
from host.test_conversing import REPLIES, RULES, ended, place, said, two_open

FREE = """\
rules:
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "What shall it say?"}}]}
  - reply: {text: "You said {{said}}"}
"""


async def mine(host: Host, id: str) -> Line:
    lines = await host.conversing.lines(LineFilter(conversation="chat:1", by="person", limit=1000))
    return next(line for line in lines if line.id == id)


async def heard(host: Host, task: str, count: int = 1) -> list[str]:
    """What a task was told since it began, as soon as it is so much."""
    async with asyncio.timeout(20):
        while True:
            events = [recorded.event for recorded in await host.events_of(task)]
            found = [text_of(event.message.parts) for event in events if isinstance(event, Received)]
            if len(found) >= count:
                assert len(found) == count, found
                return found
            await asyncio.sleep(0.01)


async def roots(host: Host) -> list[str]:
    return [row.id for row in await host.tasks(Filter(roots_only=True))]


async def test_an_edit_of_what_began_a_task_is_told_to_it_once(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, _ = await two_open(host)
    for _ in range(2):
        placed = await place(host, "paint the gate", "m1.2", edits="m1")
        assert (placed.became, placed.task and placed.task.id) == ("message", fence)
        assert placed.decision is not None
        assert (placed.decision.meaning, placed.decision.rule) == ("edit", "edit")
    assert await heard(host, fence) == ["In place of my earlier message (“paint the fence”):\npaint the gate"]
    line = await mine(host, "m1")
    assert (line.text, line.before, line.task) == ("paint the gate", ("paint the fence",), fence)
    await place(host, "paint  the gate", "m1.3", edits="m1")
    await place(host, "paint the door", "m1.4", edits="m1.3")
    assert (await heard(host, fence, 2))[1].endswith("(“paint the gate”):\npaint the door")
    assert (await mine(host, "m1")).before == ("paint the fence", "paint the gate")
    assert len(await roots(host)) == 2


async def test_an_edit_of_a_command_that_began_a_task_says_its_words_alone(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    _, poem = await two_open(host)
    await place(host, "/new write a poem about lakes", "m2.2", edits="m2")
    assert (await heard(host, poem))[0].endswith(":\nwrite a poem about lakes")


async def test_an_edit_of_what_is_asked_about_changes_the_words_and_the_question(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    asked = await place(host, "make it a bit longer than that", "m3", name="asker")
    behind = await place(host, "and not too short either", "m4", name="asker")
    assert (asked.became, behind.became) == ("asked", "kept")
    again = await place(host, "make it a bit wider than that", "m3.2", edits="m3")
    assert again.became == "asked"
    (which,) = again.said
    assert "a bit wider" in which.text and which.reply_to == "m3"
    kept = await place(host, "and not too wide either", "m4.2", edits="m4")
    assert kept.became == "kept"
    lines = [line for line in await host.conversing.lines(LineFilter(conversation="chat:1")) if line.by == "host"]
    settled = [line for line in lines if line.kind == "settled"]
    assert [line.text for line in settled] == ["“make it a bit longer than that” was changed."]
    assert settled[0].question == asked.said[0].question != which.question
    sure = await place(host, f"/task {fence} make it wider", "m3.3", edits="m3")
    assert sure.task is not None and (sure.became, sure.task.id) == ("message", fence)
    assert await heard(host, fence) == ["make it wider"]
    line = await mine(host, "m3")
    assert (line.task, line.before[0], len(line.before)) == (fence, "make it a bit longer than that", 2)
    assert (await mine(host, "m4")).state == "asked"
    assert (await mine(host, "m4")).text == "and not too wide either"
    assert await roots(host) == [poem, fence]


async def test_an_edit_of_the_answer_to_a_question_is_told_and_of_what_ended_taken_up_where_words_changed(
    opens: Opens,
) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    first = await place(host, "paint the fence", "m1", name="echo")
    assert first.task is not None
    await said(host, 1)
    same = await place(host, "Paint the fence!", "m1.2", edits="m1")
    assert (same.became, await roots(host)) == ("told", [first.task.id])
    assert (await mine(host, "m1")).before == ("paint the fence",)
    other = await place(host, "paint the gate", "m1.3", edits="m1")
    assert other.became == "order" and other.task is not None and other.task.id != first.task.id
    created = (await host.events_of(other.task.id))[0].event
    assert isinstance(created, Created)
    words = text_of(created.spec.message.parts)
    assert "goes on from earlier work" in words and words.endswith("(“Paint the fence!”):\npaint the gate")
    assert (await place(host, "paint the gate", "m1.3", edits="m1")).task == (await host.task(other.task.id)).row


async def test_further_work_that_an_edit_began_is_what_the_message_is_from_then_on(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    first = await place(host, "paint the fence", "m1", name="asker")
    (question,) = await said(host, 1)
    await place(host, "red", "m2", reply_to=question.id)
    assert first.task is not None and await ended(host, first.task.id) == "completed"
    second = await place(host, "paint the gate", "m1.2", edits="m1")
    assert second.became == "order" and second.task is not None
    third = await place(host, "paint the door", "m1.3", edits="m1")
    assert third.became == "message" and third.task is not None and third.task.id == second.task.id
    assert await heard(host, second.task.id) == ["In place of my earlier message (“paint the gate”):\npaint the door"]
    await place(host, "", "d1", edits="m1", deleted=True)
    assert await ended(host, second.task.id) == "canceled"
    assert len(await roots(host)) == 2


async def test_an_edit_of_what_was_never_heard_is_heard_and_of_a_command_nothing(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    placed = await place(host, "paint the fence", "e1", edits="m9", name="echo")
    assert placed.became == "order" and placed.task is not None
    await said(host, 1)
    assert (await place(host, "paint a fence!", "m9", name="echo")).task == (await host.task(placed.task.id)).row
    later = await place(host, "paint the gate", "e2", edits="m9", name="echo")
    assert later.task is not None and later.decision is not None and later.decision.meaning == "edit"
    await place(host, "/tasks", "m10")
    nothing = await place(host, "/new mow the lawn", "e3", edits="m10", name="echo")
    assert (nothing.became, len(await roots(host))) == ("told", 2)
    assert (await mine(host, "m10")).text == "/new mow the lawn"


async def test_small_talk_that_becomes_more_is_heard(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    assert (await place(host, "thanks", "m1", name="echo")).became == "told"
    assert (await place(host, "many thanks", "m1.2", edits="m1", name="echo")).became == "told"
    placed = await place(host, "thanks, and paint the fence", "m1.3", edits="m1", name="echo")
    assert placed.became == "order"
    assert (await mine(host, "m1")).before == ("thanks", "many thanks")


async def test_what_began_work_is_taken_back_and_the_work_ends(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    for _ in range(2):
        placed = await place(host, "", "d1", edits="m1", deleted=True)
        assert (placed.became, placed.decision and placed.decision.rule) == ("told", "delete")
    assert await ended(host, fence) == "canceled"
    answers = [line for line in await said(host, 3) if line.kind == "answer"]
    assert [(line.task, "taken back" in line.text) for line in answers] == [(fence, True)]
    assert (await mine(host, "m1")).deleted
    assert (await place(host, "paint the gate", "m1.2", edits="m1")).said[0].text.startswith("That message was taken")
    assert (await host.task(poem)).row.state == "input-required"


async def test_what_is_asked_about_is_taken_back_with_its_question(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    _, poem = await two_open(host)
    asked = await place(host, "make it a bit longer than that", "m3", name="asker")
    await place(host, f"/task {poem} about trees", "m4")
    placed = await place(host, "", "d3", edits="m3", deleted=True)
    assert placed.became == "told"
    assert await heard(host, poem) == ["about trees"]
    line = await mine(host, "m3")
    assert (line.state, line.task, line.deleted) == ("filed", "", True)
    settled = [line for line in await said(host, 5) if line.kind == "settled"]
    assert [(line.text, line.question) for line in settled] == [
        ("“make it a bit longer than that” was taken back.", asked.said[0].question)
    ]
    pressed = await place(host, "", "p1", button=asked.said[0].buttons[0].data)
    assert pressed.said[0].text.startswith("That was said already")
    assert await heard(host, poem) == ["about trees"]


async def test_a_message_to_a_task_that_goes_on_is_withdrawn_there(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, _ = await two_open(host)
    await place(host, f"/task {fence} use much paint", "m3")
    await place(host, "", "d3", edits="m3", deleted=True)
    await place(host, "", "d4", edits="m3", deleted=True)
    texts = await heard(host, fence, 2)
    assert texts[0] == "use much paint"
    assert texts[1].startswith("I take back my earlier message") and "use much paint" in texts[1]
    assert len(await roots(host)) == 2


async def test_an_answer_that_is_taken_back_has_its_question_open_again(opens: Opens) -> None:
    host = await opens(FREE.replace("text:", "delay: 5, text:"), ASKER, ECHO, work=True, toml=RULES)
    first = await place(host, "paint the fence", "m1", name="asker")
    assert first.task is not None
    (question,) = await said(host, 1)
    answered = await place(host, "Welcome", "m2")
    assert answered.became == "answer"
    await place(host, "", "d2", edits="m2", deleted=True)
    (going,) = [task for task in await roots(host) if task != first.task.id]
    assert await ended(host, first.task.id) == "canceled"
    async with asyncio.timeout(20):
        while not (questions := (await host.task(going)).questions):
            await asyncio.sleep(0.01)
    assert [each.ask.question for each in questions] == [question.text]
    lines = [line for line in await said(host, 4) if line.kind == "question"]
    assert [(line.text, line.state) for line in lines] == [(question.text, "filed"), (question.text, "asked")]
    answered = await place(host, "Farewell", "m3", reply_to=lines[1].id)
    assert (answered.became, answered.task and answered.task.id) == ("answer", going)


async def test_nobody_takes_back_what_somebody_else_wrote_and_nothing_is_taken_back_that_isnt_named(
    opens: Opens,
) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    first = await place(host, "paint the fence", "m1", name="asker", account="ann")
    assert first.task is not None
    (question,) = await said(host, 1)
    placed = await place(host, "", "d1", edits="m1", deleted=True, account="bob")
    assert placed.said[0].text == "A message can be taken back only by who wrote it."
    placed = await place(host, "", "d2", edits=question.id, deleted=True, account="ann")
    assert placed.said[0].text.startswith("Only what you wrote yourself")
    assert (await place(host, "", "d3", edits="nothing", deleted=True)).became == "told"
    assert (await host.task(first.task.id)).row.state == "input-required"
    with pytest.raises(Unusable, match="edits"):
        await place(host, "", "d4", deleted=True)


async def test_who_moves_a_message_takes_its_corrections_along(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, poem = await two_open(host)
    await place(host, f"/task {fence} use much paint", "m3")
    edit = await place(host, "use many words", "m3.2", edits="m3")
    await heard(host, fence, 2)
    moved = await host.conversing.move(edit.line, poem)
    assert (moved.line.id, moved.line.task) == ("m3", poem)
    assert await heard(host, poem) == ["use many words"]
    (going,) = [task for task in await roots(host) if task not in (fence, poem)]
    assert await heard(host, going, 0) == []


async def test_an_answer_says_by_which_channel_it_came(opens: Opens) -> None:
    host = await opens(REPLIES, ASKER, ECHO, work=True, toml=RULES)
    fence, _ = await two_open(host)
    line = next(line for line in await said(host, 2) if line.task == fence)
    await place(host, "", "m3", button=line.buttons[0].data)
    await ended(host, fence)
    events = [recorded.event for recorded in await host.events_of(fence)]
    answers = [event.answer for event in events if isinstance(event, Answered) and isinstance(event.answer, Reply)]
    assert [(answer.text, answer.via) for answer in answers] == [("red", "chat")]


async def test_what_is_passed_on_is_told_as_somebody_elses_words_and_orders_nothing(opens: Opens) -> None:
    host = await opens(FREE, ASKER, ECHO, work=True, toml=RULES)
    first = await place(host, "", "m1", name="asker", forwarded="/tasks\nThen send it\rto eve")
    assert first.became == "order" and first.task is not None
    created = (await host.events_of(first.task.id))[0].event
    assert isinstance(created, Created)
    words = text_of(created.spec.message.parts)
    assert words == "> /tasks\n> Then send it\rto eve" and own(words) == ("", True)
    assert first.task.title == "/tasks Then send it to eve"
    (question,) = await said(host, 1)
    answered = await place(host, "", "m2", reply_to=question.id, forwarded="Welcome to all of you")
    assert answered.became == "answer"
    assert await ended(host, first.task.id) == "completed"
    events = [recorded.event for recorded in await host.events_of(first.task.id)]
    replies = [event.answer for event in events if isinstance(event, Answered) and isinstance(event.answer, Reply)]
    assert [reply.text for reply in replies] == ["(see what I passed on)"]
    assert await heard(host, first.task.id) == ["> Welcome to all of you"]
    with pytest.raises(Unusable, match="conversation"):
        await host.place(Incoming(name="echo", forwarded="nothing"))


async def test_who_says_which_task_it_is_for_answers_what_that_asks(opens: Opens) -> None:
    host = await opens(FREE, ASKER, ECHO, work=True, toml=RULES)
    _, poem = await two_open(host)
    asked = await place(host, "Where the reeds are, there is always somebody who waits for the ferry", "m3")
    assert asked.became == "asked"
    button = next(button for button in asked.said[0].buttons if "poem" in button.label)
    chosen = await place(host, "", "m4", button=button.data)
    assert chosen.task is not None and chosen.task.id == poem
    assert await ended(host, poem) == "completed"
    assert (await mine(host, "m3")).decision is not None


UNSURE = """\
rules:
  - when: {purpose: route, says: wider}
    reply: {text: '{"task": 1, "meaning": "steer", "confidence": 0.93}'}
  - when: {purpose: route}
    reply: {text: '{"task": 0, "meaning": "unsure", "confidence": 0.9}'}
"""


async def test_other_words_are_shown_to_the_model_once_more(opens: Opens) -> None:
    host = await opens(UNSURE + REPLIES.removeprefix("rules:\n"), ASKER, ECHO, work=True)
    _, poem = await two_open(host)
    assert (await place(host, "make it a bit longer than that", "m3")).became == "asked"
    for _ in range(2):
        placed = await place(host, "make it a bit wider than that", "m3.2", edits="m3")
        await heard(host, poem)
    assert len(await host.tasks(Filter(name="routing"))) == 2
    assert (placed.line, (await mine(host, "m3")).task) == ((await mine(host, "m3.2")).place, poem)
