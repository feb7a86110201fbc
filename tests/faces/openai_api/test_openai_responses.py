"""Responses through the official Python package, against a real host."""

import asyncio
import base64
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agenthost.core.events import Created
from agenthost.core.parts import FilePart
from tests.faces.openai_api.conftest import PICTURE, Bench, somebody

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


async def ask(bench: Bench, input: Any, model: str = "helper", **more: Any) -> Any:
    return await bench.client.responses.create(model=model, input=input, **more)


async def streamed(bench: Bench, input: Any, model: str = "helper", **more: Any) -> list[Any]:
    return [event async for event in await ask(bench, input, model, stream=True, **more)]


def kinds(events: list[Any]) -> list[str]:
    """The types of events, each once in a row."""
    found = [event.type.removeprefix("response.") for event in events]
    return [kind for at, kind in enumerate(found) if at == 0 or found[at - 1] != kind]


async def test_a_response_is_made_kept_and_told_again(bench: Bench) -> None:
    made = await ask(bench, "hello there", instructions="Be brief.", metadata={"a": "b"}, temperature=0.5, user="u")
    assert made.output_text == "You said: hello there"
    assert (made.status, made.model, made.instructions, made.metadata) == (
        "completed",
        "helper",
        "Be brief.",
        {"a": "b"},
    )
    (task,) = await bench.tasks()
    assert made.id == f"resp_{task.id}_0"
    (entry,) = await bench.ledger()
    assert made.usage is not None and entry.spent is not None and made.usage.total_tokens == entry.spent.tokens > 0
    again = await bench.client.responses.retrieve(made.id)
    assert again.model_dump(exclude={"created_at"}) == made.model_dump(exclude={"created_at"})
    assert abs(again.created_at - made.created_at) <= 1
    items = [item async for item in bench.client.responses.input_items.list(made.id)]
    assert [(item.role, item.content[0].text) for item in items] == [("user", "hello there")]
    sent = bench.asked()[-1]["messages"]
    assert sent[0]["content"] == "Be good.\n\nBe brief."


async def test_events_tell_a_response_as_it_is_made(bench: Bench) -> None:
    events = await streamed(bench, "slowly")
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "one two three four five six" and len(deltas) > 4
    last = events[-1].response
    assert last.output_text == "".join(deltas) and last.usage.total_tokens > 0
    again = await bench.client.responses.retrieve(last.id)
    assert again.output == last.output and again.usage == last.usage


async def test_thoughts_are_an_item_of_their_own(bench: Bench) -> None:
    events = await streamed(bench, "think")
    last = events[-1].response
    assert [item.type for item in last.output] == ["reasoning", "message"]
    assert last.output[0].summary[0].text == "Let me see." and last.output_text == "Seen."


async def test_pictures_come_in_and_are_listed(bench: Bench) -> None:
    url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    kept = await bench.host.put_file("a.png", PICTURE)
    for picture in (
        {"type": "input_image", "image_url": url, "detail": "auto"},
        {"type": "input_image", "file_id": kept.digest, "detail": "auto"},
        {"type": "input_file", "file_data": url, "filename": "a.png"},
    ):
        text = {"type": "input_text", "text": "look"}
        made = await ask(bench, [{"role": "user", "content": [text, picture]}])
        assert made.output_text == "You said: look"
        created = (await bench.journal())[0].event
        assert isinstance(created, Created)
        file = created.spec.message.parts[1]
        assert isinstance(file, FilePart) and file.digest == kept.digest
        (item,) = [item async for item in bench.client.responses.input_items.list(made.id)]
        assert item.content[1].file_id == kept.digest


class Number(BaseModel):
    n: int


async def test_a_structured_answer_is_checked_before_it_is_told(bench: Bench) -> None:
    made = await bench.client.responses.parse(model="helper", input="a number", text_format=Number)
    assert made.output_parsed == Number(n=7)
    async with bench.client.responses.stream(model="helper", input="a number", text_format=Number) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == Number(n=7)
    again = await bench.client.responses.retrieve(final.id)
    assert again.output_text == '{"n":7}' and again.text is not None and again.text.format.type == "json_schema"


# --- the client's own tools -------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["previous", "items", "references"])
async def test_tools_of_the_client_are_run_by_it_and_the_same_task_goes_on(bench: Bench, by: str) -> None:
    first = await ask(bench, "two cities", tools=[WEATHER])
    assert first.output_text == "Let me look."
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.arguments for call in calls] == ['{"city":"Rome"}', '{"city":"Oslo"}']
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": text}
        for call, text in zip(calls, ("hot", "cold"), strict=True)
    ]
    before: list[Any] = {
        "previous": [],
        "items": [{"role": "user", "content": "two cities"}, *(item.model_dump() for item in first.output)],
        "references": [
            {"role": "user", "content": "two cities"},
            *({"type": "item_reference", "id": item.id} for item in first.output),
        ],
    }[by]
    more = {"previous_response_id": first.id} if by == "previous" else {}
    second = await ask(bench, [*before, *outputs], tools=[WEATHER], **more)
    assert second.output_text == "It is hot\ncold."
    assert len(await bench.tasks()) == 1 and second.id != first.id
    assert (await bench.client.responses.retrieve(first.id)).output == first.output
    assert (await bench.client.responses.retrieve(second.id)).output == second.output
    items = [item async for item in bench.client.responses.input_items.list(second.id, order="asc")]
    assert [(item.call_id, item.output) for item in items] == [(o["call_id"], o["output"]) for o in outputs]
    used = [response.usage.total_tokens for response in (first, second)]
    assert sum(used) == sum(entry.spent.tokens for entry in await bench.ledger() if entry.spent)


async def test_events_tell_of_calls(bench: Bench) -> None:
    events = await streamed(bench, "weather", tools=[WEATHER])
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    (call,) = events[-1].response.output
    assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city":"Rome"}')


async def test_calls_without_outputs_and_outputs_without_calls_are_refused(bench: Bench) -> None:
    first = await ask(bench, "two cities", tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    one = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "hot"}
    with pytest.raises(openai.BadRequestError, match=f"No tool output found for function call {calls[1].call_id}"):
        await ask(bench, [one], previous_response_id=first.id)
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        await ask(bench, "never mind", previous_response_id=first.id)
    stray = {"type": "function_call_output", "call_id": "call_x", "output": "hot"}
    with pytest.raises(openai.BadRequestError, match="No tool call found for function call output with call_id call_x"):
        await ask(bench, [stray])


# --- going on ---------------------------------------------------------------------------------------


async def test_a_response_goes_on_from_another_with_all_that_was_said(bench: Bench) -> None:
    first = await ask(bench, "two cities", tools=[WEATHER])
    outputs = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "fine"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = await ask(bench, outputs, previous_response_id=first.id)
    third = await ask(bench, "and then?", previous_response_id=second.id)
    fourth = await ask(bench, "and now?", previous_response_id=third.id)
    assert fourth.previous_response_id == third.id
    assert [(each["role"], each["content"]) for each in bench.asked()[-1]["messages"][1:]] == [
        ("user", "two cities"),
        ("assistant", "Let me look."),
        ("tool", "fine"),
        ("tool", "fine"),
        ("assistant", "It is fine\nfine."),
        ("user", "and then?"),
        ("assistant", "You said: and then?"),
        ("user", "and now?"),
    ]
    tasks = await bench.tasks()
    assert len(tasks) == 3 and len({task.conversation for task in tasks[:2]}) == 1
    # Another way from the same place.
    other = await ask(bench, "or else?", previous_response_id=second.id)
    assert other.output_text == "You said: or else?"
    assert len(bench.asked()[-1]["messages"]) == 7


async def test_a_conversation_is_a_thread_of_responses(bench: Bench) -> None:
    mine, other = [await bench.client.conversations.create() for _ in range(2)]
    for text in ("one", "two", "three"):
        made = await ask(bench, text, conversation=mine.id)
        assert made.conversation is not None and made.conversation.id == mine.id
    await ask(bench, "elsewhere", conversation=other.id)
    said = [each["content"] for each in bench.asked()[-2]["messages"][1:]]
    assert said == ["one", "You said: one", "two", "You said: two", "three"]
    assert len(bench.asked()[-1]["messages"]) == 2


async def test_another_answer_to_a_question_that_was_answered_is_another_task(bench: Bench) -> None:
    made = await ask(bench, "make it nice", "asker")
    for text in ("blue", "red"):
        await ask(bench, text, "asker", previous_response_id=made.id)
    assert len(await bench.tasks()) == 2
    told = bench.asked()[-1]["messages"][1:]
    assert [each["content"] for each in told] == ["make it nice", "Which colour?\n- red\n- blue", "red"]


@pytest.mark.parametrize("model", ["asker", "boss"])
async def test_a_question_is_the_response_and_the_next_input_answers_it(bench: Bench, model: str) -> None:
    made = await ask(bench, "make it nice", model)
    responses = [made]
    for question, reply in (("Which colour?\n- red\n- blue", "blue"), ("How large?", "very")):
        assert made.output_text == question and made.status == "completed"
        made = await ask(bench, reply, model, previous_response_id=made.id)
        responses.append(made)
    assert made.output_text.startswith("You said: ")
    (task,) = await bench.tasks()
    assert task.state == "completed"
    assert len({response.id for response in responses}) == 3
    for response in responses:
        assert (await bench.client.responses.retrieve(response.id)).output_text == response.output_text


async def test_a_workflow_is_a_model_too(bench: Bench) -> None:
    made = await ask(bench, "go", "pair")
    assert made.output_text == "You said: right You said: left go"
    assert kinds(await streamed(bench, "go", "pair"))[-1] == "completed"
    assert (await bench.client.responses.retrieve(made.id)).output == made.output


# --- background -------------------------------------------------------------------------------------


async def test_a_response_in_the_background_is_polled(bench: Bench) -> None:
    made = await ask(bench, "slowly", background=True)
    assert made.status in ("queued", "in_progress") and made.background and not made.output
    async with asyncio.timeout(20):
        while made.status in ("queued", "in_progress"):
            await asyncio.sleep(0.01)
            made = await bench.client.responses.retrieve(made.id)
    assert made.status == "completed" and made.output_text == "one two three four five six"


async def test_a_response_in_the_background_is_cancelled(bench: Bench) -> None:
    made = await ask(bench, "forever", background=True)
    ended = await bench.client.responses.cancel(made.id)
    assert ended.status == "cancelled"
    assert (await bench.client.responses.cancel(made.id)).status == "cancelled"
    (task,) = await bench.tasks()
    assert task.state == "canceled"
    foreground = await ask(bench, "hello")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        await bench.client.responses.cancel(foreground.id)


async def test_a_stream_in_the_background_is_taken_up_again_anywhere(bench: Bench) -> None:
    whole = await streamed(bench, "slowly", background=True)
    numbers = [event.sequence_number for event in whole]
    assert numbers == sorted(set(numbers))
    id = whole[-1].response.id
    for at, event in enumerate(whole):
        stream = await bench.client.responses.retrieve(id, stream=True, starting_after=event.sequence_number)
        rest = [each async for each in stream]
        assert text_of(rest) == text_of(whole[at + 1 :])
        assert all(each.sequence_number > event.sequence_number for each in rest)
        assert {each.type for each in rest} == {each.type for each in whole[at + 1 :]}


async def test_a_stream_that_was_left_is_taken_up_while_it_goes_on(bench: Bench) -> None:
    stream = await ask(bench, "slowly", stream=True, background=True)
    seen: list[Any] = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    id, number = seen[0].response.id, seen[-1].sequence_number
    rest = [each async for each in await bench.client.responses.retrieve(id, stream=True, starting_after=number)]
    assert text_of(seen) + text_of(rest) == "one two three four five six"
    assert rest[-1].response.output_text == "one two three four five six"


def text_of(events: list[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


# --- ends and errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, more, reason",
    [("endless", {"max_output_tokens": 20}, "max_output_tokens"), ("refuse", {}, "content_filter")],
)
async def test_a_response_that_is_cut_or_refused_is_incomplete(bench: Bench, text: str, more: Any, reason: str) -> None:
    made = await ask(bench, text, **more)
    assert made.status == "incomplete" and made.incomplete_details.reason == reason and made.output_text
    assert (await streamed(bench, text, **more))[-1].type == "response.incomplete"


async def test_a_task_that_comes_to_nothing_is_an_error_or_a_failed_response(bench: Bench) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        await ask(bench, "break")
    assert failed.value.code == "auth" and len(await bench.tasks()) == 1
    last = (await streamed(bench, "break"))[-1]
    assert last.type == "response.failed" and last.response.error.code == "server_error"
    assert (await bench.client.responses.retrieve(last.response.id)).status == "failed"


async def test_what_was_not_to_be_kept_is_not_found(bench: Bench) -> None:
    made = await ask(bench, "hello", store=False)
    assert made.store is False
    with pytest.raises(openai.NotFoundError) as missing:
        await bench.client.responses.retrieve(made.id)
    assert missing.value.code == "response_not_found"
    with pytest.raises(openai.NotFoundError, match="Previous response"):
        await ask(bench, "again", previous_response_id=made.id)
    chat = await bench.client.chat.completions.create(model="helper", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.NotFoundError):
        await bench.client.responses.retrieve(chat.id.replace("chatcmpl-", "resp_") + "_0")


@pytest.mark.parametrize(
    "body, param, code",
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_parameter"),
        ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
        ({"top_logprobs": 2}, "top_logprobs", "unsupported_parameter"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": 3}, "input", "invalid_type"),
        ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id", "mutually_exclusive_parameters"),
        ({"background": True, "store": False}, "store", "invalid_value"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
        ({"max_output_tokens": -1}, "max_output_tokens", "invalid_value"),
    ],
)
async def test_what_can_not_be_done_is_refused_and_named(bench: Bench, body: Any, param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await bench.client.responses.create(**({"model": "helper", "input": "hi"} | body))
    assert (refused.value.param, refused.value.code) == (param, code)
    assert await bench.tasks() == []


async def test_a_response_that_was_deleted_is_gone_with_its_task(bench: Bench) -> None:
    made = await ask(bench, "hello")
    running = await ask(bench, "forever", background=True)
    for id in (made.id, running.id):
        await bench.client.responses.delete(id)
        with pytest.raises(openai.NotFoundError):
            await bench.client.responses.retrieve(id)
        with pytest.raises(openai.NotFoundError):
            await bench.client.responses.delete(id)
    with pytest.raises(openai.NotFoundError, match="Previous response"):
        await ask(bench, "again", previous_response_id=made.id)
    assert await bench.tasks() == []


async def test_a_task_goes_with_the_last_of_its_responses(bench: Bench) -> None:
    first = await ask(bench, "two cities", tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls]
    second = await ask(bench, outputs, tools=[WEATHER], previous_response_id=first.id)
    await bench.client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await bench.client.responses.retrieve(first.id)
    assert (await bench.client.responses.retrieve(second.id)).output == second.output
    third = await ask(bench, "and then?", previous_response_id=second.id)
    await bench.client.responses.delete(second.id)
    (task,) = await bench.tasks()
    assert third.id == f"resp_{task.id}_0"


async def test_who_looks_after_the_host_deletes_anybodys_response(bench: Bench) -> None:
    async with await somebody(bench, "eve", "user") as eve, await somebody(bench, "bob", "operator") as bob:
        made = await eve.responses.create(model="helper", input="hello")
        with pytest.raises(openai.PermissionDeniedError):
            await bob.responses.delete(made.id)
        await bench.client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await eve.responses.retrieve(made.id)


@pytest.mark.parametrize("id", ["resp_x", "resp_0123456789abcdef_0", "resp_0123456789abcdef_99999999"])
async def test_a_response_that_is_not_there_is_not_found(bench: Bench, id: str) -> None:
    for call in (
        bench.client.responses.retrieve(id),
        bench.client.responses.cancel(id),
        ask(bench, "x", previous_response_id=id),
    ):
        with pytest.raises(openai.NotFoundError):
            await call
