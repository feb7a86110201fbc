"""Budgets: what may be spent, checked before each call with the worst case reserved. Pure arithmetic."""

from msgspec import Struct

from agenthost.core.models import ModelCard, Usage


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


def cost_of(card: ModelCard, usage: Usage) -> float | None:
    """What `usage` costs in USD by `card`, None where a price is unknown."""
    if card.input_price is None or card.output_price is None:
        return None
    cached_price = card.input_price if card.cached_price is None else card.cached_price
    fresh = usage.input - usage.cached
    return (fresh * card.input_price + usage.cached * cached_price + usage.output * card.output_price) / 1_000_000


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
