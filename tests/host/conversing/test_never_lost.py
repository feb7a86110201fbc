"""No message is ever lost or filed twice: whoever writes at once, whatever they write, and wherever the host dies."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.api import Incoming
from agenthost.core.conversations import Line, LineFilter
from agenthost.core.events import Created, decode_event
from agenthost.core.parts import FilePart
from agenthost.core.ports import Filter
from agenthost.host.adapters import Adapters, join
from agenthost.host.host import Host
from agenthost.host.settings import load
from agenthost.stores.sqlite.store import SQLiteStore
from agenthost.testing.loops import fast
from host.conversing.mortal import Grave, Kept, Life, fixed
from host.conversing.talk import TOKEN, Deed, People
from host.conversing.verify import Book, said, verify

WORKER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: worker}
spec: {description: Does it, instructions: Do it., tools: [ask]}
"""
LONG = int(os.environ.get("AGENTHOST_TEST_STORIES", "0"))
"""How many examples each test lives through; unset: those of the suite, always the same."""

CONVERSATIONS = 2
"""How many at most."""


class Ground:
    """What all examples stand on: adapters that nothing is kept in, and an empty database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template.db"
        self.settings: dict[bool, Any] = {}
        for routed in (False, True):
            home = folder / f"home{routed}"
            home.mkdir(mode=0o700)
            model = "default" if routed else ""
            (home / "agenthost.toml").write_text(f'[routing]\nmodel = "{model}"\n')
            self.settings[routed] = load(home, {"AGENTHOST_SANDBOX": "bubblewrap"})
        self.base: Adapters = asyncio.run(self._base())
        self.stories, self.crashes, self.points = 0, 0, 0

    def lived(self, grave: Grave) -> None:
        """Count what was lived through."""
        self.stories += 1
        self.crashes += grave.crashes
        self.points += grave.points

    async def _base(self) -> Adapters:
        store = SQLiteStore(self.template)
        await store.open()
        await store.close()
        return await join(self.settings[True])


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        yield ground
        print(f"{ground.stories} stories, {ground.crashes} crashes, at {ground.points} points of which they were drawn")
        asyncio.run(ground.base.close())


class Example(msgspec.Struct, frozen=True):
    """One story: what everybody does, and at which point of each life the host dies."""

    people: list[list[Deed]]
    crashes: list[int]
    routed: bool
    choices: list[int]
    seed: int


async def lived(ground: Ground, example: Example, kind: str, folder: Path) -> Grave:
    """Live through an example, to the end; raises where anything was lost."""
    kept = Kept(ground.base, kind, folder, ground.template)
    files = [
        FilePart(await kept.blobs.put(content), "text/plain", len(content), name)
        for name, content in (("plan.txt", b"a plan"), ("list.txt", b"a list"))
    ]
    people = People(example.people, files, 1.0 if kind == "memory" else 0.001)

    def saw(name: str, args: tuple[Any, ...], result: Any) -> None:
        if (
            name == "put"
            and result
            and args[0].kind in ("message", "reply")
            and not args[0].id.startswith("message:again")
        ):
            people.told += [word[0] for word in TOKEN.finditer(args[0].body.decode())]
        if name == "create" and result and args[0].row.kind == "agent":
            created = decode_event(args[0].created.kind, args[0].created.version, args[0].created.body)
            if isinstance(created, Created) and created.spec.forked is None:
                people.told += [word[0] for word in TOKEN.finditer(said(created))]

    grave = Grave(kept, ground.settings[example.routed], people.play, saw)
    names = [f"chat:{number}" for number in range(CONVERSATIONS)]

    async def prepared(host: Host, life: Life) -> bool:
        _, problems = await host.apply({"worker.yaml": WORKER})
        assert not problems
        return True

    async def spoken(host: Host, life: Life) -> bool:
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(people.listen(host, name)) for name in names]
            async with asyncio.TaskGroup() as speaking:
                for one in range(len(example.people)):
                    speaking.create_task(people.speak(host, one))
            for each in hearing:
                each.cancel()
        return True

    async def settled(host: Host, life: Life) -> Book:
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(people.listen(host, name)) for name in names]
            await settle(host, people, example.choices, names)
            for each in hearing:
                each.cancel()
        return await Book.read(host, names)

    await grave.live(None, prepared)
    for crash in example.crashes:
        if await grave.live(crash, spoken):
            break
    else:
        await grave.live(None, spoken)
    book = await grave.live(None, settled)
    assert book is not None
    crashes = grave.crashes
    verify(book, people, crashes)
    faults = [line for line in grave.log.lines if line[1] in ("fault", "task held") or line[0] == "error"]
    assert not faults, faults
    return grave


async def settle(host: Host, people: People, choices: list[int], names: list[str]) -> None:
    """Until nothing goes on but what waits for an answer of a person; whoever is asked which one says so."""
    kept = host._adapters.conversations  # pyright: ignore[reportPrivateUsage]
    number = 0
    for _ in range(400):
        for row in await host.tasks(Filter(limit=1000)):
            if row.hold == "paused":
                await host.resume(row.id)
        await quiet(host, people)
        asked: list[tuple[str, Line]] = []
        for name in names:
            lines = await host.conversing.lines(LineFilter(conversation=name, limit=1000))
            waiting = [line for line in lines if line.by == "person" and line.state != "filed"]
            if waiting:
                assert waiting[0].state == "asked", f"nobody is asked about {waiting[0]}"
                which = [line for line in lines if line.kind == "which" and line.reply_to == waiting[0].id]
                assert which, f"the question about {waiting[0]} was never told"
                asked.append((name, which[-1]))
        if not asked:
            assert not await kept.behind()
            return
        for name, which in asked:
            choice = choices[number % len(choices)] if choices else 0
            number += 1
            came = Incoming(
                button=which.buttons[choice % len(which.buttons)].data,
                conversation=name,
                key=f"w{number}",
                channel="chat",
            )
            message = people.add(came)
            await people.send(host, message)
    raise AssertionError("it never settles")


async def quiet(host: Host, people: People) -> None:
    """Until no task works and everything is told."""
    store, kept = host._adapters.store, host._adapters.conversations  # pyright: ignore[reportPrivateUsage]
    still, before = 0, None
    async with asyncio.timeout(3000):
        while still < 4:
            await asyncio.sleep(0.5 * people.pace)
            rows = await host.tasks(Filter(limit=1000))
            waiting = [item for row in rows if not row.hold for item in await store.inbox(row.id)]
            works = [row for row in rows if row.state in ("submitted", "working") and not row.hold]
            now = (await kept.marks(10), works, waiting, [len(heard) for heard in people.heard.values()])
            still = still + 1 if not any(now[:3]) and now == before else 0
            before = now


kinds = st.sampled_from(
    [
        "new",
        "new",
        "new",
        "plain",
        "plain",
        "plain",
        "answer",
        "answer",
        "press",
        "reply",
        "quote",
        "command",
        "chat",
        "which",
        "which",
        "move",
        "shift",
        "file",
        "again",
        "named",
        "elsewhere",
    ]
)
deeds = st.builds(
    Deed,
    conversation=st.integers(0, CONVERSATIONS - 1),
    kind=kinds,
    one=st.integers(0, 11),
    two=st.integers(0, 11),
    twice=st.sampled_from([False, False, False, True]),
    hangs=st.sampled_from([0, 0, 0, 3, 9, 25]),
    waits=st.sampled_from([0.0, 0.0, 0.01, 1.0, 30.0]),
)
examples = st.builds(
    Example,
    people=st.lists(st.lists(deeds, min_size=1, max_size=6), min_size=1, max_size=3),
    crashes=st.lists(st.integers(1, 60), max_size=5),
    routed=st.booleans(),
    choices=st.lists(st.integers(0, 4), max_size=4),
    seed=st.integers(0, 1000),
)
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def often(count: int) -> settings:
    """So many examples, always the same ones; or as many new ones as are asked for."""
    return settings(
        max_examples=LONG or count, derandomize=not LONG, database=None, deadline=None, suppress_health_check=QUIET
    )


@often(90)
@given(example=examples)
def test_every_message_is_filed_once_wherever_the_host_dies(ground: Ground, example: Example) -> None:
    with fixed(example.seed), tempfile.TemporaryDirectory() as folder:
        ground.lived(fast(lived(ground, example, "memory", Path(folder)), patience=0.005))


@often(6)
@given(example=examples)
def test_every_message_is_filed_once_in_a_database_too(ground: Ground, example: Example) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ground.lived(asyncio.run(lived(ground, example, "sqlite", Path(folder))))
