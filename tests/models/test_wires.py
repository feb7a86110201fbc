"""What goes over both wires: bodies as OpenAI's API takes them, and answers as servers really write them."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from agenthost.core.errors import Permanent
from agenthost.core.ids import digest
from agenthost.core.models import Delta, ModelAnswer, ModelRequest, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.openai.chat import ChatWire
from agenthost.models.openai.names import wire_name
from agenthost.models.openai.responses import ResponsesWire
from agenthost.models.openai.schema import permits_strict
from agenthost.models.openai.sse import Event
from agenthost.models.openai.wire import BadAnswer
from agenthost.testing.models import PICTURE, PICTURE_PART, asked
from agenthost.testing.openai_server import record
from tests.models.conftest import Bench

HELLO = {"rules": [{"reply": {"text": "Hello."}}]}
SCHEMA = {
    "type": "object",
    "properties": {"pass": {"type": "boolean"}},
    "required": ["pass"],
    "additionalProperties": False,
}
CALLS = (ToolCall("c1", "add", '{"a":1}'), ToolCall("c2", "delegate:x y", '{"a": 1,,'))
EXCHANGE = (
    Turn("user", (TextPart("Look"), PICTURE_PART, DataPart({"n": 1}))),
    Turn("assistant", (TextPart("I add."),), CALLS),
    Turn("tool", (TextPart("3"),), call_id="c1", name="add"),
    Turn("tool", (TextPart("no such"), PICTURE_PART), call_id="c2", name="delegate:x y", error=True),
    Turn("assistant", ()),
    Turn("user", (FilePart(digest("naïve words".encode()), "text/plain; charset=utf-8", 12, "notes.txt"),)),
)


async def sent(bench: Bench, request: ModelRequest, **settings: Any) -> dict[str, Any]:
    """The body that a server really receives."""
    url = await bench.server(HELLO)
    await bench.model(url, **settings).answer(request, lambda delta: None)
    return bench.bodies()[-1]


async def test_chat_says_the_whole_exchange(bench: Bench) -> None:
    body = await sent(bench, ModelRequest("m", "Be brief.", EXCHANGE, max_output=99, temperature=0.5))
    url = body["messages"][1]["content"][1]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,")
    assert b64decode(url.partition(",")[2]) == PICTURE
    picture = {"type": "image_url", "image_url": {"url": url}}
    illegal = wire_name("delegate:x y")
    assert body == {
        "model": "m",
        "max_tokens": 99,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}, picture, {"type": "text", "text": '{"n":1}'}]},
            {
                "role": "assistant",
                "content": "I add.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
                    {
                        "id": "c2",
                        "type": "function",
                        "function": {"name": illegal, "arguments": '{"malformed":"{\\"a\\": 1,,"}'},
                    },
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            {"role": "tool", "tool_call_id": "c2", "content": "Error: no such"},
            {"role": "user", "content": [{"type": "text", "text": "What delegate:x y returned:"}, picture]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "File notes.txt (text/plain):\nnaïve words"},
        ],
    }  # fmt: skip


async def test_responses_says_the_whole_exchange(bench: Bench) -> None:
    body = await sent(bench, ModelRequest("m", "Be brief.", EXCHANGE, max_output=99), wire="responses")
    picture = body["input"][0]["content"][1]
    assert picture["type"] == "input_image"
    assert b64decode(picture["image_url"].partition(",")[2]) == PICTURE
    illegal = wire_name("delegate:x y")
    assert body == {
        "model": "m",
        "instructions": "Be brief.",
        "max_output_tokens": 99,
        "store": False,
        "stream": True,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Look"}, picture, {"type": "input_text", "text": '{"n":1}'}]},
            {"role": "assistant", "content": "I add."},
            {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
            {"type": "function_call", "call_id": "c2", "name": illegal, "arguments": '{"malformed":"{\\"a\\": 1,,"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "3"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "Error: no such"}, picture]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "File notes.txt (text/plain):\nnaïve words"},
        ],
    }  # fmt: skip


async def test_an_effort_is_sent_only_where_one_is_set(bench: Bench) -> None:
    assert (await sent(bench, asked("?", effort="low")))["reasoning_effort"] == "low"
    assert (await sent(bench, asked("?", effort="none"), wire="responses"))["reasoning"] == {"effort": "none"}
    assert "reasoning_effort" not in await sent(bench, asked("?"))
    assert "reasoning" not in await sent(bench, asked("?"), wire="responses")


@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_requests_that_begin_alike_say_so_where_that_is_known_or_set(bench: Bench, wire: str) -> None:
    def of(agent: str, *tools: ToolSpec, says: str = "?") -> ModelRequest:
        return asked(says, tools=tools, metadata={"agent": agent, "task": says})

    add = ToolSpec("add", "Adds.")
    assert "prompt_cache_key" not in await sent(bench, of("a"), wire=wire)
    assert "prompt_cache_key" not in await sent(bench, of("a"), wire=wire, prompt_cache_key=False)
    given = [
        (await sent(bench, request, wire=wire, prompt_cache_key=True))["prompt_cache_key"]
        for request in (of("a", add), of("a", add, says="!"), of("a"), of("b", add))
    ]
    assert given[0] == given[1]
    assert len(set(given)) == 3
    assert all(len(key) <= 64 for key in given)


@pytest.mark.parametrize("wire", ["chat", "responses"])
@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_written_to_the_cache_is_counted(bench: Bench, wire: str, stream: bool) -> None:
    usage = {"input": 100, "output": 20, "cached": 60, "reasoning": 8, "cache_written": 30}
    url = await bench.server({"rules": [{"reply": {"text": "x", "usage": usage}}]})
    answer = await bench.model(url, wire=wire, stream=stream).answer(asked("?"), lambda delta: None)
    assert answer.usage == Usage(100, 20, 60, 8, 30)


async def test_a_tool_and_a_schema_are_offered_on_chat(bench: Bench) -> None:
    tools = (ToolSpec("fs.read", "Reads."), ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {}}}))
    body = await sent(bench, asked("?", tools=tools, output_schema=SCHEMA))
    assert body["tools"][0]["function"] == {
        "name": wire_name("fs.read"),
        "description": "Reads.",
        "parameters": {"type": "object", "properties": {}},
    }
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }


async def test_a_tool_and_a_schema_are_offered_on_responses(bench: Bench) -> None:
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    body = await sent(
        bench, asked("?", tools=(ToolSpec("add", "Adds."),), output_schema=loose, temperature=0.0), wire="responses"
    )
    assert body["tools"] == [
        {
            "type": "function",
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]
    form = {"type": "json_schema", "name": "answer", "schema": loose, "strict": False}
    assert body["text"] == {"format": form}
    assert body["temperature"] == 0.0


async def test_the_same_request_is_the_same_bytes(bench: Bench) -> None:
    url = await bench.server(HELLO)
    for _ in range(2):
        await bench.model(url).answer(ModelRequest("m", "", EXCHANGE), lambda delta: None)
    first, second = record.bodies(bench.folder)
    assert first == second


async def test_what_a_person_lays_over_a_request_counts(bench: Bench) -> None:
    extra = {"max_tokens": 7, "chat_template_kwargs": {"enable_thinking": False}}
    body = await sent(bench, asked("?"), extra=extra, output_field="max_completion_tokens", stream=False)
    assert (body["max_tokens"], body["max_completion_tokens"]) == (7, 4096)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "stream" not in body
    body = await sent(bench, asked("?"), extra={"reasoning": {"effort": "low"}}, wire="responses", stream=False)
    assert body["reasoning"] == {"effort": "low"}


async def test_key_headers_and_labels_are_sent(bench: Bench) -> None:
    url = await bench.server(HELLO, key="sk-1")
    request = asked("?", key="t/m1/1", metadata={"agent": "coder", "purpose": "turn"})
    await bench.model(url, key="sk-1", labels=True).answer(request, lambda delta: None)
    await bench.model(url, headers={"Authorization": "Bearer sk-1"}).answer(request, lambda delta: None)
    first, second = bench.answers()
    assert (first.key, first.agent, first.wire) == ("t/m1/1", "coder", "chat")
    assert second.agent == ""


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (FilePart("sha256:0", "application/pdf", 3, "a.pdf"), "a.pdf is of type application/pdf, which"),
        (FilePart("sha256:0", "", 3), "a file is of type unknown"),
        (FilePart(digest(b"\xff\xfe"), "application/json", 2, "a.json"), "is not UTF-8 text"),
    ],
)
async def test_a_file_that_no_model_reads_is_refused(bench: Bench, part: FilePart, words: str) -> None:
    model = bench.model("http://127.0.0.1:1/v1")
    with pytest.raises(Permanent) as caught:
        await model.answer(ModelRequest("m", "", (Turn("user", (part,)),)), lambda delta: None)
    assert caught.value.code == "bad-request"
    assert words in caught.value.message


async def test_results_without_words(bench: Bench) -> None:
    turns = (
        Turn("user", (TextPart("go"),)),
        Turn("assistant", (), (ToolCall("c1", "a", "{}"), ToolCall("c2", "b", "{}"))),
        Turn("tool", (), call_id="c1", name="a"),
        Turn("tool", (PICTURE_PART,), call_id="c2"),
        Turn("user", (TextPart("and?"),)),
    )
    body = await sent(bench, ModelRequest("m", "", turns))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool", "tool", "user", "user"]
    assert body["messages"][1]["content"] is None
    assert [message["content"] for message in body["messages"][2:4]] == ["(no output)", "(see the picture)"]
    assert body["messages"][4]["content"][0]["text"] == "What c2 returned:"


def test_names_that_the_wire_does_not_take_are_changed_and_come_back() -> None:
    names = ["delegate:a", "delegate.a", "x" * 65, "ü"]
    wired = [wire_name(name) for name in names]
    assert len(set(wired)) == 4
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in wired)
    assert wire_name("legal_name-1") == "legal_name-1"


async def test_a_call_comes_back_under_the_tools_own_name(bench: Bench) -> None:
    reply = {"calls": [{"tool": wire_name("fs.read"), "arguments": {}}]}
    for wire in ("chat", "responses"):
        for stream in (True, False):
            model = bench.model(await bench.server({"rules": [{"reply": reply}]}), wire=wire, stream=stream)
            answer = await model.answer(asked("?", tools=(ToolSpec("fs.read", ""),)), lambda delta: None)
            assert [call.name for call in answer.calls] == ["fs.read"]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({"type": "object"}, False),
        ({"type": "string"}, False),
        ({**SCHEMA, "anyOf": []}, False),
        ({**SCHEMA, "format": "x"}, False),
        ({**SCHEMA, "properties": {"pass": True}}, False),
        ({**SCHEMA, "properties": {"pass": {"type": "array"}}}, False),
        ({**SCHEMA, "properties": {"pass": {"type": ["array", "null"], "items": {"type": "string"}}}}, True),
        ({**SCHEMA, "properties": {"pass": {"anyOf": [SCHEMA, {"type": "null"}]}}}, True),
        ({**SCHEMA, "properties": {"pass": {"anyOf": [{"type": "object"}]}}}, False),
        ({**SCHEMA, "$defs": {"x": {"type": "object", "properties": {"a": {}}}}}, False),
    ],
)
def test_strict_is_asked_for_only_where_it_is_taken(schema: dict[str, Any], strict: bool) -> None:
    assert permits_strict(schema) is strict


def test_a_schema_too_deep_is_not_strict() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(12):
        schema = {**SCHEMA, "properties": {"pass": schema}}
    assert permits_strict(schema) is False


# --- answers as servers really write them -------------------------------------------------------------


def chat(*chunks: dict[str, Any] | str) -> tuple[ModelAnswer, list[Delta]]:
    told: list[Delta] = []
    reader = ChatWire().reader(told.append, {})
    for chunk in chunks:
        reader.feed([Event(b"", chunk.encode() if isinstance(chunk, str) else msgspec.json.encode(chunk))])
    return reader.answer(), told


def delta(finish: str | None = None, **message: Any) -> dict[str, Any]:
    return {"choices": [{"delta": message, "finish_reason": finish}]}


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    def call(id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
        return {"id": id, "function": {"name": name, "arguments": arguments}}

    answer, _ = chat(
        delta(tool_calls=[call("a", "add", '{"x"')]),
        delta(tool_calls=[call(None, None, ":1}")]),
        delta(tool_calls=[call("b", "sub", {"y": 2}), {"id": "c", "function": {"name": "now"}}]),
        delta("tool_calls"),
        "[DONE]",
    )
    assert [(call.id, call.name, call.arguments) for call in answer.calls] == [
        ("a", "add", '{"x":1}'),
        ("b", "sub", '{"y":2}'),
        ("c", "now", "{}"),
    ]


def test_calls_without_an_id_get_one() -> None:
    answer, _ = chat(delta(tool_calls=[{"index": 0, "function": {"name": "add", "arguments": ""}}]), delta("stop"))
    assert answer.calls == (ToolCall("call_0", "add", "{}"),)
    assert answer.stop == "calls"


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_under_either_name(field: str) -> None:
    answer, told = chat(delta(**{field: "hm"}), delta("stop", content="Four."))
    assert answer.text == "Four."
    assert told == [Delta(reasoning="hm"), Delta(text="Four.")]


def test_content_in_pieces_is_joined() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "image", "x": 1}, {"type": "output_text", "text": "b"}]
    assert chat(delta("stop", content=content))[0].text == "ab"


def test_usage_may_come_early_late_or_in_part() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": 2}}
    answer, _ = chat({**delta(content="x"), "usage": usage, "model": "m-2"}, delta("stop"), {"choices": []}, "[DONE]")
    assert answer.usage == Usage(5, 0, 2, 0)
    assert answer.model == "m-2"


def test_an_answer_that_only_thinks_or_is_cut_or_filtered_is_one() -> None:
    assert chat(delta(reasoning="hm"), delta("stop"))[0].parts == ()
    assert chat(delta("length"))[0].stop == "length"
    assert chat(delta("content_filter", content="I"))[0].stop == "refusal"
    assert chat(delta("stop", refusal="No."))[0].stop == "refusal"


def test_a_stream_that_only_says_done_after_words_is_complete() -> None:
    answer, _ = chat(delta(content="Hi"), "[DONE]")
    assert (answer.text, answer.stop) == ("Hi", "end")


def test_whole_messages_in_a_stream_are_taken() -> None:
    assert chat({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})[0].text == "Hi"


def responses(*events: dict[str, Any]) -> tuple[ModelAnswer, list[Delta]]:
    told: list[Delta] = []
    reader = ResponsesWire().reader(told.append, {})
    for event in events:
        reader.feed([Event(b"", msgspec.json.encode(event))])
    return reader.answer(), told


def test_an_output_that_the_last_event_leaves_out_is_taken_from_the_items() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
    call = {"type": "function_call", "id": "fc", "name": "add", "arguments": {"a": 1}}
    answer, told = responses(
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.output_item.done"},
        {"type": "response.in_progress"},
        {"type": "response.completed", "response": {"output": []}},
    )
    assert answer.text == "Hi"
    assert answer.calls == (ToolCall("fc", "add", '{"a":1}'),)
    assert told == [Delta(call=answer.calls[0])]
    assert answer.usage == Usage()


def test_a_response_cut_at_its_length_or_filtered_is_an_answer() -> None:
    for reason, stop in (("max_output_tokens", "length"), ("content_filter", "refusal")):
        response = {"output": [], "incomplete_details": {"reason": reason}, "usage": {"input_tokens": 3}}
        answer, _ = responses({"type": "response.incomplete", "response": response})
        assert (answer.stop, answer.usage) == (stop, Usage(3))


def test_a_message_without_words_is_an_answer() -> None:
    answer, _ = responses({"type": "response.completed", "response": {"output": [{"type": "message"}]}})
    assert (answer.parts, answer.stop) == ((), "end")


def test_a_promise_of_calls_without_any_is_no_answer() -> None:
    with pytest.raises(BadAnswer, match="holds no message"):
        chat(delta("tool_calls"))


def test_a_call_without_a_name_is_no_answer() -> None:
    with pytest.raises(BadAnswer, match="without naming it"):
        chat(delta("tool_calls", tool_calls=[{"index": 0, "id": "a"}]))
