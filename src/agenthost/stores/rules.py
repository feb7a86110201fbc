"""What a step may commit, decided in one place for every store: leases, order, budgets, accounts. Pure.

An account holds what counts against one budget: turns, tokens, money in whole nano-USD, and time in milliseconds, so
that thousands of reservations and settlements leave no rounding behind.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Spend, enough, refusal, subject_of, told_limits
from agenthost.core.errors import BudgetRefused, Conflict, LostLease, NotFound
from agenthost.core.ports import Append, LedgerEntry, Settlement
from agenthost.core.tasks import Scope

Account = tuple[int, int, int, int]
EMPTY: Account = (0, 0, 0, 0)
NANO = 1_000_000_000
DAY = 86_400
FAR = 10**9 * DAY
"""A time that nothing is after."""

FEW = 5
"""How many are named where all are counted."""


class Place(Struct, frozen=True):
    """Where a task stands: the epoch of its owner, its last event, and whether it has ended."""

    epoch: int
    seq: int
    ended: bool


class Attempt(Struct, frozen=True):
    """What the ledger holds of an attempt that is to be settled."""

    worst: Spend
    scopes: tuple[Scope, ...]
    settled: bool


def weigh(spend: Spend) -> Account:
    """A spend as it counts in accounts."""
    return spend.turns, spend.tokens, round(spend.cost * NANO), round(spend.seconds * 1000)


def total(account: Account) -> Spend:
    """An account as a spend."""
    return Spend(account[0], account[1], account[2] / NANO, account[3] / 1000)


def whole_days(since: float, until: float) -> tuple[int, int]:
    """The first day (since 1970, UTC) that begins at `since` or after, and the first that doesn't end by `until`."""
    return -int(-since // DAY), int(until // DAY)


def check_place(batch: Append, place: Place | None) -> None:
    """Raises LostLease unless the batch comes from the task's owner and follows its last event."""
    if place is None:
        raise LostLease(f"there is no task '{batch.task}', so nothing can be added to its journal", task=batch.task)
    if place.ended:
        raise LostLease(f"task '{batch.task}' has ended; its journal is closed", task=batch.task)
    if place.epoch != batch.epoch:
        raise LostLease(
            f"task '{batch.task}' has another owner by now (epoch {place.epoch}, this one had {batch.epoch})",
            task=batch.task,
        )
    expected = place.seq
    for event in batch.events:
        expected += 1
        if event.seq != expected:
            raise LostLease(
                f"event {event.seq} does not follow the journal of task '{batch.task}', which goes on with {expected}",
                task=batch.task,
            )


def booking(reserve: Sequence[LedgerEntry], settle: Sequence[Settlement]) -> Append:
    """Calls that no task makes, as if they were a step of one without a name."""
    return Append("", 0, (), "working", 0.0, reserve=tuple(reserve), settle=tuple(settle))


def charge(
    batch: Append,
    accounts: Mapping[str, Account],
    attempts: Mapping[tuple[str, str, int], Attempt],
) -> dict[str, Account]:
    """The accounts that a batch changes, as they are afterwards.

    `attempts` are those of the ledger that the batch names, by (task, command, attempt). Raises
    BudgetRefused where a scope has no room, ValueError where an attempt is reserved twice, or
    settled without being open: the engine never does that.
    """
    after: dict[str, Account] = {}
    reserved: dict[tuple[str, str, int], Attempt] = {}

    def add(scopes: tuple[Scope, ...], weight: Account) -> None:
        for task in {scope.task for scope in scopes}:
            turns, tokens, cost, time = after.get(task) or accounts.get(task, EMPTY)
            after[task] = (turns + weight[0], tokens + weight[1], cost + weight[2], time + weight[3])

    def settle(settlement: Settlement) -> None:
        key = (batch.task, settlement.command, settlement.attempt)
        attempt = reserved.get(key) or attempts.get(key)
        if attempt is None or attempt.settled:
            raise ValueError(
                f"attempt {settlement.attempt} of command '{settlement.command}' is not open in the ledger"
            )
        reserved[key] = Attempt(attempt.worst, attempt.scopes, True)
        spent, worst = weigh(settlement.spent), weigh(attempt.worst)
        add(attempt.scopes, (spent[0] - worst[0], spent[1] - worst[1], spent[2] - worst[2], spent[3] - worst[3]))

    if batch.worked:
        add(batch.scopes, weigh(Spend(seconds=batch.worked)))
    # What an attempt leaves unspent is there for the next one of the same step.
    new = {(entry.command, entry.attempt) for entry in batch.reserve}
    for settlement in batch.settle:
        if (settlement.command, settlement.attempt) not in new:
            settle(settlement)
    for entry in batch.reserve:
        key = (entry.task, entry.command, entry.attempt)
        if entry.task != batch.task:
            raise ValueError(f"a step of task '{batch.task}' can't reserve for task '{entry.task}'")
        if key in attempts or key in reserved:
            raise ValueError(f"attempt {entry.attempt} of command '{entry.command}' is in the ledger already")
        reserved[key] = Attempt(entry.worst, entry.scopes, False)
        for scope in entry.scopes:
            spent = total(after.get(scope.task) or accounts.get(scope.task, EMPTY))
            why = refusal(scope.limits, spent, entry.worst, subject_of(scope.task))
            if why:
                raise _refused(why, scope, entry, spent)
        add(entry.scopes, weigh(entry.worst))
    for settlement in batch.settle:
        if (settlement.command, settlement.attempt) in new:
            settle(settlement)
    return after


def _refused(why: str, scope: Scope, entry: LedgerEntry, spent: Spend) -> BudgetRefused:
    if scope.task != entry.task and not subject_of(scope.task):
        why = f"{why} (by task '{scope.task}' and what it started)"
    details: dict[str, Any] = {"scope": scope.task, "command": entry.command}
    if scope.reached == "ask":
        more = enough(scope.limits, spent, entry.worst)
        details |= {"reached": "ask", "limits": msgspec.to_builtins(more), "to": told_limits(more)}
    return BudgetRefused(why, **details)


def by_day(entry: LedgerEntry) -> tuple[str, ...]:
    """Whose day an attempt counts for (`budgets.subject_of`)."""
    space = entry.namespace
    agent = (f"agent/{space}/{entry.agent}",) if entry.agent else ()
    return "host", f"namespace/{space}", f"person/{space}/{entry.person}", *agent


def not_claimed(task: str, found: bool, ended: bool) -> NotFound | LostLease:
    """Why a claim failed."""
    if not found:
        return unknown(task)
    if ended:
        return LostLease(f"task '{task}' has ended; nobody can own it any more", task=task)
    return LostLease(f"task '{task}' belongs to an owner whose lease is still good", task=task)


def unknown(task: str) -> NotFound:
    """There is no such task."""
    return NotFound(f"there is no task '{task}'; `agenthost tasks list` shows those that there are", task=task)


def subject_taken(person: str) -> Conflict:
    """That somebody else signs in as that subject."""
    return Conflict(f"'{person}' can't sign in so: that identity is another person's already; take it from them first")


def goes_on(task: str) -> Conflict:
    """That a task can't be deleted yet."""
    return Conflict(f"the task '{task}' goes on; cancel it before it is deleted, or force it")
