"""Answers made in the background, wherever the host dies: none is paid for twice that the journal knows of."""

import asyncio
from typing import Any

import pytest
from bundles import SPECS, agent, ended, plan, turns, until, verdict, world_of
from crashes import Mortal, survive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.budgets import Limits
from agenthost.core.errors import NotFound, Permanent, Temporary
from agenthost.core.events import Answered, Begun, Retried
from agenthost.core.models import ModelAnswer, ModelCard, ModelRequest
from agenthost.core.parts import TextPart
from agenthost.core.ports import InboxItem
from agenthost.core.tools import ToolResult
from agenthost.testing.loops import fast
from agenthost.testing.world import PlayedModels, PlayedTool, PlayedTools, World, order, says

CARD = ModelCard("m", input_price=1.0, output_price=2.0, background=True)


class Provider:
    """Makes answers whether anybody waits or not. `lose`: handles that it forgets; `made` is by handle: the call's key
    and the answer."""

    def __init__(self, play: Any, point: Any = None, lose: int = 0, trouble: Any = None) -> None:
        self.card = CARD
        self.made: dict[str, tuple[str, ModelAnswer]] = {}
        self.cancelled: list[str] = []
        self.looks = 0
        self._play = play
        self._point = point
        self._lose = lose
        self._trouble = trouble

    async def point(self) -> None:
        if self._point is not None:
            await self._point()

    async def answer(self, request: ModelRequest, tell: Any) -> ModelAnswer:
        raise AssertionError("it answers in the background only")

    async def begin(self, request: ModelRequest) -> str:
        await self.point()
        handle = f"h{len(self.made) + 1}"
        self.made[handle] = (request.key, self._play(request))
        await self.point()
        return handle

    async def resume(self, handle: str, request: ModelRequest, tell: Any) -> ModelAnswer:
        await self.point()
        self.looks += 1
        await asyncio.sleep(0.5)
        if self._lose and int(handle[1:]) <= self._lose:
            raise Permanent("it is gone", code="gone")
        if self._trouble is not None and (error := self._trouble()) is not None:
            raise error
        await self.point()
        return self.made[handle][1]

    async def cancel(self, handle: str) -> None:
        await self.point()
        self.cancelled.append(handle)


class Providers(PlayedModels):
    """Every model is of one provider."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider

    async def model(self, name: str) -> Any:
        if name not in ("m", "n"):
            raise NotFound(f"there is no model '{name}'")
        return self.provider


def begun(world: World, task: str = "t1") -> list[Begun]:
    return [event for event in world.events(task) if isinstance(event, Begun)]


async def world_with(provider: Provider, **spec: Any) -> World:
    world = await world_of(agent("a", **spec))
    world.models = Providers(provider)
    return world


def test_the_handle_is_journalled_before_the_answer_is_waited_for_and_paid_once() -> None:
    async def go() -> None:
        world = await world_with(provider := Provider(plan(says("", ("look", {})))), tools=("look",))
        from test_engine import tools

        tools(world)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await ended(world, "t1")
        assert [(one.handle, one.attempt, one.model) for one in begun(world)] == [("h1", 1, "m"), ("h2", 1, "m")]
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.settled, e.spent.tokens if e.spent else 0) for e in entries] == [(1, True, 20)] * 2
        assert not provider.cancelled
        await engine.close()

    fast(go())


def test_a_look_that_fails_is_made_again_under_the_same_attempt_and_a_failed_answer_is_made_anew() -> None:
    errors = [Temporary("busy", sent=False), Temporary("busy", sent=False), Temporary("failed", sent=True)]

    async def go() -> None:
        provider = Provider(plan(), trouble=lambda: errors.pop(0) if errors else None)
        world = await world_with(provider)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert [one.handle for one in begun(world)] == ["h1", "h2"]
        assert [event.attempt for event in world.events("t1") if isinstance(event, Retried)] == [1, 1, 2]
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.settled) for e in entries] == [(1, False), (2, True)]
        await engine.close()

    fast(go())


def test_an_answer_that_the_provider_lost_is_made_again_and_the_lost_one_stays_in_the_ledger() -> None:
    async def go() -> None:
        world = await world_with(Provider(plan(), lose=1))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert [(one.handle, one.attempt) for one in begun(world)] == [("h1", 1), ("h2", 2)]
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.settled) for e in entries] == [(1, False), (2, True)]
        await engine.close()

    fast(go())


def test_one_that_is_given_up_is_cancelled_and_never_called_free() -> None:
    async def go() -> None:
        provider = Provider(plan(), trouble=lambda: Temporary("out of reach", sent=False))
        world = await world_with(provider)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome != "done"
        assert provider.cancelled == ["h1"]
        assert [(e.attempt, e.settled) for e in await world.store.ledger("t1")] == [(1, False)]
        await engine.close()

    fast(go())


def test_a_cancelled_task_cancels_what_it_began_and_a_host_that_stops_does_not() -> None:
    async def go() -> None:
        world = await world_with(provider := Provider(plan()))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: bool(provider.looks))
        await engine.close()
        assert not provider.cancelled
        engine = world.engine("e2")
        await engine.start(alone=True)
        await until(lambda: provider.looks == 2)
        await engine.put(InboxItem("t1", "cancel:x", "cancel", b'{"by":"owner"}', 0.0))
        await ended(world, "t1")
        assert provider.cancelled == ["h1"] and len(provider.made) == 1
        await engine.close()

    fast(go())


@pytest.mark.parametrize("way", ["cancel", "close"])
def test_one_whose_handle_is_on_the_way_when_its_task_is_cancelled_is_cancelled_too(way: str) -> None:
    """And a host that stops then begins it anew: what it lost stays in the ledger."""

    async def go() -> None:
        world = await world_with(provider := Provider(plan()))
        begin = provider.begin

        async def slowly(request: ModelRequest) -> str:
            handle = await begin(request)
            await asyncio.sleep(0.4)
            return handle

        provider.begin = slowly
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: bool(provider.made))
        if way == "close":
            await engine.close()
            assert not provider.cancelled and not begun(world)
            engine = world.engine("e2")
            await engine.start(alone=True)
            assert (await verdict(world, engine, "t1")).outcome == "done"
            assert [(e.attempt, e.settled) for e in await world.store.ledger("t1")] == [(1, False), (2, True)]
        else:
            await engine.put(InboxItem("t1", "cancel:x", "cancel", b'{"by":"owner"}', 0.0))
            await ended(world, "t1")
            assert provider.cancelled == ["h1"] and [one.handle for one in begun(world)] == ["h1"]
        await engine.close()

    fast(go())


def test_a_model_that_no_longer_answers_in_the_background_is_called_again() -> None:
    async def go() -> None:
        world = await world_with(provider := Provider(plan()))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: bool(provider.looks))
        await engine.close()
        world.models = PlayedModels({"m": plan()})
        engine = world.engine("e2")
        await engine.start(alone=True)
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert [(e.attempt, e.settled) for e in await world.store.ledger("t1")] == [(1, False), (2, True)]
        await engine.close()

    fast(go())


# --- crashes ------------------------------------------------------------------------------------------


class Resumed(Mortal):
    """A world with lives whose model answers in the background."""

    def __init__(self, world: World, play: Any, seed: int = 0, lose: int = 0) -> None:
        super().__init__(world, seed)
        self.provider = Provider(play, lambda: self.life.point(), lose, self._trouble)
        world.models = Providers(self.provider)
        self.lives = 0

    def _trouble(self) -> Temporary | None:
        if self.random.random() < self.trouble:
            return Temporary("busy", code="overloaded", sent=self.random.random() < 0.3)
        return None

    async def live(self, *given: Any, **more: Any) -> bool:
        self.lives += 1
        return await super().live(*given, **more)

    def verify(self) -> None:
        self.calls = list(self.provider.made.values())
        super().verify()
        known: set[str] = set()
        for task in self.store.snapshot().tasks:
            open_: dict[str, Begun] = {}
            for event in self.journal(task):
                if isinstance(event, Begun):
                    assert event.command not in open_, "begun again while an answer was being made"
                    open_[event.command] = event
                    known.add(event.handle)
                    assert self.provider.made[event.handle][0] == f"{task}/{event.command}/{event.attempt}"
                elif isinstance(event, Retried) and event.command in open_:
                    if event.attempt != open_[event.command].attempt:
                        assert event.failure.code != "owner-lost", "a crash alone made it be called again"
                        del open_[event.command]
                elif isinstance(event, Answered) and event.command in open_ and event.answer is not None:
                    assert event.answer == self.provider.made[open_[event.command].handle][1]
        # What the journal doesn't know was begun in a life that ended before it could write it down.
        assert len(self.provider.made) - len(known) <= (self.lives - 1) * 2
        keys = [key for key, _ in self.provider.made.values()]
        assert len(set(keys)) == len(keys), "one attempt was begun twice"
        ledger = {f"{t}/{c}/{a}" for t, c, a in self.store.snapshot().ledger}
        assert set(keys) <= ledger, "the provider made an answer that the ledger doesn't know"


async def _worker(**more: Any) -> Resumed:
    world = await world_of(agent("a", tools=("look", "send", "pay", "write")))
    calls = says("", ("look", {}), ("send", {"n": 1}), ("pay", {"n": 2}), ("write", {"path": "f"}))
    mortal = Resumed(world, plan(calls, says("", ("look", {}))), **more)
    mortal.person = lambda ask: "run it again"
    return mortal


def test_every_crash_point_around_a_background_answer_is_survived() -> None:
    specs = [order("t1", "a")]
    points = fast(survive(_worker, specs, [])).life.points
    assert points > 30
    for point in range(1, points + 1):
        fast(survive(_worker, specs, [point]))


@pytest.mark.parametrize("every", [4, 9])
def test_a_host_that_dies_again_and_again_pays_for_no_answer_that_it_knows_of_twice(every: int) -> None:
    fast(survive(_worker, [order("t1", "a")], [every + 5 * life for life in range(12)]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    crashes=st.lists(st.integers(1, 60), max_size=5),
    cancel=st.none() | st.integers(1, 30),
    trouble=st.sampled_from([0.0, 0.3]),
    lose=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
def test_background_answers_keep_the_rule_wherever_the_host_dies(
    crashes: list[int], cancel: int | None, trouble: float, lose: int, seed: int
) -> None:
    async def make() -> Resumed:
        mortal = await _worker(seed=seed, lose=lose)
        mortal.trouble = trouble
        mortal.cancels = [(cancel, "t1")] if cancel else []
        return mortal

    fast(survive(make, [order("t1", "a")], crashes))


def test_a_crash_before_the_handle_is_written_down_leaves_one_answer_to_nobody_and_counts_it() -> None:
    specs = [order("t1", "a")]
    points = fast(survive(_worker, specs, [])).life.points
    orphans = 0
    for point in range(1, points + 1):
        mortal = fast(survive(_worker, specs, [point]))
        entries = mortal.store.snapshot().ledger.values()
        unsettled = [entry for entry in entries if not entry.settled]
        made = len(mortal.provider.made)
        assert made - sum(entry.settled for entry in entries) <= len(unsettled)
        orphans += made > 3
    assert orphans, "no crash fell between the beginning and its commit"


# --- tools that cost money ----------------------------------------------------------------------------


async def paying(limits: Limits | None, cost: float | None, spent: float | None) -> tuple[World, list[Any], str]:
    """A task whose agent calls a tool that may cost `cost` and did cost `spent`: the ledger's entries of the tool,
    and what the model was told."""
    world = await world_of(agent("a", tools=("send",)))
    told: list[str] = []

    def play(request: ModelRequest) -> ModelAnswer:
        told.extend(turn.text for turn in request.turns if turn.role == "tool")
        return says("", ("send", {})) if turns(request) == 0 else says("done")

    async def send(arguments: dict[str, Any], context: Any) -> ToolResult:
        await context.reserve("p:draw", cost, 5)
        return ToolResult((TextPart("drawn"),), tokens=3, cost=spent)

    world.models.players["m"] = play
    world.tools = PlayedTools([PlayedTool(SPECS["send"], send)])
    engine = world.engine()
    await engine.start(alone=True)
    await engine.create(order("t1", "a", limits=limits))
    await verdict(world, engine, "t1")
    await engine.close()
    return world, [one for one in await world.store.ledger("t1") if one.model == "p:draw"], "".join(told)


@pytest.mark.parametrize(("spent", "counted"), [(0.02, 0.02), (None, 0.3)])
def test_a_paid_tool_is_reserved_at_its_worst_and_settled_at_what_it_says(spent: float | None, counted: float) -> None:
    async def go() -> None:
        world, entries, told = await paying(Limits(cost=1.0), 0.3, spent)
        assert told == "drawn"
        (entry,) = entries
        assert (entry.worst.cost, entry.worst.tokens, entry.settled) == (0.3, 5, spent is not None)
        models = sum(e.spent.cost for e in await world.store.ledger("t1") if e.model != "p:draw" and e.spent)
        assert (await world.store.spent("t1")).cost == pytest.approx(counted + models)

    fast(go())


def test_a_paid_tool_that_no_budget_has_room_for_is_not_called_and_the_agent_hears_why() -> None:
    async def go() -> None:
        _, entries, told = await paying(Limits(cost=0.1), 0.3, 0.3)
        assert not entries
        assert "drawn" not in told and "0.3000 USD" in told

    fast(go())


def test_a_paid_tool_of_unknown_price_is_refused_where_money_is_bounded() -> None:
    async def go() -> None:
        _, entries, told = await paying(Limits(cost=1.0), None, 0.0)
        assert not entries and "the price of 'p:draw' is not known" in told and "drawn" not in told
        _, entries, told = await paying(None, None, 0.0)
        assert told == "drawn" and not entries[0].priced

    fast(go())
