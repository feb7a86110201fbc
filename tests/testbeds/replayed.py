"""Every task that the suite ever ran replays the same: after each test, its homes and engines are gone through. The run's
last lines say how many that were and what it cost; `--no-replays` leaves it out, to measure that.

A test that spoils journals on purpose, or invents them, says so: `@pytest.mark.journals("why")`.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.replaying import ReplayReport

DATABASE = "agenthost.db"
INVENTED = "invented"
"""A file in the home that many tests share and whose journals are made up."""
FOLDERS = frozenset({"blobs", "workspaces", "cache", "models", "manifests", "logs", "fitness", "tmp"})
"""What a home has below it besides homes."""
_DONE = pytest.StashKey[set[Path]]()


class Tally:
    """What was replayed: homes and stores that had tasks, tasks, events, tasks that were too many; tests that opted out;
    seconds of the processor, and those of everything."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("homes", "stores", "tasks", "events", "left out", "opted out"), 0)
        self.seconds = self.total = 0.0

    def add(self, kind: str, reports: "Sequence[ReplayReport]", left_out: int) -> None:
        """One home or store that was gone through."""
        if reports:
            self.counts[kind] += 1
            self.counts["tasks"] += len(reports)
            self.counts["events"] += sum(each.events for each in reports)
            self.counts["left out"] += left_out

    def told(self) -> dict[str, Any]:
        """As a worker tells it."""
        return {"counts": self.counts, "seconds": self.seconds, "total": self.total}

    def take(self, told: dict[str, Any]) -> None:
        """What a worker told."""
        for name, count in told["counts"].items():
            self.counts[name] += count
        self.seconds += told["seconds"]
        self.total += told["total"]


TALLY = Tally()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-replays", action="store_true", help="don't replay what tests ran: to measure what that costs"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_DONE] = set()


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Of this process and of those that it waited for.
    TALLY.total += sum(os.times()[:4])
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["replays"] = TALLY.told()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    TALLY.take(getattr(node, "workeroutput", {}).get("replays") or Tally().told())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = TALLY.counts
    if counts["tasks"]:
        terminalreporter.write_line(
            f"replayed: {counts['tasks']:,} tasks, {counts['events']:,} events, of {counts['homes']:,} homes and "
            f"{counts['stores']:,} stores, in {TALLY.seconds:.1f} of {TALLY.total:.0f} s of the processor; {counts['left out']:,} tasks were too many, "
            f"{counts['opted out']:,} tests opted out"
        )


class Engines:
    """The engines that were made, and what they were made of: `parts` of each."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def watch(self) -> None:
        """From now on. An engine that isn't loaded yet works on a home, which is looked at all the same."""
        module = sys.modules.get("agenthost.engine.engine")
        if module is None or getattr(module.Engine, "watched", False):
            return
        made = module.Engine.__init__

        def init(engine: Any, parts: Any, *args: Any, **more: Any) -> None:
            made(engine, parts, *args, **more)
            self.parts.append(parts)

        module.Engine.__init__ = init
        module.Engine.watched = True


ENGINES = Engines()


def homes(folder: Path) -> Iterator[Path]:
    """The homes in a folder, however deep; nothing is looked for inside one."""
    for here, folders, files in os.walk(folder):
        if DATABASE in files:
            folders[:] = []
            if INVENTED not in files:
                yield Path(here)
        folders[:] = [name for name in folders if name not in FOLDERS]


@pytest.fixture(autouse=True)
def replayed(request: pytest.FixtureRequest) -> Generator[None]:
    """After a test: what it ran is decided again, and must come out the same."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    if request.config.getoption("--no-replays"):
        yield
        return
    ENGINES.watch()
    ENGINES.parts.clear()
    yield
    done = request.config.stash[_DONE]
    marker = request.node.get_closest_marker("journals")
    if marker is not None:
        assert marker.args, "the marker `journals` needs a reason"
        TALLY.counts["opted out"] += 1
        done.update(homes(folder) if folder is not None else ())
        return
    began = time.thread_time()
    wrong = [] if folder is None else [line for home in homes(folder) for line in differing(home, done)]
    wrong += in_memory()
    TALLY.seconds += time.thread_time() - began
    if wrong:
        pytest.fail("replay differs:\n" + "\n".join(wrong), pytrace=False)


def differing(home: Path, done: set[Path]) -> list[str]:
    """What of a home's tasks doesn't come out the same."""
    from agenthost.testing.replays import replay_home, run

    done.add(home)
    reports = run(replay_home(home))
    TALLY.add("homes", reports, left_out(home, len(reports)))
    return [f"{home}: {each.task}, event {each.seq}: {each.difference}" for each in reports if not each.agrees]


def left_out(home: Path, replayed: int) -> int:
    """Tasks of a home beyond those that were replayed."""
    with closing(sqlite3.connect(f"file:{home / DATABASE}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM tasks").fetchone()[0] - replayed if replayed else 0


def in_memory() -> list[str]:
    """What of the tasks in memory doesn't come out the same."""
    if not ENGINES.parts:
        return []
    from agenthost.stores.memory import MemoryStore
    from agenthost.testing.replays import replay_tables, run

    wrong: list[str] = []
    seen: set[int] = set()
    for parts in ENGINES.parts:
        store = parts.store if isinstance(parts.store, MemoryStore) else vars(parts.store).get("_store")
        if isinstance(store, MemoryStore) and id(store) not in seen:
            seen.add(id(store))
            tables = store.snapshot()
            reports = run(replay_tables(tables, parts.programs, parts.blobs))
            TALLY.add("stores", reports, len(tables.tasks) - len(reports))
            wrong += [f"{each.task}, event {each.seq}: {each.difference}" for each in reports if not each.agrees]
    ENGINES.parts.clear()
    return wrong


@pytest.fixture(scope="session", autouse=True)
def replayed_at_last(request: pytest.FixtureRequest) -> Generator[None]:
    """Homes that many tests share are gone through at the end."""
    yield
    if request.config.getoption("--no-replays"):
        return
    base = request.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    done = request.config.stash[_DONE]
    wrong = [line for home in homes(base) if home not in done for line in differing(home, done)]
    if wrong:
        pytest.fail("replay differs:\n" + "\n".join(wrong), pytrace=False)
