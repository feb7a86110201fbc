"""A world for the runner of schedules: its store in memory, tasks that begin and end by hand, processes that die."""

import asyncio
from collections.abc import Callable
from itertools import takewhile
from typing import Any, cast

from msgspec.structs import replace

from agenthost.core.access import Caller, Person
from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError, Conflict
from agenthost.core.lifecycle import FINAL, State
from agenthost.core.ports import Store
from agenthost.core.schedules import Run, Schedule
from agenthost.core.tasks import TaskRow
from agenthost.host.orders import id_for
from agenthost.host.schedules.deciding import spec_of, started
from agenthost.host.schedules.runner import Runner
from agenthost.manifests.timing import read_zone, timing
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_schedules import MemorySchedules
from agenthost.testing.world import Lines

for _zone in ("UTC", "Europe/Athens"):
    read_zone(_zone)  # from files, which isn't for a loop

START = 1_774_656_000.0
"""2026-03-28 00:00 UTC: the clocks of Europe go forward on the next day."""


class Died(Exception):
    """The process is gone."""


class Tasks:
    """Begins tasks, each once by its key, and ends them by hand. It is the store that knows of them, too."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.rows: dict[str, TaskRow] = {}
        self.orders: dict[str, Order] = {}
        self.refuses: AgentHostError | None = None
        self.together = 0
        """How many tasks of one schedule went on at once, at most."""

    async def task(self, id: str) -> TaskRow | None:
        await self._world.step("task")
        return self.rows.get(id)

    async def start(self, caller: Caller, order: Order) -> TaskRow:
        return cast("TaskRow", await self._world.step("start", lambda: self._start(caller, order)))

    def _start(self, caller: Caller, order: Order) -> TaskRow:
        if self.refuses is not None:
            raise self.refuses
        order = replace(order, person=caller.person, namespace=caller.namespace)
        id = id_for(order)
        if id not in self.rows:
            now = self._world.now
            self.rows[id] = TaskRow(id, "agent", order.name, "working", now, now, person=caller.person, root=id)
            self.orders[id] = order
            of = order.notes["schedule"]["id"]
            mine = [each for each in self.going() if self.orders[each].notes["schedule"]["id"] == of]
            self.together = max(self.together, len(mine))
        return self.rows[id]

    async def cancel(self, caller: Caller, task: str, reason: str) -> None:
        await self._world.step("cancel", lambda: self._cancel(task))

    def _cancel(self, task: str) -> None:
        if self.rows[task].state in FINAL:
            raise Conflict("it has ended")
        self.end(task, "canceled")

    def going(self) -> list[str]:
        return [id for id, row in self.rows.items() if row.state not in FINAL]

    def end(self, task: str, state: State = "completed") -> None:
        self.rows[task] = replace(self.rows[task], state=state)
        for runner in self._world.runners:
            runner.hear(task)

    def dues(self) -> list[float]:
        """The due times for which something was started."""
        return sorted(order.notes["schedule"]["due"] for order in self.orders.values())


class Shaky:
    """A port each of whose calls may be the last thing that a process does, or one before which another comes."""

    def __init__(self, world: "World", inner: Any) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        async def call(*given: Any) -> Any:
            return await self._world.step(name, getattr(self._inner, name), *given)

        return call


class World:
    """`now` is the wall clock. `dies`: the process dies at its so-manyeth step from now, before or after it."""

    def __init__(self, runners: int = 1) -> None:
        self.now = START
        self.dies: tuple[int, bool] | None = None
        self.yields: list[int] = []
        self.kept = MemorySchedules()
        self.accounts = MemoryAccounts(MemoryStore())
        self.tasks = Tasks(self)
        self.log = Lines()
        self.steps = 0
        self.runners = [self.runner() for _ in range(runners)]

    def runner(self) -> Runner:
        store = cast("Store", self.tasks)
        return Runner(cast("Any", Shaky(self, self.kept)), store, self.accounts, self.tasks, self.log)

    async def step(self, name: str, work: Callable[..., Any] = lambda: None, *given: Any) -> Any:
        """Do something, unless the process dies first; or die when it is done."""
        self.steps += 1
        if len(self.runners) > 1:
            for _ in range(1 + (self.yields.pop() if self.yields else 0)):
                await asyncio.sleep(0)
        dying = False
        if self.dies is not None:
            left, after = self.dies
            self.dies = (left - 1, after)
            dying = left <= 0
            if dying and not after:
                raise Died(name)
        done = work(*given)
        if asyncio.iscoroutine(done):
            done = await done
        if dying:
            raise Died(name)
        return done

    async def open(self, *people: str) -> None:
        for person in people or ("owner",):
            await self.accounts.put_person(Person(person, "user" if person != "owner" else "owner", 1.0))

    async def add(self, spec: dict[str, Any], name: str = "s", person: str = "owner") -> Schedule:
        spec = {"run": {"agent": "echo", "text": "x"}} | spec
        made = started(Schedule(f"sch_{name}", name, person, self.now, spec), self.now)
        assert await self.kept.add(made)
        return made

    async def look(self, wait: float = 0.0) -> float | None:
        """Time goes by, and every process looks."""
        self.now += wait
        due: float | None = None
        for runner in self.runners:
            due = await runner.look(self.now)
        return due

    async def died(self) -> None:
        """Processes look at once, until they are done or have died; those that died are started again."""
        outcomes = await asyncio.gather(*(runner.look(self.now) for runner in self.runners), return_exceptions=True)
        for outcome in outcomes:
            assert outcome is None or isinstance(outcome, float | Died), repr(outcome)
        if any(isinstance(outcome, Died) for outcome in outcomes):
            self.dies = None
            self.runners = [self.runner() for _ in self.runners]

    async def runs(self, id: str = "sch_s") -> list[Run]:
        """What became of due times, in their order."""
        return (await self.kept.runs(id, float("inf"), 10_000))[::-1]

    async def became(self, id: str = "sch_s") -> list[tuple[float, str]]:
        """The same, as minutes since the start."""
        return [((run.due - START) / 60, run.state) for run in await self.runs(id)]


def occurrences(schedule: Schedule, until: float) -> list[float]:
    """Every time at which a schedule was due since it was made."""
    return list(takewhile(lambda due: due <= until, timing(spec_of(schedule)).after(schedule.created)))
