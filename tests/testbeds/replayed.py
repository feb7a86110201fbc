"""Every task that the suite ever ran replays the same: after each test, its homes and engines are gone through.

A test that spoils journals on purpose, or invents them, says so: `@pytest.mark.journals("why")`.
"""

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

DATABASE = "agenthost.db"
INVENTED = "invented"
"""A file in the home that many tests share and whose journals are made up."""
FOLDERS = frozenset({"blobs", "workspaces", "cache", "models", "manifests", "logs", "fitness", "tmp"})
"""What a home has below it besides homes."""
_DONE = pytest.StashKey[set[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_DONE] = set()


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
    ENGINES.watch()
    ENGINES.parts.clear()
    yield
    done = request.config.stash[_DONE]
    marker = request.node.get_closest_marker("journals")
    if marker is not None:
        assert marker.args, "the marker `journals` needs a reason"
        done.update(homes(folder) if folder is not None else ())
        return
    wrong = [] if folder is None else [line for home in homes(folder) for line in differing(home, done)]
    wrong += in_memory()
    if wrong:
        pytest.fail("replay differs:\n" + "\n".join(wrong), pytrace=False)


def differing(home: Path, done: set[Path]) -> list[str]:
    """What of a home's tasks doesn't come out the same."""
    from agenthost.testing.replays import replay_home, run

    done.add(home)
    return [
        f"{home}: {each.task}, event {each.seq}: {each.difference}"
        for each in run(replay_home(home))
        if not each.agrees
    ]


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
            reports = run(replay_tables(store.snapshot(), parts.programs, parts.blobs))
            wrong += [f"{each.task}, event {each.seq}: {each.difference}" for each in reports if not each.agrees]
    ENGINES.parts.clear()
    return wrong


@pytest.fixture(scope="session", autouse=True)
def replayed_at_last(request: pytest.FixtureRequest) -> Generator[None]:
    """Homes that many tests share are gone through at the end."""
    yield
    base = request.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    done = request.config.stash[_DONE]
    wrong = [line for home in homes(base) if home not in done for line in differing(home, done)]
    if wrong:
        pytest.fail("replay differs:\n" + "\n".join(wrong), pytrace=False)
