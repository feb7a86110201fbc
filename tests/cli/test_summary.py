"""What a task cost is said as it is: known, known at most, or not known."""

from agenthost.cli.summary import usage
from agenthost.core.budgets import Spend
from agenthost.core.ports import LedgerEntry


def entry(command: str, settled: bool = True, priced: bool = True, model: str = "openai:m") -> LedgerEntry:
    cost = 0.5 if priced else 0.0
    return LedgerEntry(
        "t",
        command,
        1,
        "coder",
        model,
        0.0,
        Spend(1, 100, cost),
        spent=Spend(1, 50, cost / 2),
        settled=settled,
        priced=priced,
    )


def test_what_is_settled_counts_as_spent_and_the_rest_at_its_worst_case() -> None:
    (line,) = usage([entry("m1"), entry("m2", settled=False)])

    assert (line.calls, line.tokens, line.cost, line.unsettled) == (2, 150, 0.75, 1)
    assert line.shown_cost == "$0.7500 at most"


def test_a_model_without_a_known_price_costs_nothing_that_one_could_say() -> None:
    (line,) = usage([entry("m1", priced=False)])

    assert line.shown_cost == "price unknown"
