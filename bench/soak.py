"""Two hundred new sandboxes a minute, in the middle of which things go wrong: what is left of them afterwards.

The back end lives in a process of its own. This one counts from outside: before, when all have ended and their
workspaces were released, and once the back end is closed.
"""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiodocker

from agenthost.sandboxes.docker.engine import reach
from bench import leftovers
from bench.boxes import Box, Engine, engine
from bench.leftovers import Where
from bench.processes import NotMeasured, Worker
from bench.records import median
from bench.setting import Setting

SUITE = "soak"
A_MINUTE = 200
SUBJECT = "bench.subjects.soaked:Subject"
LEFT, WRONG, GROWTH = "left behind, all together", "came out wrong", "memory, growth"
SETTLES_WITHIN = 90.0
"""In seconds. The connection pool to an engine closes an unused connection after up to twice its 15 s."""
_LABEL = "agenthost.home"

Seen = dict[str, Counter[str]]


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    try:
        leftovers.adopt()
    except (OSError, AttributeError) as problem:
        for box in setting.boxes:
            setting.results.missing(SUITE, box.subject, LEFT, "", f"what is left is found on Linux only ({problem})")
        return
    with engine(setting.boxes, setting.image, setting.tell) as found:
        for box in setting.boxes:
            try:
                _soak(setting, box, found)
            except NotMeasured as reason:
                setting.results.missing(SUITE, box.subject, LEFT, "", str(reason))


class _Containers:
    """The engine, and which containers it made for us since this began."""

    def __init__(self, engine: Engine, home: str) -> None:
        self._engine = engine
        self._home = home
        self.ids: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        async def listen() -> None:
            async with await reach(self._engine.address) as docker:
                while not self._over.wait(0):
                    self.ids.update(await self._there(docker))
                    await asyncio.sleep(0.2)

        with suppress(aiodocker.DockerError, OSError):
            asyncio.run(listen())

    async def _there(self, docker: aiodocker.Docker) -> list[str]:
        filters = json.dumps({"label": [f"{_LABEL}={self._home}"]})
        return [container.id for container in await docker.containers.list(all="true", filters=filters)]

    def count(self) -> Counter[str]:
        """Containers of ours; and volumes, where the engine is ours."""

        async def ask() -> Counter[str]:
            async with await reach(self._engine.address) as docker:
                found = Counter({"container": len(await self._there(docker))})
                if self._engine.folder is not None:
                    found["volume"] = len((await docker.volumes.list())["Volumes"] or ())
                return found

        return asyncio.run(ask())

    def close(self) -> None:
        self._over.set()
        self._thread.join()


class _Watch:
    """Counts what is there of one worker."""

    def __init__(self, setting: Setting, worker: Worker, place: Path, found: Engine | NotMeasured) -> None:
        self._setting = setting
        self._worker = worker
        self._place = place
        self._folder = found.folder if isinstance(found, Engine) else None
        self.containers = _Containers(found, setting.home) if isinstance(found, Engine) else None

    def see(self) -> Seen:
        """Everything, now."""
        known = {self._worker.pid, self._setting.model.pid}
        leftovers.reap(known)
        folders, shallow = [self._place], []
        if self._folder is not None:
            data = self._folder / "data"
            folders += [self._folder / "exec", data / "volumes", data / "image" / "overlay2" / "layerdb" / "mounts"]
            shallow = [data / "overlay2", data / "containers"]
        ids = set(self.containers.ids) if self.containers is not None else ()
        where = Where(self._worker.pid, folders, ids, shallow, {self._setting.model.pid})
        seen = leftovers.count(where)
        return seen | ({"containers": self.containers.count()} if self.containers is not None else {})

    def at_rest(self) -> Seen:
        """Once nothing has changed for a while: rooms that wait have been made by then."""
        until, same = time.monotonic() + SETTLES_WITHIN, 0
        seen = self.see()
        while time.monotonic() < until and same < self._setting.scale.quiet:
            time.sleep(1)
            before, seen = seen, self.see()
            same = same + 1 if before == seen else 0
        return seen

    def surplus(self, before: Seen) -> Seen:
        """What is there more than before, once it gets no less."""
        until = time.monotonic() + SETTLES_WITHIN
        while True:
            found = leftovers.more(before, self.see())
            if not any(found.values()) or time.monotonic() > until:
                return found
            time.sleep(0.5)


@contextmanager
def _watched(setting: Setting, box: Box, found: Engine | NotMeasured) -> Iterator[tuple[Worker, _Watch]]:
    place = setting.folder / "soak" / box.name
    worker = Worker(SUBJECT, setting.python(setting.subject("agenthost")), setting.model.urls, place, pinned=False)
    try:
        watch = _Watch(setting, worker, place, found)
        try:
            yield worker, watch
        finally:
            if watch.containers is not None:
                watch.containers.close()
    finally:
        worker.close()


def _soak(setting: Setting, box: Box, found: Engine | NotMeasured) -> None:
    seconds = setting.minutes * 60 or setting.scale.soak
    setting.tell(f"{A_MINUTE} sandboxes a minute for {seconds:,.0f} s: {box.name}")
    docker = found if isinstance(found, Engine) and box.needs_engine else None
    with _watched(setting, box, docker or NotMeasured(str(found))) as (worker, watch):
        given = _engine(docker) if docker is not None else None
        asked = {"name": box.name, "home": setting.home, "engine": given, "why": str(found)}
        for _ in range(2):  # what is made once for all (the runtime, an image's variant) isn't left behind
            worker.order(call="end")
            nothing = watch.at_rest()
            missing = worker.order(call="begin", **{"with": asked})["missing"]
            if missing:
                raise NotMeasured(missing)
        _order(worker, setting.scale.warm_up * 60 / A_MINUTE)
        before, memory = watch.at_rest(), [leftovers.memory(worker.pid)]
        halves: list[dict[str, Any]] = []
        for _ in range(2):
            halves.append(_order(worker, seconds / 2))
            memory.append(leftovers.memory(worker.pid))
        left = watch.surplus(before)
        worker.order(call="end")
        closed = {kind: left for kind, left in watch.surplus(nothing).items() if kind not in ("open files", "threads")}
    _tell(setting, box, halves, memory)
    _tell_left(setting, box, left, closed)


def _order(worker: Worker, seconds: float) -> dict[str, Any]:
    came = worker.order(call="soak", **{"with": {"seconds": seconds, "a_minute": A_MINUTE}})
    worker.order(call="tidy")
    return came


def _engine(found: Engine) -> dict[str, Any]:
    return {"address": found.address, "image": found.image, "runtimes": sorted(found.runtimes)}


def _tell(setting: Setting, box: Box, halves: Sequence[dict[str, Any]], memory: Sequence[float]) -> None:
    def add(metric: str, value: float, unit: str) -> None:
        setting.results.add(SUITE, box.subject, metric, value, unit)

    count = sum(half["sandboxes"] for half in halves)
    add("sandboxes", count, "")
    add("sandboxes a minute", count * 60 / sum(half["seconds"] for half in halves), "1/min")
    add("a sandbox from first to last, median", median([half["median_ms"] for half in halves]), "ms")
    add(WRONG, sum(half["wrong"] for half in halves), "")
    add("memory after the warm-up", memory[0], "MB")
    add(GROWTH, memory[-1] - memory[0], "MB")
    add(f"{GROWTH} in the second half", memory[-1] - memory[1], "MB")
    setting.notes.extend(f"{box.subject}: {line}" for half in halves for line in half["examples"])


def _tell_left(setting: Setting, box: Box, left: Seen, closed: Seen) -> None:
    for kind, found in left.items():
        setting.results.add(SUITE, box.subject, f"left behind: {kind}", found.total(), "")
    for metric, when, seen in ((LEFT, "", left), ("left when closed, all together", "when closed, ", closed)):
        setting.results.add(SUITE, box.subject, metric, sum(found.total() for found in seen.values()), "")
        for kind, found in seen.items():
            if found:
                setting.notes.append(f"{box.subject}: {when}left behind: {kind}: {dict(found)}")
