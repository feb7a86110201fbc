"""Finds models by name: `default`, a configured name, or `provider:model`. Adapters are imported when named."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agenthost.core.api import ModelLine
from agenthost.core.errors import AgentHostError, BadInput, NotFound, Unavailable, nearest
from agenthost.core.models import ModelCard
from agenthost.core.ports import Abilities, Model
from agenthost.models.abilities import abilities_of
from agenthost.models.cards import Cards, load_cards
from agenthost.models.limits import Limiter
from agenthost.models.settings import LOCAL, OPENAI, ModelSettings, NameSettings, Provider, ProviderSettings

if TYPE_CHECKING:
    from agenthost.models.openai.connection import Sessions

Secret = Callable[[str], Awaitable[str | None]]

DEFAULT = "openai:gpt-5.5"
"""What `default` is where nothing but OPENAI_API_KEY is set: sees pictures, calls tools, and its price is known."""

BUILT_IN: dict[str, ProviderSettings] = {
    "openai": ProviderSettings(base_url=OPENAI, api_key_env="OPENAI_API_KEY"),
    **{name: ProviderSettings(base_url=url) for name, url in LOCAL.items()},
    "scripted": ProviderSettings(kind="scripted"),
}
"""Providers that need no settings. Those on this machine cost nothing."""

CONNECT = (
    "Set OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME; "
    "`agenthost model list` shows what is there."
)


class _Kept(Model, Protocol):
    @property
    def refused(self) -> bool: ...


class Catalog:
    """The port `core.ports.Models`, from settings, the environment and stored secrets."""

    def __init__(
        self,
        settings: ModelSettings,
        read: Callable[[str], Awaitable[bytes]],
        environ: Mapping[str, str],
        secret: Secret,
    ) -> None:
        self._settings = settings
        self._read = read
        self._environ = environ
        self._secret = secret
        self._cards: Cards | None = None
        self._known: dict[str, _Kept] = {}
        self._limiters: dict[str, Limiter] = {}
        self._sessions: Sessions | None = None

    async def model(self, name: str) -> Model:
        """The model of that name. Raises NotFound, Unavailable, BadInput."""
        known = self._known.get(name)
        if known is None or known.refused:
            known = self._known[name] = await self._make(name, ())
        return known

    async def abilities(self, name: str) -> Abilities:
        """What else that model's provider does. Raises as `model` does."""
        return abilities_of(name, await self._make(name, ()))

    async def close(self) -> None:
        """End the connections."""
        self._known.clear()
        if self._sessions is not None:
            await self._sessions.close()
            self._sessions = None

    async def lines(self) -> list[ModelLine]:
        """What can be named here: the default, configured names, and the table's models of configured providers."""
        names = ["default", *self._settings.names]
        if await self._key("openai", self._provider("openai")):
            names += [f"openai:{name}" for name in self._table().names()]
        return [await self._line(name) for name in names]

    async def _line(self, name: str) -> ModelLine:
        stands_for = await self._stands_for(name)
        provider = stands_for.partition(":")[0] if ":" in stands_for else ""
        try:
            card = (await self.model(name)).card
        except AgentHostError as error:
            return ModelLine(name, provider, False, note=error.message)
        note = f"stands for {stands_for}" if stands_for != name else ""
        return ModelLine(name, provider, True, card.window, card.images, card.input_price, card.output_price, note)

    async def _stands_for(self, name: str) -> str:
        if name == "default":
            name = await self._default()
        named = self._settings.names.get(name)
        return named.model if named is not None else name

    async def _default(self) -> str:
        if self._settings.default:
            return self._settings.default
        if await self._key("openai", self._provider("openai")):
            return DEFAULT
        return ""

    async def _make(self, name: str, through: tuple[str, ...]) -> _Kept:
        if name in through:
            raise BadInput(f"the model names {' -> '.join((*through, name))} stand for each other; mend agenthost.toml")
        if name == "default":
            default = await self._default()
            if not default:
                raise Unavailable(f"no model is set. {CONNECT}")
            return await self._make(default, (*through, name))
        named = self._settings.names.get(name)
        if named is not None and named.model != name:
            if ":" not in named.model:
                return await self._make(named.model, (*through, name))
            return await self._connect(named.model, named)
        if ":" not in name:
            known = ["default", *self._settings.names, *(f"{provider}:NAME" for provider in self._providers())]
            raise NotFound(f"there is no model '{name}'. {nearest(name, known)}")
        return await self._connect(name, None)

    async def _connect(self, name: str, named: NameSettings | None) -> _Kept:
        provider, _, model = name.partition(":")
        if provider not in self._providers():
            raise NotFound(f"there is no model provider '{provider}'. {nearest(provider, self._providers())}")
        settings = self._provider(provider)
        if settings.kind == "scripted":
            return await self._scripted(name, model or settings.playbook)
        if not model:
            raise BadInput(f"'{name}' names no model; write {provider}:NAME")
        card = self._table().card(model, free=provider in LOCAL)
        if named is not None:
            card = _overridden(card, named)
            if named.extra:
                settings = msgspec.structs.replace(settings, extra={**settings.extra, **named.extra})
        return await self._openai(provider, settings, card)

    async def _openai(self, provider: str, settings: ProviderSettings, card: ModelCard) -> _Kept:
        from agenthost.models.openai.connection import Sessions
        from agenthost.models.openai.model import OpenAIModel

        base_source = f"the base-url of [models.providers.{provider}]"
        given = self._settings.providers.get(provider)
        if provider == "openai" and not (given and given.base_url) and self._environ.get("OPENAI_BASE_URL"):
            settings = msgspec.structs.replace(settings, base_url=self._environ["OPENAI_BASE_URL"])
            base_source = "OPENAI_BASE_URL"
        key = await self._key(provider, settings)
        api_key = f"the api-key of [models.providers.{provider}]"
        source = api_key if settings.api_key else settings.api_key_env or api_key
        if not key and settings.api_key_env and settings.base_url == OPENAI:
            raise Unavailable(f"the model '{provider}:{card.name}' needs a key and {source} isn't set. {CONNECT}")
        if self._sessions is None:
            self._sessions = Sessions(self._environ)
        resolved = Provider(provider, settings, key, source, base_source)
        limiter = self._limiter(provider, settings)
        if card.background:
            from agenthost.models.openai.background import BackgroundModel

            return BackgroundModel(card, resolved, self._sessions, limiter, self._read)
        return OpenAIModel(card, resolved, self._sessions, limiter, self._read)

    async def _scripted(self, name: str, playbook: str) -> _Kept:
        from agenthost.models.playbook import load_playbook
        from agenthost.models.scripted import ScriptedModel

        if not playbook:
            raise Unavailable("the scripted model plays a file; name it: scripted:PATH/playbook.yaml")
        return ScriptedModel(await asyncio.to_thread(load_playbook, playbook), name)

    def _limiter(self, provider: str, settings: ProviderSettings) -> Limiter:
        if provider not in self._limiters:
            self._limiters[provider] = Limiter(
                settings.requests_per_minute, settings.tokens_per_minute, settings.concurrency
            )
        return self._limiters[provider]

    async def _key(self, provider: str, settings: ProviderSettings) -> str:
        if settings.api_key:
            return settings.api_key.strip()
        if not settings.api_key_env:
            return ""
        found = self._environ.get(settings.api_key_env) or await self._secret(settings.api_key_env) or ""
        return found.strip()  # a key read from a file often ends in a line break

    def _providers(self) -> list[str]:
        return sorted({*BUILT_IN, *self._settings.providers})

    def _provider(self, name: str) -> ProviderSettings:
        given = self._settings.providers.get(name)
        built_in = BUILT_IN.get(name)
        if given is None or built_in is None:
            return given or built_in or ProviderSettings()
        filled: dict[str, Any] = {
            field: getattr(built_in, field)
            for field in ("base_url", "api_key_env")
            if not getattr(given, field) and not (field == "api_key_env" and given.api_key)
        }
        return msgspec.structs.replace(given, **filled)

    def _table(self) -> Cards:
        if self._cards is None:
            self._cards = load_cards(self._settings.cards_file)
        return self._cards


def _overridden(card: ModelCard, named: NameSettings) -> ModelCard:
    unknown = [field for field in named.card if field not in ModelCard.__struct_fields__ or field == "name"]
    if unknown:
        known = nearest(unknown[0], [field for field in ModelCard.__struct_fields__ if field != "name"])
        raise BadInput(f"a model's card has no field '{unknown[0]}'. {known}")
    try:
        return msgspec.convert(msgspec.to_builtins(card) | named.card, ModelCard)
    except msgspec.ValidationError as error:
        raise BadInput(f"the card of '{named.model}' in agenthost.toml can't be used: {error}") from None
