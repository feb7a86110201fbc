"""Cards of other providers' models, from the data of `genai-prices`; and our own table held against it."""

from datetime import UTC, datetime

import pytest

from agenthost.core.models import Tier
from agenthost.models.cards import explain, load_cards
from agenthost.models.prices import fields, priced, source


def test_a_known_model_has_its_prices_its_window_and_what_it_costs_to_write_to_the_cache() -> None:
    card = priced("anthropic", "claude-opus-4-5")
    assert card is not None
    assert (card.input_price, card.output_price, card.cached_price, card.cache_write_price) == (5.0, 25.0, 0.5, 6.25)
    assert (card.name, card.window, card.tiers) == ("claude-opus-4-5", 200_000, ())
    assert fields(card) == {"input_price", "output_price", "cached_price", "cache_write_price", "window"}


def test_dearer_prices_of_long_requests_become_tiers() -> None:
    card = priced("anthropic", "claude-sonnet-4-5-20250929")
    assert card is not None and card.name == "claude-sonnet-4-5-20250929"
    assert card.tiers == (Tier(200_000, 6.0, 22.5, 0.6, 7.5),)


def test_a_model_or_provider_that_nobody_knows_has_no_card() -> None:
    assert priced("anthropic", "who-knows") is None
    assert priced("nobody", "claude-opus-4-5") is None


def test_a_price_by_the_hour_counts_at_its_dearest() -> None:
    cards = {priced("deepseek", "deepseek-chat", datetime(2025, 6, 1, hour, tzinfo=UTC)) for hour in range(24)}
    assert len(cards) == 1
    card = cards.pop()
    assert card is not None and card.input_price == 0.27


@pytest.mark.parametrize("provider", ["anthropic", "google", "mistral", "xai", "groq", "cohere", "bedrock"])
def test_our_names_of_providers_are_known_there(provider: str) -> None:
    names = {
        "anthropic": "claude-sonnet-4-5",
        "google": "gemini-2.5-pro",
        "mistral": "mistral-large-latest",
        "xai": "grok-4",
        "groq": "llama-3.3-70b-versatile",
        "cohere": "command-a-03-2025",
        "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    }
    card = priced(provider, names[provider])
    assert card is not None and card.input_price and card.output_price


def test_our_own_table_asks_what_the_data_says() -> None:
    table = load_cards()
    for name in table.names():
        ours, theirs = table.card(name), priced("openai", name)
        assert theirs is not None, name
        assert (ours.input_price, ours.output_price) == (theirs.input_price, theirs.output_price), name
        assert ours.cached_price == theirs.cached_price, name
        assert ours.cache_write_price == theirs.cache_write_price, name
        assert all(ours.window <= tier.above for tier in theirs.tiers), name


def test_what_pictures_sound_and_vectors_cost_is_what_follows_from_the_data() -> None:
    table = load_cards()
    assert len(table.others) == 14 and not set(table.others) & set(table.names())
    for name in table.others:
        ours, theirs = table.card(name), priced("openai", name)
        assert theirs is not None, name
        for field in ("input_price", "output_price", "cached_price", "image_price", "minute_price", "character_price"):
            assert getattr(ours, field) == pytest.approx(getattr(theirs, field)), (name, field)
    per_picture = {name: table.card(name).image_price for name in table.others if "image" in name}
    # 6,240 tokens at 40 USD a million; 30,000 at 30.
    assert per_picture["gpt-image-1"] == pytest.approx(0.2496) and per_picture["gpt-image-2"] == pytest.approx(0.9)
    assert table.card("whisper-1").minute_price == pytest.approx(0.36 / 60)
    assert (table.card("tts-1").character_price, table.card("tts-1-hd").character_price) == (15, 30)
    assert table.card("gpt-4o-mini-tts").character_price is None
    dated = table.card("omni-moderation-2024-09-26")
    assert (dated.name, dated.input_price, dated.output_price) == ("omni-moderation-2024-09-26", 0, 0)


def test_tokens_of_sound_and_pictures_leave_the_price_of_text_alone_where_a_model_answers() -> None:
    card = priced("google", "gemini-2.5-flash")  # whose tokens of sound cost more than three times as much
    assert card is not None and card.input_price == 0.3 and card.minute_price is None and card.image_price is None


def test_a_card_is_explained_value_by_value() -> None:
    card = priced("anthropic", "claude-haiku-5-5")
    assert card is not None
    lines = {line.field: line for line in explain(card, dict.fromkeys(fields(card), source()))}
    assert set(lines) == set(card.__struct_fields__)
    assert lines["input_price"].value == "0.1 USD per million tokens"
    assert lines["input_price"].source == source() and source().startswith("genai-prices ")
    assert lines["tiers"].value == "above 100,000 tokens: 0.5 in, 2.5 out"
    assert (lines["max_output"].value, lines["max_output"].source) == ("8,192 tokens", "assumed")
    assert lines["images"].value == "yes"
    media = {line.field: line.value for line in explain(load_cards().card("gpt-image-2"), {})}
    assert (media["image_price"], media["input_price"]) == ("0.9 USD at most for a picture", "8 USD per million tokens")
    unknown = {line.field: line.value for line in explain(load_cards().card("who-knows"), {})}
    assert (unknown["input_price"], unknown["tiers"]) == ("unknown", "none")
