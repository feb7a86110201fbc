"""Ledger entries of model calls: the worst case reserved before, the real use settled after."""

from msgspec.structs import replace

from agenthost.core.budgets import Limits, Spend, cost_of, less, worst_cost
from agenthost.core.commands import CallModel
from agenthost.core.errors import AgentHostError
from agenthost.core.models import ModelAnswer, ModelCard, Usage
from agenthost.core.paying import unpriced
from agenthost.core.ports import LedgerEntry, Models, Programs, Settlement
from agenthost.core.tasks import TaskSpec

_TURNS = frozenset({"turn", "judge"})
"""Purposes of calls that are turns: what an agent and a supervisor decide by. What the host sums up, reads or routes isn't."""


class Accounts:
    """Makes ledger entries for one engine."""

    def __init__(self, models: Models, programs: Programs) -> None:
        self._models = models
        self._programs = programs

    async def card(self, name: str) -> ModelCard | None:
        """The card of a model, None where it can't be had (its call will say why)."""
        try:
            return (await self._models.model(name)).card
        except AgentHostError:
            return None

    async def reserve(self, spec: TaskSpec, command: CallModel, attempt: int, model: str, now: float) -> LedgerEntry:
        """The entry of an attempt that is about to be made. Raises as `entry` does."""
        card = await self.card(model)
        usage = Usage(command.worst, command.max_output)
        cost = worst_cost(card, usage.input, usage.output) if card is not None else 0.0
        turns = int(command.purpose in _TURNS)
        return self.entry(spec, (command.id, attempt), model, turns, usage.total, cost, now)

    def entry(
        self, spec: TaskSpec, key: tuple[str, int], model: str, turns: int, tokens: int, cost: float | None, now: float
    ) -> LedgerEntry:
        """The entry of an attempt (command, number) at the most that it may use. Raises AgentHostError
        (`price-unknown`) where a money budget is set and the cost isn't known."""
        scopes = tuple(
            replace(scope, limits=less(scope.limits, scope.before)) if scope.before != Spend() else scope
            for scope in self._programs.scopes(spec, now)
        )
        if cost is None and any(scope.limits.cost is not None for scope in scopes):
            raise unpriced(model)
        return LedgerEntry(
            task=spec.id,
            command=key[0],
            attempt=key[1],
            agent=spec.name,
            model=model,
            at=now,
            worst=Spend(turns, tokens, cost or 0.0),
            scopes=tuple(scope for scope in scopes if scope.limits != Limits()),
            person=spec.person,
            namespace=spec.namespace,
            priced=cost is not None,
        )

    async def settle(self, command: CallModel, attempt: int, name: str, answer: ModelAnswer) -> tuple[Settlement, ...]:
        """What an answered attempt really used. Without usage from the provider the worst case stands."""
        if answer.usage.total == 0:
            return ()
        card = await self.card(name)
        cost = cost_of(card, answer.usage) if card is not None else None
        spent = Spend(int(command.purpose in _TURNS), answer.usage.total, cost or 0.0)
        return (Settlement(command.id, attempt, spent, answer.model or name),)
