"""One engine at work: slots, retries, budgets, fences, timers, endings."""

import asyncio
import gc
from typing import Any

import msgspec
import pytest
from bundles import SPECS, agent, ended, plan, turns, until, verdict, world_of

from agenthost.core.budgets import Limits, Spend
from agenthost.core.commands import Ask
from agenthost.core.errors import Permanent, Temporary
from agenthost.core.events import (
    Answered,
    Asked,
    Finished,
    Noted,
    Reply,
    Retried,
    RunResult,
    ScriptRequest,
    Started,
    Value,
)
from agenthost.core.models import ModelAnswer, ModelCard, ModelRequest, Usage
from agenthost.core.parts import text_message, text_of
from agenthost.core.ports import Append, InboxItem, NewTask, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.core.tools import ToolResult, text_result
from agenthost.engine.owner import Owner
from agenthost.stores.memory import MemoryStore
from agenthost.testing.loops import fast
from agenthost.testing.world import PlayedTool, PlayedTools, World, order, says


def tools(world: World, **acts: Any) -> None:
    """Give a world its tools, each played by `acts` or answering with its name."""
    world.tools = PlayedTools(
        [PlayedTool(spec, acts.get(name, lambda arguments, context, name=name: name)) for name, spec in SPECS.items()]
    )


async def hang(*_: Any) -> Any:
    await asyncio.Event().wait()


def item(task: str, id: str, kind: str, **values: str) -> InboxItem:
    return InboxItem(task, id, kind, msgspec.json.encode(values), 0.0)


# --- slots ------------------------------------------------------------------------------------------


def fan(items: list[int]) -> dict[str, Any]:
    """A workflow with a run of the role for each item."""
    each = {"id": "each", "role": "coder", "prompt": "{{ item }}", "foreach": str(items)}
    return {"roles": {"coder": {"agent": "a"}}, "steps": [each]}


class Busy:
    """Counts how many model calls of 200 ms go on at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, request: Any) -> ModelAnswer:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.2)
        self.now -= 1
        return says("done")


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_as_many_runs_of_a_role_go_on_at_once_as_it_has_replicas(replicas: int) -> None:
    async def go() -> None:
        world = await world_of(agent("a"), flows={"w": fan(list(range(8)))})
        busy = world.models.players["m"] = Busy()
        world.programs.counts["w/coder"] = replicas
        engine = world.engine()
        await engine.start(alone=True)
        for task in ("t1", "t2"):
            await engine.create(order(task, "w", "workflow"))
        began = world.clock()
        await ended(world, "t1", "t2")
        assert busy.most == replicas
        assert world.clock() - began == pytest.approx(16 * 0.2 / replicas, abs=0.2)
        assert not engine.slots.counts() or all(taken == 0 for taken, _, _ in engine.slots.counts().values())
        await engine.close()

    fast(go())


def test_more_replicas_count_at_once_and_fewer_as_runs_end() -> None:
    async def go() -> None:
        world = await world_of(agent("a"), flows={"w": fan(list(range(60)))})
        busy = world.models.players["m"] = Busy()
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        await asyncio.sleep(1.05)
        assert busy.most == 1
        assert engine.slots.counts()["default:w/coder"][0] == 1
        world.programs.counts["w/coder"] = 3
        engine.slots.review()
        await asyncio.sleep(1)
        assert busy.most == 3
        world.programs.counts["w/coder"] = 2
        engine.slots.review()
        await asyncio.sleep(0.3)
        busy.most = 0
        await asyncio.sleep(1)
        assert busy.most == 2
        await ended(world, "t1")
        await engine.close()

    fast(go())


def test_whoever_waits_for_a_person_has_no_slot_and_goes_on_with_one() -> None:
    asked: list[str] = []

    def play(request: ModelRequest) -> ModelAnswer:
        if turns(request) == 0 and not asked:
            asked.append("once")
            return says("", ("ask_person", {"question": "which?"}))
        return says("done")

    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",)), flows={"w": fan([1, 2, 3])})
        world.models.players["m"] = play
        world.programs.counts["w/coder"] = 1
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        # The two others go on, one after the other, while the first waits.
        done = await until(lambda: [each.task for each in world.recorded if isinstance(each.event, Finished)][1:])
        assert "t1" not in done
        children = [f"t1.each-1-{number}" for number in range(3)]
        rows = {child: await world.store.task(child) for child in children}
        (waiting,) = [child for child, row in rows.items() if row is not None and row.state == "input-required"]
        assert all(taken == 0 for key, (taken, _, _) in engine.slots.counts().items() if key.endswith("coder"))
        await engine.put(item(waiting, "r", "reply", question="m1-0", text="this"))
        assert (await ended(world, "t1"))["t1"].verdict.outcome == "done"
        assert all(taken == 0 for taken, _, _ in engine.slots.counts().values())
        await engine.close()

    fast(go())


def test_a_workflow_whose_runs_all_wait_for_people_has_no_place_and_gets_one_before_they_go_on() -> None:
    asked: list[str] = []
    running: list[str] = []

    async def play(request: ModelRequest) -> ModelAnswer:
        task = request.metadata["task"]
        if turns(request) == 0 and task.startswith("t1"):
            asked.append(task)
            return says("", ("ask_person", {"question": "which?"}))
        running.append(task)
        await asyncio.sleep(100)
        running.remove(task)
        return says("done")

    async def go() -> None:
        deep = {"roles": {}, "steps": [{"id": "inner", "workflow": "w"}]}
        world = await world_of(
            agent("a", tools=("ask",), budget={"duration": "1d"}), flows={"w": fan([1, 2]), "d": deep}
        )
        world.models.players["m"] = play
        world.programs.counts["w/coder"] = 2
        world.settings = msgspec.structs.replace(world.settings, tasks=1)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "d", "workflow"))
        await engine.create(order("t2", "a"))
        # Both runs wait: the only place is free for the other.
        await until(lambda: len(asked) == 2 and running == ["t2"])
        for task in asked:
            await engine.put(item(task, "r", "reply", question="m1-0", text="this"))
        await asyncio.sleep(10)
        assert running == ["t2"], "what was answered waits for its root's place"
        await ended(world, "t2")
        await until(lambda: sorted(running) == sorted(asked))
        assert engine.slots.counts()[""][0] == 1
        assert (await ended(world, "t1"))["t1"].verdict.outcome == "done"
        await until(lambda: not engine.working())
        assert all(taken == 0 for taken, _, _ in engine.slots.counts().values())
        await engine.close()

    fast(go())


def test_whoever_was_answered_waits_for_a_slot_and_a_cancel_needs_none() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",)), flows={"w": fan([1, 2, 3])})
        answers = iter([says("", ("ask_person", {"question": "which?"}))] * 2)

        async def play(request: ModelRequest) -> ModelAnswer:
            if turns(request) == 0 and (answer := next(answers, None)) is not None:
                return answer
            return await hang() if turns(request) == 0 else says("done")

        world.models.players["m"] = play
        world.programs.counts["w/coder"] = 1
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        first, second = await until(
            lambda: (
                found
                if len(
                    found := [
                        each.task
                        for each in world.recorded
                        if isinstance(each.event, Asked) and isinstance(each.event.command, Ask)
                    ]
                )
                == 2
                else None
            )
        )
        # The third has the only slot, and keeps it.
        await until(lambda: engine.slots.counts().get("default:w/coder", (0,))[0] == 1)
        await engine.put(item(first, "r", "reply", question="m1-0", text="this"))
        await engine.put(item(second, "c", "cancel", by="owner", reason="enough"))
        await ended(world, second)
        assert (await ended(world, second))[second].verdict.outcome == "canceled"
        assert not any(isinstance(event, Finished) for event in world.events(first))
        assert engine.slots.counts()["default:w/coder"][:2] == (1, 1)
        await engine.close()

    fast(go())


def test_a_child_that_waits_for_a_slot_is_cancelled_without_one_and_calls_no_model() -> None:
    async def go() -> None:
        world = await world_of(agent("a"), flows={"w": fan([1, 2])})
        world.models.players["m"] = hang
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        await asyncio.sleep(1)
        waiting = next(task for task in engine.working() if "." in task and not world.events(task)[1:])
        # A message is for later; it gives no slot.
        await engine.put(InboxItem(waiting, "m", "message", msgspec.json.encode(text_message("person", "hi")), 0.0))
        await asyncio.sleep(1)
        assert not world.events(waiting)[1:]
        await engine.put(item(waiting, "c", "cancel"))
        await ended(world, waiting)
        assert not any(isinstance(event, Asked) for event in world.events(waiting))
        assert await world.store.ledger("t1") and all(e.task != waiting for e in await world.store.ledger("t1"))
        await engine.put(item("t1", "c", "cancel"))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        assert engine.working() == []
        await engine.close()

    fast(go())


def test_no_more_root_tasks_run_at_once_than_the_settings_say() -> None:
    async def go() -> None:
        world = await world_of()
        busy = world.models.players["m"] = Busy()
        world.settings = msgspec.structs.replace(world.settings, tasks=3)
        engine = world.engine()
        await engine.start(alone=True)
        names = [f"t{index}" for index in range(10)]
        for name in names:
            await engine.create(order(name, "a"))
        await ended(world, *names)
        assert busy.most == 3
        await engine.close()

    fast(go())


# --- cancel -----------------------------------------------------------------------------------------


def test_a_cancel_reaches_everything_below_and_names_what_may_have_happened() -> None:
    async def go() -> None:
        deep = agent("a", tools=("delegate:b", "send", "look"))
        world = await world_of(deep, agent("b", tools=("delegate:c",)), agent("c", tools=("pay",)))
        calls = {"a": ("send", "look", "delegate_to_b"), "b": ("delegate_to_c",), "c": ("pay",)}
        world.models.players["m"] = lambda r: says("", *[(name, {"task": "x"}) for name in calls[r.metadata["agent"]]])
        stopped: list[str] = []

        async def slow(arguments: Any, context: Any) -> str:
            try:
                return await hang()
            except asyncio.CancelledError:
                await asyncio.sleep(2)
                stopped.append(context.key)
                raise

        tools(world, send=slow, pay=slow, look=slow)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        deepest = "t1.m1-2.m1-0"
        await until(lambda: any(isinstance(event, Started) for event in world.events(deepest)))
        await engine.put(item("t1", "c", "cancel", by="me", reason="enough"))
        found = await ended(world, "t1")
        assert found["t1"].verdict.reason == "enough"
        assert found["t1"].uncertain == ("m1-0",)
        assert found[deepest].uncertain == ("m1-0",)
        assert sorted(stopped) == ["t1.m1-2.m1-0/m1-0", "t1/m1-0", "t1/m1-1"]
        order_of_ends = [r.task for r in world.recorded if isinstance(r.event, Finished)]
        assert order_of_ends == [deepest, "t1.m1-2", "t1"]
        await until(lambda: not engine.working())
        await engine.close()

    fast(go())


def test_an_answer_that_comes_while_the_task_is_stopped_is_written_down() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan(says("", ("send", {}), ("pay", {})))
        reached = asyncio.Event()

        async def sends(arguments: Any, context: Any) -> str:
            try:
                reached.set()
                return await hang()
            except asyncio.CancelledError:
                return "it was sent all the same"

        tools(world, send=sends, pay=hang)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await reached.wait()
        await engine.put(item("t1", "c", "cancel"))
        found = await ended(world, "t1")
        assert found["t1"].uncertain == ("m1-1",)
        told = [event.answer for event in world.events("t1") if isinstance(event, Answered) and event.command == "m1-0"]
        assert isinstance(told[0], ToolResult) and told[0].text == "it was sent all the same"
        await engine.close()

    fast(go())


def test_what_does_not_stop_within_the_grace_holds_nothing_up() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan(says("", ("send", {})))
        release = asyncio.Event()

        async def stubborn(arguments: Any, context: Any) -> str:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    pass
            return "late"

        tools(world, send=stubborn)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: any(isinstance(event, Started) for event in world.events("t1")))
        await engine.put(item("t1", "c", "cancel"))
        assert (await ended(world, "t1"))["t1"].uncertain == ("m1-0",)
        assert ("warning", "doesn't stop", {"what": "t1/m1-0"}) in world.log.lines
        release.set()
        await until(lambda: not engine.working())
        await engine.close()

    fast(go())


# --- retries and money ------------------------------------------------------------------------------


def flaky(*errors: Exception) -> Any:
    """A model that raises each of `errors`, once, and then answers."""
    left = list(errors)

    def play(request: Any) -> ModelAnswer:
        if left:
            raise left.pop(0)
        return says("done")

    return play


def test_a_call_that_was_not_sent_is_made_again_under_the_same_reservation() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = flaky(Temporary("slow down", delay=7.0), Temporary("busy"))
        engine = world.engine()
        follower = engine.services.bus.follow("t1")
        await engine.start(alone=True)
        began = world.clock()
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        retried = [event for event in world.events("t1") if isinstance(event, Retried)]
        assert [event.attempt for event in retried] == [1, 1]
        assert 7.0 <= retried[0].delay <= 7.0 + 0.05 and 0 <= retried[1].delay <= 1.0
        assert world.clock() - began >= 7.0 + retried[1].delay
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.settled, e.spent) for e in entries] == [(1, True, Spend(1, 20, 0.00003))]
        deltas = [one for one in follower.items if not hasattr(one, "event")]
        assert [(one.attempt, one.delta.reset) for one in deltas] == [(1, True), (1, True), (1, False)]  # type: ignore[union-attr]
        await engine.close()

    fast(go())


def test_a_call_that_may_have_been_charged_stays_at_its_worst_and_the_next_is_reserved_anew() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = flaky(Temporary("cut", sent=True))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await verdict(world, engine, "t1")
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.settled) for e in entries] == [(1, False), (2, True)]
        await engine.close()

    fast(go())


def test_attempts_are_bounded_then_the_fallback_is_called_and_nothing_is_charged_for_refusals() -> None:
    async def go() -> None:
        world = await world_of(agent("a", fallbacks=["n", "o"]))
        tried: list[str] = []

        def broken(request: Any) -> ModelAnswer:
            tried.append(request.model)
            if request.model == "m":
                raise Temporary("busy")
            raise Permanent("no key", code="auth")

        world.models.players |= {"m": broken, "n": broken, "o": plan()}
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(turns=1)))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert tried == ["m"] * world.settings.attempts + ["n"]
        entries = await world.store.ledger("t1")
        assert [(e.attempt, e.model, e.spent.tokens if e.spent else None) for e in entries] == [
            (1, "m", 0),
            (2, "n", 0),
            (3, "played", 20),
        ]
        await engine.close()

    fast(go())


def test_when_every_model_fails_the_failure_says_which_were_tried() -> None:
    async def go() -> None:
        world = await world_of(agent("a", fallbacks=["gone"]))
        world.models.players["m"] = flaky(Permanent("no key", code="auth"))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        found = await verdict(world, engine, "t1")
        assert "there is no model 'gone' (tried: m, gone)" in found.reason
        await engine.close()

    fast(go())


def test_a_request_that_is_wrong_is_wrong_for_every_model() -> None:
    async def go() -> None:
        world = await world_of(agent("a", fallbacks=["n"]))
        world.models.players |= {"m": flaky(Permanent("bad field", code="bad-request")), "n": plan()}
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        found = await verdict(world, engine, "t1")
        assert found.outcome != "done" and "bad field" in found.reason
        assert [e.spent for e in await world.store.ledger("t1")] == [Spend()]
        await engine.close()

    fast(go())


def test_a_provider_that_wants_too_long_a_wait_is_given_up_for_now_not_called_too_early() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = flaky(Temporary("tomorrow", delay=86_400))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert "tomorrow" in (await verdict(world, engine, "t1")).reason
        await engine.close()

    fast(go())


def test_a_retry_for_which_the_budget_has_no_room_is_not_made() -> None:
    async def go() -> None:
        world = await world_of()
        calls = 0

        def play(request: Any) -> ModelAnswer:
            nonlocal calls
            calls += 1
            raise Temporary("cut", sent=True)

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(turns=2)))
        found = await verdict(world, engine, "t1")
        assert calls == 2
        assert found.code == "budget" and "2 model turns" in found.reason
        assert await world.store.spent("t1") == Spend(2, *_rest(await world.store.spent("t1")))
        await engine.close()

    fast(go())


def _rest(spent: Spend) -> tuple[int, float]:
    return spent.tokens, spent.cost


def test_a_budget_is_read_live_and_refuses_before_the_call() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("look",)))
        called: list[int] = []

        def play(request: Any) -> ModelAnswer:
            called.append(turns(request))
            if len(called) == 2:
                world.programs.live["default/agent/a"] = Limits(turns=2)
            return says("", ("look", {}))

        world.models.players["m"] = play
        tools(world)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(turns=5)))
        assert (await verdict(world, engine, "t1")).code == "budget"
        assert called == [0, 1]
        await engine.close()

    fast(go())


def test_a_childs_calls_count_for_its_own_budget_and_for_those_above_it() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("delegate:b",)), agent("b", tools=("look",)))

        def play(request: Any) -> ModelAnswer:
            if request.metadata["agent"] == "b":
                return says("", ("look", {}))
            return says("", ("delegate_to_b", {"task": "x"})) if turns(request) == 0 else says("done")

        world.models.players["m"] = play
        tools(world)
        world.programs.live["default/agent/b"] = Limits(turns=50)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(turns=4)))
        assert (await verdict(world, engine, "t1")).code == "budget"
        child = await world.store.task("t1.m1-0")
        assert child is not None and "4 model turns" in child.reason and "t1" in child.reason
        assert (await world.store.spent("t1")).turns == 4 and (await world.store.spent("t1.m1-0")).turns == 3
        await engine.close()

    fast(go())


def test_money_budgets_need_a_price_and_models_without_one_are_refused() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan()
        world.models.cards["m"] = ModelCard("m")
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(cost=1.0)))
        found = await verdict(world, engine, "t1")
        assert found.code == "price-unknown" and "input_price" in found.reason
        assert await world.store.ledger("t1") == []
        await engine.create(order("t2", "a", limits=Limits(tokens=100_000)))
        assert (await verdict(world, engine, "t2")).outcome == "done"
        await engine.close()

    fast(go())


def test_an_answer_without_usage_counts_at_its_worst_case() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = lambda request: msgspec.structs.replace(says("done"), usage=Usage())
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(tokens=100_000)))
        await verdict(world, engine, "t1")
        entry = (await world.store.ledger("t1"))[0]
        assert not entry.settled and (await world.store.spent("t1")).tokens == entry.worst.tokens
        await engine.close()

    fast(go())


# --- fences -----------------------------------------------------------------------------------------


def test_a_tool_that_raises_what_nobody_expects_fails_its_call_and_no_task() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan(says("", ("look", {}), ("put", {}), ("nothing", {})))

        def raises(arguments: Any, context: Any) -> Any:
            raise ZeroDivisionError("oops")

        def refuses(arguments: Any, context: Any) -> Any:
            raise Permanent("not today", code="refused")

        tools(world, look=raises, put=refuses)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        failures = [event.failure for event in world.events("t1") if isinstance(event, Answered) and event.failure]
        assert [failure.code for failure in failures] == ["fault", "refused"]
        assert "ZeroDivisionError: oops" in failures[0].message
        await engine.close()

    fast(go())


class Raising:
    """A program that can't."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("a bug in the program")


def test_a_program_that_raises_holds_its_own_task_with_the_reason_and_no_other() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan()
        programs = world.programs.program

        async def program(spec: Any) -> Any:
            return Raising() if spec.id == "t1" else await programs(spec)

        world.programs.program = program  # type: ignore[method-assign]
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await engine.create(order("t2", "a"))
        assert (await verdict(world, engine, "t2")).outcome == "done"
        await until(lambda: not engine.working())
        row = await world.store.task("t1")
        assert row is not None and (row.hold, row.reason) == ("dead-letter", "RuntimeError: a bug in the program")
        # Held, it is left alone; once the hold is lifted, it goes on.
        engine.submit("t1")
        await until(lambda: not engine.working())
        world.programs.program = programs  # type: ignore[method-assign]
        await world.store.hold("t1", "", "")
        engine.submit("t1")
        assert (await verdict(world, engine, "t1")).outcome == "done"
        await engine.close()

    fast(go())


@pytest.mark.journals("a newer host wrote a part of it")
@pytest.mark.parametrize(("kind", "version", "body"), [("dream", 1, b"{}"), ("noted", 9, b"{}"), ("noted", 1, b"[]")])
def test_an_event_of_a_newer_host_holds_its_own_task(kind: str, version: int, body: bytes) -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = hang
        store = world.store
        assert isinstance(store, MemoryStore)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await asyncio.sleep(1)
        await engine.close()
        row = await store.task("t1")
        assert row is not None
        strange = StoredEvent(row.seq + 1, 0.0, kind, version, body)
        await store.append(Append("t1", row.epoch, (strange,), "working", 0.0))
        world.models.players["m"] = plan()
        other = world.engine("e2")
        await other.start(alone=True)
        await other.create(order("t2", "a"))
        assert (await verdict(world, other, "t2")).outcome == "done"
        await until(lambda: not other.working())
        held = await store.task("t1")
        assert held is not None and held.hold == "dead-letter" and "upgrade AgentHost" in held.reason
        await other.close()

    fast(go())


class FullDisk(MemoryStore):
    """A store that fails for a while."""

    full = False

    async def append(self, batch: Append) -> None:
        if self.full:
            raise Temporary("the disk is full", code="disk-full")
        await super().append(batch)

    async def inbox(self, task: str) -> list[InboxItem]:
        if self.full:
            raise Temporary("the disk is full", code="disk-full")
        return await super().inbox(task)

    async def claim(self, task: str, owner: str, now: float) -> Any:
        if self.full:
            raise Temporary("the disk is full", code="disk-full", delay=3.0)
        return await super().claim(task, owner, now)

    async def heartbeat(self, owner: str, until: float) -> None:
        if self.full:
            raise Temporary("the disk is full", code="disk-full")
        await super().heartbeat(owner, until)


def test_a_full_disk_delays_and_then_everything_goes_on_and_nothing_is_done_twice() -> None:
    async def go() -> None:
        world = await world_of()
        store = world.store = FullDisk()
        await store.open()
        happened: list[str] = []

        async def sends(arguments: Any, context: Any) -> str:
            happened.append(context.key)
            store.full = True
            return "sent"

        calls: list[int] = []
        answer = plan(says("", ("send", {})))

        def play(request: Any) -> Any:
            calls.append(turns(request))
            return answer(request)

        world.models.players["m"] = play
        tools(world, send=sends)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await asyncio.sleep(600)
        engine.submit("t1")
        await asyncio.sleep(600)
        assert (happened, calls) == (["t1/m1-0"], [0])
        store.full = False
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert (happened, calls) == (["t1/m1-0"], [0, 1])
        assert ("warning", "heartbeat failed", {"error": "the disk is full"}) in world.log.lines
        await engine.close()

    fast(go())


def test_a_task_that_cannot_be_taken_over_yet_is_taken_over_later() -> None:
    async def go() -> None:
        world = await world_of()
        store = world.store = FullDisk()
        await store.open()
        world.models.players["m"] = hang
        first = world.engine()
        await first.start(alone=True)
        await first.create(order("t1", "a"))
        await asyncio.sleep(1)
        await first.close()
        second = world.engine("e2")
        world.models.players["m"] = plan()
        assert await second.start(alone=True) == 1
        store.full = True
        await asyncio.sleep(20)
        store.full = False
        assert (await verdict(world, second, "t1")).outcome == "done"
        await second.close()

    fast(go())


class FullOnce(MemoryStore):
    """A store that has no room when a child is first made, and whose answers take a moment, as those of a file do."""

    full = True

    async def create(self, new: NewTask, *more: Any) -> bool:
        if new.row.parent and self.full:
            self.full = False
            raise Temporary("the disk is full", code="disk-full")
        await asyncio.sleep(0.001)
        return await super().create(new, *more)

    async def task(self, task: str) -> TaskRow | None:
        found = await super().task(task)
        await asyncio.sleep(0.001)
        return found


def test_a_child_for_which_the_disk_had_no_room_at_first_is_made_and_worked_on() -> None:
    async def go() -> None:
        world = await world_of(agent("a"), flows={"w": fan([1])})
        world.store = FullOnce()
        await world.store.open()
        world.models.players["m"] = plan()
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        async with asyncio.timeout(600):
            assert (await verdict(world, engine, "t1")).outcome == "done"
        await engine.close()

    fast(go())


class SlowClaim(MemoryStore):
    """A store that takes a second to give a task to an owner."""

    async def claim(self, task: str, owner: str, now: float) -> TaskRow:
        await asyncio.sleep(1)
        return await super().claim(task, owner, now)


def test_an_engine_that_stops_while_it_takes_tasks_over_calls_no_model_for_them() -> None:
    async def go() -> None:
        world = await world_of(agent("a"))
        world.store = SlowClaim()
        await world.store.open()
        calls: list[str] = []

        async def play(request: Any) -> Any:
            calls.append(request.key)
            await asyncio.Event().wait()

        world.models.players["m"] = play
        first = world.engine()
        await first.start(alone=True)
        await first.create(order("t1", "a"))
        await asyncio.sleep(1)
        await first.close()
        second = world.engine("e2")
        assert await second.start(alone=True) == 1
        await asyncio.sleep(0.5)
        await second.drain(10)
        await asyncio.sleep(5)
        await second.close()
        assert calls == ["t1/m1/1"]
        assert [entry.attempt for entry in await world.store.ledger("t1")] == [1]
        third = world.engine("e3")
        world.models.players["m"] = plan()
        await third.start(alone=True)
        assert (await verdict(world, third, "t1")).outcome == "done"
        await third.close()

    fast(go())


# --- files ------------------------------------------------------------------------------------------


def test_files_that_cannot_be_kept_fail_the_call_and_are_put_back() -> None:
    async def go() -> None:
        world = await world_of(agent("a", completion={"rule": "checks", "maxRounds": 2, "checks": [{"run": "make"}]}))
        world.most_files = 2
        world.models.players["m"] = plan(says("", ("write", {"n": 1})), says("", ("write", {"n": 9})))
        seen: list[list[str]] = []

        async def writes(arguments: Any, context: Any) -> ToolResult:
            for index in range(arguments["n"]):
                await context.workspace.write(f"f{index}", b"x")
            return text_result("wrote")

        def shell(line: str, content: dict[str, bytes]) -> int:
            seen.append(sorted(content))
            content.update(dict.fromkeys("abcdef", b""))
            return 0

        world.shell = shell
        tools(world, write=writes)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await verdict(world, engine, "t1")
        results = [e.answer for e in world.events("t1") if isinstance(e, Answered) and isinstance(e.answer, ToolResult)]
        assert [result.error for result in results] == [False, True]
        assert "it may have 2" in results[1].text and not results[1].changes
        assert seen and all(files == ["f0"] for files in seen)
        failed = [e.failure.message for e in world.events("t1") if isinstance(e, Answered) and e.failure]
        assert all("it may have 2" in message for message in failed) and len(failed) == len(seen)
        assert sorted(await world.store.files("t1")) == ["f0"]
        await engine.close()

    fast(go())


def test_links_that_a_workspace_does_not_keep_are_told() -> None:
    async def go() -> None:
        world = await world_of(agent("a", completion={"rule": "checks", "checks": [{"run": "make"}]}))
        world.models.players["m"] = plan(says("", ("write", {})))

        async def writes(arguments: Any, context: Any) -> ToolResult:
            context.workspace.dropped = ("'a' (a link)",)
            return text_result("wrote")

        tools(world, write=writes)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await verdict(world, engine, "t1")
        answers = [event.answer for event in world.events("t1") if isinstance(event, Answered)]
        told = next(answer for answer in answers if isinstance(answer, ToolResult))
        assert "Not kept" in told.text and "'a' (a link)" in told.text
        run = next(answer for answer in answers if isinstance(answer, RunResult))
        assert run.dropped == ("'a' (a link)",)
        await engine.close()

    fast(go())


def test_a_tool_without_workspace_has_none_and_one_with_it_runs_in_the_sandbox() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan(says("", ("look", {}), ("write", {})))
        lines: list[str] = []
        world.shell = lambda line, content: lines.append(line) or 3

        async def looks(arguments: Any, context: Any) -> str:
            assert (context.task, context.agent) == ("t1", "a")
            return str(await context.workspace.list())

        async def runs(arguments: Any, context: Any) -> str:
            return str((await context.run("ls", 1.0)).exit_code)

        tools(world, look=looks, write=runs)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await verdict(world, engine, "t1")
        answers = {event.command: event for event in world.events("t1") if isinstance(event, Answered)}
        assert answers["m1-0"].failure is not None and "doesn't say" in answers["m1-0"].failure.message
        told = answers["m1-1"].answer
        assert isinstance(told, ToolResult) and told.text == "3" and lines == ["ls"]
        await engine.close()

    fast(go())


TWO = {
    "roles": {"coder": {"agent": "a", "replicas": 2}},
    "steps": [
        {"id": "each", "role": "coder", "prompt": "{{ item }}", "foreach": "[1, 2]", "allowFailure": True},
        {"id": "see", "command": "see"},
    ],
}


def test_copies_are_merged_and_what_both_changed_is_named_also_when_both_end_at_once() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("write",)), flows={"w": TWO})
        world.programs.counts["w/coder"] = 2
        world.models.players["m"] = plan(says("", ("write", {})))
        seen: dict[str, bytes] = {}
        world.shell = lambda line, content: seen.update(content)

        async def writes(arguments: Any, context: Any) -> str:
            await context.workspace.write("both", context.task.encode())
            await context.workspace.write(context.task[-1], b"mine")
            await asyncio.sleep(1)
            return "wrote"

        tools(world, write=writes)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        await verdict(world, engine, "t1")
        results = [e.answer for e in world.events("t1") if isinstance(e, Answered) and hasattr(e.answer, "conflicts")]
        assert sorted(len(result.conflicts) for result in results) == [0, 1]  # type: ignore[union-attr]
        assert sorted(seen) == ["0", "1", "both"]
        assert sorted(await world.store.files("t1")) == ["0", "1", "both"]
        assert world.folders == {}, "folders of ended tasks are let go"
        await engine.close()

    fast(go())


def test_a_workspace_that_was_in_use_before_holds_what_copies_brought_at_its_next_use() -> None:
    async def go() -> None:
        steps = [{"id": "first", "command": "first"}, *TWO["steps"]]
        world = await world_of(agent("a", tools=("write",)), flows={"w": {**TWO, "steps": steps}})
        world.programs.counts["w/coder"] = 2
        world.models.players["m"] = plan(says("", ("write", {})))
        seen: list[list[str]] = []

        def shell(line: str, content: dict[str, bytes]) -> int:
            seen.append(sorted(content))
            content[line] = b"x"
            return 0

        async def writes(arguments: Any, context: Any) -> str:
            await context.workspace.write(context.task[-1], b"mine")
            return "wrote"

        world.shell = shell
        tools(world, write=writes)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "w", "workflow"))
        await verdict(world, engine, "t1")
        assert seen == [[], ["0", "1", "first"]]
        assert sorted(await world.store.files("t1")) == ["0", "1", "first", "see"]
        await engine.close()

    fast(go())


# --- what comes from outside ------------------------------------------------------------------------


def test_strange_late_and_double_mail_is_put_aside_and_said() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",)))
        world.models.players["m"] = plan(says("", ("ask_person", {"question": "which?"})))
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(
            lambda: any(isinstance(event, Asked) and event.command.id == "m1-0" for event in world.events("t1"))
        )
        await asyncio.sleep(1)
        for mail in (
            item("t1", "1", "dream"),
            item("t1", "2", "reply", question="other", text="x"),
            InboxItem("t1", "3", "message", b"{nonsense", 0.0),
            InboxItem(
                "t1", "4", "child", b'{"command":"m9-9","result":{"task":"t1.x","verdict":{"outcome":"done"}}}', 0.0
            ),
        ):
            assert await engine.put(mail)
        await asyncio.sleep(1)
        notes = [event.text for event in world.events("t1") if isinstance(event, Noted)]
        assert (
            len(notes) == 3 and "'dream'" in notes[0] and "no longer open" in notes[1] and "can't be read" in notes[2]
        )
        assert await world.store.inbox("t1") == []
        assert await engine.put(item("t1", "5", "reply", question="m1-0", text="this"))
        assert not await engine.put(item("t1", "5", "reply", question="m1-0", text="that"))
        await engine.put(item("t1", "6", "reply", question="m1-0", text="that"))
        await verdict(world, engine, "t1")
        replies = [event.answer for event in world.events("t1") if isinstance(event, Answered)]
        assert [reply.text for reply in replies if isinstance(reply, Reply)] == ["this"]
        assert not await engine.put(item("t1", "7", "cancel"))
        await engine.close()

    fast(go())


def test_answers_in_any_order_reach_the_model_in_call_order() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("look",)))
        seen: list[str] = []

        def play(request: Any) -> ModelAnswer:
            if turns(request) == 0:
                return says("", *[("look", {"n": n}) for n in range(20)])
            seen.extend(turn.text for turn in request.turns if turn.role == "tool")
            return says("done")

        async def looks(arguments: Any, context: Any) -> str:
            await asyncio.sleep((arguments["n"] * 7) % 5)
            return str(arguments["n"])

        world.models.players["m"] = play
        tools(world, look=looks)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await verdict(world, engine, "t1")
        assert seen == [str(n) for n in range(20)]
        await engine.close()

    fast(go())


def test_a_message_to_a_working_task_reaches_its_model() -> None:
    async def go() -> None:
        world = await world_of()
        told: list[str] = []

        async def play(request: Any) -> ModelAnswer:
            told.append(text_of(request.turns[-1].parts))
            await asyncio.sleep(1)
            return says("done")

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert not await engine.create(order("t1", "a"))
        await asyncio.sleep(0.5)
        await engine.put(InboxItem("t1", "m", "message", msgspec.json.encode(text_message("person", "and this")), 0.0))
        await verdict(world, engine, "t1")
        assert told == ["do it", "and this"]
        await engine.close()

    fast(go())


# --- time -------------------------------------------------------------------------------------------


def test_a_step_that_takes_too_long_is_stopped_and_may_be_a_child() -> None:
    async def go() -> None:
        steps = [
            {"id": "slow", "tool": "send", "timeout": "10s", "allowFailure": True},
            {"id": "child", "role": "coder", "prompt": "p", "timeout": "20s", "allowFailure": True},
            {"id": "late", "tool": "look", "retry": {"max": 1, "delay": "30s"}},
        ]
        flows = {"w": {"roles": {"coder": {"agent": "a"}}, "steps": steps}}
        world = await world_of(agent("a"), flows=flows)
        world.models.players["m"] = hang
        tried: list[float] = []

        def looks(arguments: Any, context: Any) -> str:
            tried.append(world.clock())
            if len(tried) == 1:
                raise Permanent("not yet")
            return "now"

        tools(world, send=hang, look=looks)
        engine = world.engine()
        await engine.start(alone=True)
        began = world.clock()
        await engine.create(order("t1", "w", "workflow"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert world.clock() - began == pytest.approx(60, abs=1)
        assert tried[1] - tried[0] == pytest.approx(30, abs=0.1)
        stopped = next(e.failure for e in world.events("t1") if isinstance(e, Answered) and e.command == "slow-1")
        assert stopped is not None and stopped.code == "stopped" and "may have happened" in stopped.message
        child = await world.store.task("t1.child-1")
        assert child is not None and child.state == "canceled"
        await engine.close()

    fast(go())


def test_a_wait_counts_from_when_it_was_asked_for_also_over_a_restart() -> None:
    async def go() -> None:
        world = await world_of(agent("a", budget={"duration": "100s"}))
        world.models.players["m"] = hang
        engine = world.engine()
        await engine.start(alone=True)
        began = world.clock()
        await engine.create(order("t1", "a"))
        await asyncio.sleep(40)
        await engine.close()
        await asyncio.sleep(30)
        engine = world.engine("e2")
        await engine.start(alone=True)
        found = await verdict(world, engine, "t1")
        assert (found.outcome, found.code) == ("partly", "budget")
        assert world.clock() - began == pytest.approx(100, abs=1)
        await engine.close()

    fast(go())


# --- nothing for nothing ----------------------------------------------------------------------------


class Counted(MemoryStore):
    """Counts calls by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in ("append", "inbox", "events", "task", "claim", "put", "files", "spent", "claimable", "heartbeat"):
            super().__getattribute__("calls").append(name)
        return value


def test_an_engine_whose_tasks_wait_asks_the_store_for_nothing_but_its_leases() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("ask",)))
        store = world.store = Counted()
        await store.open()
        world.models.players["m"] = plan(says("", ("ask_person", {"question": "which?"})))
        engine = world.engine()
        await engine.start(alone=True)
        for index in range(20):
            await engine.create(order(f"t{index}", "a"))
        await asyncio.sleep(60)
        store.calls.clear()
        await asyncio.sleep(3600)
        assert set(store.calls) == {"heartbeat", "claimable"}
        assert len(store.calls) <= 2 * 3600 / world.settings.heartbeat + 2
        await engine.close()

    fast(go())


def test_ten_thousand_tasks_leave_nothing_behind() -> None:
    async def go() -> None:
        world = await world_of(agent("a", tools=("write",)))
        world.models.players["m"] = plan(says("", ("write", {})))
        tools(world)
        engine = world.engine()
        await engine.start(alone=True)

        async def some(first: int, count: int) -> int:
            for index in range(first, first + count):
                await engine.create(order(f"t{index}", "a"))
            await until(lambda: not engine.working())
            world.recorded.clear()
            gc.collect()
            return sum(1 for one in gc.get_objects() if isinstance(one, (Owner, asyncio.Task, asyncio.Future)))

        before = await some(0, 200)
        assert await some(200, 10_000) <= before
        assert world.folders == {}
        await engine.close()

    fast(go())


def test_scripts_ask_and_are_answered() -> None:
    async def go() -> None:
        script = "def on_message(message):\n    return tool('look', n=1)\n"
        world = await world_of(agent("a", tools=("look",), script=script))
        world.scripts._play = lambda e: (  # pyright: ignore[reportPrivateUsage]
            Value({"result": e.answers[0].get("value")}) if e.answers else ScriptRequest("tool", {"name": "look"})
        )
        tools(world)
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: "t1" not in engine.working())
        assert isinstance(world.events("t1")[-1], Finished)
        await engine.close()

    fast(go())
