"""Random trees of tasks of several people, under budgets of every kind at every level, with retries, cut answers, pauses and deaths at any
point: no budget is ever gone beyond, at any commit, and the ledger is what the provider counted."""

from collections import Counter
from typing import Any

import msgspec
from bundles import agent, turns, world_of
from crashes import Mortal, survive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.budgets import Limits, Reached, subject_of, wider
from agenthost.core.commands import Ask
from agenthost.core.ports import Append
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.stores.rules import total, weigh
from agenthost.testing.loops import fast
from agenthost.testing.world import World, order, says

LIMITS = st.builds(
    Limits,
    turns=st.none() | st.integers(1, 12),
    tokens=st.none() | st.integers(1_000, 40_000),
    cost=st.none() | st.floats(0.001, 0.05),
    duration=st.none() | st.floats(0.05, 2.0),
)
REACHED = st.sampled_from(["end", "ask"])


class Budgets:
    """What bounds whom: days by subject, each task's and each child's own; raised where a person agrees."""

    def __init__(self, world: World, days: dict[str, tuple[Limits, Reached]], child: Limits) -> None:
        self.days, self.raised = days, dict[str, Limits]()
        self.world = world
        world.programs.live = {"default/agent/b": child}
        world.programs.scopes = self.scopes  # type: ignore[method-assign]
        world.programs.days = self.of_days  # type: ignore[method-assign]

    def of_days(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        subjects = ("host", f"person/default/{spec.person}", f"agent/default/{spec.name}")
        given = [(f"day/d/{name}", *self.days[name]) for name in subjects if name in self.days]
        return tuple(Scope(account, wider(limits, self.raised.get(account)), "", how) for account, limits, how in given)

    def scopes(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        own = [msgspec.structs.replace(each, limits=self.limits(each)) for each in spec.scopes]
        return (*own, *self.of_days(spec, now))

    def limits(self, scope: Scope) -> Limits:
        return wider(self.world.programs.limits(scope), self.raised.get(scope.task))

    def agree(self, ask: Ask) -> None:
        account, more = str(ask.arguments["budget"]), msgspec.convert(ask.arguments["limits"], Limits)
        self.raised[account] = wider(more, self.raised.get(account)) if account in self.raised else more


class Watched(Mortal):
    """Looks at every account after every commit."""

    def _saw(self, write: str, what: Any) -> None:
        super()._saw(write, what)
        if isinstance(what, Append) and (what.reserve or what.settle or what.worked):
            self._within(what)

    def _within(self, batch: Append) -> None:
        tables = self.store.snapshot()
        sums: dict[str, Counter[str]] = {}
        for entry in tables.ledger.values():
            spent = weigh(entry.spent if entry.spent is not None else entry.worst)
            for scope in entry.scopes:
                found = sums.setdefault(scope.task, Counter())
                found.update(turns=spent[0], tokens=spent[1], cost=spent[2])
        for account, held in tables.accounts.items():
            found = sums.get(account, Counter[str]())
            assert held[:3] == (found["turns"], found["tokens"], found["cost"]), f"{account} isn't its ledger's sum"
        for entry in batch.reserve:
            for scope in entry.scopes:
                now, most = total(tables.accounts[scope.task]), scope.limits
                assert most.turns is None or now.turns <= most.turns
                assert most.tokens is None or now.tokens <= most.tokens
                assert most.cost is None or now.cost <= most.cost + 1e-9
                assert most.duration is None or not subject_of(scope.task) or now.seconds < most.duration

    def counted(self) -> None:
        """The provider's own count is the ledger's, for whatever was answered and is known to be."""
        ledger = {
            f"{task}/{command}/{attempt}": entry
            for (task, command, attempt), entry in self.store.snapshot().ledger.items()
        }
        answered = {key: answer.usage for key, answer in self.calls if answer is not None}
        assert len(answered) == len(self.calls), "one attempt was answered twice"
        assert set(answered) <= set(ledger), "a call was made that nobody reserved"
        for key, usage in answered.items():
            entry = ledger[key]
            if entry.settled and entry.spent is not None:
                assert entry.spent.tokens == usage.total, key
            assert entry.worst.tokens >= usage.total, key
        for key, entry in ledger.items():
            if entry.settled and key not in answered:
                assert entry.spent is not None and not entry.spent.tokens, f"{key} is settled and nobody answered it"


step = st.lists(st.sampled_from(["look", "put", "send", "write", "delegate_to_b"]), min_size=1, max_size=3)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    main=st.lists(step, min_size=1, max_size=4),
    helper=st.lists(step, max_size=2),
    days=st.dictionaries(
        st.sampled_from(["host", "person/default/ann", "person/default/bob", "agent/default/a", "agent/default/b"]),
        st.tuples(LIMITS, REACHED),
        max_size=4,
    ),
    own=LIMITS,
    child=LIMITS,
    crashes=st.lists(st.integers(1, 80), max_size=5),
    pauses=st.lists(st.integers(1, 40), max_size=1),
    cancel=st.none() | st.integers(1, 40),
    trouble=st.sampled_from([0.0, 0.3, 0.6]),
    agrees=st.integers(0, 6),
    seed=st.integers(0, 1000),
)
def test_no_budget_is_gone_beyond_at_any_commit_and_the_ledger_is_the_providers_count(
    main: list[list[str]],
    helper: list[list[str]],
    days: dict[str, tuple[Limits, Reached]],
    own: Limits,
    child: Limits,
    crashes: list[int],
    pauses: list[int],
    cancel: int | None,
    trouble: float,
    agrees: int,
    seed: int,
) -> None:
    async def make() -> Watched:
        tools = ("look", "put", "send", "write")
        world = await world_of(agent("a", tools=(*tools, "delegate:b")), agent("b", tools=tools))

        def play(request: Any) -> Any:
            wanted = main if request.metadata["agent"] == "a" else helper
            at = turns(request)
            return says("", *[(name, {"task": "t"}) for name in wanted[at]]) if at < len(wanted) else says("done")

        world.models.players["m"] = play
        mortal = Watched(world, seed)
        mortal.trouble, mortal.pauses = trouble, list(pauses)
        mortal.cancels = [(cancel, "t1")] if cancel else []
        budgets = Budgets(world, days, child)
        left = [agrees]

        def person(ask: Ask) -> str:
            if not ask.id.endswith("-budget"):
                return mortal.random.choice(ask.options) if ask.options else "yes"
            if not left[0]:
                return "deny"
            left[0] -= 1
            budgets.agree(ask)
            return "approve"

        mortal.person = person
        return mortal

    limits = msgspec.structs.replace(own, duration=None)
    specs = [
        order("t1", "a", limits=limits, person="ann"),
        order("t2", "b", person="bob"),
        order("t3", "a", person="bob"),
    ]

    async def survived() -> None:
        (await survive(make, specs, crashes)).counted()  # type: ignore[attr-defined]

    fast(survived())
