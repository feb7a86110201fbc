"""How long it takes until a cancelled run is gone altogether: its processes dead, its stream closed as the provider sees it, its
children ended; and until a pause rests and a reply is heard. Under load, beside killing the same processes bare."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from agenthost.core.api import Order
from agenthost.core.errors import AgentHostError
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import text_message
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.sandboxes.docker.engine import reach
from bench.boxes import Box, Engine, engine
from bench.control_provider import Provider, provided
from bench.processes import NotMeasured
from bench.records import Results, median
from bench.setting import OURS, Setting

SUITE = "control"
AT_ONCE, LOAD = 8, 4
GONE = "cancel until all of it is gone"
DEAD, CLOSED, ENDED = (
    "cancel until its processes are dead",
    "cancel until its stream is closed",
    "cancel until it is written",
)
WORST = ", worst"
BARE, BY_DOCKER = "kill -9, bare", "docker kill, by its API"
KILLED = "until the processes are dead"
RESTS, HEARD, STEP = (
    "pause until it rests",
    "reply until the model is asked with it",
    "a step: a model call and a tool's",
)
SEEN = ("bubblewrap", "docker", "gvisor")
"""Sandboxes whose processes can be told from outside."""
PATIENCE = 60.0

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: top}
spec: {instructions: Delegate., tools: ["delegate:middle"]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: middle}
spec: {instructions: Delegate., tools: ["delegate:writer", "delegate:runner"]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec: {instructions: Write.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: runner}
spec: {instructions: Run., tools: [workspace], sandbox: {memory: 128Mi, timeout: 1h}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: steps}
spec: {instructions: Go on and on., tools: [add], budget: {turns: 1000000}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: quick}
spec: {instructions: Answer.}
"""
PLAYBOOK = """
name: control
rules:
  - when: {agent: top}
    reply: {calls: [{tool: delegate_to_middle, arguments: {task: "{{said}}"}}]}
  - when: {agent: middle}
    reply: {calls: [{tool: delegate_to_writer, arguments: {task: "{{said}}"}}, {tool: delegate_to_runner, arguments: {task: "{{said}}"}}]}
  - {when: {agent: writer}, fail: {kind: stall, after: 2}, reply: {text: "one two three four"}}
  - when: {agent: runner}
    reply: {calls: [{tool: run, arguments: {command: "sleep {{said}} & (setsid sleep {{said}} &) ; sleep {{said}}"}}]}
  - when: {agent: steps}
    reply: {calls: [{tool: add, arguments: {a: 1, b: 2}}], delay: 0.02}
  - {when: {agent: quick}, reply: {text: done, delay: 0.005}}
"""
COMMAND = "sleep {0} & (setsid sleep {0} &) ; sleep {0}"
PROCESSES = 3
"""Sleeps of one run."""


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    setting.tell("cancel, pause and reply")
    with engine(setting.boxes, setting.image, setting.tell) as found:
        asyncio.run(_measure(setting, found))


async def _measure(setting: Setting, found: Engine | NotMeasured) -> None:
    steered = False
    for one in setting.boxes:
        try:
            if one.name not in SEEN:
                raise NotMeasured("its processes can't be seen from outside by their words")
            async with _stand(setting, one, found) as stand:
                async with stand.load():
                    # What fails ends the load first.
                    failed = await _caught(_cancels(setting, stand)) or (
                        not steered and await _caught(_steers(setting, stand))
                    )
                steered = True
                if failed:
                    raise failed
        except (AgentHostError, NotMeasured) as reason:
            setting.results.missing(SUITE, one.subject, GONE, "ms", str(reason))


async def _caught(work: Awaitable[None]) -> NotMeasured | None:
    try:
        await work
    except (AgentHostError, NotMeasured, TimeoutError, ExceptionGroup) as reason:
        return NotMeasured(str(reason) or "it took too long")
    return None


class Stand:
    """A host with one sandbox over a provider that counts."""

    def __init__(self, host: Host, provider: Provider, box: Box, engine: Engine | NotMeasured) -> None:
        self.host, self.provider, self.box, self.engine = host, provider, box, engine

    @property
    def pool(self) -> Any:
        """The rooms, where the sandbox has rooms."""
        choice: Any = self.host._adapters.sandbox
        for made in choice._made.values():
            while hasattr(made, "inner"):
                made = made.inner
            return getattr(made, "_pool", None)
        return None

    @asynccontextmanager
    async def load(self) -> AsyncGenerator[None]:
        """Short runs, one after the other, while the context is open."""

        async def quick() -> None:
            while True:
                row = await self.host.start(Order("quick", "go"))
                async for _ in self.host.follow(row.id):
                    pass

        async with asyncio.TaskGroup() as group:
            working = [group.create_task(quick()) for _ in range(LOAD)]
            try:
                yield
            finally:
                for each in working:
                    each.cancel()

    def processes(self, task: str, mark: str) -> set[int]:
        """Of a run: those with its mark or, where they can't be seen from here, its sandbox's."""
        found = _marked(mark)
        if self.box.name == "gvisor" and self.pool is not None:
            for (workspace, _), held in self.pool._held.items():
                if Path(workspace).name.partition(".")[0] == task and held.users:
                    found |= _below(held.room._line.pid)
        return found


@asynccontextmanager
async def _stand(setting: Setting, box: Box, found: Engine | NotMeasured) -> AsyncGenerator[Stand]:
    home = setting.folder / "control" / box.name
    home.mkdir(parents=True, mode=0o700)
    kind, toml = box.name.partition("-")[0], ""
    if box.needs_engine:
        if isinstance(found, NotMeasured):
            raise NotMeasured(str(found))
        runtime = "runsc" if box.name.endswith("runsc") else "runc"
        if runtime not in found.runtimes:
            raise NotMeasured(f"this engine has no runtime {runtime}; see docs/sandbox.md, 'Docker'")
        toml = f'[sandbox.docker]\nhost = "{found.address}"\nimage = "{found.image}"\nruntime = "{runtime}"\n'
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(provided(home / "playbook.yaml", PLAYBOOK))
        toml += f'[models]\ndefault = "fake:m"\n[models.providers.fake]\nbase-url = "{provider.url}"\nlabels = true\n'
        (home / "agenthost.toml").write_text(toml + '[tools]\nadd = "bench.tools:ADD"\n')
        host = await open_host(load(home, {"AGENTHOST_SANDBOX": kind}), work=True)
        stack.push_async_callback(host.close)
        there = await host._adapters.sandbox.available()
        if not there.available:
            raise NotMeasured(f"{there.detail}. To mend it: {there.fix}")
        _, problems = await host.apply({"manifests.yaml": MANIFESTS})
        if problems:
            raise NotMeasured(str(problems))
        yield Stand(host, provider, box, found)


async def _cancels(setting: Setting, stand: Stand) -> None:
    seen: dict[str, list[float]] = {GONE: [], DEAD: [], CLOSED: [], ENDED: []}
    bare: list[float] = []
    by_docker: list[float] = []
    draw = random.Random(7)
    for number in range(setting.scale.launches):
        setting.tell(f"cancels: {stand.box.name}, {number + 1} of {setting.scale.launches}")
        marks = [f"9{os.getpid()}.{number}{at}{draw.randrange(10**6)}" for at in range(AT_ONCE)]
        runs = [await _there(stand, mark) for mark in marks]
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            ends = [group.create_task(_cancelled(stand, task, pids, draw.uniform(0, 0.2))) for task, pids in runs]
            group.create_task(_bare(bare))
            if stand.box.name == "docker":
                group.create_task(_by_docker(stand, by_docker))
        for end in ends:
            for metric, took in end.result().items():
                seen[metric].append(took)
    for metric, times in seen.items():
        _tell(setting.results, stand.box.subject, metric, times)
    _tell(setting.results, f"{BARE} (beside {stand.box.name})", KILLED, bare)
    if by_docker:
        _tell(setting.results, BY_DOCKER, KILLED, by_docker)


async def _there(stand: Stand, mark: str) -> tuple[str, set[int]]:
    """Start a run of five tasks and wait until its model writes and its command runs; its processes."""
    task = (await stand.host.start(Order("top", mark))).id
    async with asyncio.timeout(PATIENCE):
        while not stand.provider.streams[task] or len(pids := stand.processes(task, mark)) < PROCESSES:
            await asyncio.sleep(0.01)
    return task, pids


async def _cancelled(stand: Stand, task: str, pids: set[int], after: float) -> dict[str, float]:
    """Cancel a run; milliseconds until each part of it is gone."""
    await asyncio.sleep(after)
    began = time.perf_counter()

    async def ended() -> None:
        async for _ in stand.host.follow(task):
            pass

    async with asyncio.TaskGroup() as group:
        group.create_task(stand.host.cancel(task))
        parts = {
            DEAD: group.create_task(_when(began, lambda: not _living(pids))),
            CLOSED: group.create_task(_when(began, lambda: not stand.provider.streams[task])),
            ENDED: group.create_task(_timed(began, ended())),
        }
    left = [row.id for row in await stand.host.tasks(Filter(root=task)) if row.state not in FINAL]
    if left:
        raise NotMeasured(f"a cancel left {left}")
    took = {metric: part.result() for metric, part in parts.items()}
    return took | {GONE: max(took.values())}


async def _bare(times: list[float]) -> None:
    """The same processes in one process group, killed."""
    mark = f"9{os.getpid()}.{random.randrange(10**9)}"
    words = ("sh", "-c", f"sleep {mark} & sleep {mark} & sleep {mark}")
    child = await asyncio.create_subprocess_exec(*words, start_new_session=True)
    while len(pids := _marked(mark)) < PROCESSES:
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    os.killpg(child.pid, signal.SIGKILL)
    times.append(await _when(began, lambda: not _living(pids)))
    await child.wait()


async def _by_docker(stand: Stand, times: list[float]) -> None:
    if isinstance(stand.engine, NotMeasured):
        return
    mark = f"9{os.getpid()}.{random.randrange(10**9)}"
    async with await reach(stand.engine.address) as docker:
        host = {"NetworkMode": "none", "Runtime": "runc", "Init": False}
        body = {"Image": stand.engine.image, "Entrypoint": [], "Cmd": ["sh", "-c", COMMAND.format(mark)]}
        container = await docker.containers.create(body | {"HostConfig": host})
        try:
            await container.start()
            while len(pids := _marked(mark)) < PROCESSES:
                await asyncio.sleep(0.01)
            began = time.perf_counter()
            await container.kill()
            times.append(await _when(began, lambda: not _living(pids)))
        finally:
            await container.delete(force=True)


async def _steers(setting: Setting, stand: Stand) -> None:
    """Pauses of runs whose steps take some 20 ms, and replies into them."""
    rests: list[float] = []
    heard: list[float] = []
    steps: list[float] = []
    draw = random.Random(7)
    for number in range(2 * setting.scale.launches):
        setting.tell(f"pauses and replies, {number + 1} of {2 * setting.scale.launches}")
        task = (await stand.host.start(Order("steps", "go"))).id
        async with asyncio.timeout(PATIENCE):
            while len(stand.provider.asked[task]) < 5:
                await asyncio.sleep(0.005)
            await asyncio.sleep(draw.uniform(0, 0.05))
            word = f"word-{number}-{draw.randrange(10**9)}"
            began = time.perf_counter()
            hearing = stand.provider.hears(word)
            await stand.host.say(task, text_message("owner", word))
            heard.append(1000 * (await hearing - began))
            await asyncio.sleep(draw.uniform(0, 0.05))
            at = stand.provider.asked[task]
            steps += [1000 * (later - earlier) for earlier, later in zip(at, at[1:], strict=False)]
            began = time.perf_counter()
            await stand.host.pause(task)
            rests.append(await _when(began, partial(_rests, stand.host, task)))
        await stand.host.cancel(task)
    for metric, times in ((RESTS, rests), (HEARD, heard), (STEP, steps)):
        _tell(setting.results, OURS, metric, times)


def _rests(host: Host, task: str) -> bool:
    return task not in host.engine.working()


def _tell(results: Results, subject: str, metric: str, times: list[float]) -> None:
    ordered = sorted(times)
    results.add(SUITE, subject, f"{metric}, p50", median(ordered), "ms")
    results.add(SUITE, subject, f"{metric}, p95", ordered[round(0.95 * (len(ordered) - 1))], "ms")
    results.add(SUITE, subject, metric + WORST, ordered[-1], "ms")


async def _timed(began: float, work: Awaitable[object]) -> float:
    await work
    return 1000 * (time.perf_counter() - began)


async def _when(began: float, true: Callable[[], bool]) -> float:
    """Milliseconds since `began` when something is first seen to be so."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.002)
    return 1000 * (time.perf_counter() - began)


def _marked(mark: str) -> set[int]:
    """The sleeps with this mark, of whatever user and session."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cmdline").read_bytes() == f"sleep\0{mark}\0".encode():
                found.add(int(entry.name))
    return found


def _below(pid: int) -> set[int]:
    """A process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _living(pids: set[int]) -> bool:
    return any(_state(pid) not in ("", "Z", "X") for pid in pids)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
