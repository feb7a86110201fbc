"""A small world for an engine: everything that it acts through, in memory, played by plain functions.

Nothing here waits for real time: run it on `testing.loops.fast`.
"""

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from agenthost.core.budgets import Limits
from agenthost.core.definitions import Bundle
from agenthost.core.errors import BadInput, NotFound, Permanent, Unavailable
from agenthost.core.events import Recorded, ScriptRequest, Value
from agenthost.core.ids import digest
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest, Usage
from agenthost.core.parts import TextPart, text_message
from agenthost.core.ports import (
    Abilities,
    Blobs,
    Evaluation,
    Program,
    SandboxService,
    Store,
    Tool,
    ToolContext,
    silent,
)
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.core.tools import ToolCall, ToolResult, ToolSpec, text_result
from agenthost.engine.engine import Engine
from agenthost.engine.parts import EngineSettings, Parts
from agenthost.host.checking.inspector import Fetch, HostInspector
from agenthost.programs.agent import AgentProgram
from agenthost.programs.supervisor.program import SupervisorProgram
from agenthost.programs.workflow import WorkflowProgram
from agenthost.sandboxes.probes import HttpProber

START = 1_700_000_000.0
"""The world's time, in seconds since the epoch, when its loop is at 0."""


def says(text: str = "", *calls: tuple[str, dict[str, Any]], tokens: int = 10) -> ModelAnswer:
    """A model's answer: words, and calls as (tool, arguments)."""
    made = tuple(
        ToolCall(f"c{index}", name, msgspec.json.encode(arguments).decode())
        for index, (name, arguments) in enumerate(calls)
    )
    parts = (TextPart(text),) if text else ()
    return ModelAnswer(parts, made, "calls" if made else "end", Usage(tokens, tokens), "played")


class MemoryBlobs:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        name = digest(content)
        self.kept[name] = content
        return name

    async def get(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise NotFound(f"there is no content {digest}")
        return self.kept[digest]

    async def size(self, digest: str) -> int:
        return len(await self.get(digest))


class MemoryWorkspace:
    """A workspace whose folder is a dict, path to content. `most`: how many files it may hold."""

    def __init__(self, id: str, content: dict[str, bytes], blobs: Blobs, most: int = 1000) -> None:
        self.folder = id
        self.content = content
        self.dropped: tuple[str, ...] = ()
        self._blobs = blobs
        self._most = most
        self._committed: dict[str, str] = {}

    async def restore(self, files: Mapping[str, str]) -> None:
        self.content.clear()
        for path, name in files.items():
            self.content[path] = await self._blobs.get(name)
        self._committed = dict(files)

    async def changes(self) -> dict[str, str | None]:
        if len(self.content) > self._most:
            raise BadInput(f"the workspace has {len(self.content)} files, and it may have {self._most}")
        now = {path: await self._blobs.put(content) for path, content in self.content.items()}
        changed: dict[str, str | None] = {path: kept for path, kept in now.items() if self._committed.get(path) != kept}
        return changed | dict.fromkeys(path for path in self._committed if path not in now)

    def committed(self, changes: Mapping[str, str | None]) -> None:
        for path, kept in changes.items():
            if kept is None:
                self._committed.pop(path, None)
            else:
                self._committed[path] = kept

    async def read(self, path: str) -> bytes:
        if path not in self.content:
            raise NotFound(f"there is no file '{path}'")
        return self.content[path]

    async def write(self, path: str, content: bytes) -> None:
        self.content[path] = content

    async def delete(self, path: str) -> None:
        del self.content[path]

    async def list(self) -> list[tuple[str, int]]:
        return sorted((path, len(content)) for path, content in self.content.items())


class MemoryWorkspaces:
    """Workspaces over `folders` (id to its content), which outlive this object as a disk does."""

    def __init__(self, blobs: Blobs, folders: dict[str, dict[str, bytes]], most: int = 1000) -> None:
        self._blobs = blobs
        self._folders = folders
        self._most = most

    def workspace(self, id: str) -> MemoryWorkspace:
        return MemoryWorkspace(id, self._folders.setdefault(id, {}), self._blobs, self._most)

    async def discard(self, id: str) -> None:
        self._folders.pop(id, None)


Answer = Callable[[ModelRequest], Any]
"""Plays a model: returns (or awaits to) a ModelAnswer, or raises."""


class PlayedModels:
    """Models by name, each played by a function. `cards` say what they cost."""

    def __init__(self, players: dict[str, Answer] | None = None, cards: dict[str, ModelCard] | None = None) -> None:
        self.players = players or {}
        self.cards = cards or {}

    async def model(self, name: str) -> "PlayedModel":
        if name not in self.players:
            raise NotFound(f"there is no model '{name}'")
        card = self.cards.get(name, ModelCard(name, input_price=1.0, output_price=2.0))
        return PlayedModel(card, self.players[name])

    async def abilities(self, name: str) -> Abilities:
        raise Unavailable(f"the played model '{name}' does nothing but answer")

    async def close(self) -> None:
        pass


class PlayedModel:
    """One model. What it says is told word by word before it is answered."""

    def __init__(self, card: ModelCard, player: Answer) -> None:
        self.card = card
        self._player = player

    async def answer(self, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer:
        answer = self._player(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        assert isinstance(answer, ModelAnswer)
        for word in answer.text.split():
            tell(Delta(word))
        return answer


Act = Callable[[dict[str, Any], ToolContext], Any]
"""Plays a tool: returns (or awaits to) a text or a ToolResult, or raises."""


class PlayedTool:
    """A tool played by a function; `check` plays its memory of what happened (by key)."""

    def __init__(self, spec: ToolSpec, act: Act, check: Callable[[str], ToolResult | None] | None = None) -> None:
        self.spec = spec
        self._act = act
        self._check = check

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        result = self._act(arguments, context)
        if asyncio.iscoroutine(result):
            result = await result
        return result if isinstance(result, ToolResult) else text_result(str(result))

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return self._check(key) if self._check else None


class PlayedTools:
    """Tools by name."""

    def __init__(self, tools: Sequence[Tool] = ()) -> None:
        self.tools = {tool.spec.name: tool for tool in tools}

    def names(self) -> list[str]:
        return sorted(self.tools)

    def expand(self, name: str) -> list[Tool]:
        return [self.tool(name)]

    def tool(self, name: str) -> Tool:
        if name not in self.tools:
            raise NotFound(f"there is no tool '{name}'")
        return self.tools[name]


class PlayedSandbox:
    """A sandbox whose shell is a function of the line and the folder's content; it returns an exit code."""

    name = "played"

    def __init__(self, folders: dict[str, dict[str, bytes]], shell: Callable[[str, dict[str, bytes]], Any]) -> None:
        self._folders = folders
        self._shell = shell
        self.prepared: list[tuple[str, ...]] = []
        self.runs: list[SandboxRun] = []
        self.released: list[str] = []

    async def available(self) -> Availability:
        return Availability(True)

    @property
    def isolation(self) -> Isolation:
        return "process"

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        self.prepared.append(policy.packages)

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        raise Unavailable("the played sandbox serves no ports")

    async def release(self, workspace: str) -> None:
        self.released.append(workspace)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        self.runs.append(run)
        code = self._shell(run.argv[-1], self._folders[run.workspace])
        if asyncio.iscoroutine(code):
            code = await code
        return code if isinstance(code, SandboxOutcome) else SandboxOutcome(int(code or 0))

    async def close(self) -> None:
        pass


class PlayedScripts:
    """Expressions and scripts, each evaluated by the function `play`, which may raise Permanent (`script-error`)."""

    def __init__(self, play: Callable[[Evaluation], Value | ScriptRequest]) -> None:
        self._play = play

    async def evaluate(self, evaluation: Evaluation) -> Value | ScriptRequest:
        return self._play(evaluation)

    def mistakes(self, source: str, expression: bool) -> str | None:
        return None

    async def close(self) -> None:
        pass


class PlayedPrograms:
    """The programs of one bundle. `counts` are replicas by role, `live` the budgets by source; both may change."""

    def __init__(self, bundle: Bundle) -> None:
        self._programs: dict[str, Program[Any]] = {
            "agent": AgentProgram(bundle),
            "workflow": WorkflowProgram(bundle),
            "supervisor": SupervisorProgram(bundle),
        }
        self.counts: dict[str, int] = {}
        self.live: dict[str, Limits] = {}
        self.daily: tuple[Scope, ...] = ()

    async def program(self, spec: TaskSpec) -> Program[Any]:
        return self._programs[spec.kind]

    async def policy(self, spec: TaskSpec) -> SandboxPolicy:
        return SandboxPolicy()

    def replicas(self, namespace: str, role: str) -> int:
        return self.counts.get(role, 1)

    def limits(self, scope: Scope) -> Limits:
        return self.live.get(scope.source, scope.limits)

    def scopes(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        own = tuple(msgspec.structs.replace(scope, limits=self.limits(scope)) for scope in spec.scopes)
        return (*own, *self.days(spec, now))

    def days(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        return self.daily


class Lines:
    """A log that keeps its lines: (level, event, values)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **values: Any) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append(("warning", event, values))

    def error(self, event: str, **values: Any) -> None:
        self.lines.append(("error", event, values))

    def errors(self) -> list[dict[str, Any]]:
        """What stands with the errors."""
        return [values for level, _, values in self.lines if level == "error"]


async def _searched(pattern: str, text: bytes) -> bool:
    return re.search(pattern, text.decode("utf-8", "replace")) is not None


async def _nowhere(url: str, headers: dict[str, str], most: int, seconds: float) -> tuple[int, bytes]:
    raise Permanent(f"{url} is not of this world", code="refused")


class World:
    """Everything around an engine. Change a part before `engine` is called; `recorded` is what was committed."""

    def __init__(self, bundle: Bundle, store: Store, seed: int = 0) -> None:
        self.bundle = bundle
        self.store = store
        self.blobs = MemoryBlobs()
        self.folders: dict[str, dict[str, bytes]] = {}
        self.most_files = 1000
        self.models = PlayedModels()
        self.tools = PlayedTools()
        self.shell: Callable[[str, dict[str, bytes]], Any] = lambda line, content: 0
        self.scripts = PlayedScripts(lambda evaluation: Value(dict.fromkeys(evaluation.expressions)))
        self.programs = PlayedPrograms(bundle)
        self.fetch: Fetch = _nowhere
        self.settings = EngineSettings()
        self.log = Lines()
        self.recorded: list[Recorded] = []
        self._random = random.Random(seed)

    def clock(self) -> float:
        """Seconds since the epoch, by the running loop."""
        return START + asyncio.get_running_loop().time()

    def engine(self, name: str = "e1", store: Store | None = None) -> Engine:
        """An engine of this world, not started."""
        sandbox = PlayedSandbox(self.folders, self.shell)
        parts = Parts(
            store=store or self.store,
            blobs=self.blobs,
            workspaces=MemoryWorkspaces(self.blobs, self.folders, self.most_files),
            models=self.models,
            tools=self.tools,
            sandbox=sandbox,
            prober=HttpProber(sandbox),
            inspector=HostInspector(_searched, self.fetch),
            scripts=self.scripts,
            programs=self.programs,
            log=self.log,
            random=self._random.random,
            clock=self.clock,
            committed=lambda done: self.recorded.extend(done.events),
        )
        return Engine(parts, self.settings, name)

    def events(self, task: str) -> list[Any]:
        """The committed events of a task, in order."""
        return [recorded.event for recorded in self.recorded if recorded.task == task]


def order(id: str, name: str, kind: Any = "agent", limits: Limits | None = None, **more: Any) -> TaskSpec:
    """A root task's specification, with files of its own and, where given, a budget."""
    scopes = (Scope(id, limits, f"default/{kind}/{name}"),) if limits else ()
    return TaskSpec(id, kind, name, "bundle", text_message("person", "do it"), workspace=id, scopes=scopes, **more)
