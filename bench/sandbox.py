"""A Python run in every sandbox that is here, fully isolated, beside the same run bare and beside what others do.

All take turns in each round, so that what else the machine does hits all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agenthost.core.errors import AgentHostError
from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from bench import floors
from bench.boxes import Box, Engine, Place, box, engine, opened
from bench.floors import CODE, PYTEST, TEST
from bench.processes import NotMeasured
from bench.records import Results, median, pairwise
from bench.setting import Setting

SUITE = "sandbox"
SUBJECT = box("bubblewrap").subject
DOCKER, GVISOR = box("docker").subject, box("gvisor").subject
PLAIN = "python3, bare"
EXEC, RUN = "docker exec, by its API", "docker run --rm, by its API"
AT_ONCE = 8
WARM, COLD, FILE, WARM_PYTEST, COLD_PYTEST = (
    "print(1), warm",
    "print(1), new workspace",
    "print(1) as a file, warm",
    "pytest, warm",
    "pytest, new workspace",
)
TIMES_PLAIN, TIMES_DOCKER = ", times bare", ", times docker's"
EIGHT = f"runs/s, {AT_ONCE} at once"
EIGHT_BY_ONE = f"runs/s, {AT_ONCE} at once by one at a time"

Timed = Callable[[], Awaitable[float]]


@dataclass
class Open:
    """A back end that is open."""

    box: Box
    sandbox: Sandbox
    workspaces: Path
    made: int = 0

    def workspace(self) -> Path:
        """A new one, with a program and its test."""
        self.made += 1
        folder = self.workspaces / f"w{self.made}"
        folder.mkdir()
        (folder / "main.py").write_text(CODE)
        (folder / "test_it.py").write_text(TEST)
        return folder

    async def run(self, workspace: Path, what: Sequence[str], wanted: bytes = b"1\n") -> float:
        """Milliseconds of one run. Raises NotMeasured where it doesn't say what it should."""
        began = time.perf_counter()
        done = await self.sandbox.run(SandboxRun(("python3", *what), str(workspace), SandboxPolicy()))
        took = (time.perf_counter() - began) * 1000
        if wanted not in done.stdout or done.exit_code:
            said = (done.stderr or done.stdout).decode(errors="replace")[-300:]
            raise NotMeasured(f"the sandboxed run failed: {said or done.limit}")
        return took


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    setting.tell("the sandboxes")
    with engine(setting.boxes, setting.image, setting.tell) as found:
        asyncio.run(_measure(setting, found))


async def _measure(setting: Setting, found: Engine | NotMeasured) -> None:
    async with AsyncExitStack() as stack:
        ends: list[Open] = []
        for one in setting.boxes:
            place = Place(setting.folder / "sandbox" / one.name, found, setting.home)
            try:
                sandbox = await stack.enter_async_context(opened(one, place))
            except (AgentHostError, NotMeasured, ImportError) as reason:
                setting.results.missing(SUITE, one.subject, WARM, "ms", str(reason))
            else:
                ends.append(Open(one, sandbox, place.workspaces))
        others = await _others(setting, found, stack)
        await _prints(setting, ends, others)
        await _pytests(setting, ends)
        for end in ends:
            await _at_once(setting, end)


async def _others(setting: Setting, found: Engine | NotMeasured, stack: AsyncExitStack) -> dict[str, Timed]:
    """What others do, as far as it works here."""
    names = {one.name for one in setting.boxes}
    wanted: dict[str, Timed] = {"bwrap, bare": floors.bwrap} if "bubblewrap" in names else {}
    wanted |= {"runsc do": floors.runsc} if "gvisor" in names else {}
    if isinstance(found, Engine):
        containers = floors.Containers(found)
        stack.push_async_callback(containers.close)
        await containers.open()
        wanted |= {EXEC: containers.exec, RUN: containers.run}
    elif any(one.needs_engine for one in setting.boxes):
        setting.results.missing(SUITE, EXEC, CODE, "ms", str(found))
    there: dict[str, Timed] = {}
    for subject, once in wanted.items():
        try:
            await once()
        except NotMeasured as reason:
            setting.results.missing(SUITE, subject, CODE, "ms", str(reason))
        else:
            there[subject] = once
    return there


async def _prints(setting: Setting, ends: Sequence[Open], others: dict[str, Timed]) -> None:
    """print(1): bare, in each sandbox with the workspace of before and with a new one, and as others run it."""
    plain = setting.folder / "sandbox" / "bare"
    plain.mkdir(parents=True, exist_ok=True)
    kept = {end.box.subject: end.workspace() for end in ends}
    for end in ends:
        for what in (("-c", CODE), ("main.py",)) * 2:
            await end.run(kept[end.box.subject], what)
    seen: dict[tuple[str, str], list[float]] = {}
    for number in range(setting.scale.launches):
        setting.tell(f"print(1) in every sandbox, {number + 1} of {setting.scale.launches}")
        _keep(seen, PLAIN, CODE, floors.bare(plain, "-c", CODE))
        for end in ends:
            workspace = kept[end.box.subject]
            _keep(seen, end.box.subject, WARM, await end.run(workspace, ("-c", CODE)))
            _keep(seen, end.box.subject, FILE, await end.run(workspace, ("main.py",)))
        for end in ends:
            _keep(seen, end.box.subject, COLD, await _in_a_new_one(end, ("-c", CODE)))
        for subject, once in others.items():
            _keep(seen, subject, CODE, await once())
    _tell(setting.results, seen, (PLAIN, CODE))
    warm = {subject: times for (subject, metric), times in seen.items() if metric == WARM}
    for subject in (GVISOR, box("docker-runsc").subject):
        if subject in warm and DOCKER in warm:
            ratio = pairwise(warm[subject], warm[DOCKER])
            setting.results.add(SUITE, subject, WARM + TIMES_DOCKER, ratio, "x")


async def _pytests(setting: Setting, ends: Sequence[Open]) -> None:
    """A test file that passes, by `python -m pytest -q`."""
    plain = setting.folder / "sandbox" / "bare"
    (plain / "test_it.py").write_text(TEST)
    floors.bare(plain, *PYTEST)
    kept = {end.box.subject: end.workspace() for end in ends}
    for end in ends:
        await end.run(kept[end.box.subject], PYTEST, b"1 passed")
    seen: dict[tuple[str, str], list[float]] = {}
    rounds = max(setting.scale.launches // 2, 1)
    for number in range(rounds):
        setting.tell(f"pytest in every sandbox, {number + 1} of {rounds}")
        _keep(seen, PLAIN, "pytest", floors.bare(plain, *PYTEST))
        for end in ends:
            _keep(seen, end.box.subject, WARM_PYTEST, await end.run(kept[end.box.subject], PYTEST, b"1 passed"))
        for end in ends:
            _keep(seen, end.box.subject, COLD_PYTEST, await _in_a_new_one(end, PYTEST, b"1 passed"))
    _tell(setting.results, seen, (PLAIN, "pytest"))


async def _in_a_new_one(end: Open, what: Sequence[str], wanted: bytes = b"1\n") -> float:
    """A run in a new workspace, which is let go afterwards."""
    workspace = end.workspace()
    try:
        return await end.run(workspace, what, wanted)
    finally:
        await end.sandbox.release(str(workspace))


def _keep(seen: dict[tuple[str, str], list[float]], subject: str, metric: str, value: float) -> None:
    seen.setdefault((subject, metric), []).append(value)


def _tell(results: Results, seen: dict[tuple[str, str], list[float]], bare: tuple[str, str]) -> None:
    for (subject, metric), times in seen.items():
        results.add(SUITE, subject, metric, median(times), "ms")
        if (subject, metric) != bare:
            results.add(SUITE, subject, metric + TIMES_PLAIN, pairwise(times, seen[bare]), "x")


async def _at_once(setting: Setting, end: Open) -> None:
    """print(1) in eight workspaces, by one caller after the other and by eight callers; the two take turns."""
    setting.tell(f"{AT_ONCE} at once: {end.box.name}")
    places = [end.workspace() for _ in range(AT_ONCE)]
    for place in places:
        await end.run(place, ("-c", CODE))

    each = max(setting.scale.launches // 3, 1)

    async def caller(mine: Sequence[Path]) -> None:
        for place in mine:
            await end.run(place, ("-c", CODE))

    async def batch(callers: Sequence[Sequence[Path]]) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(caller(mine) for mine in callers))
        return AT_ONCE * each / (time.perf_counter() - began)

    eight, one = [[place] * each for place in places], [places * each]
    seen = [(await batch(eight), await batch(one)) for _ in range(setting.scale.repetitions)]
    for place in places:
        await end.sandbox.release(str(place))
    at_once, by_one = ([pair[side] for pair in seen] for side in range(2))
    setting.results.add(SUITE, end.box.subject, EIGHT, median(at_once), "1/s")
    setting.results.add(SUITE, end.box.subject, "runs/s, one at a time", median(by_one), "1/s")
    setting.results.add(SUITE, end.box.subject, EIGHT_BY_ONE, pairwise(at_once, by_one), "x")
