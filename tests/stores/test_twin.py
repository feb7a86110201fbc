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
from agenthost.core.keeping import UsageFilter
from agenthost.core.lifecycle import LIFECYCLE
from agenthost.core.ports import Append, Filter, InboxItem, LedgerEntry, Settlement
from agenthost.core.tasks import Scope
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_erasure import MemoryErasure
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.sqlite import SQLiteStore
from agenthost.stores.sqlite.erasure import SQLiteErasure
from agenthost.stores.sqlite.keeping import SQLiteKeeping
from agenthost.testing.stores import event, new_task

TASKS = ("t1", "t1.a", "t1.a.b", "t2", "t10")
ENDED = ("e1", "e2")
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

        async def make() -> tuple[SQLiteStore, MemoryStore]:
            stores = SQLiteStore(Path(self.folder.name) / "a.db"), MemoryStore()
            for store in stores:
                await store.open()
            return stores

        self.stores = sqlite, memory = self.loop.run_until_complete(make())
        self.keepers = SQLiteKeeping(sqlite), MemoryKeeping(memory)
        accounts = MemoryAccounts(memory)
        others = MemoryPushes(), MemoryWebhooks(memory), MemoryShelf()
        self.erasers = SQLiteErasure(sqlite), MemoryErasure(memory, accounts, *others, self.keepers[1])

    def teardown(self) -> None:
        async def end() -> None:
            for store in self.stores:
                await store.close()

        self.loop.run_until_complete(end())
        self.loop.close()
        self.folder.cleanup()

    def both(self, method: str, *arguments: Any) -> Any:
        return self.alike(self.stores, method, *arguments)

    def alike(self, twins: tuple[Any, Any], method: str, *arguments: Any) -> Any:
        async def outcome(twin: Any) -> Any:
            try:
                return await getattr(twin, method)(*arguments)
            except (AgentHostError, ValueError) as error:
                return type(error), str(error)

        sqlite, memory = (self.loop.run_until_complete(outcome(twin)) for twin in twins)
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
        day=st.integers(0, 2),
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
        day: int,
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
                LedgerEntry(id, command, attempt, "a", "m", day * 86_400.0 + 5, worst, scopes, priced=day > 0)
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
            order=st.sampled_from(("created", "updated")),
            before_change=times,
            changed_since=times,
        )
    )
    def listing(self, wanted: Filter) -> None:
        self.both("tasks", wanted)
        self.both("count_tasks", wanted)

    @rule(id=st.sampled_from(ENDED), day=st.integers(0, 2), worst=spends, spent=spends, person=owners)
    def work_and_end(self, id: str, day: int, worst: Spend, spent: Spend, person: str) -> None:
        """A whole task at once, of whose two attempts one is never settled."""
        made = self.both("create", new_task(id, owner="x", epoch=1))
        if made is True:
            at = day * 86_400.0 + 5
            open, done = (LedgerEntry(id, name, 1, "a", "m", at, worst, person=person) for name in ("m1", "m2"))
            settled = (Settlement("m2", 1, spent, "n"),)
            self.both("append", Append(id, 1, (event(2),), "completed", 5.0, reserve=(open, done), settle=settled))

    @rule(root=st.sampled_from(("t1", "t2", *ENDED)), forgotten=st.booleans())
    def erase(self, root: str, forgotten: bool) -> None:
        asked = UsageFilter(by=("agent", "model", "day"))
        before = self.alike(self.keepers, "usage", asked)
        if self.alike(self.erasers, "begin", root, set()) is None:
            self.alike(self.erasers, "erase", root)
        # A person is forgotten once nothing is left of their tasks.
        if forgotten and not any(self.both("ledger", root) for root in ENDED):
            self.alike(self.erasers, "forget_person", "default", "x")
        assert self.alike(self.keepers, "usage", asked) == before

    @invariant()
    def holds_the_same(self) -> None:
        for task in (*TASKS, *ENDED):
            for read in ("task", "events", "inbox", "ledger", "spent"):
                self.both(read, task)
        for workspace in ("w1", "w2", "t1", "t2"):
            self.both("files", workspace)
        for since, until in ((0.0, 0.0), (86_400.0, 2 * 86_400.0), (1.0, 86_400.0 + 6)):
            for by in ((), ("task",), ("person", "model", "day")):
                self.alike(self.keepers, "usage", UsageFilter(by=by, since=since, until=until))


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
