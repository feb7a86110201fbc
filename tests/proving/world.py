"""Runs a case of the gallery through the real engine: the real tools for files, a small shell, models that are played."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from agenthost.core.commands import Ask
from agenthost.core.definitions import Bundle, PinnedAgent, PinnedModel, PinnedTool
from agenthost.core.events import Asked, Finished, Recorded, Value
from agenthost.core.manifests.agent import Agent
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.ports import Evaluation, InboxItem
from agenthost.core.sandboxes import SandboxOutcome
from agenthost.stores.memory import MemoryStore
from agenthost.testing.loops import fast
from agenthost.testing.world import PlayedModels, PlayedScripts, PlayedTools, World, order, says
from agenthost.tools.workspace import workspace_tools

Files = dict[str, bytes]
Step = ModelAnswer | Callable[[ModelRequest], ModelAnswer]
Pick = tuple[str, str]
"""A receipt that a judge names: what its line must have, and the quote."""


@dataclass(frozen=True)
class Case:
    """One piece of work. `steps` are the agent's answers, the last one again and again; `judge` the judge's."""

    name: str
    completion: dict[str, Any]
    steps: tuple[Step, ...]
    judge: Callable[[str, int], Any] | None = None
    files: dict[str, str] = field(default_factory=dict[str, str])
    web: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    agents: dict[str, tuple[Step, ...]] = field(default_factory=dict[str, tuple[Step, ...]])
    why: str = ""
    lines: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """What some whole lines of shell come to."""
    flood: int = 0
    """Files that a line of `lines` writes."""
    replies: tuple[str, ...] = ()
    """What a person answers, question by question."""


@dataclass(frozen=True)
class Outcome:
    """How a case ended."""

    finished: Finished
    events: list[Recorded]
    world: World

    @property
    def outcome(self) -> str:
        return self.finished.verdict.outcome

    @property
    def reason(self) -> str:
        return self.finished.verdict.reason


# --- the agent's steps -----------------------------------------------------------------------------


def write(path: str, content: str) -> ModelAnswer:
    return says("", ("write_file", {"path": path, "content": content}))


def run(command: str) -> ModelAnswer:
    return says("", ("run", {"command": command}))


def read(path: str) -> ModelAnswer:
    return says("", ("read_file", {"path": path}))


def delete(path: str) -> ModelAnswer:
    return says("", ("delete_file", {"path": path}))


# --- judges ----------------------------------------------------------------------------------------

EVENT = re.compile(r"^event (\d+) \(", re.M)


def believes(*also: int, quote: str = "", verdict: str = "done") -> Callable[[str, int], Any]:
    """The worst judge: every criterion is met, and every event of the journal is evidence of each."""

    def judge(material: str, criteria: int) -> Any:
        shown = [*range(1, max(map(int, EVENT.findall(material)), default=0) + 1), *also]
        pieces = [{"event": event, "quote": quote} for event in shown]
        return answer([(True, pieces, "")] * criteria, verdict)

    return judge


def cites(*picks: list[Pick] | str, verdict: str = "done", question: str = "") -> Callable[[str, int], Any]:
    """An honest judge: for each criterion the receipts that show it, or what is missing. `look` is the last look at files."""

    def judge(material: str, criteria: int) -> Any:
        found: list[tuple[bool, list[dict[str, Any]], str]] = []
        for pick in picks:
            if isinstance(pick, str):
                found.append((False, [], pick))
            else:
                found.append((True, [{"event": event_of(material, line), "quote": quote} for line, quote in pick], ""))
        return answer(found, verdict, question)

    return judge


def event_of(material: str, line: str) -> int:
    """The newest receipt whose line has some words."""
    lines = [each for each in material.split("\n") if each.startswith("event ") and line in each]
    if line == "look":
        lines = [each for each in material.split("\n") if "(look)" in each]
    return int(lines[-1].split()[1]) if lines else 0


def answer(found: list[tuple[bool, list[dict[str, Any]], str]], verdict: str, question: str = "") -> Any:
    criteria = [
        {"number": number, "met": met, "evidence": pieces, "missing": missing}
        for number, (met, pieces, missing) in enumerate(found, 1)
    ]
    return {"criteria": criteria, "verdict": verdict, "reason": "so it seems", "question": question}


# --- a small shell ---------------------------------------------------------------------------------


def shell(line: str, files: Files) -> SandboxOutcome:
    """`;`, `&&`, `||`, one pipe into tail or tee, redirection; echo, cat, rm, cp, sed -i s/a/b/, pytest, python."""
    out, code = "", 0
    for link, part in re.findall(r"(^|;|&&|\|\|)\s*((?:(?!;|&&|\|\|).)+)", line):
        if (link == "&&" and code) or (link == "||" and not code):
            continue
        command, _, piped = part.partition("|")
        text, code = _one(command.strip(), files)
        if piped:
            if piped.split()[0] == "tee":
                files[piped.split()[1]] = text.encode()
            code = 0
        out += text
    return SandboxOutcome(code, out.encode())


def _one(command: str, files: Files) -> tuple[str, int]:
    command, _, into = command.partition(" > ")
    words = command.split()
    text, code = _program(words, command, files)
    if into:
        files[into.strip()] = text.encode()
        return "", code
    return text, code


def _program(words: list[str], command: str, files: Files) -> tuple[str, int]:
    match words[0]:
        case "true" | ":":
            return "", 0
        case "echo":
            return command.removeprefix("echo ").strip("'\"") + "\n", 0
        case "cat" | "python" if words[1] not in files:
            return f"{words[1]}: no such file\n", 2
        case "cat":
            return files[words[1]].decode(), 0
        case "rm":
            files.pop(words[1], None)
            return "", 0
        case "cp":
            files[words[2]] = files[words[1]]
            return "", 0
        case "sed":
            _, old, new, _ = words[2].split("/")
            files[words[3]] = files[words[3]].decode().replace(old, new).encode()
            return "", 0
        case "make":
            return _merged(shell(files["Makefile"].decode().strip(), files))
        case "pytest":
            return _pytest(words, files)
        case "python":
            return _python(files[words[1]].decode(), files)
        case _:
            return f"{words[0]}: not found\n", 127


def _merged(outcome: SandboxOutcome) -> tuple[str, int]:
    return outcome.stdout.decode(), outcome.exit_code


def _python(source: str, files: Files) -> tuple[str, int]:
    """A program of lines: `print WORDS`, `write PATH WORDS`, `remove PATH`, `fail`."""
    out = ""
    for line in source.splitlines():
        words = line.split(" ", 2)
        if words[0] == "print":
            out += line.removeprefix("print ") + "\n"
        elif words[0] == "write":
            files[words[1]] = words[2].encode()
        elif words[0] == "toggle":
            files[words[1]] = b"print BUG\n" if words[1] in files else b"print Hello\n"
        elif words[0] == "remove":
            files.pop(words[1], None)
        elif words[0] == "fail":
            return out + "Traceback: failed\n", 1
    return out, 0


def _pytest(words: list[str], files: Files) -> tuple[str, int]:
    """Tests are the lines `test`, `skip` and `crash` of test_*.py; each fails where main.py has BUG, or isn't there."""
    kinds = [
        line for path in sorted(files) if re.search(r"(^|/)test_", path) for line in files[path].decode().split("\n")
    ]
    ran, skipped = kinds.count("test"), kinds.count("skip")
    if "crash" in kinds:
        return "INTERNALERROR> conftest crashed\n", 3
    bad = ran if b"BUG" in files.get("main.py", b"BUG") else 0
    where = next((word.partition("=")[2] for word in words if word.startswith("--junitxml=")), "")
    if where:
        files[where] = junit(ran, bad, skipped).encode()
    files["__pycache__/test.pyc"] = str(len(files)).encode()
    if not ran + skipped:
        return "no tests ran in 0.01s\n", 5
    told = [
        f"{count} {word}" for count, word in ((bad, "failed"), (ran - bad, "passed"), (skipped, "skipped")) if count
    ]
    return f"{', '.join(told)} in 0.01s\n", int(bool(bad))


def junit(ran: int, failed: int, skipped: int) -> str:
    """A test report."""
    cases = ["<testcase name='t'><failure message='no'/></testcase>"] * failed
    cases += ["<testcase name='t'/>"] * (ran - failed) + ["<testcase name='t'><skipped/></testcase>"] * skipped
    return (
        f"<?xml version='1.0'?><testsuites><testsuite tests='{ran + skipped}'>{''.join(cases)}</testsuite></testsuites>"
    )


def _shell(case: Case) -> Callable[[str, Files], Any]:
    def play(line: str, files: Files) -> SandboxOutcome:
        if line not in case.lines:
            return shell(line, files)
        files |= {f"a/{number}.txt": b"x" for number in range(case.flood)}
        code, out = case.lines[line]
        return SandboxOutcome(code, out.encode())

    return play


# --- the run ---------------------------------------------------------------------------------------


def _plan(steps: tuple[Step, ...]) -> Callable[[ModelRequest], ModelAnswer]:
    def play(request: ModelRequest) -> ModelAnswer:
        at = sum(turn.role == "assistant" for turn in request.turns)
        step = steps[min(at, len(steps) - 1)]
        return step(request) if callable(step) else step

    return play


def _evaluate(evaluation: Evaluation) -> Value:
    if evaluation.function:
        scope: dict[str, Any] = {}
        exec(evaluation.source, scope)  # the case's own script
        return Value({"result": scope[evaluation.function](*evaluation.names.values())})
    return Value({name: eval(text, {}, dict(evaluation.names)) for name, text in evaluation.expressions.items()})


def _agent(name: str, spec: dict[str, Any]) -> PinnedAgent:
    tools = tuple(PinnedTool.model_validate(msgspec.to_builtins(tool.spec)) for tool in workspace_tools())
    given = {"model": name, "tools": ["workspace"], **spec}
    manifest = Agent.model_validate({"metadata": {"name": name}, "spec": given})
    return PinnedAgent(
        manifest=manifest, tools={"workspace": tools}, model=PinnedModel(name=name, window=100_000, max_output=4000)
    )


class Play:
    """A case under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine = world.engine()

    async def again(self) -> None:
        """The host stops and starts again."""
        await self.engine.close()
        self.engine = self.world.engine("e2")
        await self.engine.start(alone=True)

    async def reply(self, question: str, text: str) -> None:
        """A person answers."""
        body = msgspec.json.encode({"question": question, "text": text, "by": "owner"})
        await self.engine.put(InboxItem("t1", f"reply:{question}", "reply", body, self.world.clock()))


Meanwhile = Callable[[Play], Awaitable[None]]


async def run_case(case: Case, meanwhile: Meanwhile | None = None, slow: float = 0.0) -> Outcome:
    """Run a case to its end. `slow`: seconds that the judge takes."""
    world = await _world(case, slow)
    play = Play(world)
    await play.engine.begin(alone=True)
    files = {path: await world.blobs.put(content.encode()) for path, content in case.files.items()}
    await play.engine.create(order("t1", "worker"), files)
    if meanwhile is not None:
        await meanwhile(play)
    replies = list(case.replies)
    while not any(isinstance(one.event, Finished) and one.task == "t1" for one in world.recorded):
        asked = [
            one.event.command.id
            for one in world.recorded
            if isinstance(one.event, Asked) and isinstance(one.event.command, Ask)
        ]
        if replies and len(asked) > len(case.replies) - len(replies):
            await play.reply(asked[-1], replies.pop(0))
        await asyncio.sleep(0.01)
    await play.engine.close()
    events = [one for one in world.recorded if one.task == "t1"]
    assert isinstance(events[-1].event, Finished)
    return Outcome(events[-1].event, events, world)


async def _world(case: Case, slow: float) -> World:
    completion = {"supervisor": {"model": "judge"}, **case.completion} if case.judge else case.completion
    worker = _agent("worker", {"completion": completion, **case.more})
    others = [_agent(name, {}) for name in case.agents]
    store = MemoryStore()
    await store.open()
    world = World(Bundle(agents={one.manifest.metadata.name: one for one in (worker, *others)}), store)
    world.tools = PlayedTools(workspace_tools())
    world.shell = _shell(case)
    world.scripts = PlayedScripts(_evaluate)
    criteria = len(case.completion.get("criteria", ()))

    async def judged(request: ModelRequest) -> ModelAnswer:
        assert case.judge is not None
        await asyncio.sleep(slow)
        value = case.judge(request.turns[0].text, criteria)
        return says(value if isinstance(value, str) else json.dumps(value))

    async def fetch(url: str, headers: dict[str, str], most: int, seconds: float) -> tuple[int, bytes]:
        status, body = case.web.get(url, (404, "not here"))
        return status, body.encode()

    world.fetch = fetch
    plans = {name: _plan(steps) for name, steps in case.agents.items()}
    world.models = PlayedModels({"worker": _plan(case.steps), "judge": judged, **plans})
    return world


def went(case: Case, meanwhile: Meanwhile | None = None, slow: float = 0.0) -> Outcome:
    """Run a case to its end, on a clock that jumps."""
    return fast(run_case(case, meanwhile, slow), limit=3600)
