"""Both adapters pass the port's suite: `scripted`, and `openai` over both wires, streamed and whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest

from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest
from agenthost.models.dialects.fitted import Fitted
from agenthost.models.playbook import as_playbook
from agenthost.models.scripted import ScriptedModel
from agenthost.testing.models import Connect, ModelSuite
from tests.models.conftest import Bench


class TestScripted(ModelSuite):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda playbook: ScriptedModel(as_playbook(playbook))


class TestScriptedFitted(ModelSuite):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda playbook: Fitted(ScriptedModel(as_playbook(playbook)), ModelCard("m"))


class Later:
    """A model whose server is started when it is first called, so that `connect` needs no await."""

    card = ModelCard("m")

    def __init__(self, bench: Bench, playbook: dict[str, Any], fitted: bool = False, **settings: Any) -> None:
        self._fitted = fitted
        self._bench = bench
        self._playbook = playbook
        self._settings = settings
        self._starting = asyncio.Lock()
        self._url = ""

    async def answer(self, request: ModelRequest, tell: Any) -> ModelAnswer:
        async with self._starting:
            self._url = self._url or await self._bench.server(self._playbook)
        model = self._bench.model(self._url, **self._settings)
        return await (Fitted(model, self.card) if self._fitted else model).answer(request, tell)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
class TestOpenAIFitted(ModelSuite):
    @pytest.fixture
    async def connect(self, bench: Bench, stream: bool) -> AsyncIterator[Connect]:
        yield lambda playbook: Later(bench, playbook, fitted=True, wire="chat", stream=stream)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("wire", ["chat", "responses"])
class TestOpenAI(ModelSuite):
    @pytest.fixture
    async def connect(self, bench: Bench, wire: Literal["chat", "responses"], stream: bool) -> AsyncIterator[Connect]:
        yield lambda playbook: Later(bench, playbook, wire=wire, stream=stream)

    async def test_a_streamed_answer_is_told_in_pieces_that_make_it_whole(
        self, bench: Bench, wire: Literal["chat", "responses"], stream: bool
    ) -> None:
        reply = {"text": "one two three", "reasoning": "hm", "calls": [{"tool": "add", "arguments": {}}]}
        model = bench.model(await bench.server({"rules": [{"reply": reply}]}), wire=wire, stream=stream)
        told: list[Delta] = []
        answer = await model.answer(ModelRequest("m", "", ()), told.append)
        # How many words a piece has depends on what the network brought at once.
        assert "".join(delta.text for delta in told) == ("one two three" if stream else "")
        assert "".join(delta.reasoning for delta in told) == ("hm" if stream else "")
        assert [delta.call for delta in told if delta.call] == (list(answer.calls) if stream else [])
