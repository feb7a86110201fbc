"""A model of any provider behind pydantic-ai: one attempt a call."""

import asyncio
from contextlib import suppress
from typing import Any, Literal, cast

import msgspec
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles.anthropic import ANTHROPIC_THINKING_BUDGET_MAP
from pydantic_ai.settings import ModelSettings, ThinkingLevel

from agenthost.core.errors import AgentHostError
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest, Turn
from agenthost.core.parts import FilePart
from agenthost.core.traces import traceparent
from agenthost.models.attempts import BYTES_A_TOKEN, Attempts
from agenthost.models.limits import Limiter
from agenthost.models.openai.content import Read
from agenthost.models.openai.failures import Peer
from agenthost.models.openai.names import own_names
from agenthost.models.openai.wire import Tell
from agenthost.models.providers import failures
from agenthost.models.providers.abilities import ProviderAbilities
from agenthost.models.providers.heard import answer, delta
from agenthost.models.providers.listing import listed
from agenthost.models.providers.making import Clients
from agenthost.models.providers.said import messages, parameters
from agenthost.models.providers.state import thinks
from agenthost.models.settings import Provider

_Level = Literal["minimal", "low", "medium", "high"]
_LEVELS: tuple[_Level, ...] = ("minimal", "low", "medium", "high")
_SIGNED = frozenset({"anthropic", "bedrock"})
"""Providers that refuse to think on in a round of tools whose thinking isn't shown to them."""


class ProviderModel:
    """One model of pydantic-ai's provider `kind`. `read` gives a file's bytes by digest."""

    def __init__(
        self, card: ModelCard, provider: Provider, kind: str, clients: Clients, limiter: Limiter, read: Read
    ) -> None:
        self._card = card
        self._provider = provider
        self._kind = kind
        self._clients = clients
        self._attempts = Attempts(limiter)
        self._read = read
        self._made: Model | None = None
        self._making = asyncio.Lock()
        secrets = [provider.key, *provider.settings.headers.values(), *_texts(provider.settings.options)]
        sources = (provider.key_setting, provider.url_setting)
        url = provider.settings.base_url
        self._peer = Peer(provider.name, card.name, url, sources, secrets, keyed=bool(provider.key))

    def __repr__(self) -> str:
        return f"ProviderModel('{self._provider.name}:{self._card.name}')"

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def refused(self) -> bool:
        """Whether the provider refused the key: whoever keeps this model should make it anew, with today's key."""
        return self._attempts.refused

    async def open(self) -> None:
        """Make the provider's client. Raises Unavailable and BadInput."""
        async with self._making:
            if self._made is None:
                self._made = await self._clients.model(self._provider, self._kind, self._card.name)
                with suppress(UserError):  # where its address is found out at each call
                    self._peer.url = self._peer.url or self._made.base_url or ""

    def abilities(self) -> ProviderAbilities:
        """What else this provider does."""
        return ProviderAbilities(self._card, self._provider, self._kind, self._clients, self._attempts, self._peer)

    async def offered(self) -> list[str]:
        """The models that this provider says it has. Raises as `listed` does."""
        made = await self._clients.provider(self._provider, self._kind)
        return await listed(made.client, self._peer)

    async def answer(self, request: ModelRequest, tell: Tell) -> ModelAnswer:
        await self.open()
        said = await messages(request.turns, self._read, self._provider.name)
        given = _given(request, self._card)
        return await self._attempts.answer(given, request.max_output, lambda: self._attempt(said, request, tell))

    async def _attempt(self, said: list[ModelMessage], request: ModelRequest, tell: Tell) -> ModelAnswer:
        assert self._made is not None
        native = self._card.structured and bool(self._made.profile.get("supports_json_schema_output", False))
        wanted, settings = parameters(request, native), self._wishes(request)
        began = False

        def told(piece: Any) -> None:
            nonlocal began
            if (made := delta(piece)) is not None:
                began = True
                tell(made)

        try:
            if self._provider.settings.stream:
                response = await self._streamed(said, settings, wanted, told)
            else:
                response = await self._made.request(said, settings, wanted)
        except AgentHostError as error:
            problem: AgentHostError = error
        except Exception as error:  # noqa: BLE001 # an SDK raises whatever it likes
            problem = failures.failed(error, self._peer, began)
        else:
            return self._taken(response, request, tell)
        # Raised out here so that it has no context: an error of an SDK's can hold the request's headers.
        raise problem.with_traceback(None)

    async def _streamed(
        self, said: list[ModelMessage], settings: ModelSettings, wanted: ModelRequestParameters, told: Any
    ) -> ModelResponse:
        assert self._made is not None
        async with self._made.request_stream(said, settings, wanted) as stream:
            async for piece in stream:
                told(piece)
            response = stream.get()
        if response.finish_reason is None and response.parts:
            raise failures.cut(self._peer)
        return response

    def _taken(self, response: ModelResponse, request: ModelRequest, tell: Tell) -> ModelAnswer:
        if response.finish_reason == "error":
            raise failures.bad_answer("it broke off with an error, such as a call that it could not write", self._peer)
        if response.finish_reason is None and not response.parts:
            raise failures.bad_answer("it holds no message", self._peer)
        made = answer(response, own_names(request.tools), self._provider.name)
        if self._provider.settings.stream:
            for call in made.calls:
                tell(Delta(call=call))
        return made

    def _wishes(self, request: ModelRequest) -> ModelSettings:
        """What pydantic-ai calls the settings of a request. One attempt, the prefix cached where that must be asked
        for (with tools the exchange too: another turn is to come), and above all what `extra` says."""
        assert self._made is not None
        headers = {"Idempotency-Key": request.key} if request.key else {}
        if request.key and self._provider.trace is not None:
            headers["traceparent"] = traceparent(request.key, self._provider.trace)
        if self._provider.settings.labels:
            headers |= {
                f"X-AgentHost-{name.title()}": value for name, value in request.metadata.items() if name != "person"
            }
        wishes: dict[str, Any] = {
            "max_tokens": request.max_output,
            "max_retries": 0,
            "cache": {"messages": bool(request.tools)},
        }
        if headers:
            wishes["extra_headers"] = headers
        if request.temperature is not None:
            wishes["temperature"] = request.temperature
        if request.effort:
            wishes["thinking"] = self._thinking(request)
        wishes = {name: value for name, value in wishes.items() if name not in self._made.unsupported_settings}
        return cast(ModelSettings, wishes | self._provider.settings.extra)

    def _thinking(self, request: ModelRequest) -> ThinkingLevel:
        """How hard to think. Claude's models before 4.6 take a budget of tokens, which is part of the answer's limit:
        then it is the highest level below what was wished for that leaves room for an answer."""
        assert self._made is not None
        if request.effort in ("", "none") or self._unsigned(request):
            return False
        by_budget = "claude" in self._card.name and not self._made.profile.get("anthropic_supports_adaptive_thinking")
        if not by_budget:
            return request.effort
        fitting: list[_Level] = [
            level for level in _LEVELS if ANTHROPIC_THINKING_BUDGET_MAP[level] < request.max_output
        ]
        wanted = fitting[: _LEVELS.index(request.effort) + 1]
        return wanted[-1] if wanted else False

    def _unsigned(self, request: ModelRequest) -> bool:
        """Whether a round of tools goes on whose thinking this provider can't be shown: another model began it."""
        if self._kind not in _SIGNED or not request.turns or request.turns[-1].role != "tool":
            return False
        last = next((turn for turn in reversed(request.turns) if turn.role == "assistant"), None)
        return last is not None and not thinks(last, self._provider.name)


def _given(request: ModelRequest, card: ModelCard) -> int:
    def size(turn: Turn) -> int:
        return len(turn.text) + sum(len(call.arguments) + len(call.name) for call in turn.calls)

    pictures = sum(isinstance(part, FilePart) for turn in request.turns for part in turn.parts)
    tools = len(msgspec.json.encode(request.tools))
    words = len(request.instructions) + tools + sum(size(turn) for turn in request.turns)
    return words // BYTES_A_TOKEN + pictures * card.image_tokens


def _texts(options: dict[str, Any]) -> list[str]:
    return [value for name, value in options.items() if isinstance(value, str) and ("key" in name or "token" in name)]
