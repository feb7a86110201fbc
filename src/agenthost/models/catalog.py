"""Finds models by name: `default`, a configured name, or `provider:model`. Adapters are imported when named."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agenthost.core.api import ModelDetail, ModelLine
from agenthost.core.errors import AgentHostError, BadInput, NotFound, Unavailable, nearest
from agenthost.core.machines import Machine
from agenthost.core.models import Fitness, ModelCard
from agenthost.core.ports import Abilities, Model
from agenthost.models.abilities import abilities_of
from agenthost.models.cards import FREE, CardLine, Cards, explain, load_cards
from agenthost.models.dialects.fitted import Fitted
from agenthost.models.fitness.found import as_found, usable
from agenthost.models.limits import Limiter
from agenthost.models.listing import line, local_lines
from agenthost.models.providers.names import INSTALL, KEYLESS, KEYS
from agenthost.models.settings import LOCAL, OPENAI, ModelSettings, NameSettings, Provider, ProviderSettings

if TYPE_CHECKING:
    from agenthost.models.llamacpp.local import LocalModels
    from agenthost.models.openai.connection import Sessions
    from agenthost.models.openai.model import OpenAIModel
    from agenthost.models.providers.making import Clients

Secret = Callable[[str], Awaitable[str | None]]

DEFAULT = "openai:gpt-5.5"
"""What `default` is where nothing but OPENAI_API_KEY is set: sees pictures, calls tools, and its price is known."""

BUILT_IN: dict[str, ProviderSettings] = {
    "openai": ProviderSettings(base_url=OPENAI, api_key_env="OPENAI_API_KEY"),
    **{name: ProviderSettings(base_url=url) for name, url in LOCAL.items()},
    **{name: ProviderSettings(kind="pydantic-ai") for name in KEYS},
    "scripted": ProviderSettings(kind="scripted"),
    "llamacpp": ProviderSettings(kind="llamacpp"),
}
"""Providers that need no settings. Those on this machine cost nothing."""

CONNECT = (
    "Set OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME; "
    "`agenthost model list` shows what is there."
)


class _Kept(Model, Protocol):
    @property
    def refused(self) -> bool: ...


class Kept(Protocol):
    """What probes found, by name."""

    async def get(self, name: str) -> Fitness | None: ...

    async def put(self, name: str, fitness: Fitness) -> None: ...


class Catalog:
    """The port `core.ports.Models`, from settings, the environment, stored secrets, and what probes found. `folder`
    is where local models are; `machine` says what fits."""

    def __init__(
        self,
        settings: ModelSettings,
        read: Callable[[str], Awaitable[bytes]],
        environ: Mapping[str, str],
        secret: Secret,
        fitness: Kept | None = None,
        folder: Path | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._settings = settings
        self._read = read
        self._environ = environ
        self._secret = secret
        self._folder = folder or Path("models")
        self._machine = machine
        self._local: LocalModels | None = None
        self._cards: Cards | None = None
        self._fitness = fitness
        self._known: dict[str, _Kept] = {}
        self._fitted: dict[str, tuple[_Kept, Fitted]] = {}
        self._limiters: dict[str, Limiter] = {}
        self._sessions: Sessions | None = None
        self._clients: Clients | None = None
        self._sources: dict[str, dict[str, str]] = {}

    async def model(self, name: str) -> Model:
        """The model of that name, as the loop goes by it. Raises NotFound, Unavailable, BadInput."""
        bare = await self.bare(name)
        kept = self._fitted.get(name)
        if kept is None or kept[0] is not bare:
            kept = self._fitted[name] = bare, Fitted(bare, await self._effective(name, bare.card))
        return kept[1]

    async def bare(self, name: str) -> _Kept:
        """The model of that name as it claims to be. Raises as `model` does."""
        known = self._known.get(name)
        if known is not None and self._local is not None:
            await self._local.look()
        if known is None or known.refused:
            known = self._known[name] = await self._connect(*await self._resolved(name))
        return known

    async def abilities(self, name: str) -> Abilities:
        """What else that model's provider does. Raises as `model` does."""
        stands_for, named = await self._resolved(name)
        provider, _, model = stands_for.partition(":")
        if provider in self._providers() and self._provider(provider).kind == "llamacpp":
            return await self.local.abilities(model, _adjusting(named))
        return abilities_of(name, await self.bare(name))

    @property
    def local(self) -> "LocalModels":
        """The models of this machine that llama.cpp runs."""
        if self._local is None:
            from agenthost.models.llamacpp.local import LocalModels

            self._local = LocalModels(self._settings, self._folder, self._read, self._environ, self._machine)
        return self._local

    async def close(self) -> None:
        """End the connections and the local models."""
        self._known.clear()
        if self._local is not None:
            await self._local.close()
            self._local = None
        self._fitted.clear()
        if self._sessions is not None:
            await self._sessions.close()
            self._sessions = None
        if self._clients is not None:
            await self._clients.close()
            self._clients = None

    async def explain(self, name: str) -> tuple[CardLine, ...]:
        """The card of a model, value by value, each with where it comes from. Raises as `model` does."""
        card = (await self.model(name)).card
        chain = await self._chain(name)
        sources = dict(self._sources.get(chain[-1], {}))
        for each in reversed(chain):
            if (named := self._settings.names.get(each)) is not None:
                sources |= dict.fromkeys(named.card, f"[models.names.{each}.card]")
        return explain(card, sources)

    async def detail(self, name: str) -> ModelDetail:
        """What is known of a model. Raises as `model` does."""
        bare = await self.bare(name)
        chain = await self._chain(name)
        return ModelDetail(name, chain[1:], bare.card, await self._effective(name, bare.card), await self._found(name))

    async def keep(self, name: str, fitness: Fitness) -> None:
        """Go by what a probe found from now on. `default` itself is a name for another."""
        chain = await self._chain(name)
        if self._fitness is not None:
            await self._fitness.put(chain[1] if name == "default" and len(chain) > 1 else name, fitness)
        self._fitted.clear()

    async def _effective(self, name: str, claimed: ModelCard) -> ModelCard:
        card = as_found(claimed, await self._found(name))
        for each in reversed(await self._chain(name)):
            named = self._settings.names.get(each)
            if named is not None and named.card:
                card = _overridden(card, named)
        return usable(card)

    async def _found(self, name: str) -> Fitness | None:
        """What a probe found of the name, or else of what it stands for."""
        if self._fitness is not None:
            for each in await self._chain(name):
                found = await self._fitness.get(each)
                if found is not None:
                    return found
        return None

    async def _chain(self, name: str) -> tuple[str, ...]:
        """The name, and the names that it stands for, one by one."""
        chain = [name]
        while following := await self._following(chain[-1]):
            if following in chain:
                raise BadInput(
                    f"the model names {' -> '.join((*chain, following))} stand for each other; mend agenthost.toml"
                )
            chain.append(following)
        return tuple(chain)

    async def _following(self, name: str) -> str:
        """What a name stands for; empty for a model itself, which may have a card under its own name."""
        if name == "default":
            return await self._default()
        named = self._settings.names.get(name)
        return "" if named is None or named.model == name and ":" in name else named.model

    async def _resolved(self, name: str) -> tuple[str, NameSettings | None]:
        """The model that a name stands for in the end, and what the names on the way set, the nearest over the others."""
        chain = await self._chain(name)
        last = chain[-1]
        if last == "default":
            raise Unavailable(f"no model is set. {CONNECT}")
        if ":" not in last:
            known = ["default", *self._settings.names, *(f"{provider}:NAME" for provider in self._providers())]
            raise NotFound(f"there is no model '{last}'. {nearest(last, known)}")
        met = [self._settings.names[each] for each in reversed(chain) if each in self._settings.names]
        if not met:
            return last, None
        card: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for named in met:
            card |= named.card
            extra |= named.extra
        return last, NameSettings(last, card, extra)

    async def lines(self, provider: str = "") -> list[ModelLine]:
        """What can be named here: the default, configured names, the table's models of configured providers, and those
        of this machine; or all that `provider` says it has. Raises then as `model` does, and where it can't be asked."""
        if provider:
            return await self._offered(provider)
        names = ["default", *self._settings.names]
        if await self._key("openai", self._provider("openai")):
            names += [f"openai:{name}" for name in self._table().names()]
        lines = [await self._line(name) for name in names]
        return lines + await local_lines(self.local, self._effective, self._found)

    async def _offered(self, provider: str) -> list[ModelLine]:
        """A line for each model of a provider, by its own list."""
        if provider not in self._providers():
            raise NotFound(f"there is no model provider '{provider}'. {nearest(provider, self._providers())}")
        settings = self._provider(provider)
        if settings.kind == "llamacpp":
            return await local_lines(self.local, self._effective, self._found)
        if settings.kind == "scripted":
            raise Unavailable(
                f"the provider '{provider}' plays a file, whatever model is named; it has no list of them"
            )
        if settings.kind == "pydantic-ai":
            from agenthost.models.providers.model import ProviderModel

            made = await self._foreign(provider, settings, ModelCard("any"))
            assert isinstance(made, ProviderModel)
            ids = [(name, None) for name in await made.offered()]
        else:
            from agenthost.models.openai.offers import OpenAIOffers

            server = (await self._openai(provider, settings, ModelCard("any"))).another(OpenAIOffers)
            ids = [(one.id, one.window) for one in await server.offered()]
        lines: list[ModelLine] = []
        for id, window in ids:
            name = f"{provider}:{id}"
            card, _ = await self._card(provider, settings, id)
            if window:
                card = msgspec.structs.replace(card, window=window)
            lines.append(line(name, await self._effective(name, card), await self._found(name)))
        return lines

    async def _line(self, name: str) -> ModelLine:
        stands_for = provider = ""
        try:
            stands_for = (await self._chain(name))[-1]
            provider = stands_for.partition(":")[0] if ":" in stands_for else ""
            card = (await self.model(name)).card
            found = await self._found(name)
        except AgentHostError as error:
            return ModelLine(name, provider, False, note=error.message)
        note = f"stands for {stands_for}" if stands_for != name else ""
        return msgspec.structs.replace(line(name, card, found, note), provider=provider)

    async def _default(self) -> str:
        if self._settings.default:
            return self._settings.default
        if await self._key("openai", self._provider("openai")):
            return DEFAULT
        return ""

    async def _connect(self, name: str, named: NameSettings | None) -> _Kept:
        provider, _, model = name.partition(":")
        if provider not in self._providers():
            raise NotFound(f"there is no model provider '{provider}'. {nearest(provider, self._providers())}")
        settings = self._provider(provider)
        if settings.kind == "scripted":
            return await self._scripted(name, model or settings.playbook)
        if not model:
            raise BadInput(f"'{name}' names no model; write {provider}:NAME")
        if settings.kind == "llamacpp":
            return await self.local.model(
                model, _adjusting(named), {**settings.extra, **(named.extra if named else {})}
            )
        card, self._sources[name] = await self._card(provider, settings, model)
        if named is not None:
            card = _overridden(card, named)
            if named.extra:
                settings = msgspec.structs.replace(settings, extra={**settings.extra, **named.extra})
        if settings.kind == "pydantic-ai":
            return await self._foreign(provider, settings, card)
        return await self._openai(provider, settings, card)

    async def _card(self, provider: str, settings: ProviderSettings, model: str) -> tuple[ModelCard, dict[str, str]]:
        """A model's card, and where its values come from. What another provider asks for a model of the same name
        is its own business, so its models stand in the table as `provider:model`."""
        table = self._table()
        foreign = settings.kind == "pydantic-ai"
        name = f"{settings.provider or provider}:{model}" if foreign else model
        if (known := table.known(name)) is not None:
            return msgspec.structs.replace(known, name=model), {"": table.source}
        local = provider in LOCAL
        unknown = msgspec.structs.replace(table.card(name, free=local), name=model)
        if (foreign or provider == "openai") and not self._settings.cards_file:
            priced = await asyncio.to_thread(
                _priced, settings.provider or provider, model, None if foreign else unknown
            )
            if priced is not None:
                return priced
        return unknown, dict.fromkeys(FREE, "it runs on this machine") if local else {}

    async def _foreign(self, provider: str, settings: ProviderSettings, card: ModelCard) -> _Kept:
        """A model of another provider, through pydantic-ai."""
        kind = settings.provider or provider
        if kind not in KEYS:
            where = f"the provider '{kind}' of [models.providers.{provider}] is not known"
            raise NotFound(f"{where}. {nearest(kind, list(KEYS))}")
        settings, key, source = await self._foreign_key(provider, settings, kind)
        if not key and kind not in KEYLESS:
            if not settings.base_url:
                raise Unavailable(f"the model '{provider}:{card.name}' needs a key and {source} isn't set.")
            key = "none"  # a server of one's own may want none, and the SDKs want one all the same
        try:
            from agenthost.models.providers.making import Clients
            from agenthost.models.providers.model import ProviderModel
        except ImportError as error:
            what = f"the model '{provider}:{card.name}' needs a part that isn't installed ({error.name})"
            raise Unavailable(f"{what}: {INSTALL}") from None
        if self._clients is None:
            self._clients = Clients(self._environ)
        base = f"the base-url of [models.providers.{provider}]"
        resolved = Provider(provider, settings, key, source, base)
        made = ProviderModel(card, resolved, kind, self._clients, self._limiter(provider, settings), self._read)
        await made.open()
        return made

    async def _foreign_key(
        self, provider: str, settings: ProviderSettings, kind: str
    ) -> tuple[ProviderSettings, str, str]:
        api_key = f"the api-key of [models.providers.{provider}]"
        if settings.api_key or settings.api_key_env:
            return settings, await self._key(provider, settings), settings.api_key_env or api_key
        for name in KEYS[kind]:
            named = msgspec.structs.replace(settings, api_key_env=name)
            if key := await self._key(provider, named):
                return settings, key, name
        return settings, "", next(iter(KEYS[kind]), api_key)

    async def _openai(self, provider: str, settings: ProviderSettings, card: ModelCard) -> "OpenAIModel":
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
            for field in ("base_url", "api_key_env", "kind")
            if not getattr(given, field) and not (field == "api_key_env" and given.api_key)
        }
        return msgspec.structs.replace(given, **filled)

    def _table(self) -> Cards:
        if self._cards is None:
            self._cards = load_cards(self._settings.cards_file)
        return self._cards


def _adjusting(named: NameSettings | None) -> Callable[[ModelCard], ModelCard]:
    return lambda card: _overridden(card, named) if named is not None else card


def _priced(provider: str, model: str, over: ModelCard | None) -> tuple[ModelCard, dict[str, str]] | None:
    """The card of a model by the data of `genai-prices`, where that is installed and knows it; of its fields that the data
    has, laid over the card `over`."""
    try:
        from agenthost.models import prices
    except ImportError:
        return None
    card = prices.priced(provider, model)
    if card is None:
        return None
    known = prices.fields(card)
    if over is not None:
        card = msgspec.structs.replace(over, **{field: getattr(card, field) for field in known})
    return card, dict.fromkeys(known, prices.source())


def _overridden(card: ModelCard, named: NameSettings) -> ModelCard:
    unknown = [field for field in named.card if field not in ModelCard.__struct_fields__ or field == "name"]
    if unknown:
        known = nearest(unknown[0], [field for field in ModelCard.__struct_fields__ if field != "name"])
        raise BadInput(f"a model's card has no field '{unknown[0]}'. {known}")
    try:
        return msgspec.convert(msgspec.to_builtins(card) | named.card, ModelCard)
    except msgspec.ValidationError as error:
        raise BadInput(f"the card of '{named.model}' in agenthost.toml can't be used: {error}") from None
