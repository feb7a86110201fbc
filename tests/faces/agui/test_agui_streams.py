"""Streams of AG-UI that are cut, taken up again, refused and bounded, each event read by the official Python types."""

import asyncio
import base64
import json
import subprocess
import sys
from typing import Any

import aiohttp
import pytest
from ag_ui.core import (
    AgentCapabilities,
    CustomEvent,
    MessagesSnapshotEvent,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
    TextMessageContentEvent,
)

from agenthost.core.parts import FilePart
from agenthost.core.ports import Filter
from agenthost.faces.http.streams import StreamSettings
from agui.conftest import Face, Serves, events_of, said

PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")
).decode()
CHART = {"name": "show_chart", "description": "Shows.", "parameters": {"type": "object"}}
PLAYS = """
rules:
  - when: {says: "slowly"}
    reply: {text: "one two three four five six seven eight", pause: 0.1}
  - when: {says: "for ever"}
    reply: {text: "I go on", delay: 600}
  - when: {says: "stumble"}
    fail: {kind: cut, times: 1, after: 3}
    reply: {text: "up again and on with it"}
  - when: {says: "refuse"}
    fail: {kind: auth}
  - when: {says: "draw twice"}
    reply: {calls: [{tool: show_chart, arguments: {n: 1}}, {tool: show_chart, arguments: {n: 2}}]}
  - when: {tool: show_chart}
    reply: {text: "Seen."}
  - when: {says: "ask", offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
  - when: {tool: ask_person}
    reply: {text: "You want {{said}}."}
  - when: {says: "pay", offers: pay}
    reply: {calls: [{tool: pay, arguments: {amount: 5}}]}
  - reply: {text: "You said {{said}}"}
"""


def texts(event: MessagesSnapshotEvent) -> list[str]:
    return [str(message.content) for message in event.messages]


def of(events: list[Any], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def ended(face: Face, task: str) -> str:
    """A task's state once it has ended."""
    async for _ in face.host.follow(task):
        pass
    return (await face.host.task(task)).row.state


async def the_task(face: Face, conversation: str = "t1") -> str:
    """The one task of a thread."""
    (row,) = await face.host.tasks(Filter(conversation=conversation))
    return row.id


async def test_whoever_hangs_up_comes_back_to_the_same_task(serves: Serves) -> None:
    face = await serves(PLAYS)
    async with face.opened("echo", messages=[said("u1", "slowly")]) as response:
        async for event in events_of(response):
            if isinstance(event, TextMessageContentEvent):
                break
    events = await face.run("echo", runId="r2", messages=[said("u1", "slowly")])
    assert await the_task(face)
    assert isinstance(events[0], RunStartedEvent) and events[0].run_id == "r2"
    told = "".join(event.delta for event in of(events, TextMessageContentEvent))
    assert told == "one two three four five six seven eight"
    assert events[-1].outcome.type == "success"


async def test_what_ended_while_nobody_looked_is_told_once_more_and_only_then(serves: Serves) -> None:
    face = await serves(PLAYS)
    async with face.opened("echo", messages=[said("u1", "slowly")]) as response:
        async for event in events_of(response):
            if isinstance(event, TextMessageContentEvent):
                break
    task = await the_task(face)
    assert await ended(face, task) == "completed"
    events = await face.run("echo", runId="r2", messages=[said("u1", "slowly")])
    assert texts(of(events, MessagesSnapshotEvent)[0]) == ["slowly", "one two three four five six seven eight"]
    assert of(events, TextMessageContentEvent) == []
    assert events[-1].metadata["agenthost"]["task"] == task
    again = await face.run("echo", runId="r3", messages=[said("u1", "slowly")])
    assert again[-1].metadata["agenthost"]["task"] != task


async def test_a_front_end_may_want_its_task_to_end_with_the_connection(serves: Serves) -> None:
    face = await serves(PLAYS)
    wanted = {"agenthost": {"cancelOnDisconnect": True}}
    async with face.opened("echo", messages=[said("u1", "for ever")], forwardedProps=wanted) as response:
        async for event in events_of(response):
            assert not isinstance(event, RunFinishedEvent)
            if event.type == "STEP_STARTED":
                break
    assert await ended(face, await the_task(face)) == "canceled"


async def test_a_task_that_is_cancelled_is_neither_a_success_nor_a_failure(serves: Serves) -> None:
    face = await serves(PLAYS)
    async with face.opened("echo", messages=[said("u1", "for ever")]) as response:
        events: list[Any] = []
        async for event in events_of(response):
            events.append(event)
            if event.type == "STEP_STARTED":
                await face.host.cancel(await the_task(face))
    assert events[-1].outcome.type == "cancelled"
    assert [event.type for event in events].count("STEP_FINISHED") == 1


async def test_a_failure_is_told_with_its_code(serves: Serves) -> None:
    face = await serves(PLAYS)
    events = await face.run("echo", messages=[said("u1", "refuse")])
    assert isinstance(events[-1], RunErrorEvent)
    assert events[-1].code == "auth" and events[-1].message


async def test_words_that_were_taken_back_are_gone_from_the_conversation(serves: Serves) -> None:
    face = await serves(PLAYS)
    (run,) = await face.front("echo", {"say": [said("u1", "stumble")]})
    assert run["errors"] == []
    assert [message["content"] for message in run["messages"]] == ["stumble", "up again and on with it"]


async def test_a_question_is_still_open_after_the_host_was_started_again(serves: Serves) -> None:
    face = await serves(PLAYS)
    first = await face.run("asker", messages=[said("u1", "ask")])
    (interrupt,) = first[-1].outcome.interrupts
    face = await serves(again=True)
    resume = [{"interruptId": interrupt.id, "status": "resolved", "payload": {"answer": "green"}}]
    events = await face.run("asker", runId="r2", messages=[said("u1", "ask")], resume=resume)
    assert events[-1].outcome.type == "success"
    assert "".join(event.delta for event in of(events, TextMessageContentEvent)) == "You want green."
    # The same answer again, after a connection that was lost: it counts once, and the end is told.
    more = await face.run("asker", runId="r3", messages=[said("u1", "ask")], resume=resume)
    assert texts(of(more, MessagesSnapshotEvent)[0])[-1] == "You want green."
    assert more[-1].outcome.type == "success" and len(of(more, CustomEvent)) == 1
    assert await the_task(face)


async def test_who_only_speaks_answers_a_plain_question(serves: Serves) -> None:
    face = await serves(PLAYS)
    await face.run("asker", messages=[said("u1", "ask")])
    events = await face.run("asker", runId="r2", messages=[said("u1", "ask"), said("u2", "blue")])
    assert "".join(event.delta for event in of(events, TextMessageContentEvent)) == "You want blue."


async def test_an_approval_that_nobody_answers_stays_open_whatever_is_said(serves: Serves) -> None:
    face = await serves(PLAYS)
    first = await face.run("payer", messages=[said("u1", "pay")])
    second = await face.run("payer", runId="r2", messages=[said("u1", "pay"), said("u2", "approve")])
    assert second[-1].outcome.type == "interrupt"
    assert second[-1].outcome.interrupts[0].id == first[-1].outcome.interrupts[0].id
    assert "give one for each" in of(second, CustomEvent)[0].value
    assert (await face.host.task(await the_task(face))).row.state == "input-required"


async def test_every_result_of_the_front_ends_tools_must_come(serves: Serves) -> None:
    face = await serves(PLAYS)
    history = [said("u1", "draw twice")]
    first = await face.run("echo", messages=history, tools=[CHART])
    one, two = first[-1].outcome.pending_tool_call_ids
    result = {"id": "a", "role": "tool", "toolCallId": one, "content": [{"type": "text", "text": "done"}]}
    for more in ([result], [said("u2", "well?")]):
        status, problem = await face.refused("echo", input_of(history + more, tools=[CHART]))
        assert (status, problem["code"]) == (400, "bad-input")
        assert two in problem["detail"]
    failed = {"id": "b", "role": "tool", "toolCallId": two, "content": "", "error": "no canvas"}
    second = await face.run("echo", runId="r2", messages=[*history, result, failed], tools=[CHART])
    assert second[-1].outcome.type == "success"
    turns = [str(recorded.event) for recorded in await face.host.events(await the_task(face))]
    assert any("The tool failed: no canvas" in turn for turn in turns)


async def test_a_picture_reaches_the_agent_and_what_cant_be_used_is_left_out(serves: Serves) -> None:
    face = await serves(PLAYS)
    content = [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "data", "value": PNG, "mimeType": "image/png"}},
        {"type": "image", "source": {"type": "url", "value": "http://169.254.169.254/x.png"}},
        {"type": "image", "source": {"type": "data", "value": "@@", "mimeType": "image/png"}},
        {"type": "hologram", "source": {"type": "data", "value": ""}},
    ]
    events = await face.run("echo", messages=[{"id": "u1", "role": "user", "content": content}])
    assert events[-1].outcome.type == "success"
    assert len(of(events, CustomEvent)) == 3
    created = (await face.host.events(await the_task(face)))[0].event
    files = [part for part in created.spec.message.parts if isinstance(part, FilePart)]  # type: ignore[union-attr]
    assert [(file.media_type, file.name) for file in files] == [("image/png", "image.png")]


async def test_another_person_of_the_same_thread_has_a_task_of_their_own(serves: Serves) -> None:
    face = await serves(PLAYS)
    first = await face.run("asker", "ann", messages=[said("u1", "ask")])
    events = await face.run("asker", "bob", messages=[said("u1", "ask"), said("u2", "ask me too")])
    mine, theirs = (run[-1].metadata["agenthost"]["task"] for run in (first, events))
    assert mine != theirs
    people = {row.id: row.person for row in await face.host.tasks(Filter(conversation="t1"))}
    assert people == {mine: "ann", theirs: "bob"}


async def test_a_host_that_stops_says_so_and_the_run_goes_on_later(serves: Serves) -> None:
    face = await serves(PLAYS)
    async with face.opened("echo", messages=[said("u1", "for ever")]) as response:
        events: list[Any] = []
        async for event in events_of(response):
            events.append(event)
            if event.type == "STEP_STARTED":
                face.closing.set()
    assert isinstance(events[-1], RunErrorEvent) and events[-1].code == "closing"
    assert (await face.host.task(await the_task(face))).row.state == "working"


async def test_silence_is_broken_by_comments(serves: Serves) -> None:
    face = await serves(PLAYS, streams=StreamSettings(heartbeat=0.05))
    async with face.opened("echo", messages=[said("u1", "for ever")]) as response:
        async for line in response.content:
            if line == b": alive\n":
                break
        else:
            pytest.fail("the stream ended")


async def test_a_follower_that_takes_nothing_is_let_go_and_the_task_goes_on(serves: Serves) -> None:
    face = await serves(
        f"rules:\n  - reply: {{text: {json.dumps('many words ' * 400_000)}}}\n",
        streams=StreamSettings(patience=0.3, most=4096),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", face.port, limit=1024)
    body = json.dumps(input_of([said("u1", "talk")])).encode()
    told = [f"{name}: {value}" for name, value in face.headers().items()]
    head = "\r\n".join(["POST /ag-ui/echo HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *told, "", ""])
    writer.write(head.encode() + body)
    await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    while not (rows := await face.host.tasks(Filter(conversation="t1"))):
        await asyncio.sleep(0.01)
    assert await ended(face, rows[0].id) == "completed"
    writer.close()


def input_of(messages: list[Any], **more: Any) -> dict[str, Any]:
    return {"threadId": "t1", "runId": "r9", "messages": messages, **more}


@pytest.mark.parametrize(
    ("agent", "body", "status", "words"),
    [
        ("echo", b"{not json", 400, "not the input of a run"),
        ("echo", b"\xff\xfe", 400, "not the input of a run"),
        ("echo", b"[]", 400, "not the input of a run"),
        ("echo", {"runId": "r1", "messages": []}, 400, "threadId"),
        ("echo", {"threadId": "", "runId": "r1", "messages": []}, 400, "not empty"),
        ("echo", {"threadId": "t1", "runId": "r1", "messages": [{"id": 5, "role": "user", "content": "x"}]}, 400, "id"),
        ("echo", input_of([said("u1", "x")], protocolVersion="2.0"), 400, "AG-UI 1.0"),
        ("echo", input_of([]), 422, "say what the agent is to do"),
        ("echo", input_of([said("u1", "x")], forwardedProps={"agenthost": {"modle": "x"}}), 400, "modle"),
        ("echo", input_of([said("u1", "x")], tools=[{"name": "a b", "description": ""}]), 400, "a b"),
        ("nobody", input_of([said("u1", "x")]), 404, "nobody"),
    ],
)
async def test_an_input_that_is_wrong_is_refused_before_the_run(
    serves: Serves, agent: str, body: bytes | dict[str, Any], status: int, words: str
) -> None:
    face = await serves(PLAYS)
    got, problem = await face.refused(agent, body)
    assert got == status, problem
    assert words in problem["detail"]
    assert await face.host.tasks(Filter()) == []


async def test_answers_that_are_wrong_are_refused_and_change_nothing(serves: Serves) -> None:
    face = await serves(PLAYS)
    history = [said("u1", "pay")]
    first = await face.run("payer", messages=history)
    (interrupt,) = first[-1].outcome.interrupts
    for payload in ({"approved": "perhaps"}, {"approved": True, "editedArgs": {"amount": 1}}, None, 5):
        entry = {"interruptId": interrupt.id, "status": "resolved", "payload": payload}
        status, _ = await face.refused("payer", input_of(history, resume=[entry]))
        assert status == 400
    assert len((await face.host.task(await the_task(face))).questions) == 1


async def test_an_agent_tells_what_it_can_do(serves: Serves) -> None:
    face = await serves(PLAYS)
    async with aiohttp.ClientSession(headers=face.headers()) as session:
        async with session.get(face.url("boss")) as response:
            told = AgentCapabilities.model_validate_json(await response.text())
        async with session.get(face.url("nobody")) as response:
            assert response.status == 404
    assert told.identity is not None and told.identity.name == "boss"
    assert told.multi_agent is not None and told.multi_agent.subagents is not None
    assert [each.name for each in told.multi_agent.subagents] == ["asker", "payer"]


def test_the_official_package_is_loaded_with_the_first_request_and_not_before() -> None:
    code = "import sys, agenthost.cli.serving, agenthost.faces.http.agui; sys.exit('ag_ui' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
