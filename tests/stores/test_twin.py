"""SQLite and the in-memory twin do the same, whatever comes in whatever order."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agenthost.core.budgets import Limits, Spend
from agenthost.core.errors import AgentHostError
from agenthost.core.lifecycle import LIFECYCLE
from agenthost.core.ports import Append, Filter, InboxItem, LedgerEntry, Settlement, Store
from agenthost.core.tasks import Scope
from agenthost.stores.memory import MemoryStore
from agenthost.stores.sqlite import SQLiteStore
from agenthost.testing.stores import event, new_task

TASKS = ("t1", "t1.a", "t1.a.b", "t2", "t10")
tasks = st.sampled_from(TASKS)
owners = st.sampled_from(("x", "y", "z"))
times = st.sampled_from((0.0, 1.0, 2.0, 3.0))
states = st.sampled_from(sorted(LIFECYCLE) + ["working"] * 12)
costs = st.sampled_from((0.0, 0.1, 1 / 3, 1e-9, 0.25))
spends = st.builds(Spend, st.integers(0, 2), st.integers(0, 50), costs)
limits = st.builds(
    Limits, st.none() | st.integers(0, 6), st.none() | st.integers(0, 120), st.none() | st.sampled_from((0.3, 1.0))
)
scopes = st.lists(st.builds(Scope, tasks, limits), max_size=2).map(tuple)
commands = st.sampled_from(("m1", "m2"))
attempts = st.integers(1, 2)
items = st.builds(
    InboxItem, tasks, st.sampled_from(("i1", "i2", "i3")), st.sampled_from(("message", "child")), st.just(b"{}"), times
)
files = st.dictionaries(st.sampled_from(("a", "b/c")), st.none() | st.sampled_from(("d1", "d2")), max_size=2)


class Twins(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()

        async def make() -> tuple[Store, Store]:
            stores = SQLiteStore(Path(self.folder.name) / "a.db"), MemoryStore()
            for store in stores:
                await store.open()
            return stores

        self.stores = self.loop.run_until_complete(make())

    def teardown(self) -> None:
        async def end() -> None:
            for store in self.stores:
                await store.close()

        self.loop.run_until_complete(end())
        self.loop.close()
        self.folder.cleanup()

    def both(self, method: str, *arguments: Any) -> Any:
        async def outcome(store: Store) -> Any:
            try:
                return await getattr(store, method)(*arguments)
            except (AgentHostError, ValueError) as error:
                return type(error), str(error)

        sqlite, memory = (self.loop.run_until_complete(outcome(store)) for store in self.stores)
        assert sqlite == memory
        return memory

    @rule(
        id=tasks,
        created=times,
        owner=st.just("") | owners,
        copies=st.lists(st.sampled_from((("w1", "w2"), ("t1", "w1"), ("w2", "t2"))), max_size=2),
        begins=st.none() | st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from(("d1", "d2"))),
    )
    def create(
        self, id: str, created: float, owner: str, copies: list[tuple[str, str]], begins: dict[str, str] | None
    ) -> None:
        row = new_task(id, created=created, parent=id.rpartition(".")[0], owner=owner, epoch=1 if owner else 0)
        self.both("create", row, copies, begins)

    @rule(id=tasks, owner=owners, now=times)
    def claim(self, id: str, owner: str, now: float) -> None:
        self.both("claim", id, owner, now)

    @rule(owner=owners, now=times)
    def heartbeat(self, owner: str, now: float) -> None:
        self.both("heartbeat", owner, now)

    @rule(owner=owners, now=times)
    def retire(self, owner: str, now: float) -> None:
        self.both("retire", owner, now)

    @rule(
        id=tasks,
        count=st.integers(0, 3),
        wrong=st.sampled_from((0, 0, 0, 0, 0, 0, 0, 1, 2)),
        state=states,
        reserve=st.lists(st.tuples(commands, attempts, spends, scopes), max_size=2),
        settle=st.lists(st.tuples(commands, attempts, spends), max_size=1),
        taken=st.lists(st.sampled_from(("i1", "i2", "never")), max_size=2),
        send=st.lists(items, max_size=2),
        changes=files,
        workspace=st.sampled_from(("w1", "w2")),
    )
    def append(
        self,
        id: str,
        count: int,
        wrong: int,
        state: Any,
        reserve: list[tuple[str, int, Spend, tuple[Scope, ...]]],
        settle: list[tuple[str, int, Spend]],
        taken: list[str],
        send: list[InboxItem],
        changes: dict[str, str | None],
        workspace: str,
    ) -> None:
        row = self.both("task", id)
        seq, epoch = (row.seq, row.epoch) if row else (1, 1)
        batch = Append(
            task=id,
            epoch=epoch + (wrong == 1),
            events=tuple(event(seq + 1 + number + (wrong == 2)) for number in range(count)),
            state=state,
            updated=float(seq),
            outcome=state,
            reason=f"reason {seq}",
            reserve=tuple(
                LedgerEntry(id, command, attempt, "a", "m", 1.0, worst, scopes)
                for command, attempt, worst, scopes in reserve
            ),
            settle=tuple(Settlement(command, attempt, spent, "n") for command, attempt, spent in settle),
            taken=tuple(taken),
            send=tuple(send),
            workspace=workspace,
            files=changes,
        )
        self.both("append", batch)

    @rule(item=items)
    def put(self, item: InboxItem) -> None:
        self.both("put", item)

    @rule(id=tasks, hold=st.sampled_from(("", "paused")))
    def hold(self, id: str, hold: str) -> None:
        self.both("hold", id, hold, "because")

    @rule(owner=owners, now=times, limit=st.integers(1, 4))
    def claimable(self, owner: str, now: float, limit: int) -> None:
        self.both("claimable", owner, now, limit)

    @rule(
        wanted=st.builds(
            Filter,
            states=st.just(()) | st.tuples(states, states),
            root=st.sampled_from(("", "t1", "t2")),
            roots_only=st.booleans(),
            before=st.just("") | tasks,
            limit=st.integers(1, 3),
        )
    )
    def listing(self, wanted: Filter) -> None:
        self.both("tasks", wanted)

    @invariant()
    def holds_the_same(self) -> None:
        for task in TASKS:
            for read in ("task", "events", "inbox", "ledger", "spent"):
                self.both(read, task)
        for workspace in ("w1", "w2", "t1", "t2"):
            self.both("files", workspace)


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
