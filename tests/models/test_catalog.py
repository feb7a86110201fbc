"""Models by name: what a name stands for, and what is said where it stands for nothing that can be had."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.errors import AgentHostError, BadInput, NotFound, Temporary, Unavailable
from agenthost.core.models import Fitness, ModelRequest
from agenthost.models.cards import load_cards
from agenthost.models.catalog import DEFAULT, Catalog
from agenthost.models.scripted import ScriptedModel
from agenthost.models.settings import ModelSettings, NameSettings, Provider, ProviderSettings
from agenthost.testing.models import asked
from tests.models.conftest import KEY, Bench, read

HELLO = {"rules": [{"reply": {"text": "Hello."}}]}


@asynccontextmanager
async def catalog(
    settings: dict[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    fitness: Any = None,
) -> AsyncGenerator[Catalog]:
    """A catalogue of settings as agenthost.toml has them."""

    async def secret(name: str) -> str | None:
        return (secrets or {}).get(name)

    made = Catalog(msgspec.convert(settings or {}, ModelSettings), read, environ or {}, secret, fitness)
    try:
        yield made
    finally:
        await made.close()


async def hears(bench: Bench, models: Catalog, name: str, request: ModelRequest | None = None) -> dict[str, Any]:
    """Call a model; the body that its server received."""
    await (await models.model(name)).answer(request or asked("?"), lambda delta: None)
    return bench.bodies()[-1]


async def refused(name: str, kind: type[AgentHostError], **given: Any) -> str:
    async with catalog(**given) as models:
        with pytest.raises(kind) as caught:
            await models.model(name)
    return caught.value.message


async def test_the_default_is_what_settings_say(bench: Bench) -> None:
    settings = {"default": "acme:big", "providers": {"acme": {"base-url": await bench.server(HELLO)}}}
    async with catalog(settings) as models:
        assert (await hears(bench, models, "default"))["model"] == "big"
        assert await models.model("default") is await models.model("default")


async def test_with_a_key_alone_the_default_is_openais(bench: Bench) -> None:
    environ = {"OPENAI_API_KEY": f"{KEY}\n", "OPENAI_BASE_URL": await bench.server(HELLO, key=KEY)}
    async with catalog(environ=environ) as models:
        assert "openai:" + (await hears(bench, models, "default"))["model"] == DEFAULT


async def test_a_stored_key_counts_as_one_in_the_environment(bench: Bench) -> None:
    environ = {"OPENAI_BASE_URL": await bench.server(HELLO, key=KEY)}
    async with catalog(environ=environ, secrets={"OPENAI_API_KEY": KEY}) as models:
        await hears(bench, models, "default")


async def test_without_anything_it_says_how_to_connect_a_model() -> None:
    said = await refused("default", Unavailable)
    assert "OPENAI_API_KEY" in said and "AGENTHOST_MODEL" in said and "agenthost model list" in said


async def test_without_a_key_openai_says_which_is_missing() -> None:
    assert "openai:gpt-5.5' needs a key and OPENAI_API_KEY isn't set" in await refused("openai:gpt-5.5", Unavailable)


async def test_settings_of_openai_without_an_address_leave_the_environments(bench: Bench) -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": await bench.server(HELLO)}
    async with catalog({"providers": {"openai": {"concurrency": 2}}}, environ) as models:
        await hears(bench, models, "openai:m")
    base = await bench.server(HELLO)
    async with catalog(
        {"providers": {"openai": {"base-url": base}}}, environ | {"OPENAI_BASE_URL": "nonsense"}
    ) as models:
        await hears(bench, models, "openai:m")


async def test_a_wrong_base_url_names_its_setting() -> None:
    environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "localhost:8000"}
    assert "OPENAI_BASE_URL is 'localhost:8000'" in await refused("openai:m", BadInput, environ=environ)
    settings = {"providers": {"acme": {"base-url": "x"}}}
    assert "the base-url of [models.providers.acme] is 'x'" in await refused("acme:m", BadInput, settings=settings)
    settings = {"providers": {"acme": {}}}
    assert "[models.providers.acme]" in await refused("acme:m", BadInput, settings=settings)


async def test_a_refused_key_names_where_it_was_set(bench: Bench) -> None:
    url = await bench.server(HELLO, key="right")
    settings = {
        "providers": {
            "one": {"base-url": url, "api-key": "wrong-key"},
            "two": {"base-url": url, "api-key-env": "TWO_KEY"},
            "three": {"base-url": url},
        }
    }
    async with catalog(settings, {"TWO_KEY": "wrong-key"}) as models:
        for name, words in (
            ("one", "the api-key of [models.providers.one]"),
            ("two", "TWO_KEY"),
            ("three", "the api-key"),
        ):
            with pytest.raises(AgentHostError) as caught:
                await hears(bench, models, f"{name}:m")
            assert f"Set {words}" in caught.value.message
            assert "wrong-key" not in caught.value.message
    with pytest.raises(AgentHostError, match="acme refused|three wants a key"):
        async with catalog(settings) as models:
            await hears(bench, models, "three:m")


async def test_after_a_refused_key_the_next_call_takes_the_one_that_is_set_now(bench: Bench) -> None:
    environ = {"OPENAI_BASE_URL": await bench.server(HELLO, key="right-key")}
    secrets = {"OPENAI_API_KEY": "wrong-key"}
    async with catalog(environ=environ, secrets=secrets) as models:
        with pytest.raises(AgentHostError, match="refused the key"):
            await hears(bench, models, "openai:m")
        secrets["OPENAI_API_KEY"] = "right-key"
        await hears(bench, models, "openai:m")


async def test_a_name_stands_for_a_model_with_its_card_and_extras(bench: Bench) -> None:
    settings = {
        "providers": {"acme": {"base-url": await bench.server(HELLO), "extra": {"top_p": 0.5, "seed": 1}}},
        "names": {
            "fast": {"model": "acme:small", "card": {"window": 9000, "input_price": 0.5}, "extra": {"seed": 2}},
            "quick": {"model": "fast"},
        },
    }
    async with catalog(settings) as models:
        card = (await models.model("quick")).card
        assert (card.name, card.window, card.input_price, card.output_price) == ("small", 9000, 0.5, None)
        body = await hears(bench, models, "fast")
        assert (body["top_p"], body["seed"]) == (0.5, 2)


async def test_names_that_go_round_in_circles_are_told() -> None:
    names = {"a": {"model": "b"}, "b": {"model": "a"}}
    assert "a -> b -> a stand for each other" in await refused("a", BadInput, settings={"names": names})
    assert "default -> default" in await refused("default", BadInput, settings={"default": "default"})


async def test_of_names_that_stand_for_names_each_adds_its_own_and_the_nearest_wins(bench: Bench) -> None:
    settings = {
        "providers": {"acme": {"base-url": await bench.server(HELLO)}},
        "names": {
            "a": {"model": "b", "card": {"window": 9000}, "extra": {"seed": 1}},
            "b": {"model": "c", "card": {"window": 5000, "input_price": 0.5}, "extra": {"seed": 2, "top_p": 0.5}},
            "c": {"model": "acme:small", "card": {"max_output": 700}},
        },
    }
    async with catalog(settings) as models:
        body = await hears(bench, models, "a")
        assert (body["seed"], body["top_p"], body["model"]) == (1, 0.5, "small")
        card = (await models.detail("a")).claimed
        assert (card.window, card.input_price, card.max_output) == (9000, 0.5, 700)
        assert (await models.model("b")).card.window == 5000
        sources = {line.field: line.source for line in await models.explain("a")}
        assert sources["window"] == "[models.names.a.card]"
        assert sources["input_price"] == "[models.names.b.card]"
        assert next(line for line in await models.lines() if line.name == "a").note == "stands for acme:small"


async def test_a_model_may_have_a_card_under_its_own_name(bench: Bench) -> None:
    settings = {
        "providers": {"acme": {"base-url": await bench.server(HELLO)}},
        "names": {"acme:small": {"model": "acme:small", "card": {"window": 9000}, "extra": {"seed": 1}}},
    }
    async with catalog(settings) as models:
        assert (await models.bare("acme:small")).card.window == 9000
        assert (await hears(bench, models, "acme:small"))["seed"] == 1


async def test_names_in_a_circle_are_told_wherever_they_are_named() -> None:
    names = {"a": {"model": "b"}, "b": {"model": "c"}, "c": {"model": "b"}, "self": {"model": "self"}}
    async with catalog({"names": names}) as models:
        for name, words in (("a", "a -> b -> c -> b"), ("self", "self -> self")):
            for ask in (models.model, models.abilities, models.detail, models.explain):
                with pytest.raises(BadInput, match=f"{words} stand for each other; mend agenthost.toml"):
                    await ask(name)
        lines = {line.name: line for line in await models.lines()}
        assert not lines["a"].usable
        assert "stand for each other" in lines["a"].note


async def test_an_unknown_name_is_told_with_the_nearest() -> None:
    settings = {"names": {"careful": {"model": "ollama:x"}}}
    assert "no model 'carefull'. Did you mean 'careful'?" in await refused("carefull", NotFound, settings=settings)
    assert "no model provider 'openia'. Did you mean 'openai'?" in await refused("openia:x", NotFound)
    assert "write ollama:NAME" in await refused("ollama:", BadInput)


async def test_a_card_that_can_not_be_used_is_told() -> None:
    def named(card: dict[str, Any]) -> dict[str, Any]:
        return {"names": {"x": {"model": "ollama:x", "card": card}}}

    assert "no field 'windw'. Did you mean 'window'?" in await refused("x", BadInput, settings=named({"windw": 1}))
    assert "no field 'name'" in await refused("x", BadInput, settings=named({"name": "y"}))
    assert "card of 'ollama:x'" in await refused("x", BadInput, settings=named({"window": "big"}))


async def test_models_on_this_machine_need_no_key_and_cost_nothing() -> None:
    async with catalog() as models:
        for provider in ("ollama", "lmstudio", "vllm", "llama-server"):
            card = (await models.model(f"{provider}:qwen3:8b")).card
            assert (card.name, card.input_price, card.output_price) == ("qwen3:8b", 0.0, 0.0)


async def test_a_scripted_model_plays_a_file(tmp_path: Path) -> None:
    file = tmp_path / "book.yaml"
    file.write_text("rules: [{reply: {text: Hi}}]")
    settings = {"providers": {"play": {"kind": "scripted", "playbook": str(file)}}}
    async with catalog(settings) as models:
        for name in (f"scripted:{file}", "play:"):
            model = await models.bare(name)
            assert isinstance(model, ScriptedModel)
            assert (await model.answer(asked("?"), lambda delta: None)).text == "Hi"
    assert "name it: scripted:PATH" in await refused("scripted:", Unavailable)
    assert "can't be read" in await refused(f"scripted:{tmp_path}/no.yaml", BadInput)


async def test_a_providers_limits_hold_for_all_its_models_and_a_429_slows_all_of_them(bench: Bench) -> None:
    rules = [{"when": {"says": "busy"}, "fail": {"kind": "rate-limit", "retry": 3600}, "reply": {"text": "x"}}]
    settings = {"providers": {"acme": {"base-url": await bench.server({"rules": [*rules, *HELLO["rules"]]})}}}
    async with catalog(settings) as models:
        one, two = await models.model("acme:one"), await models.model("acme:two")
        await two.answer(asked("hello"), lambda delta: None)
        with pytest.raises(Temporary):
            await one.answer(asked("busy"), lambda delta: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await two.answer(asked("hello"), lambda delta: None)


async def test_the_list_says_what_can_be_used_and_why_not(bench: Bench) -> None:
    settings = {"names": {"local": {"model": "ollama:qwen3"}, "lost": {"model": "nowhere:x"}}}
    async with catalog(settings) as models:
        lines = {line.name: line for line in await models.lines()}
        assert list(lines) == ["default", "local", "lost"]
        assert (lines["default"].usable, lines["lost"].usable, lines["local"].usable) == (False, False, True)
        assert "OPENAI_API_KEY" in lines["default"].note
        assert "no model provider 'nowhere'" in lines["lost"].note
        assert (lines["local"].provider, lines["local"].note) == ("ollama", "stands for ollama:qwen3")
    async with catalog(environ={"OPENAI_API_KEY": KEY}) as models:
        lines = {line.name: line for line in await models.lines()}
        assert lines["default"].note == f"stands for {DEFAULT}"
        assert lines["openai:gpt-5.5"].usable
        assert not any(KEY in repr(line) for line in lines.values())


def test_settings_that_make_no_sense_are_refused() -> None:
    for field, value in (("concurrency", 0), ("requests-per-minute", -1), ("idle-timeout", 0), ("wire", "smoke")):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({field: value}, ProviderSettings)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": "x", "fallbacks": ["y"]}, NameSettings)


def test_settings_keep_their_secrets_to_themselves(caplog: pytest.LogCaptureFixture) -> None:
    provider = Provider("acme", ProviderSettings(api_key=KEY, headers={"X-Key": KEY}), KEY)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").debug("%s %r", provider, ModelSettings(providers={"acme": provider.settings}))
    assert KEY not in caplog.text


# --- cards --------------------------------------------------------------------------------------------


def test_the_table_has_cards_that_make_sense_and_none_promises_a_price_in_part() -> None:
    cards = load_cards()
    assert "gpt-5.5" in cards.names()
    assert DEFAULT.partition(":")[2] in cards.names()
    for name in cards.names():
        card = cards.card(name)
        assert 0 < card.max_output < card.window
        assert (card.input_price is None) == (card.output_price is None)
        if card.input_price is None or card.output_price is None:
            assert card.cached_price is None
        else:
            assert 0 < (card.cached_price or card.input_price) <= card.input_price < card.output_price


def test_a_dated_name_has_the_card_of_its_model_under_its_own_name() -> None:
    cards = load_cards()
    for name in ("gpt-4o-2024-08-06", "gpt-4o-latest", "gpt-4o-20240806"):
        card = cards.card(name)
        assert (card.name, card.window) == (name, cards.card("gpt-4o").window)


def test_an_unknown_model_promises_little_and_its_price_is_unknown() -> None:
    card = load_cards().card("who-knows-2025-01-01")
    assert (card.window, card.input_price) == (16_384, None)
    assert load_cards().card("who-knows", free=True).input_price == 0.0


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "cards.toml"
    file.write_text('[[cards]]\nname = "mine"\nwindow = 5000\n')
    assert load_cards(str(file)).card("mine").window == 5000
    for text in ("[[cards", '[[cards]]\nname = "x"\nwindow = "big"\n', '[[crads]]\nname = "x"\n'):
        file.write_text(text)
        with pytest.raises(BadInput, match=r"cards\.toml can't be used"):
            load_cards(str(file))
    with pytest.raises(BadInput, match="can't be used"):
        load_cards(str(tmp_path / "none.toml"))


class Kept:
    """What probes found, in memory."""

    def __init__(self, **found: Fitness) -> None:
        self.found = {name.replace("__", ":"): fitness for name, fitness in found.items()}

    async def get(self, name: str) -> Fitness | None:
        return self.found.get(name)

    async def put(self, name: str, fitness: Fitness) -> None:
        self.found[name] = fitness


NAMES = {
    "default": "quick",
    "providers": {"acme": {"base-url": "http://127.0.0.1:9/v1"}},
    "names": {"quick": {"model": "fast"}, "fast": {"model": "acme:small", "card": {"window": 9000}}},
}


async def test_what_was_found_of_a_name_or_of_what_it_stands_for_counts_and_settings_win() -> None:
    weak = Fitness("small", 1.0, "grammar", native=False, schema=True, images=False, window=4_000, window_cut=4_200)
    async with catalog(NAMES, fitness=Kept(acme__small=weak)) as models:
        for name in ("default", "quick", "fast"):
            card = (await models.model(name)).card
            assert (card.calling, card.images, card.window) == ("grammar", False, 9_000)
        assert (await models.model("acme:small")).card.window == 4_000
        detail = await models.detail("default")
        assert detail.stands_for == ("quick", "fast", "acme:small")
        assert (detail.claimed.calling, detail.card.calling, detail.fitness) == ("native", "grammar", weak)
        # Found of the name itself, it counts before what was found of the other.
        await models.keep("quick", Fitness("small", 2.0, "fenced", native=False))
        assert (await models.model("quick")).card.calling == "fenced"
        assert (await models.model("fast")).card.calling == "grammar"


async def test_what_is_found_of_default_is_kept_under_the_name_that_it_stands_for() -> None:
    kept = Kept()
    async with catalog(NAMES, fitness=kept) as models:
        before = await models.model("default")
        await models.keep("default", Fitness("small", 1.0, "fenced", native=False))
        assert list(kept.found) == ["quick"]
        assert (await models.model("default")).card.calling == "fenced"
        assert before.card.calling == "native"


async def test_a_name_says_how_its_model_calls_tools_even_where_it_claims_none() -> None:
    names = {"fast": {"model": "acme:small", "card": {"tools": False, "calling": "fenced"}}}
    async with catalog(NAMES | {"default": "fast", "names": names}) as models:
        assert (await models.model("fast")).card.tools
        lines = {line.name: line for line in await models.lines()}
        assert lines["fast"].calling == "fenced"
