"""Each command as a program may ask for it, alone, over restarts and after crashes."""

import asyncio
from typing import Any

import msgspec
import pytest
from bundles import SPECS, Asking, ended, give, plan, until, verdict, world_of

from agenthost.core.budgets import Limits
from agenthost.core.commands import Ask, CallModel, CallTool, Evaluate, RunCommand, StartChild, Stop, View, Wait
from agenthost.core.errors import AgentHostError, NotFound, Temporary
from agenthost.core.events import Answered, Asked, Doubted, Noted, Reply, Retried, RunResult, Value
from agenthost.core.models import ModelCard
from agenthost.core.ports import InboxItem
from agenthost.core.tools import ToolResult, text_result
from agenthost.engine.recovery import OWNER_LOST
from agenthost.stores.memory import MemoryStore
from agenthost.testing.loops import fast
from agenthost.testing.world import START, PlayedTool, PlayedTools, World, order


async def hang(*_: Any) -> Any:
    await asyncio.Event().wait()


async def restarted(world: World, engine: Any, name: str) -> Any:
    """Let an engine die, and another one take over."""
    await engine.services.supervisor.close()
    other = world.engine(name)
    await other.start(alone=True)
    return other


async def begun(world: World) -> Any:
    engine = world.engine()
    await engine.start(alone=True)
    await engine.create(order("t1", "a"))
    return engine


async def reply(engine: Any, question: str, text: str, id: str = "r") -> None:
    body = msgspec.json.encode({"question": question, "text": text})
    await engine.put(InboxItem("t1", id, "reply", body, 0.0))


def test_a_question_that_expires_is_answered_with_its_default_when_its_time_is_over() -> None:
    async def go() -> None:
        world = await world_of()
        program = give(world, Asking(Ask("q", "input", "which?", default="this", expires=100.0)))
        engine = await begun(world)
        await asyncio.sleep(60)
        engine = await restarted(world, engine, "e2")
        began = world.clock()
        await verdict(world, engine, "t1")
        assert world.clock() - began == pytest.approx(40, abs=0.1)
        assert program.answers["q"] == Reply("this", "host", "time-limit")
        await engine.close()

    fast(go())


def test_an_answered_question_expires_no_more() -> None:
    async def go() -> None:
        world = await world_of()
        ask = Ask("q", "input", "which?", default="this", expires=100.0)
        program = give(world, Asking(ask, Wait("w", START + 500)))
        engine = await begun(world)
        await asyncio.sleep(10)
        await reply(engine, "q", "that")
        await verdict(world, engine, "t1")
        assert program.answers["q"] == Reply("that")
        assert world.clock() - START >= 500
        await engine.close()

    fast(go())


def test_a_command_is_stopped_and_a_stop_of_nothing_does_nothing() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = hang
        commands = (
            CallModel("m", "m", View(0, 0)),
            Wait("w", START + 1e6),
            Stop("s1", "m"),
            Stop("s2", "w"),
            Stop("s3", "nothing"),
        )
        program = give(world, Asking(*commands))
        engine = await begun(world)
        await verdict(world, engine, "t1")
        assert [program.answers[id].code for id in ("m", "w")] == ["stopped", "stopped"]
        await engine.close()

    fast(go())


def test_a_stop_of_a_child_that_is_just_being_made_reaches_it() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = hang
        program = Asking(StartChild("c", "agent", "a"), Stop("s", "c"))
        programs = world.programs.program

        async def program_of(spec: Any) -> Any:
            return await programs(spec) if spec.parent else program

        world.programs.program = program_of  # type: ignore[method-assign]
        engine = await begun(world)
        await verdict(world, engine, "t1")
        assert program.answers["c"].verdict.outcome == "canceled"
        await engine.close()

    fast(go())


def test_a_child_that_cannot_be_made_is_its_commands_failure() -> None:
    async def go() -> None:
        world = await world_of()
        store = world.store
        program = give(world, Asking(StartChild("c", "agent", "a")))
        create = store.create

        async def refuses(new: Any, *rest: Any) -> bool:
            if new.row.parent:
                raise NotFound("no such thing")
            return await create(new, *rest)

        store.create = refuses  # type: ignore[method-assign]
        engine = await begun(world)
        await verdict(world, engine, "t1")
        assert program.answers["c"].code == "not-found"
        await engine.close()

    fast(go())


def test_a_cancel_before_a_child_was_made_leaves_none() -> None:
    async def go() -> None:
        world = await world_of()
        store = world.store
        give(world, Asking(StartChild("c", "agent", "a")))
        create = store.create

        async def slow(new: Any, *rest: Any) -> bool:
            if new.row.parent:
                await hang()
            return await create(new, *rest)

        store.create = slow  # type: ignore[method-assign]
        engine = await begun(world)
        await asyncio.sleep(1)
        await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        assert await store.task("t1.c") is None
        await engine.close()

    fast(go())


@pytest.mark.journals("its programs are others by then")
def test_a_held_child_does_not_hold_up_the_end_of_its_parent() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = hang
        program = Asking(StartChild("c", "agent", "a"))
        programs = world.programs.program

        async def program_of(spec: Any) -> Any:
            if spec.parent:
                raise RuntimeError("a bug")
            return program

        world.programs.program = program_of  # type: ignore[method-assign]
        engine = await begun(world)
        await until(lambda: any(event == "task held" for _, event, _ in world.log.lines))
        await asyncio.sleep(1)
        await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        child = await world.store.task("t1.c")
        assert child is not None and child.hold == "dead-letter"
        # Once it is let go on, it sees the cancel and ends.
        world.programs.program = programs  # type: ignore[method-assign]
        await world.store.hold("t1.c", "", "")
        engine.submit("t1.c")
        assert (await verdict(world, engine, "t1.c")).outcome == "canceled"
        await engine.close()

    fast(go())


def test_a_shell_command_has_the_policy_of_its_task_with_what_the_command_changes() -> None:
    async def go() -> None:
        world = await world_of()
        policy = msgspec.structs.replace(await world.programs.policy(order("x", "a")), packages=("pytest",))

        async def policy_of(spec: Any) -> Any:
            return policy

        world.programs.policy = policy_of  # type: ignore[method-assign]
        program = give(world, Asking(RunCommand("r", "ls", 5.0, policy={"memory": 1}), Evaluate("e", {"x": "1 + 1"})))
        engine = await begun(world)
        await verdict(world, engine, "t1")
        sandbox: Any = engine.services.parts.sandbox
        assert sandbox.prepared == [("pytest",)]
        assert (sandbox.runs[0].policy.timeout, sandbox.runs[0].policy.memory) == (5.0, 1)
        assert isinstance(program.answers["r"], RunResult) and program.answers["e"] == Value({"x": 2})
        await engine.close()

    fast(go())


# --- doubts -----------------------------------------------------------------------------------------


class Sending:
    """A world with one call of `send` in flight when its engine died; `remembers` is the tool's check."""

    def __init__(self, remembers: Any) -> None:
        self.sent: list[str] = []
        self.hangs = True
        self.remembers = remembers

    async def begin(self) -> tuple[World, Any, Asking]:
        world = await world_of()

        async def sends(arguments: Any, context: Any) -> str:
            self.sent.append(context.key)
            if self.hangs:
                await hang()
            return "sent"

        world.tools = PlayedTools([PlayedTool(SPECS["send"], sends, self.remembers)])
        program = give(world, Asking(CallTool("x", "send", {})))
        engine = await begun(world)
        await until(lambda: self.sent)
        self.hangs = False
        program.answers.clear()
        return world, await restarted(world, engine, "e2"), program


def raising(error: Exception) -> Any:
    def check(key: str) -> ToolResult | None:
        raise error

    return check


def test_a_tool_that_remembers_its_call_answers_it_and_is_not_called_again() -> None:
    async def go() -> None:
        case = Sending(lambda key: text_result(f"it was {key}"))
        world, engine, program = await case.begin()
        await verdict(world, engine, "t1")
        assert program.answers["x"].text == "it was t1/x" and case.sent == ["t1/x"]
        await engine.close()

    fast(go())


def test_a_tool_that_surely_was_not_called_is_called_again_with_the_same_key() -> None:
    async def go() -> None:
        case = Sending(raising(KeyError("x")))
        world, engine, program = await case.begin()
        await verdict(world, engine, "t1")
        assert program.answers["x"].text == "sent" and case.sent == ["t1/x", "t1/x"]
        assert [event for event in world.events("t1") if isinstance(event, Retried)] == [Retried("x", 2, OWNER_LOST)]
        await engine.close()

    fast(go())


def test_a_journal_of_many_pages_is_restored_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.engine.engine.PAGE", 2)

    async def go() -> None:
        case = Sending(lambda key: text_result("remembered"))
        world, engine, program = await case.begin()
        assert len(await world.store.events("t1", 0, 100)) > 3
        await verdict(world, engine, "t1")
        assert program.answers["x"].text == "remembered" and case.sent == ["t1/x"]
        await engine.close()

    fast(go())


@pytest.mark.parametrize("check", [None, raising(AgentHostError("no")), raising(OSError("broken"))])
@pytest.mark.parametrize(
    ("text", "sent", "told"),
    [
        ("it happened", 1, "A person confirmed"),
        ("Run it again ", 2, "sent"),
        ("give up", 1, "decided not to run it again"),
    ],
)
def test_where_nobody_can_tell_a_person_is_asked_and_only_an_answer_that_was_offered_counts(
    check: Any, text: str, sent: int, told: str
) -> None:
    async def go() -> None:
        case = Sending(check)
        world, engine, program = await case.begin()
        await until(lambda: any(isinstance(e, Asked) and isinstance(e.command, Ask) for e in world.events("t1")))
        await asyncio.sleep(1)
        row = await world.store.task("t1")
        assert row is not None and row.state == "input-required"
        await reply(engine, "x-doubt", "ehm", "r1")
        await asyncio.sleep(1)
        assert any(isinstance(event, Noted) and "none of" in event.text for event in world.events("t1"))
        # It is in doubt over another restart, and still one question.
        engine = await restarted(world, engine, "e3")
        await asyncio.sleep(1)
        assert sum(isinstance(event, Doubted) for event in world.events("t1")) == 1
        await reply(engine, "x-doubt", text, "r2")
        await verdict(world, engine, "t1")
        answer = program.answers["x"]
        assert told in (answer.text if isinstance(answer, ToolResult) else answer.message)
        assert len(case.sent) == sent and len(set(case.sent)) == sent
        await engine.close()

    fast(go())


@pytest.mark.parametrize("kind", ["command", "gone"])
def test_a_command_with_network_and_a_tool_that_is_gone_are_in_doubt(kind: str) -> None:
    async def go() -> None:
        world = await world_of()
        world.shell = lambda line, content: hang()
        world.tools = PlayedTools([PlayedTool(SPECS["send"], hang)])
        command = RunCommand("x", "curl", network=True) if kind == "command" else CallTool("x", "send", {})
        give(world, Asking(command))
        engine = await begun(world)
        await asyncio.sleep(1)
        world.tools = PlayedTools([])
        engine = await restarted(world, engine, "e2")
        question = await until(lambda: [e for e in world.events("t1") if isinstance(e, Asked)][1:])
        assert ("curl" if kind == "command" else "'send'") in question[0].command.question
        await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
        assert (await ended(world, "t1"))["t1"].uncertain == ("x",)
        await until(lambda: not engine.working())
        await engine.close()

    fast(go())


def test_a_model_call_that_was_cut_stays_in_the_ledger_and_the_next_is_reserved_when_it_is_made() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = hang
        engine = await begun(world)
        await asyncio.sleep(60)
        engine = await restarted(world, engine, "e2")
        await asyncio.sleep(1)
        first, second = await world.store.ledger("t1")
        assert [(entry.attempt, entry.spent) for entry in (first, second)] == [(1, None), (2, None)]
        assert second.at - first.at == pytest.approx(60, abs=1)
        await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
        await verdict(world, engine, "t1")
        await engine.close()

    fast(go())


def test_a_model_call_whose_price_is_gone_after_a_restart_fails_and_is_not_made() -> None:
    async def go() -> None:
        world = await world_of()
        calls: list[str] = []

        async def play(request: Any) -> Any:
            calls.append(request.key)
            await hang()

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a", limits=Limits(cost=1.0)))
        await until(lambda: calls)
        world.models.cards["m"] = ModelCard("m")
        engine = await restarted(world, engine, "e2")
        assert (await verdict(world, engine, "t1")).code == "price-unknown"
        assert len(calls) == 1
        await engine.close()

    fast(go())


def test_a_workspace_that_cannot_be_let_go_is_logged_and_ends_nothing_else() -> None:
    async def go() -> None:
        world = await world_of()
        give(world, Asking(RunCommand("r", "ls")))
        engine = world.engine()

        async def refuses(id: str) -> None:
            raise AgentHostError("it is mounted")

        engine.services.parts.workspaces.discard = refuses  # type: ignore[method-assign]
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "done"
        assert ("warning", "a workspace's folder stays", {"task": "t1", "error": "it is mounted"}) in world.log.lines
        row = await world.store.task("t1")
        assert row is not None and not row.hold
        await engine.close()

    fast(go())


@pytest.mark.journals("its programs are others by then")
def test_a_hold_that_cannot_be_set_is_logged() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan()
        store = world.store
        assert isinstance(store, MemoryStore)

        async def refuses(task: str, hold: str, reason: str) -> None:
            raise AgentHostError("the file is damaged")

        store.hold = refuses  # type: ignore[method-assign]

        async def program_of(spec: Any) -> Any:
            raise RuntimeError("a bug")

        world.programs.program = program_of  # type: ignore[method-assign]
        engine = await begun(world)
        await until(lambda: not engine.working())
        assert ("error", "hold failed", {"task": "t1", "error": "the file is damaged"}) in world.log.lines
        await engine.close()

    fast(go())


def test_one_cut_off_while_a_result_waits_is_answered_once() -> None:
    async def go() -> None:
        world = await world_of()
        world.tools = PlayedTools([PlayedTool(SPECS["look"], lambda arguments, context: "seen")])
        give(world, Asking(*[CallTool(f"x{n}", "look", {}, safe=True) for n in range(50)]))
        engine = await begun(world)
        await verdict(world, engine, "t1")
        answered = [event.command for event in world.events("t1") if isinstance(event, Answered)]
        assert sorted(answered) == sorted(f"x{n}" for n in range(50))
        await engine.close()

    fast(go())


def test_a_call_that_waits_to_be_made_again_is_not_made_once_its_task_is_cancelled() -> None:
    async def go() -> None:
        world = await world_of()
        calls: list[float] = []

        async def play(request: Any) -> Any:
            calls.append(world.clock())
            # The failure and the cancel come into one step.
            await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
            raise Temporary("busy")

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        await asyncio.sleep(100)
        assert len(calls) == 1
        await engine.close()

    fast(go())


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("rests", [False, True])
def test_what_was_reserved_for_a_call_that_was_not_made_counts_for_nothing_once_it_is_cancelled(
    sent: bool, rests: bool
) -> None:
    """It waited to be made again; what was sent before may have cost its worst."""

    async def go() -> None:
        world = await world_of()
        calls: list[float] = []

        def play(request: Any) -> Any:
            calls.append(world.clock())
            raise Temporary("busy", delay=200.0, sent=sent)

        world.models.players["m"] = play
        engine = world.engine()
        await engine.start(alone=True)
        await engine.create(order("t1", "a"))
        await until(lambda: any(isinstance(event, Retried) for event in world.events("t1")))
        if rests:
            await world.store.hold("t1", "paused", "")
            await engine.put(InboxItem("t1", "p", "pause", b"{}", 0.0))
            await until(lambda: "t1" not in engine.working())
            await engine.close()
            engine = world.engine("e2")
            await engine.start(alone=True)
        await engine.put(InboxItem("t1", "c", "cancel", b"{}", 0.0))
        assert (await verdict(world, engine, "t1")).outcome == "canceled"
        ledger = [(entry.attempt, entry.settled) for entry in await world.store.ledger("t1")]
        assert ledger == ([(1, False), (2, True)] if sent else [(1, True)])
        assert len(calls) == 1
        await engine.close()

    fast(go())


def test_an_engine_that_closes_before_anything_began_leaves_nothing_unawaited() -> None:
    async def go() -> None:
        world = await world_of()
        world.models.players["m"] = plan()
        for turns_of_the_loop in range(12):
            engine = world.engine(f"e{turns_of_the_loop}")
            await engine.start(alone=True)
            await engine.create(order(f"t{turns_of_the_loop}", "a"))
            for _ in range(turns_of_the_loop):
                await asyncio.sleep(0)
            await engine.close()
        engine = world.engine("last")
        await engine.start(alone=True)
        await until(lambda: not engine.working())
        rows = [await world.store.task(f"t{number}") for number in range(12)]
        assert all(row is not None and row.state == "completed" for row in rows)
        await engine.close()

    fast(go())
