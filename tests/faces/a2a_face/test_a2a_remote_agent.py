"""The crash rule at a remote agent: what may have arrived is looked up, and never given blindly a second time."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from a2a.types.a2a_pb2 import AgentCard, Message, Task, TaskState

from agenthost.core.errors import Permanent, Temporary
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.core.ports import Filter
from agenthost.models.a2a.agents import RemoteAgents
from agenthost.models.a2a.model import RemoteAgent
from agenthost.models.a2a.wire import Wire
from tests.faces.a2a_face.conftest import TOKEN, Serving


async def anywhere(host: str, port: int) -> list[str]:
    return [host]


@pytest.fixture
async def far(serving: Serving) -> AsyncGenerator[RemoteAgent]:
    made = agent(serving, "asker")
    yield made
    await made.wire.close()


def agent(serving: Serving, name: str, wire: type[Wire] = Wire) -> RemoteAgent:
    async def read(digest: str) -> bytes:
        return await serving.host.get_file(digest)

    async def keep(content: bytes) -> str:
        return (await serving.host.put_file("file", content, "text/plain")).digest

    url = f"{serving.url}/a2a/{name}"
    return RemoteAgent(f"a2a:@{url}", wire(url, TOKEN, anywhere), read, keep, patience=1.0)


def said(attempt: int, command: str, *turns: Turn) -> ModelRequest:
    return ModelRequest("a2a:", "", turns, key=f"t1/{command}/{attempt}", metadata={"task": "t1"})


GO = Turn("user", (TextPart("go"),))


def told(answer: ModelAnswer, reply: str) -> tuple[Turn, ...]:
    """The exchange after an answer that asks, and the reply to it."""
    (call,) = answer.calls
    mine = Turn("assistant", answer.parts, answer.calls, state=answer.state)
    return GO, mine, Turn("tool", (TextPart(reply),), call_id=call.id, name=call.name)


async def count(serving: Serving) -> int:
    return len(await serving.host.tasks(Filter(name="asker")))


def quietly(delta: Any) -> None:
    pass


async def test_work_that_has_arrived_is_found_by_its_message(serving: Serving, far: RemoteAgent) -> None:
    first = await far.begin(said(1, "m1", GO))
    assert await far.begin(said(2, "m1", GO)) == first
    assert await count(serving) == 1


async def test_work_that_has_surely_not_arrived_is_given(serving: Serving, far: RemoteAgent) -> None:
    await far.begin(said(2, "m1", GO))
    assert await count(serving) == 1


async def test_an_answer_that_has_arrived_is_not_given_again(serving: Serving, far: RemoteAgent) -> None:
    asks = await far.resume(await far.begin(said(1, "m1", GO)), said(1, "m1", GO), quietly)
    turns = told(asks, "blue")
    handle = await far.begin(said(2, "m2", *turns))  # not yet there: it is given, though it is a second try
    done = await far.resume(handle, said(2, "m2", *turns), quietly)
    assert done.text == "You said blue"
    assert await far.begin(said(3, "m2", *turns)) == handle
    assert await count(serving) == 1


class Late(Wire):
    """An agent whose task still shows its question for a moment after the answer was given."""

    stale: Task | None = None

    async def send(self, message: Message) -> Task | Message:
        self.stale = await super().task(message.task_id) if message.task_id else None
        return await super().send(message)

    async def task(self, id: str, history: int = 0) -> Task | None:
        stale, self.stale = self.stale, None
        return stale or await super().task(id, history)


async def test_a_question_that_was_answered_is_not_asked_again(serving: Serving) -> None:
    late = agent(serving, "asker", Late)
    asks = await late.resume(await late.begin(said(1, "m1", GO)), said(1, "m1", GO), quietly)
    turns = told(asks, "blue")
    done = await late.resume(await late.begin(said(1, "m2", *turns)), said(1, "m2", *turns), quietly)
    assert not done.calls and done.text == "You said blue"
    await late.wire.close()


class Early(Wire):
    """An agent whose task asks right after it was looked at, before it is followed."""

    async def task(self, id: str, history: int = 0) -> Task | None:
        found = await super().task(id, history)
        async with asyncio.timeout(30):
            while not (now := await super().task(id)) or now.status.state != TaskState.TASK_STATE_INPUT_REQUIRED:
                await asyncio.sleep(0.02)
        if found is not None and not self.seen:
            self.seen = True
            found.status.state = TaskState.TASK_STATE_WORKING
        return found if found is None or found.status.state == TaskState.TASK_STATE_WORKING else now

    seen = False


async def test_a_question_that_comes_before_the_stream_is_heard(serving: Serving) -> None:
    early = agent(serving, "asker", Early)
    async with asyncio.timeout(60):
        asks = await early.resume(await early.begin(said(1, "m1", GO)), said(1, "m1", GO), quietly)
    assert asks.calls[0].name == "ask_person"
    await early.wire.close()


class Old(Wire):
    """An agent that speaks 0.3 alone, and can't list its tasks."""

    async def _look(self) -> AgentCard:
        card = await super()._look()
        kept = [each for each in card.supported_interfaces if each.protocol_version == "0.3"]
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(kept)
        return card


async def test_where_it_cant_be_known_a_person_decides(serving: Serving) -> None:
    old = agent(serving, "asker", Old)
    await old.begin(said(1, "m1", GO))
    asks = await old.resume(await old.begin(said(2, "m1", GO)), said(2, "m1", GO), quietly)
    assert asks.calls[0].name == "ask_person" and "twice may do harm" in asks.calls[0].arguments
    assert await count(serving) == 1
    with pytest.raises(Permanent, match="given up"):
        await old.begin(said(1, "m2", *told(asks, "give up")))
    await old.begin(said(1, "m2", *told(asks, "run it again")))
    assert await count(serving) == 2
    await old.wire.close()


async def test_a_task_that_is_no_longer_known_is_not_given_again(far: RemoteAgent) -> None:
    with pytest.raises(Permanent, match="no longer knows") as caught:
        await far.resume('{"task":"gone"}', said(1, "m1", GO), quietly)
    assert caught.value.code == "remote-lost"


async def test_files_are_kept_before_the_words_stand(serving: Serving) -> None:
    writer = agent(serving, "writer")
    answer = await writer.resume(await writer.begin(said(1, "m1", GO)), said(1, "m1", GO), quietly)
    assert (
        answer.stop == "calls" and answer.calls[0].name == "keep_files" and "out/hello.txt" in answer.calls[0].arguments
    )
    after = said(1, "m2", *told(answer, "Kept: out/hello.txt."))
    handle = await writer.begin(after)
    assert (await writer.resume(handle, after, quietly)).text == answer.text
    assert len(await serving.host.tasks(Filter(name="writer"))) == 1
    await writer.wire.close()


async def test_an_agent_that_isnt_there_is_waited_for_and_then_given_up(serving: Serving) -> None:
    url = "http://127.0.0.1:1/a2a/x"
    gone = RemoteAgent(f"a2a:@{url}", Wire(url, "", anywhere), None, None, patience=0.5)  # type: ignore[arg-type]
    with pytest.raises(Temporary) as caught:
        await gone.begin(said(1, "m1", GO))
    assert not caught.value.sent
    with pytest.raises(Temporary):
        await gone.resume('{"task":"x"}', said(1, "m1", GO), quietly)
    await gone.wire.close()


async def test_a_wrong_token_says_what_to_do(serving: Serving) -> None:
    url = f"{serving.url}/a2a/echo"
    wrong = RemoteAgent(f"a2a:@{url}", Wire(url, "ah_wrong-token-wrong", anywhere), None, None)  # type: ignore[arg-type]
    with pytest.raises(Permanent, match="spec.a2a.token") as caught:
        await wrong.begin(said(1, "m1", GO))
    assert caught.value.code == "auth"
    await wrong.wire.close()


async def test_a_secret_that_is_not_kept_is_named(tmp_path: Path, serving: Serving) -> None:
    async def nothing(name: str) -> None:
        return None

    agents = RemoteAgents(None, nothing, None, anywhere)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="agenthost secrets set other"):
        await agents.model(f"a2a:other@{serving.url}/a2a/echo")
