"""Has everything that is due decided about and started, each occurrence once, and looks at the clock as long as the host works."""

import asyncio
from collections.abc import Callable
from itertools import groupby
from typing import Protocol

from msgspec.structs import replace
from pydantic import ValidationError

from agenthost.core.access import RIGHTS, Accounts, Caller, Deed
from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, Temporary
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Store
from agenthost.core.schedules import Run, Schedule, Schedules
from agenthost.core.tasks import TaskRow
from agenthost.engine.parts import Log
from agenthost.host.orders import id_for
from agenthost.host.schedules.deciding import BACK, decide, order_given, spec_of
from agenthost.manifests.timing import read_zone

LOOK = 30.0
"""Seconds after which the wall clock is looked at, at the latest: a machine may sleep, and a clock be set. It costs a
comparison; the store isn't read for it."""
SLIP = 2.0
"""Seconds by which the wall clock and the time that went by may differ before everything is looked at again."""
REREAD = 300.0
"""Seconds after which the store is read without a call: another process may have left something."""
AGAIN = 5.0
"""Seconds until what can't be started just now is tried again."""
PAGE = 100
MOST_WAITING = 100
"""Runs of one schedule that may wait for the one before; more are skipped."""
DONE_KEPT = 30 * 86_400.0
"""Seconds for which people's own schedules are listed once they are done."""


class Hands(Protocol):
    """What starts work, and ends it, as somebody may."""

    async def start(self, caller: Caller, order: Order) -> TaskRow: ...

    async def cancel(self, caller: Caller, task: str, reason: str) -> None: ...


class Runner:
    """`call` it when something was changed, and `hear` it of tasks that ended."""

    def __init__(self, schedules: Schedules, store: Store, accounts: Accounts, hands: Hands, log: Log) -> None:
        self._schedules = schedules
        self._store = store
        self._accounts = accounts
        self._hands = hands
        self._log = log
        self._called = asyncio.Event()
        self._going: set[str] = set()
        self._over: set[str] = set()
        self._known: set[str] = set()
        self._asked = float("-inf")
        self._again = False
        self._waits = False
        self._zones: set[str] = set()

    def call(self) -> None:
        """Something was changed: look now."""
        self._called.set()

    def hear(self, task: str) -> None:
        """A task has ended."""
        if task in self._going:
            self._over.add(task)
            self.call()

    async def run(self, clock: Callable[[], float]) -> None:
        """Go on until cancelled. A store that fails is asked again later."""
        swept = 0.0
        while True:
            self._called.clear()
            now = clock()
            try:
                due = await self.look(now)
                if abs(now - swept) > 3600:
                    await self._schedules.sweep(now - DONE_KEPT)
                    swept = now
            except AgentHostError as error:
                self._log.warning("schedules wait", problem=error.message)
                due = now + AGAIN
            await self._until(due, clock)

    async def _until(self, due: float | None, clock: Callable[[], float]) -> None:
        """Wait until it is due by the wall clock, which may be set meanwhile, or something calls."""
        loop = asyncio.get_running_loop()
        began, wall = loop.time(), clock()
        most = LOOK if self._waits else REREAD
        while not self._called.is_set():
            gone, now = loop.time() - began, clock()
            if gone >= most or (due is not None and now >= due) or abs(now - wall - gone) > SLIP:
                return
            wait = min(LOOK, most - gone, LOOK if due is None else due - now)
            try:
                async with asyncio.timeout(max(0.001, wait)):
                    await self._called.wait()
            except TimeoutError:
                pass

    async def look(self, now: float) -> float | None:
        """Decide about everything that is due, and begin what may begin. When to look again, None where nothing comes."""
        while found := await self._schedules.due(now, now + BACK, PAGE):
            for schedule in found:
                await self._decide(schedule, now)
        self._again = self._waits = False
        over, going = set(self._over), set[str]()
        # Of those that aren't heard to have ended the store is asked now and then: another process may have them.
        every = not 0 <= now - self._asked < REREAD
        self._known = set() if every else self._going - over
        for id, runs in groupby(await self._schedules.open(), key=lambda run: run.schedule):
            try:
                going |= await self._tend(id, list(runs), now)
            except Temporary:
                raise
            except (AgentHostError, ValidationError) as error:
                # One that can't be read keeps no other from being run.
                self._log.warning("schedule waits", schedule=id, problem=str(error))
        self._going = going
        self._over -= over
        self._asked = now if every else self._asked
        due = await self._schedules.next_due()
        return min(now + AGAIN, due or now + AGAIN) if self._again else due

    async def _decide(self, schedule: Schedule, now: float) -> None:
        try:
            await self._load(str(schedule.spec.get("timezone", "UTC")))
            after, runs = decide(schedule, now)
        except (BadInput, ValidationError) as error:
            why = error.message if isinstance(error, BadInput) else "it was written by another AgentHost"
            await self._stop(schedule.id, f"it can't be read any more ({why}); change it, or make it again", now)
            return
        if await self._schedules.change(after, runs):
            for run in runs:
                if run.state == "missed":
                    self._log.info("schedule missed", schedule=schedule.name, times=run.count, since=run.due)

    async def _load(self, zone: str) -> None:
        """Have a time zone's files read, beside the loop and once."""
        if zone not in self._zones:
            await asyncio.to_thread(read_zone, zone)
            self._zones.add(zone)

    # --- what is to be started ---

    async def _tend(self, id: str, runs: list[Run], now: float) -> set[str]:
        """The tasks of a schedule that go on, after what may begin has begun."""
        schedule = await self._schedules.get(id)
        if schedule is None:
            return set()
        started = [run for run in runs if run.state == "started"]
        # From here on their ends are heard, also while this look goes on.
        self._going |= {run.task for run in started}
        going = {run.task for run in started if run.task in self._known or not await self._ended(run)}
        for run in runs:
            if run.state == "starting":
                going |= await self._start(schedule, run, now)
        for run in (each for each in runs if each.state == "waiting" and each.manual):
            going |= await self._begin(schedule, run, now, alone=False)
        waiting = [each for each in runs if each.state == "waiting" and not each.manual]
        if schedule.state in ("paused", "stopped"):
            for run in waiting:
                await self._skip(run, f"the schedule was {schedule.state}")
        elif waiting:
            going |= await self._overlap(schedule, waiting, going, now)
        return going

    async def _overlap(self, schedule: Schedule, waiting: list[Run], going: set[str], now: float) -> set[str]:
        """Begin what waits, as the schedule says where another run goes on. Returns the tasks that began."""
        how = spec_of(schedule).overlap
        if how == "allow":
            return {task for run in waiting for task in await self._begin(schedule, run, now, alone=False)}
        if how == "replace":
            for run in waiting[:-1]:
                await self._skip(run, "a later one took its place")
            return await self._replace(schedule, waiting[-1], going, now)
        began: set[str] = set()
        queued = 0
        for run in waiting:
            # What was missed and is to be run all the same waits for its turn, whatever overlap says.
            queues = how == "queue" or run.late
            if not going and not began:
                began |= await self._begin(schedule, run, now, alone=True)
            elif not queues:
                await self._skip(run, f"the run before went on ({', '.join(sorted(going | began))})")
            elif queued >= MOST_WAITING:
                await self._skip(run, f"{MOST_WAITING} others wait already")
            else:
                queued += 1
                self._waits = True
        return began

    async def _replace(self, schedule: Schedule, run: Run, going: set[str], now: float) -> set[str]:
        if not going:
            return await self._begin(schedule, run, now, alone=True)
        self._waits = True
        caller = await self._caller(run, schedule)
        for task in sorted(going):
            try:
                await self._hands.cancel(caller, task, f"the schedule '{schedule.name}' runs again")
            except Temporary:
                self._again = True
            except BadInput:
                continue  # it has ended meanwhile, or is no longer theirs
        return set()

    async def _begin(self, schedule: Schedule, run: Run, now: float, alone: bool) -> set[str]:
        if not await self._schedules.begin(run, alone):
            self._waits = True  # another process was quicker
            return set()
        return await self._start(schedule, run, now)

    async def _start(self, schedule: Schedule, run: Run, now: float) -> set[str]:
        """Start a run; once, however often this is done. The task that goes on."""
        order = order_given(run, schedule.namespace)
        row = await self._store.task(id_for(order))
        if row is None:
            caller = await self._caller(run, schedule)
            if not caller.may("work"):
                await self._refuse(schedule, run, "has left, or may not give work any more", now)
                return set()
            try:
                row = await self._hands.start(caller, order)
            except Temporary as error:
                self._again = True
                self._log.warning("schedule waits", schedule=schedule.name, problem=error.message)
                return set()
            except Forbidden as error:
                await self._refuse(schedule, run, f"may not do that any more ({error.message})", now)
                return set()
            except AgentHostError as error:
                await self._schedules.settle(replace(run, state="failed", why=error.message))
                self._log.warning("schedule failed", schedule=schedule.name, problem=error.message)
                return set()
            self._log.info("schedule started", schedule=schedule.name, task=row.id)
        run = replace(run, state="started", task=row.id)
        await self._schedules.settle(run)
        # From now on its end is heard; it may have been over sooner.
        self._going.add(row.id)
        return set() if await self._ended(run) else {row.id}

    async def _ended(self, run: Run) -> bool:
        """Whether a run's task is over; then that is kept."""
        row = await self._store.task(run.task)
        if row is not None and row.state not in FINAL:
            return False
        why = "" if row is None else row.outcome or row.state
        await self._schedules.settle(replace(run, state="ended", why=why))
        return True

    async def _skip(self, run: Run, why: str) -> None:
        await self._schedules.settle(replace(run, state="skipped", why=why))

    async def _caller(self, run: Run, schedule: Schedule) -> Caller:
        """As whom a run is started: with the rights that its person has now."""
        found = await self._accounts.person(run.person)
        via = f"schedule:{schedule.id}"
        if found is None or found.disabled or found.namespace != schedule.namespace:
            return Caller(run.person, "read-only", (), schedule.namespace, via)
        return Caller(found.id, found.role, RIGHTS[found.role], found.namespace, via)

    async def _refuse(self, schedule: Schedule, run: Run, why: str, now: float) -> None:
        told = f"'{run.person}', as whom it runs, {why}"
        await self._schedules.settle(replace(run, state="failed", why=told))
        if schedule.person == run.person:
            await self._stop(
                schedule.id, f"{told}; have somebody who may make it anew, or resume it once they may", now
            )

    async def _stop(self, id: str, why: str, now: float) -> None:
        """Have a schedule come due no more, and say why."""
        while (schedule := await self._schedules.get(id)) is not None and schedule.state != "stopped":
            if await self._schedules.change(replace(schedule, state="stopped", due=None, why=why, looked=now)):
                self._log.warning("schedule stopped", schedule=schedule.name, problem=why)
                done = Deed(now, schedule.person, "schedule.stop", schedule.name, f"schedule:{id}")
                await self._accounts.note([replace(done, namespace=schedule.namespace)])
