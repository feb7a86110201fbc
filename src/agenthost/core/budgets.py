"""Budgets: what may be spent, checked before each call with the worst case reserved. Pure arithmetic."""

from typing import Literal

from msgspec import Struct

from agenthost.core.models import ModelCard, Tier, Usage


class Spend(Struct, frozen=True, omit_defaults=True):
    """What was or may be spent: model turns, tokens, and money in USD (None: price unknown). `seconds` of work are counted by the
    day alone."""

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Spend") -> "Spend":
        seconds = self.seconds + other.seconds
        return Spend(self.turns + other.turns, self.tokens + other.tokens, self.cost + other.cost, seconds)


Reached = Literal["end", "ask"]
"""What becomes of a task whose budget has no room: it ends, or a person is asked whether it may be raised."""


class Limits(Struct, frozen=True, omit_defaults=True):
    """The most that may be spent; None is no limit. `duration` is in seconds: of a task, from its start; of a day, of work."""

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


def refusal(limits: Limits, spent: Spend, worst: Spend, subject: str = "") -> str | None:
    """Why `worst` may not be spent on top of `spent` (which includes what is reserved), or None. `subject`: whose budget of
    a day it is (`person/default/ann`), empty for a task's own."""
    after = spent + worst
    if subject and (after_limits(limits, after) or _no_time(limits, spent)):
        return (
            f"today's budget of {told_subject(subject)} has no room for this call: {told_spend(spent, limits)} of "
            f"{told_limits(limits)} are spent or reserved, and it may need {told_spend(worst, limits)} more; it goes on "
            f"tomorrow, or after: agenthost budgets set {subject}"
        )
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


def after_limits(limits: Limits, after: Spend) -> bool:
    """Whether so much is more than the limits allow."""
    pairs = ((limits.turns, after.turns), (limits.tokens, after.tokens), (limits.cost, after.cost))
    return any(most is not None and spent > most for most, spent in pairs)


def _no_time(limits: Limits, spent: Spend) -> bool:
    """How long a call takes nobody knows before: one may begin while there is time."""
    return limits.duration is not None and spent.seconds >= limits.duration


def enough(limits: Limits, spent: Spend, worst: Spend) -> Limits:
    """Limits with room for `worst` on top of `spent`: what is too small is doubled, or made just large enough."""
    after = spent + worst

    def most(limit: float | None, needed: float) -> float | None:
        return limit if limit is None or needed <= limit else max(2 * limit, needed)

    turns, tokens = most(limits.turns, after.turns), most(limits.tokens, after.tokens)
    cost = most(limits.cost, after.cost)
    return Limits(
        None if turns is None else int(turns),
        None if tokens is None else int(tokens),
        None if cost is None else round(cost + 0.005, 2) if cost != limits.cost else cost,
        max(2 * limits.duration, spent.seconds + 1) if limits.duration and _no_time(limits, spent) else limits.duration,
    )


def wider(limits: Limits, raised: Limits | None) -> Limits:
    """Limits after they were raised: of each the larger, and no bound where there was none."""
    if raised is None:
        return limits

    def larger(limit: float | None, other: float | None) -> float | None:
        return limit if limit is None or other is None else max(limit, other)

    turns, tokens = larger(limits.turns, raised.turns), larger(limits.tokens, raised.tokens)
    return Limits(
        None if turns is None else int(turns),
        None if tokens is None else int(tokens),
        larger(limits.cost, raised.cost),
        larger(limits.duration, raised.duration),
    )


def day_account(day: str, subject: str) -> str:
    """The account of somebody's spending on a day (`2026-03-01`). No task's id has a `/`."""
    return f"day/{day}/{subject}"


def subject_of(account: str) -> str:
    """Whose day an account is for; empty where it is a task's."""
    return account.split("/", 2)[2] if account.startswith("day/") else ""


def told_subject(subject: str) -> str:
    """A subject in words."""
    kind, _, rest = subject.partition("/")
    return f"the {kind} '{rest.rpartition('/')[2]}'" if rest else f"the {kind}"


def told_limits(limits: Limits) -> str:
    """Limits in words: `30 turns, 200,000 tokens, 2.00 USD`."""
    parts = (
        None if limits.turns is None else f"{limits.turns:,} turns",
        None if limits.tokens is None else f"{limits.tokens:,} tokens",
        None if limits.cost is None else f"{limits.cost:.2f} USD",
        None if limits.duration is None else f"{limits.duration:g} s",
    )
    return ", ".join(part for part in parts if part)


def told_spend(spend: Spend, limits: Limits) -> str:
    """What was spent of what is bounded, in words."""
    parts = (
        None if limits.turns is None else f"{spend.turns:,} turns",
        None if limits.tokens is None else f"{spend.tokens:,} tokens",
        None if limits.cost is None else f"{spend.cost:.4f} USD",
        None if limits.duration is None else f"{spend.seconds:.0f} s",
    )
    return ", ".join(part for part in parts if part)
