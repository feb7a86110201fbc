"""Anthropic's and Google's SDKs behind the port pass its suite, streamed and whole."""

import asyncio
from typing import Any

import pytest

from agenthost.core.errors import Temporary
from agenthost.core.models import ModelAnswer, ModelCard, ModelRequest
from agenthost.models.providers.model import ProviderModel
from agenthost.testing.models import ADD, Connect, ModelSuite, answered, asked, book
from tests.models.providers.conftest import Desk


class Later:
    """A model whose server is started when it is first called, so that `connect` needs no await."""

    card = ModelCard("m")

    def __init__(self, desk: Desk, kind: str, playbook: dict[str, Any], **settings: Any) -> None:
        self._desk = desk
        self._kind = kind
        self._playbook = playbook
        self._settings = settings
        self._starting = asyncio.Lock()
        self._model: ProviderModel | None = None

    async def answer(self, request: ModelRequest, tell: Any) -> ModelAnswer:
        async with self._starting:
            if self._model is None:
                url = await self._desk.server(self._playbook)
                self._model = self._desk.model(self._kind, url, **self._settings)
                await self._model.open()
        return await self._model.answer(request, tell)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
class TestAnthropic(ModelSuite):
    @pytest.fixture
    def connect(self, desk: Desk, stream: bool) -> Connect:
        return lambda playbook: Later(desk, "anthropic", playbook, stream=stream)

    async def test_arguments_stand_as_the_model_wrote_them(self, connect: Connect, stream: bool) -> None:
        # An answer that isn't streamed carries them as an object: what can't be read isn't in it.
        model = connect(book(reply={"calls": [{"tool": "add", "arguments": '{"a": 1,,'}]}))
        answer, _ = await answered(model, asked("?", tools=(ADD,)))
        assert answer.calls[0].arguments == ('{"a": 1,,' if stream else "{}")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
class TestGoogle(ModelSuite):
    @pytest.fixture
    def connect(self, desk: Desk, stream: bool) -> Connect:
        return lambda playbook: Later(desk, "google", playbook, stream=stream)

    async def test_arguments_stand_as_the_model_wrote_them(self, connect: Connect) -> None:
        # Gemini's API carries arguments as an object: a call that it could not write it reports itself.
        model = connect(book(reply={"calls": [{"tool": "add", "arguments": '{"a": 1,,'}]}))
        with pytest.raises(Temporary) as caught:
            await answered(model, asked("?", tools=(ADD,)))
        assert caught.value.code == "bad-answer" and caught.value.sent
