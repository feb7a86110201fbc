"""What goes to other providers and comes back: caching, thinking that is signed, effort, files, keys, one attempt."""

import asyncio
import logging
import sys
import traceback
from typing import Any

import pytest

from agenthost.core.errors import AgentHostError, BadInput, Permanent, Temporary, Unavailable
from agenthost.core.ids import digest
from agenthost.core.models import Delta, ModelRequest, Turn, Usage
from agenthost.core.parts import FilePart, TextPart
from agenthost.core.tools import ToolCall, ToolSpec
from agenthost.models.providers.state import MOST
from agenthost.testing.models import ADD, PICTURE, PICTURE_PART, answered, asked
from tests.models.providers.conftest import KEY, Desk

HELLO = {"rules": [{"reply": {"text": "Hello."}}]}
THINKS = {
    "rules": [
        {"when": {"turn": 0}, "reply": {"text": "So.", "reasoning": "a plan", "calls": [{"tool": "add", "id": "c9"}]}},
        {"reply": {"text": "Done."}},
    ]
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
USER = Turn("user", (TextPart("go"),))
CLAUDE, GEMINI = "claude-opus-4-5", "gemini-2.5-pro"


async def sent(desk: Desk, kind: str, request: ModelRequest, name: str = CLAUDE, **settings: Any) -> dict[str, Any]:
    """The body that the provider really receives."""
    model = desk.model(kind, await desk.server(HELLO), name, **settings)
    await model.answer(request, lambda delta: None)
    return desk.bodies()[-1]


async def test_instructions_tools_and_the_exchange_are_cached_where_another_turn_is_to_come(desk: Desk) -> None:
    body = await sent(desk, "anthropic", asked("?", tools=(ADD,)))
    kept = {"type": "ephemeral", "ttl": "5m"}
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": kept}]
    assert body["tools"][-1]["cache_control"] == kept
    assert body["cache_control"] == kept
    body = await sent(desk, "anthropic", asked("?"))
    assert body["system"][0]["cache_control"] == kept and "cache_control" not in body
    body = await sent(desk, "anthropic", asked("?", tools=(ADD,)), extra={"cache": False})
    assert "cache_control" not in str(body)


async def test_what_was_read_from_the_cache_and_written_to_it_is_counted(desk: Desk) -> None:
    usage = {"input": 100, "output": 20, "cached": 60, "reasoning": 8, "cache_written": 30}
    url = await desk.server({"rules": [{"reply": {"text": "x", "usage": usage}}]})
    for stream in (True, False):
        answer, _ = await answered(desk.model("anthropic", url, stream=stream), asked("?"))
        assert answer.usage == Usage(100, 20, 60, 8, 30)


@pytest.mark.parametrize(("kind", "name"), [("anthropic", CLAUDE), ("google", GEMINI)])
@pytest.mark.parametrize("stream", [True, False])
async def test_signed_thinking_goes_back_with_its_turn(desk: Desk, kind: str, name: str, stream: bool) -> None:
    model = desk.model(kind, await desk.server(THINKS), name, stream=stream)
    request = ModelRequest("m", "", (USER,), tools=(ADD,), effort="low")
    first, _ = await answered(model, request)
    assert first.state and first.stop == "calls" and first.text == "So."
    # The program may have given the call another id: its place counts.
    calls = (ToolCall("other", "add", first.calls[0].arguments),)
    turns = (
        USER,
        Turn("assistant", first.parts, calls, state=first.state),
        Turn("tool", (TextPart("3"),), call_id="other", name="add"),
    )
    second, _ = await answered(model, ModelRequest("m", "", turns, tools=(ADD,), effort="low"))
    assert second.text == "Done." and second.state == ""
    body = desk.bodies()[-1]
    if kind == "anthropic":
        kinds = [block["type"] for block in body["messages"][1]["content"]]
        assert kinds == ["thinking", "text", "tool_use"]
        assert body["messages"][1]["content"][2]["id"] == "other"
        assert body["thinking"]["type"] == "enabled"
    else:
        parts = body["contents"][1]["parts"]
        assert [part for part in parts if "functionCall" in part][0]["thoughtSignature"].startswith("c2lnbmVk")


async def test_thinking_is_left_off_in_a_round_that_another_model_began(desk: Desk) -> None:
    turns = (
        USER,
        Turn("assistant", (), (ToolCall("c1", "add", "{}"),), state='{"provider":"google","system":null,"entries":[]}'),
        Turn("tool", (TextPart("3"),), call_id="c1", name="add"),
    )
    body = await sent(desk, "anthropic", ModelRequest("m", "", turns, tools=(ADD,), effort="high"))
    assert body.get("thinking", {}).get("type") in (None, "disabled")
    body = await sent(desk, "anthropic", ModelRequest("m", "", (USER,), tools=(ADD,), effort="high"))
    assert body["thinking"]["type"] == "enabled"


async def test_a_turn_that_is_no_longer_what_was_said_goes_without_its_state(desk: Desk) -> None:
    first, _ = await answered(
        desk.model("anthropic", await desk.server(THINKS), CLAUDE), asked("go", tools=(ADD,), effort="low")
    )
    turns = (USER, Turn("assistant", (TextPart("Sooo."),), state=first.state), USER)
    body = await sent(desk, "anthropic", ModelRequest("m", "", turns))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "Sooo."}]


async def test_a_state_that_is_too_large_is_let_go(desk: Desk) -> None:
    thought = "x" * (MOST + 1)
    url = await desk.server({"rules": [{"reply": {"text": "So.", "reasoning": thought}}]})
    answer, told = await answered(desk.model("anthropic", url, CLAUDE), asked("?", effort="low"))
    assert answer.state == "" and answer.text == "So."
    assert "".join(delta.reasoning for delta in told) == thought


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high"])
async def test_an_effort_fits_into_the_answers_limit(desk: Desk, effort: Any) -> None:
    body = await sent(desk, "anthropic", asked("?", effort=effort, max_output=4096))
    assert body["thinking"]["type"] == "enabled"
    body = await sent(desk, "google", asked("?", effort=effort), GEMINI)
    assert body["generationConfig"]["thinkingConfig"]["thinking_budget"] > 0


async def test_no_effort_turns_thinking_off_and_none_asked_for_leaves_it_to_the_provider(desk: Desk) -> None:
    assert "thinkingConfig" not in (await sent(desk, "google", asked("?"), GEMINI))["generationConfig"]
    body = await sent(desk, "google", asked("?", effort="none"), "gemini-2.5-flash")
    assert body["generationConfig"]["thinkingConfig"]["thinking_budget"] == 0
    assert "thinking" not in await sent(desk, "anthropic", asked("?"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK warns of a model that is as old as this
async def test_a_schema_is_kept_to_natively_where_the_model_can_and_told_in_words_elsewhere(desk: Desk) -> None:
    body = await sent(desk, "anthropic", asked("?", output_schema=SCHEMA))
    assert body["output_config"]["format"]["schema"]["required"] == ["a"]
    body = await sent(desk, "google", asked("?", output_schema=SCHEMA), GEMINI)
    assert body["generationConfig"]["responseJsonSchema"]["required"] == ["a"]
    body = await sent(desk, "anthropic", asked("?", output_schema=SCHEMA), "claude-3-5-haiku-latest")
    assert "output_config" not in body
    assert '"required": ["a"]' in str(body["system"]) or '"required":["a"]' in str(body["system"])


async def test_limits_temperature_and_the_idempotency_key_are_sent(desk: Desk) -> None:
    body = await sent(desk, "anthropic", asked("?", max_output=99, temperature=0.5, key="t/m1/1"))
    assert (body["max_tokens"], body["temperature"]) == (99, 0.5)
    body = await sent(desk, "google", asked("?", max_output=99, temperature=0.5), GEMINI)
    assert (body["generationConfig"]["maxOutputTokens"], body["generationConfig"]["temperature"]) == (99, 0.5)


async def test_a_result_may_hold_a_picture_and_a_document_is_sent_whole(desk: Desk) -> None:
    turns = (
        Turn("user", (TextPart("go"), FilePart(digest(PICTURE), "application/pdf", len(PICTURE), "plan.pdf"))),
        Turn("assistant", (), (ToolCall("c1", "see", "{}"),)),
        Turn("tool", (TextPart("here"), PICTURE_PART), call_id="c1", name="see"),
    )
    body = await sent(desk, "anthropic", ModelRequest("m", "", turns, tools=(ToolSpec("see", "Sees."),)))
    assert body["messages"][0]["content"][1]["type"] == "document"
    inner = body["messages"][2]["content"][0]["content"]
    assert [block["type"] for block in inner] == ["text", "image"]


async def test_a_tools_name_that_no_wire_takes_comes_back_as_ours(desk: Desk) -> None:
    tool = ToolSpec("delegate:x y", "", {"type": "object", "properties": {}})
    url = await desk.server({"rules": [{"reply": {"calls": [{"tool": "delegate_x_y_2c5a2b5f", "id": "c"}]}}]})
    answer, _ = await answered(desk.model("anthropic", url), asked("?", tools=(tool,)))
    sent_name = desk.bodies()[-1]["tools"][0]["name"]
    url = await desk.server({"rules": [{"reply": {"calls": [{"tool": sent_name, "id": "c"}]}}]})
    answer, told = await answered(desk.model("anthropic", url), asked("?", tools=(tool,)))
    assert answer.calls[0].name == "delegate:x y"
    assert [delta.call for delta in told if delta.call] == list(answer.calls)


@pytest.mark.parametrize("kind", ["anthropic", "google"])
async def test_a_failed_call_is_made_once_and_calling_again_is_the_engines(desk: Desk, kind: str) -> None:
    for fail in ("overloaded", "rate-limit", "server-error", "reset"):
        model = desk.model(kind, await desk.server({"rules": [{"fail": {"kind": fail}, "reply": {"text": "x"}}]}))
        before = len(desk.bodies())
        with pytest.raises(Temporary):
            await model.answer(asked("?"), lambda delta: None)
        assert len(desk.bodies()) == before + 1


@pytest.mark.parametrize("kind", ["anthropic", "google"])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_key_never_shows(desk: Desk, kind: str, stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rightly = desk.model(kind, await desk.server(HELLO, key=KEY), stream=stream)
    assert (await answered(rightly, asked("?")))[0].text == "Hello."
    model = desk.model(kind, await desk.server(HELLO, key="another-key"), stream=stream)
    with pytest.raises(Permanent) as caught:
        await model.answer(asked("?"), lambda delta: None)
    error = caught.value
    assert error.code == "auth" and "ACME_KEY" in error.message and model.refused
    seen = "".join(traceback.format_exception(error)) + repr(model) + repr(error.failure()) + repr(error.details)
    assert error.__context__ is None and error.__cause__ is None
    assert KEY not in seen
    assert KEY not in caplog.text


async def test_a_provider_that_isnt_there_is_unreachable_and_nothing_was_sent(desk: Desk) -> None:
    for kind in ("anthropic", "google"):
        with pytest.raises(Temporary) as caught:
            await desk.model(kind, "http://127.0.0.1:9").answer(asked("?"), lambda delta: None)
        assert (caught.value.code, caught.value.sent) == ("unreachable", False)
        assert "ACME_URL" in caught.value.message


@pytest.mark.parametrize("kind", ["anthropic", "google"])
async def test_a_silent_provider_is_given_up_after_its_idle_timeout(desk: Desk, kind: str) -> None:
    url = await desk.server({"rules": [{"fail": {"kind": "stall"}, "reply": {"text": "one two three"}}]})
    with pytest.raises(Temporary) as caught:
        await desk.model(kind, url, idle_timeout=0.2).answer(asked("?"), lambda delta: None)
    assert (caught.value.code, caught.value.sent) == ("timeout", True)
    assert "idle-timeout" in caught.value.message


async def test_calls_wait_for_their_turn_and_a_cancelled_one_closes_its_stream(desk: Desk) -> None:
    url = await desk.server({"rules": [{"fail": {"kind": "stall"}, "reply": {"text": "one two three"}}]})
    model = desk.model("google", url)
    began = asyncio.Event()

    def heard(delta: Delta) -> None:
        began.set()

    async with asyncio.TaskGroup() as group:
        call = group.create_task(model.answer(asked("?"), heard))
        await began.wait()
        call.cancel()
    assert call.cancelled()


async def test_options_that_a_provider_doesnt_take_are_named(desk: Desk) -> None:
    with pytest.raises(BadInput, match=r"\[models.providers.anthropic.options\] has no 'regoin'"):
        await desk.model("anthropic", "http://127.0.0.1:9", options={"regoin": "x"}).open()
    with pytest.raises(BadInput, match="can't be set"):
        await desk.model("deepseek", "http://127.0.0.1:9").open()


async def test_without_its_library_a_provider_says_what_to_install(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.providers.cohere", None)
    with pytest.raises(Unavailable, match=r"pip install 'agenthost\[providers\]'"):
        await desk.model("cohere", "http://127.0.0.1:9").open()


async def test_a_file_that_no_model_reads_is_refused_before_anything_is_sent(desk: Desk) -> None:
    turn = Turn("user", (FilePart(digest(PICTURE), "application/zip", 3, "a.zip"),))
    with pytest.raises(AgentHostError, match=r"a\.zip is of type application/zip"):
        await sent(desk, "anthropic", ModelRequest("m", "", (turn,)))
    assert desk.bodies() == []
