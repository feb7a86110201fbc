"""Other providers by name through the catalogue: keys, addresses, cards and their sources, and what is said without them."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agenthost.core.errors import NotFound, Permanent, Unavailable
from agenthost.models.prices import source
from agenthost.testing.models import answered, asked
from tests.models.conftest import KEY
from tests.models.providers.conftest import Desk, desk
from tests.models.test_catalog import catalog, refused

__all__ = ["desk"]

HELLO = {"rules": [{"reply": {"text": "Hello.", "usage": {"input": 10, "output": 5}}}]}


async def test_a_provider_needs_no_settings_but_its_key() -> None:
    for environ in ({"ANTHROPIC_API_KEY": KEY}, {"GEMINI_API_KEY": KEY}):
        name = "anthropic:claude-opus-4-5" if "ANTHROPIC_API_KEY" in environ else "google:gemini-2.5-pro"
        async with catalog(environ=environ) as models:
            model = await models.model(name)
            assert repr(await models.bare(name)) == f"ProviderModel('{name}')"
            assert model.card.input_price is not None
            assert await models.model(name) is model


async def test_its_key_may_be_a_stored_secret_or_stand_in_the_settings(desk: Desk) -> None:
    url = await desk.server(HELLO, key=KEY)
    for given in (
        {"settings": {"providers": {"anthropic": {"base-url": url, "api-key": f"{KEY}\n"}}}},
        {"settings": {"providers": {"anthropic": {"base-url": url, "api-key-env": "MINE"}}}, "secrets": {"MINE": KEY}},
        {"settings": {"providers": {"anthropic": {"base-url": url}}}, "secrets": {"ANTHROPIC_API_KEY": KEY}},
    ):
        async with catalog(**given) as models:
            answer, _ = await answered(await models.model("anthropic:m"), asked("?"))
            assert answer.text == "Hello."


async def test_a_key_that_was_refused_and_set_anew_is_taken_at_the_next_call(desk: Desk) -> None:
    environ = {"ANTHROPIC_API_KEY": "an-old-key"}
    settings = {"providers": {"anthropic": {"base-url": await desk.server(HELLO, key=KEY)}}}
    async with catalog(settings, environ) as models:
        with pytest.raises(Permanent, match="Set ANTHROPIC_API_KEY to a key that may use m"):
            await answered(await models.model("anthropic:m"), asked("?"))
        environ["ANTHROPIC_API_KEY"] = KEY
        assert (await answered(await models.model("anthropic:m"), asked("?")))[0].text == "Hello."


async def test_a_provider_may_have_a_name_of_ones_own(desk: Desk) -> None:
    url = await desk.server(HELLO)
    mine = {"kind": "pydantic-ai", "provider": "google", "base-url": url, "api-key": KEY}
    settings = {"providers": {"mine": mine}, "names": {"eyes": {"model": "mine:gemini-2.5-pro"}}}
    async with catalog(settings) as models:
        assert (await answered(await models.model("eyes"), asked("?")))[0].text == "Hello."


async def test_without_a_key_it_says_which_is_missing() -> None:
    assert "'anthropic:m' needs a key and ANTHROPIC_API_KEY isn't set" in await refused("anthropic:m", Unavailable)
    assert "'google:m' needs a key and GOOGLE_API_KEY isn't set" in await refused("google:m", Unavailable)
    settings = {"providers": {"anthropic": {"api-key-env": "MINE"}}}
    assert "MINE isn't set" in await refused("anthropic:m", Unavailable, settings=settings)


async def test_an_unknown_provider_is_told_the_nearest() -> None:
    assert "Did you mean 'anthropic'?" in await refused("antropic:m", NotFound)
    settings = {"providers": {"mine": {"kind": "pydantic-ai", "provider": "mistrall", "api-key": KEY}}}
    said = await refused("mine:m", NotFound, settings=settings)
    assert "'mistrall' of [models.providers.mine]" in said and "Did you mean 'mistral'?" in said


def test_without_the_extra_it_says_how_to_install_it_and_everything_else_works(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules.update(dict.fromkeys(['pydantic_ai', 'genai_prices', 'httpx2', 'httpx']))\n"
        "from agenthost.cli.main import main; sys.exit(main())"
    )
    env = {**os.environ, "AGENTHOST_HOME": str(tmp_path), "ANTHROPIC_API_KEY": KEY, "AGENTHOST_MODEL": "anthropic:m"}
    command = [sys.executable, "-c", script, "model", "list", "--json"]
    done = subprocess.run(command, capture_output=True, env=env, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    line = msgspec.json.decode(done.stdout.splitlines()[0])
    line = line[0] if isinstance(line, list) else line
    assert not line["usable"]
    assert "isn't installed (pydantic_ai" in line["note"] and "pip install 'agenthost[providers]'" in line["note"]


async def test_a_table_of_ones_own_is_all_that_counts(tmp_path: Path) -> None:
    file = tmp_path / "cards.toml"
    file.write_text(
        '[[cards]]\nname = "anthropic:claude-opus-4-5"\nwindow = 50000\nmax_output = 999\nimages = false\n'
        "input_price = 1.5\noutput_price = 2.5\ntiers = [{above = 1000, input_price = 3.0, output_price = 5.0}]\n"
        '[[cards]]\nname = "gpt-5.5"\nwindow = 60000\n'
    )
    environ = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
    async with catalog({"cards-file": str(file)}, environ) as models:
        card = (await models.model("anthropic:claude-opus-4-5-20251101")).card
        assert (card.window, card.max_output, card.images) == (50_000, 999, False)
        assert (card.input_price, card.tiers[0].input_price) == (1.5, 3.0)
        assert (await models.model("anthropic:claude-haiku-4-5")).card.input_price is None
        ours = (await models.model("openai:gpt-5.5")).card
        assert (ours.window, ours.input_price) == (60_000, None)
        assert {line.source for line in await models.explain("openai:gpt-5.5")} == {str(file)}


async def test_the_price_of_another_providers_model_of_the_same_name_isnt_taken() -> None:
    async with catalog(
        {"providers": {"azure-like": {"kind": "pydantic-ai", "provider": "xai", "api-key": KEY}}}
    ) as models:
        assert (await models.model("azure-like:gpt-5.5")).card.input_price is None


async def test_a_card_says_where_each_of_its_values_comes_from() -> None:
    names = {"big": {"model": "anthropic:claude-opus-4-5", "card": {"max_output": 32000}}}
    async with catalog({"names": names}, {"ANTHROPIC_API_KEY": KEY}) as models:
        lines = {line.field: line for line in await models.explain("big")}
        assert (lines["max_output"].value, lines["max_output"].source) == ("32,000 tokens", "[models.names.big.card]")
        assert lines["input_price"].source == await asyncio.to_thread(source)
        assert lines["image_tokens"].source == "assumed"
    async with catalog(environ={"OPENAI_API_KEY": KEY}) as models:
        assert {line.source for line in await models.explain("openai:gpt-5.5")} == {"AgentHost's own table"}
        assert {line.source for line in await models.explain("default")} == {"AgentHost's own table"}
    async with catalog() as models:
        lines = {line.field: line for line in await models.explain("ollama:qwen3")}
        assert lines["input_price"].source == "it runs on this machine"
