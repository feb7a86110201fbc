"""The time that a task may take: a wait for its end and, where its budget says so, a question whether there may be more.

While the question is open nothing new is begun; what is under way goes on. The time until the answer counts for nothing.
"""

from collections.abc import Iterable

import msgspec

from agenthost.core.budgets import Limits, told_limits
from agenthost.core.commands import Command, Wait
from agenthost.core.manifests.common import Budget
from agenthost.programs.answers import approved
from agenthost.programs.base import BaseState, Delivery, raising

_DEADLINE = "deadline"


def begin(state: BaseState, budget: Budget) -> list[Command]:
    """The wait for the end of a task's time, where that is bounded."""
    return [] if budget.duration is None else [Wait(_DEADLINE, state.created_at + budget.duration)]


def concerns(id: str) -> bool:
    """Whether a command is one of these."""
    return id.partition("-")[0] == _DEADLINE


def take(state: BaseState, budget: Budget, delivery: Delivery) -> list[Command]:
    """What comes of a wait that is over, or of the question's answer: what to want next. Nothing: the time is used up."""
    seconds = most(state, budget)
    if isinstance(delivery.command, Wait):
        state.late = budget.reached == "ask"
        more = msgspec.structs.replace(budget.limits(), duration=2 * seconds)
        told = f"{used_up(state, budget)}.\nMay it be raised to {told_limits(Limits(duration=2 * seconds))}? Otherwise the task ends."
        arguments = {"budget": state.spec.id, "limits": msgspec.to_builtins(more)}
        return [raising(delivery.id, told, arguments, state.spec.asking)] if state.late else []
    state.late = False
    if not approved(delivery.answer):
        return []
    state.longer += seconds
    return [Wait(f"{_DEADLINE}-{delivery.seq}", state.now + seconds)]


def used_up(state: BaseState, budget: Budget) -> str:
    """That it is."""
    return f"the budget of {most(state, budget):g} seconds is used up"


def most(state: BaseState, budget: Budget) -> float:
    """For how many seconds the task may go on, what was allowed since included."""
    return (budget.duration or 0.0) + state.longer


def held(state: BaseState, wanted: Iterable[Command]) -> list[Command]:
    """Of what is wanted, what is asked for now: nothing but the question where that is open, or about to be."""
    return [command for command in wanted if not state.late or concerns(command.id)]
