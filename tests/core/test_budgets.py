"""Budgets: sums, prices, and when a call is refused and with what words."""

import msgspec
import pytest

from agenthost.core.budgets import Limits, Spend, cost_of, refusal, worst_cost
from agenthost.core.models import ModelCard, Tier, Usage


def test_spends_add_up_by_kind() -> None:
    assert Spend(1, 20, 0.5) + Spend(2, 5, 0.25) == Spend(3, 25, 0.75)
    assert Spend(1) + Spend(tokens=2) + Spend(cost=3.0) == Spend(1, 2, 3.0)
    assert Spend() == Spend(0, 0, 0.0)


def card(**prices: float | None) -> ModelCard:
    return ModelCard("m", **prices)


def test_cost_counts_input_output_and_what_was_cached_by_their_prices() -> None:
    usage = Usage(input=1_000_000, output=500_000, cached=400_000)
    assert cost_of(card(input_price=10.0, output_price=30.0, cached_price=1.0), usage) == pytest.approx(6 + 0.4 + 15)
    assert cost_of(card(input_price=10.0, output_price=30.0), usage) == pytest.approx(10 + 15)
    assert cost_of(card(input_price=10.0, output_price=30.0, cached_price=0.0), usage) == pytest.approx(6 + 15)
    assert cost_of(card(input_price=0.0, output_price=0.0), usage) == 0.0
    assert cost_of(card(input_price=1.0, output_price=2.0), Usage(1, 1)) == 3 / 1_000_000


def test_what_is_written_to_the_cache_has_a_price_of_its_own() -> None:
    usage = Usage(1_000_000, 0, cached=400_000, cache_written=500_000)
    prices = card(input_price=10.0, output_price=30.0, cached_price=1.0, cache_write_price=12.5)
    assert cost_of(prices, usage) == pytest.approx(1.0 + 0.4 + 6.25)
    assert cost_of(card(input_price=10.0, output_price=30.0, cached_price=1.0), usage) == pytest.approx(6 + 0.4)


def test_the_worst_case_is_that_all_of_the_input_is_written_to_the_cache() -> None:
    dear = card(input_price=10.0, output_price=30.0, cached_price=1.0, cache_write_price=12.5)
    assert worst_cost(dear, 1_000_000, 100_000) == pytest.approx(12.5 + 3)
    cheap = card(input_price=10.0, output_price=30.0, cached_price=1.0, cache_write_price=0.5)
    assert worst_cost(cheap, 1_000_000, 100_000) == pytest.approx(10 + 3)
    assert worst_cost(card(input_price=10.0, output_price=30.0), 1_000_000, 0) == pytest.approx(10)
    assert worst_cost(card(output_price=30.0), 1, 1) is None
    for cached, written in ((0, 0), (300_000, 0), (0, 300_000), (100_000, 900_000)):
        real = cost_of(dear, Usage(1_000_000, 100_000, cached, cache_written=written))
        assert real is not None and real <= 12.5 + 3


def test_a_long_request_costs_what_its_tier_says_for_every_token() -> None:
    tiers = (Tier(200, 20.0, 60.0, 2.0, 25.0), Tier(500, 40.0, 80.0))
    long = ModelCard("m", input_price=10.0, output_price=30.0, cached_price=1.0, cache_write_price=12.5, tiers=tiers)
    assert cost_of(long, Usage(200, 10)) == pytest.approx((200 * 10 + 10 * 30) / 1e6)
    assert cost_of(long, Usage(201, 10)) == pytest.approx((201 * 20 + 10 * 60) / 1e6)
    assert cost_of(long, Usage(300, 0, 100, cache_written=100)) == pytest.approx((100 * 20 + 100 * 2 + 100 * 25) / 1e6)
    assert cost_of(long, Usage(501, 0, 100)) == pytest.approx(501 * 40 / 1e6)
    assert worst_cost(long, 201, 0) == pytest.approx(201 * 25 / 1e6)
    assert worst_cost(long, 501, 1) == pytest.approx((501 * 40 + 80) / 1e6)


@pytest.mark.parametrize("prices", [{}, {"input_price": 1.0}, {"output_price": 1.0}, {"cached_price": 1.0}])
def test_a_cost_with_an_unknown_price_is_unknown(prices: dict[str, float]) -> None:
    assert cost_of(card(**prices), Usage(1, 1)) is None


def test_spends_and_limits_are_values_and_limit_nothing_unless_told() -> None:
    assert Limits() == Limits(None, None, None, None)
    assert len({Spend(1), Spend(1), Limits(1), Limits(1)}) == 2
    assert msgspec.json.encode([Spend(), Limits()]) == b"[{},{}]"


def test_without_limits_nothing_is_refused() -> None:
    assert refusal(Limits(), Spend(10**9, 10**12, 1e9), Spend(1, 1, 1.0)) is None
    assert refusal(Limits(duration=0.001), Spend(1, 1, 1.0), Spend(1, 1, 1.0)) is None


@pytest.mark.parametrize(
    ("limits", "spent", "worst", "refused"),
    [
        (Limits(turns=3), Spend(2), Spend(1), None),
        (Limits(turns=3), Spend(3), Spend(0, 5), None),
        (Limits(turns=3), Spend(3), Spend(1), "the budget of 3 model turns is used up"),
        (Limits(turns=0), Spend(), Spend(1), "the budget of 0 model turns is used up"),
        (Limits(tokens=1000), Spend(0, 600), Spend(1, 400), None),
        (
            Limits(tokens=10_000),
            Spend(0, 6_000),
            Spend(1, 4_001),
            "the next call may need 4,001 tokens, and 6,000 of the budget's 10,000 are spent or reserved",
        ),
        (
            Limits(tokens=0),
            Spend(),
            Spend(0, 1),
            "the next call may need 1 tokens, and 0 of the budget's 0 are spent or reserved",
        ),
        (Limits(cost=2.0), Spend(cost=1.5), Spend(1, 1, 0.5), None),
        (
            Limits(cost=2.0),
            Spend(cost=1.5),
            Spend(1, 1, 0.50001),
            "the next call may cost 0.5000 USD, and 1.5000 of the budget's 2.00 USD are spent or reserved",
        ),
        (
            Limits(cost=0.0),
            Spend(),
            Spend(1, 1, 0.01),
            "the next call may cost 0.0100 USD, and 0.0000 of the budget's 0.00 USD are",
        ),
        (Limits(1, 1, 1.0), Spend(1, 1, 1.0), Spend(1, 1, 1.0), "the budget of 1 model turns is used up"),
        (
            Limits(2, 1, 1.0),
            Spend(1, 1, 1.0),
            Spend(1, 1, 1.0),
            "the next call may need 1 tokens, and 1 of the budget's 1",
        ),
        (
            Limits(2, 2, 1.0),
            Spend(1, 1, 1.0),
            Spend(1, 1, 1.0),
            "the next call may cost 1.0000 USD, and 1.0000 of the budget's 1.00",
        ),
        (Limits(2, 2, 2.0), Spend(1, 1, 1.0), Spend(1, 1, 1.0), None),
    ],
)
def test_a_call_is_refused_where_its_worst_case_has_no_room(
    limits: Limits, spent: Spend, worst: Spend, refused: str | None
) -> None:
    found = refusal(limits, spent, worst)
    if refused is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(refused)
