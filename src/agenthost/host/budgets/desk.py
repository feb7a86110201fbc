"""The use-cases of budgets: looked at, set, and raised where a task asks for it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from agenthost.core.access import Accounts, Caller
from agenthost.core.api import HostApi
from agenthost.core.budgets import Limits, Spend, day_account, subject_of, wider
from agenthost.core.commands import Ask
from agenthost.core.errors import NotFound
from agenthost.core.events import Created
from agenthost.core.keeping import Keeping
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Abilities, Model, Store
from agenthost.core.spending import BudgetLine, Given, OwnBudgets
from agenthost.host.budgets.allowances import NOTHING, Allowances
from agenthost.host.budgets.meter import Meter
from agenthost.host.budgets.metered import Metered, MeteredModel
from agenthost.host.guarded import deed, forbidden, note_refused
from agenthost.host.library import Library
from agenthost.wire.tries import Tries

SET = "budget/"
RAISED = "budget-raised/"
KINDS = ("host", "namespace", "person", "agent")


class Desk:
    """Keeps what was set and raised among the changed settings, and in memory for the engine."""

    def __init__(self, library: Library, store: Store, keeping: Keeping, accounts: Accounts) -> None:
        self._library = library
        self._allowances: Allowances = library.allowances
        self._store = store
        self._keeping = keeping
        self.accounts = accounts
        self.refused = Tries(100, 3600.0)
        self._raising = asyncio.Lock()

    def of(self, caller: Caller, api: HostApi) -> OwnBudgets:
        """The use-cases for a caller; `api` is the host as they may use it."""
        return _Own(self, caller, api)

    def metered(self, found: Abilities, name: str, person: str, namespace: str) -> Abilities:
        """What else the model that is called `name` does, in somebody's ledger and budgets."""
        return Metered(found, name, self._meter(person, namespace), self._keeping)

    def metered_model(self, found: Model, name: str, person: str, namespace: str) -> Model:
        """A model whose answers are in somebody's ledger and budgets, and in no task's."""
        return MeteredModel(found, name, self._meter(person, namespace))

    def _meter(self, person: str, namespace: str) -> Meter:
        return Meter(self._store, self._allowances, person, namespace)

    async def open(self) -> None:
        """Take what was set and raised before, and have today's accounts hold what was spent before a budget counted."""
        today, _, _ = self._allowances.day(time.time())
        over: list[str] = []
        for name, value in (await self._keeping.changed()).items():
            if name.startswith(SET):
                self._allowances.change(name.removeprefix(SET), _limits(value))
            elif name.startswith(RAISED):
                account = name.removeprefix(RAISED)
                if await self._goes_on(account, today):
                    self._allowances.raised[account] = _limits(value)
                else:
                    over.append(name)
        if over:
            await self._keeping.change(dict.fromkeys(over))
        if self._allowances.subjects():
            await self._reckon()

    async def _goes_on(self, account: str, today: str) -> bool:
        if subject_of(account):
            return account.startswith(f"day/{today}/")
        row = await self._store.task(account)
        return row is not None and row.state not in FINAL

    async def _reckon(self) -> None:
        day, since, _ = self._allowances.day(time.time())
        await self._store.reckon(day, since)

    # --- looking ---

    async def today(self) -> list[BudgetLine]:
        """The budgets of this day: those that were given, and those of everybody who has spent."""
        day, _, until = self._allowances.day(time.time())
        prefix = day_account(day, "")
        spent = {name.removeprefix(prefix): held for name, held in (await self._store.accounts(prefix)).items()}
        daily = self._library.daily()
        subjects = {*self._allowances.subjects(), *spent, *daily}
        lines = [self._line(each, day, until, spent.get(each, Spend()), daily.get(each, NOTHING)) for each in subjects]
        return sorted((line for line in lines if line.limits != NOTHING), key=_order)

    def _line(self, subject: str, day: str, until: float, spent: Spend, manifest: Limits = NOTHING) -> BudgetLine:
        limits, account = self._allowances.limits(subject, manifest), day_account(day, subject)
        given: Given = "set" if subject in self._allowances.changed else "settings"
        if given == "settings" and limits == manifest:
            given = "manifest"
        raised = account in self._allowances.raised
        reached = self._allowances.settings.reached
        return BudgetLine(subject, self._allowances.of(account, limits), spent, until, given, raised, reached)

    async def counting(self, created: Created) -> list[BudgetLine]:
        """The budgets that count for a task now."""
        found: list[BudgetLine] = []
        now = time.time()
        _, _, until = self._allowances.day(now)
        for scope in self._library.scopes(created.spec, now):
            if scope.limits == NOTHING:
                continue
            subject = subject_of(scope.task)
            spent, raised = await self._store.spent(scope.task), scope.task in self._allowances.raised
            end, given = (until, "settings") if subject else (0.0, "task")
            found.append(
                BudgetLine(subject or f"task/{scope.task}", scope.limits, spent, end, given, raised, scope.reached)
            )
        return found

    # --- setting and raising ---

    async def set(self, subject: str, limits: Limits | None) -> BudgetLine:
        """Set a subject's budget of a day."""
        subject = canonical(subject)
        await self._keeping.change({SET + subject: None if limits is None else msgspec.json.encode(limits)})
        self._allowances.change(subject, limits)
        await self._reckon()
        day, _, until = self._allowances.day(time.time())
        spent = await self._store.spent(day_account(day, subject))
        return self._line(subject, day, until, spent, self._library.daily().get(subject, NOTHING))

    @asynccontextmanager
    async def raised_for(self, ask: Ask) -> AsyncGenerator[None]:
        """Raise the budget that a question is about, while its answer is given; where that fails (somebody else had answered),
        it is as before. Of two raises of one budget the larger stands: each is the most that somebody agreed to."""
        account, wanted = str(ask.arguments["budget"]), msgspec.convert(ask.arguments["limits"], Limits)
        async with self._raising:
            before = self._allowances.raised.get(account)
            await self._keep(account, wanted if before is None else wider(wanted, before))
            try:
                yield
            except BaseException:
                await self._keep(account, before)
                raise

    async def _keep(self, account: str, limits: Limits | None) -> None:
        await self._keeping.change({RAISED + account: None if limits is None else msgspec.json.encode(limits)})
        self._allowances.raised.pop(account, None)
        if limits is not None:
            self._allowances.raised[account] = limits


class _Own(OwnBudgets):
    def __init__(self, desk: Desk, caller: Caller, api: HostApi) -> None:
        self._desk = desk
        self._caller = caller
        self._api = api

    async def all(self) -> list[BudgetLine]:
        caller = self._caller
        if not caller.may("read"):
            raise forbidden(caller, "read", "look at budgets")
        lines = await self._desk.today()
        if caller.role != "user":
            return lines
        mine = {f"person/{caller.namespace}/{caller.person}", "person"}
        return [line for line in lines if line.subject in mine]

    async def of_task(self, task: str) -> list[BudgetLine]:
        created = (await self._api.events(task, 0, 1))[0].event
        assert isinstance(created, Created)
        lines = await self._desk.counting(created)
        if self._caller.role != "user":
            return lines
        # What others spend with them is nobody's business but of who manages the host.
        mine = f"person/{self._caller.namespace}/{self._caller.person}"
        return [line for line in lines if line.subject == mine or line.subject.startswith("task/")]

    async def set(self, subject: str, limits: Limits | None) -> BudgetLine:
        caller, desk = self._caller, self._desk
        if not caller.may("manage"):
            await note_refused(desk.accounts, desk.refused, caller, "budget.set", subject)
            raise forbidden(caller, "manage", "set budgets")
        line = await desk.set(subject, limits)
        await desk.accounts.note([deed(caller, "budget.set", f"{line.subject}: {limits}", "done")])
        return line


def canonical(subject: str) -> str:
    """A subject as it is kept: `person/ann` is `person/default/ann`. Raises NotFound."""
    kind, *rest = subject.split("/")
    long = kind in ("person", "agent")
    if kind not in KINDS or not all(rest) or len(rest) > (2 if long else 0 if kind == "host" else 1):
        raise NotFound(
            f"there is no budget of '{subject}': name host, namespace/NAME, person/NAME or agent/NAME, or a kind alone "
            "(person: each of them)"
        )
    return f"{kind}/default/{rest[0]}" if long and len(rest) == 1 else subject


def _order(line: BudgetLine) -> tuple[int, str]:
    return KINDS.index(line.subject.partition("/")[0]), line.subject


def _limits(value: bytes) -> Limits:
    try:
        return msgspec.json.decode(value, type=Limits)
    except msgspec.DecodeError:
        return NOTHING
