"""Chat completions through the official Python package, against a real host."""

import asyncio
import base64
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agenthost.core.events import Created, Reply
from agenthost.core.parts import FilePart
from tests.faces.openai_api.conftest import PICTURE, Bench

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def user(text: str) -> Any:
    return {"role": "user", "content": text}


async def ask(bench: Bench, *messages: Any, model: str = "helper", **more: Any) -> Any:
    return await bench.client.chat.completions.create(model=model, messages=list(messages), **more)


async def test_a_chat_is_answered_whole_and_its_tokens_are_those_of_the_ledger(bench: Bench) -> None:
    made = await ask(bench, user("hello there"))
    assert made.choices[0].message.content == "You said: hello there"
    assert made.choices[0].finish_reason == "stop"
    (task,) = await bench.tasks()
    assert made.id == f"chatcmpl-{task.id}" and made.model == "helper" and made.created == int(task.created)
    (entry,) = await bench.ledger()
    assert made.usage is not None and entry.spent is not None
    assert made.usage.total_tokens == entry.spent.tokens > 0


async def test_a_chat_is_streamed_as_it_is_said(bench: Bench) -> None:
    stream = await ask(bench, user("slowly"), stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == "one two three four five six"
    assert len([piece for piece in pieces if piece]) > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    (entry,) = await bench.ledger()
    assert usage is not None and entry.spent is not None and usage.total_tokens == entry.spent.tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_what_was_said_before_and_the_instructions_reach_the_model(bench: Bench) -> None:
    messages = ({"role": "system", "content": "Be brief."}, user("hi"), {"role": "assistant", "content": "hello"})
    made = await ask(bench, *messages, user("again"), temperature=0.5, max_tokens=50)
    assert made.choices[0].message.content == "You said: again"
    asked = bench.asked()[-1]
    assert [(each["role"], each["content"]) for each in asked["messages"]] == [
        ("system", "Be good.\n\nBe brief."),
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "again"),
    ]
    assert asked["temperature"] == 0.5
    assert 50 in (asked.get("max_tokens"), asked.get("max_completion_tokens"))


async def test_a_picture_comes_in_as_a_data_url_or_as_a_file_of_the_host(bench: Bench) -> None:
    url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    kept = await bench.host.put_file("a.png", PICTURE)
    text = {"type": "text", "text": "look"}
    for picture in (
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "file", "file": {"file_id": kept.digest}},
        {"type": "file", "file": {"file_data": url, "filename": "b.png"}},
    ):
        made = await ask(bench, {"role": "user", "content": [text, picture]})
        assert made.choices[0].message.content == "You said: look"
        created = (await bench.journal())[0].event
        assert isinstance(created, Created)
        file = created.spec.message.parts[1]
        assert isinstance(file, FilePart)
        assert (file.digest, file.media_type, file.size) == (kept.digest, "image/png", len(PICTURE))
        assert bench.asked()[-1]["messages"][-1]["content"][1]["image_url"]["url"] == url


# --- the client's own tools -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_of_the_client_are_run_by_it_and_the_same_task_goes_on(bench: Bench, stream: bool) -> None:
    messages: list[Any] = [user("the weather, please")]
    first = await said(await ask(bench, *messages, tools=[WEATHER], stream=stream))
    assert first.reason == "tool_calls" and not first.content
    (call,) = first.calls
    assert (call["name"], call["arguments"]) == ("weather", '{"city":"Rome"}')
    messages += [first.message(), {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}]
    second = await said(await ask(bench, *messages, tools=[WEATHER], stream=stream))
    assert (second.reason, second.content) == ("stop", "It is sunny.")
    (task,) = await bench.tasks()
    assert task.state == "completed"
    assert second.id != first.id and second.id.startswith(f"chatcmpl-{task.id}-")


async def test_several_calls_come_at_once_with_what_was_said_and_all_must_be_answered(bench: Bench) -> None:
    first = await said(await ask(bench, user("two cities"), tools=[WEATHER]))
    assert first.content == "Let me look."
    assert [call["arguments"] for call in first.calls] == ['{"city":"Rome"}', '{"city":"Oslo"}']
    one, two = [call["id"] for call in first.calls]
    results = [{"role": "tool", "tool_call_id": id, "content": text} for id, text in ((two, "cold"), (one, "hot"))]
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(bench, user("two cities"), first.message(), results[0], tools=[WEATHER])
    assert refused.value.param == "messages" and one in refused.value.message
    last = await said(await ask(bench, user("two cities"), first.message(), *results, tools=[WEATHER]))
    assert last.content == "It is hot\ncold."
    assert len(await bench.tasks()) == 1


async def test_a_request_that_is_sent_again_is_answered_again_by_the_same_task(bench: Bench) -> None:
    first = await said(await ask(bench, user("weather"), tools=[WEATHER]))
    result = {"role": "tool", "tool_call_id": first.calls[0]["id"], "content": "sunny"}
    told = [await said(await ask(bench, user("weather"), first.message(), result, tools=[WEATHER])) for _ in range(3)]
    assert {each.content for each in told} == {"It is sunny."}
    assert len(await bench.tasks()) == 1 and len(await bench.ledger()) == 2


async def test_results_of_calls_that_are_not_ours_are_history(bench: Bench) -> None:
    call = {"id": "call_abc", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    made = await ask(
        bench,
        user("weather"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_abc", "content": "sunny"},
        tools=[WEATHER],
    )
    assert made.choices[0].message.content == "It is sunny."


async def test_other_results_for_the_same_calls_are_another_task_s_history(bench: Bench) -> None:
    first = await said(await ask(bench, user("weather"), tools=[WEATHER]))
    id = first.calls[0]["id"]
    for text in ("sunny", "wet"):
        result = {"role": "tool", "tool_call_id": id, "content": text}
        made = await said(await ask(bench, user("weather"), first.message(), result, tools=[WEATHER]))
        assert made.content == f"It is {text}."
    assert len(await bench.tasks()) == 2


async def test_what_is_said_after_the_results_is_heard(bench: Bench) -> None:
    first = await said(await ask(bench, user("weather"), tools=[WEATHER]))
    result = {"role": "tool", "tool_call_id": first.calls[0]["id"], "content": "sunny"}
    await ask(bench, user("weather"), first.message(), result, user("and briefly"), tools=[WEATHER])
    assert [each["content"] for each in bench.asked()[-1]["messages"][-2:]] == ["sunny", "and briefly"]


async def test_a_tool_that_is_called_as_one_of_the_agent_s_own_is_refused(bench: Bench) -> None:
    tool = {"type": "function", "function": {"name": "ask_person"}}
    with pytest.raises(openai.BadRequestError, match="has a tool 'ask_person' of its own"):
        await ask(bench, user("hi"), model="asker", tools=[tool])


async def test_no_tool_is_offered_where_none_is_wanted(bench: Bench) -> None:
    made = await ask(bench, user("weather"), tools=[WEATHER], tool_choice="none")
    assert made.choices[0].message.content == "You said: weather"
    assert "tools" not in bench.asked()[-1]


# --- forms of answers -------------------------------------------------------------------------------


class Number(BaseModel):
    n: int


async def test_a_structured_answer_is_checked_before_it_is_told(bench: Bench) -> None:
    made = await bench.client.chat.completions.parse(
        model="helper", messages=[user("a number")], response_format=Number
    )
    assert made.choices[0].message.parsed == Number(n=7)
    assert len(await bench.ledger()) == 2  # the first answer was "seven"
    async with bench.client.chat.completions.stream(
        model="helper", messages=[user("a number")], response_format=Number
    ) as stream:
        assert (await stream.get_final_completion()).choices[0].message.parsed == Number(n=7)
    anything = await ask(bench, user("a number"), response_format={"type": "json_object"})
    assert anything.choices[0].message.content == '{"n":7}'


async def test_an_agent_whose_answer_is_data_tells_it_once(bench: Bench) -> None:
    for stream in (False, True):
        told = await said(await ask(bench, user("a number"), model="counter", stream=stream))
        assert told.content == ('seven\n\n{"n":7}' if stream else '{"n":7}')


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "text, reason, content, more",
    [
        ("endless", "length", "and on and on", {"max_tokens": 20}),
        ("refuse", "content_filter", "I won't.", {}),
    ],
)
async def test_the_reason_of_an_end_is_told(
    bench: Bench, text: str, reason: str, content: str, more: Any, stream: bool
) -> None:
    told = await said(await ask(bench, user(text), stream=stream, **more))
    assert (told.reason, told.content) == (reason, content)


async def test_thoughts_are_told_beside_the_answer(bench: Bench) -> None:
    made = await ask(bench, user("think"))
    assert made.choices[0].message.content == "Seen."
    assert made.choices[0].message.reasoning_content == "Let me see."
    stream = await ask(bench, user("think"), stream=True)
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) async for chunk in stream]
    assert "".join(filter(None, thoughts)) == "Let me see."


@pytest.mark.parametrize("stream", [False, True])
async def test_a_workflow_is_a_model_too(bench: Bench, stream: bool) -> None:
    told = await said(await ask(bench, user("earlier"), user("go"), model="pair", stream=stream))
    assert told.content == "You said: right You said: left go"
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(bench, user("go"), model="pair", tools=[WEATHER])
    assert refused.value.param == "tools"


# --- questions to a person --------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["asker", "boss"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_is_the_answer_and_the_next_message_of_the_chat_answers_it(
    bench: Bench, model: str, stream: bool
) -> None:
    messages = [user("make it nice")]
    for question, answer in (("Which colour?\n- red\n- blue", "blue"), ("How large?", "very")):
        told = await said(await ask(bench, *messages, model=model, stream=stream))
        assert (told.content, told.reason) == (question, "stop")
        messages += [told.message(), user(answer)]
    last = await said(await ask(bench, *messages, model=model, stream=stream))
    assert last.reason == "stop" and last.content.startswith("You said: ")
    (task,) = await bench.tasks()
    assert task.state == "completed"


async def test_another_chat_with_the_same_question_is_another_task(bench: Bench) -> None:
    one = await said(await ask(bench, user("make it nice"), model="asker"))
    other = await said(await ask(bench, user("make it small"), model="asker"))
    assert one.content == other.content
    await ask(bench, user("make it small"), other.message(), user("red"), model="asker")
    states = {task.title: task for task in await bench.tasks()}
    small = await bench.host.events_of(states["make it small"].id)
    assert [getattr(each.event, "answer", None) for each in small].count(Reply("red", via="openai")) == 1
    nice = await bench.host.events_of(states["make it nice"].id)
    assert not any(isinstance(getattr(each.event, "answer", None), Reply) for each in nice)


async def test_a_chat_may_be_named(bench: Bench) -> None:
    named = {"metadata": {"conversation": "c-1"}}
    told = await said(await ask(bench, user("make it nice"), model="asker", **named))
    # A client that changes what was said before still means the same chat.
    assistant = {"role": "assistant", "content": "(it asked for a colour)"}
    told = await said(await ask(bench, assistant, user("blue"), model="asker", **named))
    assert told.content == "How large?"
    (task,) = await bench.tasks()
    assert task.conversation == "c-1"


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body, param, code",
    [
        ({"n": 9}, "n", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": ["a", ""]}, "stop", "invalid_value"),
        ({"stop": 3}, "stop", "invalid_type"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"modalities": ["audio"]}, "modalities", "unsupported_parameter"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "unsupported_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": [{"role": "tool", "tool_call_id": "c"}]}, "messages[0].tool_call_id", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 3}}}}, None, "bad-input"),
    ],
)
async def test_what_can_not_be_done_is_refused_and_named(bench: Bench, body: Any, param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await bench.client.chat.completions.create(**({"model": "helper", "messages": [user("hi")]} | body))
    assert (refused.value.param, refused.value.code, refused.value.type) == (param, code, "invalid_request_error")
    assert await bench.tasks() == []


@pytest.mark.parametrize(
    "url, said",
    [
        ("https://example.com/a.png", "this host fetches nothing from elsewhere"),
        ("data:image/png;base64,???", "is not base64"),
        ("data:image/png;base64,aGVsbG8=", "is not a picture"),
        ("sha256:" + "0" * 64, "is not base64"),
    ],
)
async def test_a_picture_that_can_not_be_had_is_refused(bench: Bench, url: str, said: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError, match=said) as refused:
        await ask(bench, {"role": "user", "content": content})
    assert refused.value.param == "messages[0].content[0].image_url"


async def test_errors_have_the_statuses_that_clients_know(bench: Bench) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await ask(bench, user("hi"), model="helpr")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        await ask(bench, {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-" + "0" * 64}}]})
    stranger = bench.client.with_options(api_key="ah_wrong")
    with pytest.raises(openai.AuthenticationError) as unknown:
        await stranger.models.list()
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.RateLimitError) as poor:
        await ask(bench, user("hi"), model="poor")
    assert poor.value.code == "insufficient_quota"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_task_that_comes_to_nothing_is_an_error_and_is_not_begun_again(bench: Bench, stream: bool) -> None:
    kinds = openai.APIError if stream else openai.InternalServerError
    with pytest.raises(kinds, match="came to nothing") as failed:
        await said(await ask(bench, user("break"), stream=stream))
    assert failed.value.code == "auth"
    (task,) = await bench.tasks()
    assert task.state == "failed"


async def test_the_same_key_is_the_same_task_and_is_told_whole_however_late_it_comes(bench: Bench) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await ask(bench, user("slowly"), stream=True, extra_headers=headers)
    seen = 0
    async for chunk in first:
        seen += bool(chunk.choices[0].delta.content)
        if seen == 2:
            break
    second = await said(await ask(bench, user("slowly"), stream=True, extra_headers=headers))
    third = await said(await ask(bench, user("slowly"), extra_headers=headers))
    assert second.content == third.content == "one two three four five six"
    assert len(await bench.tasks()) == 1
    with pytest.raises(openai.ConflictError, match="stands for other work already"):
        await ask(bench, user("something else"), extra_headers=headers)


# --- clients that go ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("leaving, state", [("continue", "completed"), ("cancel", "canceled")])
async def test_when_the_client_hangs_up_the_task_goes_on_unless_it_said_otherwise(
    bench: Bench, leaving: str, state: str, stream: bool
) -> None:
    text = "slowly" if leaving == "continue" else "forever"
    headers = {"X-AgentHost-On-Disconnect": leaving}

    async def talk() -> None:
        await said(await ask(bench, user(text), stream=stream, extra_headers=headers))

    async with asyncio.TaskGroup() as group:
        talking = group.create_task(talk())
        async with asyncio.timeout(20):
            while not (await bench.tasks()) or not bench.asked():
                await asyncio.sleep(0.01)
        talking.cancel()
    async with asyncio.timeout(20):
        while (await bench.tasks())[0].state != state:
            await asyncio.sleep(0.01)


# --- models -----------------------------------------------------------------------------------------


async def test_agents_and_workflows_are_the_models(bench: Bench) -> None:
    listed = [model.id async for model in bench.client.models.list()]
    assert listed == ["asker", "boss", "counter", "helper", "pair", "poor"]
    assert (await bench.client.models.retrieve("pair")).owned_by == "agenthost"
    with pytest.raises(openai.NotFoundError, match="Did you mean 'pair'"):
        await bench.client.models.retrieve("pairs")
    with pytest.raises(openai.NotFoundError, match="The model 'acme/pairs' does not exist"):
        await bench.client.models.retrieve("acme/pairs")


async def test_what_is_not_there_is_told_in_openai_s_shape(bench: Bench) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await bench.client.batches.list()
    assert missing.value.code == "unknown_url"
    with pytest.raises(openai.APIStatusError) as refused:
        await bench.client.post("/models", cast_to=object)
    assert (refused.value.status_code, refused.value.code) == (405, "method_not_allowed")
    assert refused.value.response.headers["Allow"] == "GET, HEAD"


class Said:
    """One answer, however it came."""

    def __init__(self) -> None:
        self.id = self.content = self.reason = ""
        self.calls: list[dict[str, str]] = []

    def message(self) -> Any:
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in self.calls
        ]
        return {"role": "assistant", "content": self.content or None} | ({"tool_calls": calls} if calls else {})


async def said(made: Any) -> Said:
    found = Said()
    if not hasattr(made, "__aiter__"):
        choice = made.choices[0]
        found.id, found.content, found.reason = made.id, choice.message.content or "", choice.finish_reason
        found.calls = [
            {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
            for call in choice.message.tool_calls or ()
        ]
        return found
    async for chunk in made:
        found.id = chunk.id
        choice = chunk.choices[0]
        found.content += choice.delta.content or ""
        found.reason = choice.finish_reason or found.reason
        for call in choice.delta.tool_calls or ():
            found.calls.append({"id": call.id, "name": call.function.name, "arguments": call.function.arguments})
    return found


# --- where an answer is to stop, and odd beginnings ---------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "told", "reason"),
    [
        ("four", "one two three ", "stop"),
        (["six", "three f"], "one two ", "stop"),
        (["e"], "on", "stop"),
        (["never", "sixth"], "one two three four five six", "stop"),
        ([], "one two three four five six", "stop"),
    ],
)
async def test_an_answer_is_told_up_to_a_stop_sequence(bench: Bench, stop: Any, told: str, reason: str) -> None:
    ask: Any = {"model": "helper", "messages": [{"role": "user", "content": "slowly"}], "stop": stop}
    made = await bench.client.chat.completions.create(**ask)
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == (told, reason)
    pieces: list[str] = []
    ends: list[str] = []
    async for chunk in await bench.client.chat.completions.create(stream=True, **ask):
        pieces.append(chunk.choices[0].delta.content or "")
        ends += filter(None, [chunk.choices[0].finish_reason])
    assert ("".join(pieces), ends) == (told, [reason])


async def test_an_answer_that_stopped_was_not_cut_at_a_limit(bench: Bench) -> None:
    ask: Any = {"model": "helper", "messages": [{"role": "user", "content": "endless"}], "stop": ["on and on"]}
    made = await bench.client.chat.completions.create(**ask)
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("and ", "stop")
    chunks = [chunk async for chunk in await bench.client.chat.completions.create(stream=True, **ask)]
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([{"role": "system", "content": "Speak."}], ["Be good.", "Speak."]),
        (
            [{"role": "developer", "content": "Low."}, {"role": "system", "content": "Speak."}],
            ["Be good.\n\nLow.", "Speak."],
        ),
        (
            [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "one"}],
            ["Be good.", "Count.", "one"],
        ),
        ([{"role": "assistant", "content": "Hello."}], ["Be good.", "Hello."]),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], ["Be good.", "a", "b"]),
    ],
)
async def test_a_chat_may_begin_and_end_with_whatever_was_said(bench: Bench, messages: Any, sent: list[str]) -> None:
    made = await bench.client.chat.completions.create(model="helper", messages=messages)
    assert made.choices[0].message.content is not None
    assert [each["content"] for each in bench.asked()[-1]["messages"]] == sent
    items = [item | {"type": "message"} for item in messages]
    answered = await bench.client.responses.create(model="helper", input=items)
    assert answered.status == "completed"
    assert [each["content"] for each in bench.asked()[-1]["messages"]] == sent


async def test_several_answers_are_so_many_tasks(bench: Bench) -> None:
    ask: Any = {"model": "helper", "messages": [{"role": "user", "content": "slowly"}], "n": 3}
    made = await bench.client.chat.completions.create(**ask)
    words = "one two three four five six"
    assert [(each.index, each.message.content) for each in made.choices] == [(at, words) for at in range(3)]
    assert len(await bench.tasks()) == 3
    (entry,) = await bench.ledger()
    assert made.usage is not None and entry.spent is not None
    assert made.usage.total_tokens == 3 * entry.spent.tokens
    told: dict[int, str] = {}
    ends: list[tuple[int, str]] = []
    used: list[int] = []
    stream = await bench.client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **ask)
    async for chunk in stream:
        for choice in chunk.choices:
            told[choice.index] = told.get(choice.index, "") + (choice.delta.content or "")
            ends += [(choice.index, choice.finish_reason)] if choice.finish_reason else []
        used += [chunk.usage.total_tokens] if chunk.usage else []
    assert told == dict.fromkeys(range(3), words)
    assert sorted(ends) == [(at, "stop") for at in range(3)]
    assert used == [made.usage.total_tokens]


async def test_each_of_several_answers_has_calls_of_its_own(bench: Bench) -> None:
    messages: list[Any] = [{"role": "user", "content": "weather"}]
    ask: Any = {"model": "helper", "tools": [WEATHER]}
    made = await bench.client.chat.completions.create(messages=messages, n=2, **ask)
    calls = [choice.message.tool_calls or [] for choice in made.choices]
    assert len({each[0].id for each in calls}) == 2
    # The client goes on with one of them.
    chosen: Any = made.choices[1].message.model_dump(exclude_none=True)
    result: Any = {"role": "tool", "tool_call_id": calls[1][0].id, "content": "sunny"}
    second = await bench.client.chat.completions.create(messages=[*messages, chosen, result], **ask)
    assert second.choices[0].message.content == "It is sunny."
    assert len(await bench.tasks()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_where_one_of_several_answers_fails_that_is_told_once(bench: Bench, stream: bool) -> None:
    ask: Any = {"model": "helper", "messages": [{"role": "user", "content": "break"}], "n": 2, "stream": stream}
    with pytest.raises(openai.APIError) as failed:
        made: Any = await bench.client.chat.completions.create(**ask)
        [chunk async for chunk in made]
    assert failed.value.code == "auth"
    assert len(await bench.tasks()) == 2
