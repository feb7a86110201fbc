"""What a task asks a person, as elicitation, and for a client that can't be asked."""

import asyncio
from typing import Any

import mcp.types as types
import pytest

from agenthost.core.events import Answered, Reply
from tests.faces.over_mcp.clients import NEW, OLD, client, plain
from tests.faces.over_mcp.conftest import Door, Opens
from tests.faces.over_mcp.test_mcp_tools import words

MODES = pytest.mark.parametrize("mode", [NEW, OLD])


class Person:
    """Answers what is asked, and remembers it."""

    def __init__(self, action: str, answer: str = "") -> None:
        self.asked: list[types.ElicitRequestFormParams] = []
        self._result: Any = {"action": action} | ({"content": {"answer": answer}} if answer else {})

    async def __call__(self, context: Any, params: Any) -> types.ElicitResult:
        self.asked.append(params)
        return types.ElicitResult.model_validate(self._result)


async def replies(door: Door, task: str) -> list[Reply]:
    return [
        recorded.event.answer
        for recorded in await door.host.events(task)
        if isinstance(recorded.event, Answered) and isinstance(recorded.event.answer, Reply)
    ]


@MODES
async def test_an_approval_is_asked_and_the_work_goes_on(door: Door, mode: str) -> None:
    person = Person("accept", "approve")
    async with client(door.url, door.headers, mode, elicitation_callback=person) as mcp:
        result = await mcp.call_tool("payer", {"text": "pay five"})
    (asked,) = person.asked
    assert "May the tool 'pay' be called" in asked.message
    assert '"amount": 5' in asked.message or '"amount":5' in asked.message
    assert asked.requested_schema["properties"]["answer"]["enum"] == ["approve", "deny", "approve always"]
    assert words(result) == "You said paid 5"
    assert [(reply.text, reply.by) for reply in await replies(door, (result.meta or {})["dev.agenthost/task"])] == [
        ("approve", "owner")
    ]


@MODES
async def test_who_declines_to_approve_has_refused(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode, elicitation_callback=Person("decline")) as mcp:
        result = await mcp.call_tool("payer", {"text": "pay five"})
    assert "paid" not in words(result)
    assert [reply.text for reply in await replies(door, (result.meta or {})["dev.agenthost/task"])] == ["deny"]


@MODES
async def test_a_question_is_asked_with_its_options(door: Door, mode: str) -> None:
    person = Person("accept", "blue")
    async with client(door.url, door.headers, mode, elicitation_callback=person) as mcp:
        result = await mcp.call_tool("asker", {"text": "ask"})
    assert person.asked[0].message == "Which colour?"
    assert person.asked[0].requested_schema["properties"]["answer"]["enum"] == ["red", "blue"]
    assert "blue" in words(result)


@MODES
async def test_a_question_that_is_put_away_stays_open_and_can_be_answered_later(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode, elicitation_callback=Person("cancel")) as mcp:
        waiting = await mcp.call_tool("asker", {"text": "ask"})
        task = str((waiting.meta or {})["dev.agenthost/task"])
        assert (await door.host.task(task)).row.state == "input-required"
        result = await mcp.call_tool("agenthost_answer", {"task": task, "answer": "red"})
    assert "Which colour?" in words(waiting)
    assert "red" in words(result)


@MODES
async def test_a_client_that_cannot_be_asked_is_told_what_is_asked_and_how_to_answer(door: Door, mode: str) -> None:
    async with client(door.url, door.headers, mode) as mcp:
        waiting = await mcp.call_tool("payer", {"text": "pay five"})
        meta = waiting.meta or {}
        told = words(waiting)
        arguments = {"task": meta["dev.agenthost/task"], "question": meta["dev.agenthost/questions"][0]}
        assert all(value in told for value in arguments.values())
        result = await mcp.call_tool("agenthost_answer", arguments | {"answer": "approve"})
        again = await mcp.call_tool("agenthost_answer", arguments | {"answer": "deny"})
    assert not waiting.is_error
    assert "approve, deny" in told and "agenthost_answer" in told
    assert words(result) == "You said paid 5"
    assert again.is_error


async def test_an_answer_from_elsewhere_takes_the_question_back(door: Door) -> None:
    began = asyncio.Event()

    async def never(context: Any, params: Any) -> types.ElicitResult:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with client(door.url, door.headers, OLD, elicitation_callback=never) as mcp, asyncio.TaskGroup() as group:
        calling = group.create_task(mcp.call_tool("asker", {"text": "ask"}))
        await began.wait()
        await door.host.reply(await door.host.find("last"), "red")
        result = await calling
    assert "red" in words(result)


async def test_a_question_outlives_the_host(opens: Opens) -> None:
    """Without sessions everything that is needed to go on is in the journal: another host takes the answer."""
    can: dict[str, Any] = {"elicitation": {}}
    call = {"name": "payer", "arguments": {"text": "pay five"}}
    async with opens() as door, plain(door.url, door.headers, can=can) as mcp:
        first = await mcp.ask("tools/call", call)
    ((key, request),) = first["inputRequests"].items()
    assert first["resultType"] == "input_required"
    assert request["params"]["requestedSchema"]["properties"]["answer"]["enum"] == ["approve", "deny", "approve always"]
    answers = {key: {"action": "accept", "content": {"answer": "approve"}}}
    async with opens() as door, plain(door.url, door.headers, can=can) as mcp:
        again = await mcp.ask("tools/call", call | {"requestState": first["requestState"]})
        wrong = await mcp.ask("tools/call", call | {"requestState": "nonsense", "inputResponses": answers})
        other = {"name": "asker", "arguments": {"text": "x"}, "requestState": first["requestState"]}
        crossed = await mcp.ask("tools/call", other | {"inputResponses": answers})
        last = await mcp.ask("tools/call", call | {"requestState": first["requestState"], "inputResponses": answers})
    assert again["inputRequests"] == first["inputRequests"]
    assert wrong["error"]["code"] == crossed["error"]["code"] == -32602
    assert last["content"][0]["text"] == "You said paid 5"


async def test_who_calls_again_by_the_same_key_isnt_asked_what_was_answered(door: Door) -> None:
    person = Person("accept", "red")
    meta: Any = {"dev.agenthost/idempotencyKey": "one"}
    async with client(door.url, door.headers, OLD, elicitation_callback=person) as mcp:
        first = await mcp.call_tool("asker", {"text": "ask"}, meta=meta)
        second = await mcp.call_tool("asker", {"text": "ask"}, meta=meta)
    assert len(person.asked) == 1
    assert words(first) == words(second)
