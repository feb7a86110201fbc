"""Budgets: what may be spent, checked before each call with the worst case reserved. Pure arithmetic."""

from msgspec import Struct

from agenthost.core.models import ModelCard, Tier, Usage


class Spend(Struct, frozen=True, omit_defaults=True):
    """What was or may be spent: model turns, tokens, and money in USD (None: price unknown)."""

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(self.turns + other.turns, self.tokens + other.tokens, self.cost + other.cost)


class Limits(Struct, frozen=True, omit_defaults=True):
    """The most that may be spent; None is no limit. `duration` is in seconds."""

    turns: int | None = None
    tokens: int | None = None
    cost: float | None = None
    duration: float | None = None


def less(limits: Limits, before: Spend) -> Limits:
    """What is left of a budget of which so much was spent before its account began. Its duration is another matter."""
    if before == Spend():
        return limits
    turns = None if limits.turns is None else max(0, limits.turns - before.turns)
    tokens = None if limits.tokens is None else max(0, limits.tokens - before.tokens)
    cost = None if limits.cost is None else max(0.0, limits.cost - before.cost)
    return Limits(turns, tokens, cost, limits.duration)


def cost_of(card: ModelCard, usage: Usage) -> float | None:
    """What `usage` costs in USD by `card`, None where a price is unknown."""
    price = _price(card, usage.input)
    if price.input_price is None or price.output_price is None:
        return None
    cached = price.input_price if price.cached_price is None else price.cached_price
    written = price.input_price if price.cache_write_price is None else price.cache_write_price
    fresh = usage.input - usage.cached - usage.cache_written
    paid = fresh * price.input_price + usage.cached * cached + usage.cache_written * written
    return (paid + usage.output * price.output_price) / 1_000_000


def worst_cost(card: ModelCard, input: int, output: int) -> float | None:
    """The most that a call of so many tokens can cost: all of the input may be written to the cache."""
    price = _price(card, input)
    dear = price.cache_write_price is not None and price.cache_write_price > (price.input_price or 0.0)
    return cost_of(card, Usage(input, output, cache_written=input if dear else 0))


def _price(card: ModelCard, input: int) -> ModelCard | Tier:
    return next((tier for tier in reversed(card.tiers) if input > tier.above), card)


def refusal(limits: Limits, spent: Spend, worst: Spend) -> str | None:
    """Why `worst` may not be spent on top of `spent` (which includes what is reserved), or None."""
    after = spent + worst
    if limits.turns is not None and after.turns > limits.turns:
        return f"the budget of {limits.turns} model turns is used up; raise budget.turns to go further"
    if limits.tokens is not None and after.tokens > limits.tokens:
        return (
            f"the next call may need {worst.tokens:,} tokens, and {spent.tokens:,} of the budget's {limits.tokens:,} are "
            "spent or reserved; raise budget.tokens to go further"
        )
    if limits.cost is not None and after.cost > limits.cost:
        return (
            f"the next call may cost {worst.cost:.4f} USD, and {spent.cost:.4f} of the budget's {limits.cost:.2f} USD are "
            "spent or reserved; raise budget.cost to go further"
        )
    return None
