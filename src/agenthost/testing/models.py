"""What every model behind the port Model must do.

Subclass `ModelSuite` in a test module and give the fixture `connect`: it takes a playbook as a plain value
(`agenthost.models.playbook`) and gives a model that answers by it. `PICTURE` must be among the files that the
model can read.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.ids import digest
from agenthost.core.models import Delta, ModelAnswer, ModelRequest, Turn, Usage
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.ports import Model
from agenthost.core.tools import ToolCall, ToolSpec

Connect = Callable[[dict[str, Any]], Model]

PICTURE = bytes(range(256)) * 3
"""Stands for a picture; no adapter looks inside, and no byte may get lost."""
PICTURE_PART = FilePart(digest(PICTURE), "image/png", len(PICTURE), "sketch.png")
ADD = ToolSpec("add", "Adds two numbers.", {"type": "object", "properties": {"a": {"type": "number"}}})

FAILURES = {
    "rate-limit": ("rate-limit", True, False),
    "server-error": ("provider-error", True, False),
    "overloaded": ("provider-error", True, False),
    "reset": ("disconnected", True, True),
    "cut": ("cut", True, True),
    "html": ("bad-answer", True, True),
    "garbage": ("bad-answer", True, True),
    "empty": ("bad-answer", True, True),
    "auth": ("auth", False, False),
    "quota": ("quota", False, False),
    "context": ("context-too-long", False, False),
    "bad-request": ("bad-request", False, False),
    "not-found": ("not-found", False, False),
}
"""A playbook's failure to what the port says of it: its code, whether it is temporary, whether it was sent."""


def asked(text: str, **fields: Any) -> ModelRequest:
    """A request of one user's turn."""
    return ModelRequest("m", "Be brief.", (Turn("user", (TextPart(text),)),), **fields)


async def answered(model: Model, request: ModelRequest) -> tuple[ModelAnswer, list[Delta]]:
    """The answer, and what was told on the way."""
    told: list[Delta] = []
    return await model.answer(request, told.append), told


def book(**rule: Any) -> dict[str, Any]:
    """A playbook of one rule."""
    return {"rules": [rule]}


class ModelSuite:
    """The conformance suite of Model."""

    async def test_words_are_told_as_they_come_and_make_the_answer(self, connect: Connect) -> None:
        text = "Grüße,\n\n  zwei Knöpfe – und ein Zähler 🧮.\n"
        answer, told = await answered(connect(book(reply={"text": text})), asked("hello"))
        assert answer.text == text
        assert answer.stop == "end"
        assert answer.calls == ()
        assert "".join(delta.text for delta in told) in (text, "")
        assert not any(delta.reset for delta in told)

    async def test_instructions_and_words_reach_the_model(self, connect: Connect) -> None:
        model = connect(
            {"rules": [{"when": {"instructions": "Be brief.", "says": "naïve"}, "reply": {"text": "Yes."}}]}
        )
        assert (await answered(model, asked("so naïve")))[0].text == "Yes."

    async def test_parallel_calls_come_in_order_with_their_arguments(self, connect: Connect) -> None:
        calls = [
            {"tool": "add", "arguments": {"a": number, "why": "ü" * 40}, "id": f"c{number}"} for number in range(3)
        ]
        answer, told = await answered(
            connect(book(reply={"text": "Let me see.", "calls": calls})), asked("?", tools=(ADD,))
        )
        assert answer.stop == "calls"
        assert [call.id for call in answer.calls] == ["c0", "c1", "c2"]
        assert [call.name for call in answer.calls] == ["add"] * 3
        assert answer.calls[1].arguments == '{"a":1,"why":"' + "ü" * 40 + '"}'
        assert [delta.call for delta in told if delta.call] in ([], list(answer.calls))

    async def test_arguments_stand_as_the_model_wrote_them(self, connect: Connect) -> None:
        reply = {"calls": [{"tool": "add", "arguments": '{"a": 1,,'}]}
        answer, _ = await answered(connect(book(reply=reply)), asked("?", tools=(ADD,)))
        assert answer.calls[0].arguments == '{"a": 1,,'

    async def test_results_reach_the_model_in_call_order(self, connect: Connect) -> None:
        calls = (ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", "not json"))
        turns = (
            Turn("user", (TextPart("go"),)),
            Turn("assistant", (TextPart("I add."),), calls),
            Turn("tool", (TextPart("one"),), call_id="c1", name="add"),
            Turn("tool", (TextPart("it broke"),), call_id="c2", name="add", error=True),
        )
        rules = [
            {
                "when": {"turn": 1, "tool": "add", "error": True, "says": ["one", "it broke"]},
                "reply": {"text": "{{said}}"},
            }
        ]
        request = ModelRequest("m", "", turns, tools=(ADD,))
        answer, _ = await answered(connect({"rules": rules}), request)
        assert answer.text.index("one") < answer.text.index("it broke")

    async def test_a_picture_arrives_byte_for_byte(self, connect: Connect) -> None:
        turn = Turn("user", (TextPart("What is this?"), PICTURE_PART))
        model = connect(book(when={"file": PICTURE_PART.digest}, reply={"text": "A sketch."}))
        assert (await answered(model, ModelRequest("m", "", (turn,))))[0].text == "A sketch."

    async def test_data_is_said_as_json(self, connect: Connect) -> None:
        turn = Turn("user", (DataPart({"width": 3}),))
        model = connect(book(when={"says": '"width":3'}, reply={"text": "Three."}))
        assert (await answered(model, ModelRequest("m", "", (turn,))))[0].text == "Three."

    async def test_usage_is_as_the_provider_counted_it(self, connect: Connect) -> None:
        usage = {"input": 100, "output": 20, "cached": 60, "reasoning": 8}
        answer, _ = await answered(connect(book(reply={"text": "x", "usage": usage})), asked("?"))
        assert answer.usage == Usage(100, 20, 60, 8)

    async def test_reasoning_is_told_and_is_no_part_of_the_answer(self, connect: Connect) -> None:
        answer, told = await answered(connect(book(reply={"text": "Four.", "reasoning": "2 + 2"})), asked("?"))
        assert answer.text == "Four."
        assert "".join(delta.reasoning for delta in told) in ("2 + 2", "")

    @pytest.mark.parametrize("stop", ["length", "refusal"])
    async def test_the_reason_to_stop_is_told(self, connect: Connect, stop: str) -> None:
        answer, _ = await answered(connect(book(reply={"text": "I can't", "stop": stop})), asked("?"))
        assert answer.stop == stop
        assert answer.text == "I can't"

    @pytest.mark.parametrize("kind", FAILURES)
    async def test_a_failure_has_its_code_and_says_whether_to_try_again(self, connect: Connect, kind: str) -> None:
        code, temporary, sent = FAILURES[kind]
        with pytest.raises(AgentHostError) as caught:
            await answered(connect(book(fail={"kind": kind}, reply={"text": "one two three"})), asked("?"))
        assert caught.value.code == code
        assert isinstance(caught.value, Temporary) == temporary
        assert getattr(caught.value, "sent", False) == sent
        assert len(caught.value.message) > 20

    @pytest.mark.parametrize("kind", ["rate-limit", "overloaded"])
    async def test_the_delay_that_a_provider_asks_for_is_told(self, connect: Connect, kind: str) -> None:
        with pytest.raises(Temporary) as caught:
            await answered(connect(book(fail={"kind": kind, "retry": 7})), asked("?"))
        assert caught.value.delay == 7

    async def test_a_retry_gets_through_whatever_the_number_of_its_attempt(self, connect: Connect) -> None:
        model = connect(book(fail={"kind": "cut", "times": 2}, reply={"text": "At last."}))
        for attempt in (1, 2):
            with pytest.raises(Temporary):
                await answered(model, asked("?", key=f"task/m1/{attempt}"))
        assert (await answered(model, asked("?", key="task/m1/3")))[0].text == "At last."
        with pytest.raises(Temporary):
            await answered(model, asked("?", key="other/m1/1"))

    async def test_a_cancelled_call_ends_and_the_next_one_works(self, connect: Connect) -> None:
        stall = {"when": {"says": "stall"}, "fail": {"kind": "stall"}, "reply": {"text": "one two three"}}
        model = connect({"rules": [stall, {"reply": {"text": "Fine."}}]})
        began = asyncio.Event()

        async def ask() -> None:
            await model.answer(asked("stall"), lambda delta: began.set())

        async with asyncio.TaskGroup() as group:
            call = group.create_task(ask())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):  # an answer that isn't streamed tells nothing before it is cut
                    await began.wait()
                    raise TimeoutError
            call.cancel()
        assert call.cancelled()
        assert (await answered(model, asked("hello")))[0].text == "Fine."

    async def test_calls_at_the_same_time_get_their_own_answers(self, connect: Connect) -> None:
        model = connect(book(reply={"text": "You said {{said}}.", "pause": 0.001}))
        answers = await asyncio.gather(*(answered(model, asked(f"number {number}")) for number in range(40)))
        assert [answer.text for answer, _ in answers] == [f"You said number {number}." for number in range(40)]
