"""Has a model decide what no rule decides: each message is a routing task of its own in an engine, as on a host, so that every call stands
in the home's ledger."""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits
from agenthost.core.events import Finished
from agenthost.core.ids import task_id
from agenthost.core.parts import DataPart, text_message
from agenthost.core.ports import LedgerEntry
from agenthost.core.routing import Decision
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.core.telling import Committed
from agenthost.engine.engine import Engine
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.evals.routing.scenes import Case
from agenthost.evals.routing.scoring import Similar
from agenthost.host.adapters import Adapters
from agenthost.host.budgets.allowances import Allowances
from agenthost.host.budgets.desk import Desk
from agenthost.host.budgets.settings import BudgetSettings
from agenthost.host.library import Library
from agenthost.host.logs import logger
from agenthost.programs.routing import RoutingProgram, decide, inputs

AT_ONCE = 4
"""Calls that go on at the same time."""

PATIENCE = 900.0
"""Seconds after which a call that has come to nothing is left, and counts as failed."""


class Answers(Struct):
    """What a model said of the messages (by `Case.key`), and what that took. `cost` in USD, of the calls whose price is known; `unpriced` counts the others.
    `failed`: calls without an answer, whose message counts as undecided."""

    decisions: dict[str, Decision]
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0


class _Routing:
    """The one program that this engine runs; fulfils core.ports.Programs. `allowances`: the home's budgets of a day count, and
    none asks."""

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances

    async def program(self, spec: TaskSpec) -> RoutingProgram:
        return RoutingProgram()

    async def policy(self, spec: TaskSpec) -> SandboxPolicy:
        return SandboxPolicy()

    def replicas(self, namespace: str, role: str) -> int:
        return 1

    def limits(self, scope: Scope) -> Limits:
        return scope.limits

    def scopes(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        return (*spec.scopes, *self.days(spec, now))

    def days(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        days = self._allowances.today(spec, Limits(), now)
        return tuple(msgspec.structs.replace(scope, reached="end") for scope in days)


async def ask(
    adapters: Adapters,
    model: str,
    cases: Sequence[Case],
    similar: Similar | None,
    say: Callable[[str], None],
    budgets: BudgetSettings | None = None,
) -> Answers:
    """Ask the model about each message that no rule decides, once. `budgets`: those of the home."""
    made = Answers({})
    done: dict[str, asyncio.Future[Finished]] = {}

    def committed(step: Committed) -> None:
        for recorded in step.events:
            if isinstance(recorded.event, Finished) and recorded.task in done:
                done[recorded.task].set_result(recorded.event)

    engine = Engine(
        _parts(adapters, committed, await _budgets(adapters, budgets or BudgetSettings())),
        EngineSettings(),
        f"eval-{os.getpid()}",
    )
    await engine.begin(alone=False)
    open_ones = [case for case in cases if decide(case.spoken, case.scene) is None]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> None:
        async with room:
            spec = _spec(case, model, similar)
            ended = done[spec.id] = asyncio.get_running_loop().create_future()
            await engine.create(spec)
            await asyncio.wait([ended], timeout=PATIENCE)
            del done[spec.id]
            _count(made, case, ended.result() if ended.done() else None, await adapters.store.ledger(spec.id))
            if made.calls % 25 == 0:
                say(f"{made.calls} of {len(open_ones)} asked")

    try:
        async with asyncio.TaskGroup() as group:
            for case in open_ones:
                group.create_task(one(case))
    finally:
        await engine.close()
    return made


async def _budgets(adapters: Adapters, settings: BudgetSettings) -> Allowances:
    """The home's budgets of a day, with what was set and raised since."""
    library = Library(adapters.store, adapters.models, adapters.tools)
    library.allowances.take(settings)
    await Desk(library, adapters.store, adapters.keeping, adapters.accounts).open()
    return library.allowances


def _parts(adapters: Adapters, committed: Callable[[Committed], None], allowances: Allowances) -> Parts:
    return Parts(
        store=adapters.store,
        blobs=adapters.blobs,
        workspaces=adapters.workspaces,
        models=adapters.models,
        tools=adapters.tools,
        sandbox=adapters.sandbox,
        prober=adapters.prober,
        inspector=adapters.inspector,
        scripts=adapters.scripts,
        programs=_Routing(allowances),
        log=logger(),
        random=secrets.SystemRandom().random,
        committed=committed,
    )


def _spec(case: Case, model: str, similar: Similar | None) -> TaskSpec:
    id = task_id(int(time.time() * 1000), secrets.randbits(35))
    near = similar(case) if similar is not None else None
    return TaskSpec(
        id,
        "routing",
        "routing",
        "",
        text_message("host", case.spoken.text),
        inputs=inputs(case.spoken, case.scene, near),
        title=f"eval routing: {case.key}",
        workspace=id,
        model=model,
    )


def _count(made: Answers, case: Case, finished: Finished | None, ledger: Sequence[LedgerEntry]) -> None:
    made.calls += 1
    for entry in ledger:
        if entry.spent is not None:
            made.tokens += entry.spent.tokens
            made.cost += entry.spent.cost if entry.priced else 0.0
        made.unpriced += not entry.priced
    part = finished.parts[0] if finished is not None and finished.parts else None
    decision = msgspec.convert(part.data, Decision) if isinstance(part, DataPart) else None
    if decision is None or not any(entry.spent is not None and entry.spent.tokens for entry in ledger):
        made.failed += 1
    elif decision.meaning != "unsure" or decision.candidates:
        made.decisions[case.key] = decision
