"""Worlds that crash: at any commit and at any effect outside, before it and after it.

A crash freezes the life that it happens in (nothing of it reaches the store or the outside any more),
drops its engine, and starts a new one on what the store holds.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from bundles import SPECS

from agenthost.core.commands import Ask, CallTool
from agenthost.core.errors import Temporary
from agenthost.core.events import (
    Answered,
    Asked,
    Claimed,
    Created,
    Finished,
    Paused,
    Recorded,
    Reply,
    decode_event,
)
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.ports import InboxItem, Program
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult, text_result
from agenthost.engine.engine import Engine
from agenthost.host.replaying.comparing import replay
from agenthost.programs.base import doubt_id
from agenthost.stores.memory import MemoryStore
from agenthost.testing.world import PlayedTool, PlayedTools, World

WRITES = frozenset({"create", "claim", "heartbeat", "retire", "append", "put", "hold"})
READS = frozenset({"claimable", "inbox", "task", "tasks", "events", "files", "ledger", "spent"})


class Life:
    """One life of the host: from a start to a crash."""

    def __init__(self, crash_at: int | None) -> None:
        self.crash_at = crash_at
        self.points = 0
        self.crashed = asyncio.Event()

    async def point(self) -> None:
        """A place where the host may die."""
        if not self.crashed.is_set():
            self.points += 1
            if self.points == self.crash_at:
                self.crashed.set()
        if self.crashed.is_set():
            await asyncio.Event().wait()


class MortalStore:
    """The store as one life sees it."""

    def __init__(self, store: MemoryStore, life: Life, committed: Callable[[str, Any], None]) -> None:
        self._store = store
        self._life = life
        self._committed = committed

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **more: Any) -> Any:
            if name in READS:
                if self._life.crashed.is_set():
                    await self._life.point()
                return await method(*args, **more)
            await self._life.point()
            result = await method(*args, **more)
            self._committed(name, args[0])
            await self._life.point()
            return result

        return call


class WatchedProgram:
    """A program that notes the state after each event that is applied by the living."""

    def __init__(self, program: Program[Any], note: Callable[[Recorded, bytes], None]) -> None:
        self._program = program
        self._note = note
        self.initial = program.initial
        self.render = program.render
        self.bind = program.bind

    def apply(self, state: Any, recorded: Recorded) -> Any:
        state = self._program.apply(state, recorded)
        self._note(recorded, msgspec.json.encode(state))
        return state

    def decide(self, state: Any) -> Any:
        before = msgspec.json.encode(state)
        decided = self._program.decide(state)
        assert msgspec.json.encode(state) == before, "a decision changed the state"
        return decided


class Mortal:
    """A world with lives. `person` says what to answer to a question; `checked`: what `pay` remembers:
    "all" (it can always tell), "some" (only what happened), "none"."""

    def __init__(self, world: World, seed: int = 0, checked: str = "all") -> None:
        self.world = world
        self.store = world.store
        assert isinstance(self.store, MemoryStore)
        self.random = random.Random(seed)
        self.checked = checked
        self.life = Life(None)
        self.effects: list[tuple[str, str]] = []
        self.calls: list[tuple[str, ModelAnswer | None]] = []
        self.latest: dict[str, tuple[int, bytes]] = {}
        self.seen: dict[tuple[str, int], bytes] = {}
        self.commits = 0
        self.cancels: list[tuple[int, str]] = []
        self.pauses: list[int] = []
        self.lives = 0
        self.person: Callable[[Ask], str] = self._answer
        self.trouble = 0.0
        self._players = dict(world.models.players)
        world.models.players = {name: self._model(name) for name in self._players}
        world.tools = PlayedTools([PlayedTool(spec, self._tool(name), self._check) for name, spec in SPECS.items()])
        world.programs.program = self._program  # type: ignore[method-assign]
        shell = world.shell
        world.shell = lambda line, content: self._shell(shell, line, content)

    # --- what is outside ------------------------------------------------------------------------

    def _model(self, name: str) -> Callable[[ModelRequest], Any]:
        async def answer(request: ModelRequest) -> ModelAnswer:
            task, command, attempt = request.key.split("/")
            for event in self.journal(task):
                assert not (isinstance(event, Answered) and event.command == command), "an answered call is made again"
            await self.life.point()
            await asyncio.sleep(0.05)
            if self.random.random() < self.trouble:
                raise Temporary("busy", code="overloaded", sent=self.random.random() < 0.5)
            result = self._players[name](request)
            self.calls.append((request.key, result))
            await self.life.point()
            return result

        return answer

    def _tool(self, name: str) -> Callable[[dict[str, Any], Any], Any]:
        async def act(arguments: dict[str, Any], context: Any) -> ToolResult:
            await self.life.point()
            await asyncio.sleep(0.02)
            self._happen(name, context.key)
            if name == "write":
                await context.workspace.write(str(arguments.get("path", "f")), str(arguments).encode())
            await self.life.point()
            await asyncio.sleep(0.02)
            return text_result(f"{name}: {arguments}")

        return act

    def happened(self, name: str) -> int:
        """How many times a tool's effect happened."""
        return sum(1 for other, _ in self.effects if other == name)

    def _happen(self, name: str, key: str) -> None:
        spec = SPECS[name]
        if not spec.repeatable:
            task, _, command = key.rpartition("/")
            base, _, number = command.partition("~")
            for other, before in self.effects:
                if other == name and before.rpartition("/")[0] == task and _base(before) == base:
                    assert number, f"{name} {key} happened twice"
                    asked = base if int(number) == 2 else f"{base}~{int(number) - 1}"
                    replies = [
                        e for e in self.journal(task) if isinstance(e, Answered) and e.command == doubt_id(asked)
                    ]
                    assert any(isinstance(e.answer, Reply) and e.answer.text == "run it again" for e in replies)
                    assert before != key
        self.effects.append((name, key))

    def _check(self, key: str) -> ToolResult | None:
        happened = any(key == other and name == "pay" for name, other in self.effects)
        asked = [e.command for e in self.journal(key.rpartition("/")[0]) if isinstance(e, Asked)]
        command = next(c for c in asked if c.id == key.rpartition("/")[2])
        if not isinstance(command, CallTool) or command.tool != "pay" or self.checked == "none":
            return None
        if happened:
            return text_result("it was paid")
        if self.checked == "all":
            raise KeyError(key)
        return None

    async def _shell(self, shell: Callable[..., Any], line: str, content: dict[str, bytes]) -> int:
        await self.life.point()
        await asyncio.sleep(0.02)
        code = shell(line, content)
        await self.life.point()
        return code

    async def _program(self, spec: TaskSpec) -> Any:
        def note(recorded: Recorded, state: bytes) -> None:
            if not self.life.crashed.is_set():
                self.latest[recorded.task] = (recorded.seq, state)

        return WatchedProgram(self.world.programs._programs[spec.kind], note)  # pyright: ignore[reportPrivateUsage]

    def _answer(self, ask: Ask) -> str:
        return self.random.choice(ask.options) if ask.options else "yes"

    # --- lives ----------------------------------------------------------------------------------

    def journal(self, task: str) -> list[Any]:
        """The events of a task as the store holds them."""
        kept = self.store.snapshot().events.get(task, [])
        return [decode_event(event.kind, event.version, event.body) for event in kept]

    def _saw(self, write: str, what: Any) -> None:
        self.commits += 1
        if write == "append" and what.events:
            seq, state = self.latest[what.task]
            assert seq == what.events[-1].seq
            self.seen[what.task, seq] = state

    async def live(self, specs: list[TaskSpec], crash_at: int | None, first: bool = False) -> bool:
        """One life; whether it came to its end without a crash."""
        life = self.life = Life(crash_at)
        self.lives += 1
        engine = self.world.engine(f"e{id(life)}", MortalStore(self.store, life, self._saw))  # type: ignore[arg-type]
        work = engine.services.supervisor.start("life", self._work(engine, specs))
        crash = engine.services.supervisor.start("crash", life.crashed.wait())
        try:
            await asyncio.wait({work, crash}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            over = work.done()
            if over:
                life.crash_at = None
                await work
                await engine.close()
            else:
                await engine.services.supervisor.close()
        return over

    async def _work(self, engine: Engine, specs: list[TaskSpec]) -> None:
        await engine.start(alone=True)
        for spec in specs:
            await engine.create(spec)
        while not self._over(specs):
            for task, row in self.store.snapshot().tasks.items():
                assert row.hold != "dead-letter", f"{task} is held: {row.reason}"
                if row.state in ("input-required", "auth-required"):
                    await self._reply(engine, task)
            for at, task in self.cancels:
                if self.commits >= at:
                    await engine.put(InboxItem(task, "cancel:test", "cancel", b'{"by":"owner"}', self.world.clock()))
            await self._pause_and_resume(engine)
            await asyncio.sleep(0.1)
        while engine.working():
            await asyncio.sleep(0.1)

    async def _pause_and_resume(self, engine: Engine) -> None:
        """Have everything rest once enough was committed, and go on once nothing of it goes on any more."""
        rows = [row for row in self.store.snapshot().tasks.values() if row.state not in FINAL]
        held = {row.id for row in rows if row.hold}
        # A death came while they were being told to go on: whoever got no answer says it again.
        left = [row.id for row in rows if row.hold and row.parent and row.parent not in held]
        if held:
            if not engine.working():
                assert self.lives > 1 or all(self._at_rest(row.id) for row in rows)
                await self._tell(engine, "resume", "", sorted(held))
            elif left:
                assert self.lives > 1
                await self._tell(engine, "resume", "", left)
        elif self.pauses and self.commits >= self.pauses[0]:
            self.pauses.pop(0)
            await self._tell(engine, "pause", "paused", [row.id for row in rows])

    def _at_rest(self, task: str) -> bool:
        events = [event for event in self.journal(task) if not isinstance(event, Claimed)]
        return isinstance(events[-1], Paused | Created | Finished)

    async def _tell(self, engine: Engine, kind: str, hold: str, tasks: list[str]) -> None:
        store = engine._parts.store  # pyright: ignore[reportPrivateUsage]
        for task in tasks:
            item = InboxItem(task, f"{kind}:{self.commits}", kind, b'{"by":"owner"}', self.world.clock())
            if hold:
                await store.hold(task, hold, "by a person")
            await engine.put(item)
            if not hold:
                await store.hold(task, "", "")
                engine.submit(task)

    async def _reply(self, engine: Engine, task: str) -> None:
        events = self.journal(task)
        answered = {event.command for event in events if isinstance(event, Answered)}
        for event in events:
            if isinstance(event, Asked) and isinstance(event.command, Ask) and event.command.id not in answered:
                body = msgspec.json.encode({"question": event.command.id, "text": self.person(event.command)})
                item = InboxItem(task, f"reply:{event.command.id}", "reply", body, self.world.clock())
                await engine.put(item)

    def _over(self, specs: list[TaskSpec]) -> bool:
        rows = self.store.snapshot().tasks
        return all(spec.id in rows for spec in specs) and all(row.state in FINAL for row in rows.values())

    # --- what must be true at the end -------------------------------------------------------------

    def verify(self) -> None:
        """Everything that the crash rule promises."""
        # What is asserted in a tool or a model is a fault of that command; the log has it.
        faults = [values["error"] for _, event, values in self.world.log.lines if event in ("fault", "task held")]
        assert not faults, faults
        tables = self.store.snapshot()
        for task, row in tables.tasks.items():
            stored = tables.events[task]
            assert row.state in FINAL and not row.owner
            assert [event.seq for event in stored] == list(range(1, row.seq + 1))
            events = [Recorded(task, e.seq, e.at, decode_event(e.kind, e.version, e.body)) for e in stored]
            assert isinstance(events[0].event, Created) and isinstance(events[-1].event, Finished)
            assert sum(isinstance(event.event, Finished) for event in events) == 1
            self._verify_states(events)
            answered = Counter(e.event.command for e in events if isinstance(e.event, Answered))
            assert all(count == 1 for count in answered.values())
        self._verify_ledger()

    def _verify_states(self, events: list[Recorded]) -> None:
        assert isinstance(events[0].event, Created)
        spec = events[0].event.spec
        program = self.world.programs._programs[spec.kind]  # pyright: ignore[reportPrivateUsage]
        state = program.initial(spec)
        for recorded in events:
            state = program.apply(state, recorded)
            seen = self.seen.get((recorded.task, recorded.seq))
            assert seen is None or seen == msgspec.json.encode(state), f"{recorded.task} differs at {recorded.seq}"
        report = replay(program, spec, events)
        assert report.agrees, report

    def _verify_ledger(self) -> None:
        tables = self.store.snapshot()
        answers = {key: answer for key, answer in self.calls if answer is not None}
        totals: Counter[str] = Counter()
        for (task, command, attempt), entry in tables.ledger.items():
            key = f"{task}/{command}/{attempt}"
            counts = entry.spent if entry.settled else entry.worst
            assert counts is not None
            done = any(isinstance(e, Answered) and e.command == command and e.answer for e in self.journal(task))
            last = max(a for t, c, a in tables.ledger if (t, c) == (task, command))
            if done and attempt == last:
                assert entry.settled and counts.tokens == answers[key].usage.total, f"{key} is not settled"
            for scope in entry.scopes:
                totals[scope.task] += counts.tokens
        for account, (_, tokens, _, _) in tables.accounts.items():
            assert totals[account] == tokens, f"the account of {account} is not the sum of its ledger"


def _base(key: str) -> str:
    return key.rpartition("/")[2].partition("~")[0]


async def survive(make: Callable[[], Any], specs: list[TaskSpec], crashes: list[int]) -> Mortal:
    """Live through `crashes` (the point of each life at which it ends), then to the end; verify."""
    mortal: Mortal = await make()
    for crash_at in crashes:
        if await mortal.live(specs, crash_at):
            break
    else:
        assert await mortal.live(specs, None)
    mortal.verify()
    return mortal
