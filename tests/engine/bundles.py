"""Bundles, tools and ways to run them, for tests of the engine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from agenthost.core.commands import CallModel, Finish, Verdict
from agenthost.core.definitions import Bundle, PinnedAgent, PinnedModel, PinnedTool
from agenthost.core.events import Finished, Value
from agenthost.core.lifecycle import FINAL
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.workflow import Workflow
from agenthost.core.models import ModelRequest
from agenthost.core.ports import Evaluation
from agenthost.core.tools import ToolSpec
from agenthost.engine.engine import Engine
from agenthost.programs.base import BaseState, awaits, shared_commands, track
from agenthost.stores.memory import MemoryStore
from agenthost.testing.world import PlayedScripts, World, says

PATIENCE = 100_000
"""How often a test looks before it gives up: a thousand seconds of a fast loop's clock."""

SPECS = {
    "look": ToolSpec("look", "", read_only=True),
    "put": ToolSpec("put", "", idempotent=True),
    "send": ToolSpec("send", ""),
    "pay": ToolSpec("pay", ""),
    "write": ToolSpec("write", "", idempotent=True, workspace=True),
    "mail": ToolSpec("mail", "", approval=True),
    "run": ToolSpec("run", "", idempotent=True, workspace=True, sandbox=True),
}


def pinned(spec: ToolSpec) -> PinnedTool:
    return PinnedTool(
        name=spec.name,
        description=spec.description,
        read_only=spec.read_only,
        idempotent=spec.idempotent,
        approval=spec.approval,
        workspace=spec.workspace,
        sandbox=spec.sandbox,
    )


def agent(name: str, **spec: Any) -> PinnedAgent:
    """A pinned agent with all of SPECS and, by name, the tools that `spec` says."""
    tools = tuple(spec.pop("tools", SPECS))
    manifest = Agent.model_validate({"metadata": {"name": name}, "spec": {"tools": tools, "model": "m", **spec}})
    entries = {tool: (pinned(SPECS[tool]),) for tool in tools if tool in SPECS}
    model = PinnedModel(name="m", window=100_000, max_output=1000)
    return PinnedAgent(manifest=manifest, tools=entries, model=model)


def bundle(*agents: PinnedAgent, flows: dict[str, dict[str, Any]] | None = None) -> Bundle:
    """A bundle of agents and, by name, the specs of workflows."""
    made = {
        name: Workflow.model_validate({"metadata": {"name": name}, "spec": spec})
        for name, spec in (flows or {}).items()
    }
    return Bundle(
        agents={one.manifest.metadata.name: one for one in agents or (agent("a"),)},
        workflows=made,
        tools={name: pinned(spec) for name, spec in SPECS.items()},
    )


class _Dots(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        value = self[name]
        return _Dots(value) if isinstance(value, dict) else value


def evaluate(evaluation: Evaluation) -> Value:
    """Evaluates expressions as Python."""
    names = {name: _Dots(value) if isinstance(value, dict) else value for name, value in evaluation.names.items()}
    return Value({name: eval(text, {"len": len}, names) for name, text in evaluation.expressions.items()})


def turns(request: ModelRequest) -> int:
    """How many answers the model has given in this exchange."""
    return sum(1 for turn in request.turns if turn.role == "assistant")


def plan(*answers: Any, last: str = "done") -> Callable[[ModelRequest], Any]:
    """A model that answers by turn: an answer, or what raises; then `last`."""

    def play(request: ModelRequest) -> Any:
        at = turns(request)
        answer = answers[at] if at < len(answers) else says(last)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    return play


async def ended(world: World, *tasks: str, store: MemoryStore | None = None) -> dict[str, Finished]:
    """Wait until tasks have ended; how."""
    for _ in range(PATIENCE):
        found = {recorded.task: recorded.event for recorded in world.recorded if isinstance(recorded.event, Finished)}
        if all(task in found for task in tasks):
            return found
        await asyncio.sleep(0.01)
    raise TimeoutError(f"of {tasks} only {sorted(found)} have ended; the log: {world.log.lines[-3:]}")


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until something is true; what it was."""
    for _ in range(PATIENCE):
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        await asyncio.sleep(0.01)
    raise TimeoutError("it never came true")


async def world_of(*agents: PinnedAgent, flows: dict[str, dict[str, Any]] | None = None) -> World:
    """A world on a store in memory, open."""
    store = MemoryStore()
    await store.open()
    world = World(bundle(*agents, flows=flows), store)
    world.scripts = PlayedScripts(evaluate)
    return world


async def verdict(world: World, engine: Engine, task: str) -> Verdict:
    """Wait for a task's end and for its worker's; the verdict."""
    found = await ended(world, task)
    await until(lambda: task not in engine.working())
    row = await world.store.task(task)
    assert row is not None and row.state in FINAL
    return found[task].verdict


class AskingState(BaseState, kw_only=True):
    """What was answered, by command: an answer or a failure."""

    answers: dict[str, Any] = msgspec.field(default_factory=dict)


class Asking:
    """A program that asks for commands at once, and ends when each has its answer. `answers` are those of the root task
    that was last begun or restored."""

    def __init__(self, *commands: Any) -> None:
        self._commands = {command.id: command for command in commands}
        self.answers: dict[str, Any] = {}

    def initial(self, spec: Any) -> AskingState:
        state = AskingState(spec=spec)
        if not spec.parent:
            self.answers = state.answers
        return state

    def apply(self, state: AskingState, recorded: Any) -> AskingState:
        delivery = track(state, recorded)
        if delivery is not None:
            state.answers[delivery.id] = delivery.answer if delivery.failure is None else delivery.failure
        return state

    def decide(self, state: AskingState) -> list[Any]:
        wanted = list(shared_commands(state))
        if state.cancel is not None or state.finished is not None:
            return wanted[:1] if state.finished is None else []
        if set(state.answers) >= set(self._commands):
            return [Finish(Verdict("done"))]
        wanted += [
            command for id, command in self._commands.items() if id not in state.answers and not awaits(state, id)
        ]
        return [command for command in wanted if command.id not in state.open]

    def render(self, state: BaseState, command: CallModel) -> ModelRequest:
        return ModelRequest(command.model, "", (), key=command.id)

    def bind(self, state: BaseState, command: Any) -> Evaluation:
        return Evaluation(command.expressions, {})


def give(world: World, program: Any) -> Any:
    """Have every task of a world run one program."""

    async def program_of(spec: Any) -> Any:
        return program

    world.programs.program = program_of  # type: ignore[method-assign]
    return program
