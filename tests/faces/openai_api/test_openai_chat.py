"""Chat completions through the official Python package, against a real host."""

from tests.faces.openai_api.conftest import Bench


async def test_a_chat_is_answered_whole_and_its_tokens_are_those_of_the_ledger(bench: Bench) -> None:
    made = await bench.client.chat.completions.create(
        model="helper", messages=[{"role": "user", "content": "hello there"}]
    )
    assert made.choices[0].message.content == "You said: hello there"
    assert made.choices[0].finish_reason == "stop"
    (task,) = await bench.tasks()
    assert made.id == f"chatcmpl-{task.id}" and made.model == "helper" and made.created == int(task.created)
    (entry,) = await bench.ledger()
    assert made.usage is not None and entry.spent is not None
    assert made.usage.total_tokens == entry.spent.tokens > 0


async def test_a_chat_is_streamed_as_it_is_said(bench: Bench) -> None:
    stream = await bench.client.chat.completions.create(
        model="helper",
        messages=[{"role": "user", "content": "slowly"}],
        stream=True,
        stream_options={"include_usage": True},
    )
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
