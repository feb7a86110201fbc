"""Conversations through the official Python package, against a real host."""

import base64
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.faces.openai_api.conftest import PICTURE, Bench, somebody

USER: Any = {"role": "user", "content": "What is left?"}


async def said(client: AsyncOpenAI, id: str, **more: Any) -> list[tuple[str, str]]:
    """Who said what in a conversation, the oldest first."""
    items: list[Any] = [item async for item in client.conversations.items.list(id, order="asc", **more)]
    return [(item.role, item.content[0].text) for item in items if item.type == "message"]


def sent(bench: Bench) -> list[Any]:
    """What the model was told last."""
    return [each["content"] for each in bench.asked()[-1]["messages"]]


async def test_a_conversation_is_made_looked_at_changed_and_deleted(bench: Bench) -> None:
    made = await bench.client.conversations.create(metadata={"a": "b"})
    assert made.object == "conversation" and made.id.startswith("conv_") and made.metadata == {"a": "b"}
    assert await bench.client.conversations.retrieve(made.id) == made
    changed = await bench.client.conversations.update(made.id, metadata={"c": "d"})
    assert changed.metadata == {"c": "d"} and changed.created_at == made.created_at
    assert (await bench.client.conversations.retrieve(made.id)).metadata == {"c": "d"}
    gone = await bench.client.conversations.delete(made.id)
    assert gone.deleted and gone.object == "conversation.deleted"
    for call in (
        bench.client.conversations.retrieve(made.id),
        bench.client.conversations.update(made.id, metadata={}),
        bench.client.conversations.delete(made.id),
        bench.client.conversations.items.create(made.id, items=[USER]),
        bench.client.responses.create(model="helper", input="x", conversation=made.id),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            await call
        assert (missing.value.param, missing.value.code) == ("conversation", "conversation_not_found")
    assert await bench.tasks() == []


async def test_responses_and_items_of_a_conversation_are_one_thread(bench: Bench) -> None:
    answered: Any = {"role": "assistant", "content": "Nothing."}
    talk = await bench.client.conversations.create(items=[{"role": "developer", "content": "Be kind."}, USER, answered])
    first = await bench.client.responses.create(model="helper", input="one", conversation=talk.id)
    assert first.conversation is not None and first.conversation.id == talk.id
    assert sent(bench) == ["Be good.\n\nBe kind.", "What is left?", "Nothing.", "one"]
    added = await bench.client.conversations.items.create(
        talk.id, items=[{"role": "user", "content": "By the way?"}, {"role": "assistant", "content": "Yes."}]
    )
    assert [item.role for item in added.data if item.type == "message"] == ["user", "assistant"]
    await bench.client.responses.create(model="helper", input="two", conversation={"id": talk.id})
    before = ["What is left?", "Nothing.", "one", "You said: one", "By the way?", "Yes.", "two"]
    assert sent(bench) == ["Be good.\n\nBe kind.", *before]
    told = [text for _, text in await said(bench.client, talk.id)]
    assert told == ["Be kind.", *before, "You said: two"]


async def test_items_come_in_pages_one_by_one_and_newest_first(bench: Bench) -> None:
    talk = await bench.client.conversations.create(
        items=[{"role": "user", "content": str(number)} for number in range(5)]
    )
    page = await bench.client.conversations.items.list(talk.id, limit=2)
    assert page.has_more and [item.content[0].text for item in page.data] == ["4", "3"]  # type: ignore[union-attr]
    assert page.last_id == page.data[-1].id
    assert [text for _, text in await said(bench.client, talk.id, limit=2)] == list("01234")
    one: Any = page.data[0]
    assert await bench.client.conversations.items.retrieve(one.id, conversation_id=talk.id) == one
    with pytest.raises(openai.NotFoundError) as missing:
        await bench.client.conversations.items.retrieve("msg_none", conversation_id=talk.id)
    assert missing.value.code == "item_not_found"
    wrong: Any
    for wrong in ({"limit": 0}, {"order": "up"}):
        with pytest.raises(openai.BadRequestError):
            await bench.client.conversations.items.list(talk.id, **wrong)


async def test_an_item_that_is_deleted_is_said_no_more(bench: Bench) -> None:
    talk = await bench.client.conversations.create(items=[USER])
    for text in ("one", "two"):
        await bench.client.responses.create(model="helper", input=text, conversation=talk.id)
    items: list[Any] = [item async for item in bench.client.conversations.items.list(talk.id, order="asc")]
    for item in (items[0], items[2]):
        told = await bench.client.conversations.items.delete(item.id, conversation_id=talk.id)
        assert told.id == talk.id and told.object == "conversation"
        with pytest.raises(openai.NotFoundError):
            await bench.client.conversations.items.delete(item.id, conversation_id=talk.id)
    left = [("user", "one"), ("user", "two"), ("assistant", "You said: two")]
    assert await said(bench.client, talk.id) == left
    await bench.client.responses.create(model="helper", input="three", conversation=talk.id)
    assert sent(bench)[1:] == ["one", "two", "You said: two", "three"]
    await bench.client.responses.create(model="helper", input="four", conversation=talk.id)
    assert sent(bench)[1:] == ["one", "two", "You said: two", "three", "You said: three", "four"]


async def test_calls_of_the_clients_tools_are_items_and_go_on_in_the_conversation(bench: Bench) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    talk = await bench.client.conversations.create()
    ask: Any = {"model": "helper", "conversation": talk.id, "tools": [tool]}
    first = await bench.client.responses.create(input="two cities", **ask)
    calls = [item for item in first.output if item.type == "function_call"]
    outputs: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls]
    second = await bench.client.responses.create(input=outputs, **ask)
    assert second.output_text == "It is fine\nfine."
    items = [item.type async for item in bench.client.conversations.items.list(talk.id, order="asc")]
    assert items == ["message", "message", *["function_call"] * 2, *["function_call_output"] * 2, "message"]
    ids = [item.id async for item in bench.client.conversations.items.list(talk.id)]
    assert len(set(ids)) == 7
    # A call goes out of mind with its output.
    await bench.client.conversations.items.delete(calls[0].id or "", conversation_id=talk.id)
    await bench.client.responses.create(input="and now?", **ask)
    told = bench.asked()[-1]["messages"]
    assert [len(each.get("tool_calls") or ()) for each in told if each["role"] == "assistant"] == [1, 0]


async def test_pictures_are_kept_with_an_item(bench: Bench) -> None:
    url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    content: Any = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
    talk = await bench.client.conversations.create(items=[{"role": "user", "content": content}])
    (item,) = [item async for item in bench.client.conversations.items.list(talk.id)]
    assert item.content[1].file_id.startswith("sha256:")  # type: ignore[union-attr]
    await bench.client.responses.create(model="helper", input="and this?", conversation=talk.id)
    told = bench.asked()[-1]["messages"][1]["content"]
    assert [piece["type"] for piece in told] == ["text", "image_url"]


async def test_a_conversation_that_is_at_work_takes_nothing_more(bench: Bench) -> None:
    talk = await bench.client.conversations.create()
    await bench.client.responses.create(model="helper", input="forever", conversation=talk.id, background=True)
    with pytest.raises(openai.ConflictError) as locked:
        await bench.client.with_options(max_retries=0).responses.create(
            model="helper", input="more", conversation=talk.id
        )
    assert locked.value.code == "conversation_locked"


async def test_a_conversation_is_its_makers_alone(bench: Bench) -> None:
    talk = await bench.client.conversations.create(items=[USER])
    (item,) = [item async for item in bench.client.conversations.items.list(talk.id)]
    async with await somebody(bench, "eve", "user") as eve:
        for call in (
            eve.conversations.retrieve(talk.id),
            eve.conversations.update(talk.id, metadata={}),
            eve.conversations.delete(talk.id),
            eve.conversations.items.create(talk.id, items=[USER]),
            eve.conversations.items.retrieve(item.id or "", conversation_id=talk.id),
            eve.conversations.items.delete(item.id or "", conversation_id=talk.id),
            eve.responses.create(model="helper", input="hello", conversation=talk.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        with pytest.raises(openai.NotFoundError):
            await said(eve, talk.id)
    async with await somebody(bench, "ann", "read-only", ("read",)) as ann:
        with pytest.raises(openai.PermissionDeniedError):
            await ann.conversations.create()
    assert await said(bench.client, talk.id) == [("user", "What is left?")]


@pytest.mark.parametrize(
    "body, param",
    [
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": "x" * 513}}, "metadata"),
        ({"metadata": {"a": 3}}, "metadata[...]"),
        ({"items": [USER] * 21}, "items"),
        ({"items": [{"role": "wizard", "content": "x"}]}, "items[0].role"),
        ({"items": [{"type": "mcp_list_tools"}]}, "items[0].type"),
        ({"items": [{"role": "user", "content": ""}]}, None),
        ({"items": "none"}, "items"),
    ],
)
async def test_what_can_not_be_kept_is_refused_and_named(bench: Bench, body: Any, param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await bench.client.conversations.create(**body)
    assert param is None or refused.value.param == param
