"""Services that end while others are cancelled, fail or take their time: none is forgotten, and nothing ends before them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from agenthost.core.errors import Unavailable
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes import visit
from agenthost.sandboxes.attached.pool import Size, size_of
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.sandbox import Maker, Rooms
from agenthost.sandboxes.attached.service import Service
from agenthost.sandboxes.egress.egress import Egress

RUN = SandboxRun(("x",), "/w")


class Made:
    """A room whose run goes on until it is killed, and then until it may end."""

    alive = True

    def __init__(self, begins: bool = True) -> None:
        self.hung_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.begins = begins
        self.killed, self.may_end = asyncio.Event(), asyncio.Event()
        self.closed = False
        self.fails = False

    async def run(self, run: SandboxRun, egress: Egress | None, begun: Callable[[], None]) -> SandboxOutcome:
        if self.begins:
            begun()
        try:
            await self.killed.wait()
        finally:
            while not self.may_end.is_set():
                try:
                    await self.may_end.wait()
                except asyncio.CancelledError:
                    continue
        return SandboxOutcome(137)

    def kill(self) -> None:
        if self.fails:
            raise RuntimeError("it can't be told")
        self.killed.set()

    async def close(self) -> str:
        self.killed.set()
        self.closed = True
        return ""


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_service_cancelled_before_it_began_is_ended_however_often_it_is_cancelled(times: int) -> None:
    room = Made(begins=False)
    beginning = asyncio.get_running_loop().create_task(Service.begin(cast(Room, room), RUN, None, lambda service: None))
    await turns()
    for _ in range(times):
        beginning.cancel()
        await turns()
    assert not beginning.done()
    room.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert room.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Visit:
    """A bubblewrap run that ends only when it may."""

    def __init__(self) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.may_end = asyncio.Event()

    async def outcome(self, request: dict[str, Any]) -> SandboxOutcome:
        while not self.may_end.is_set():
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                continue
        return SandboxOutcome(137)


async def test_a_service_of_bubblewraps_cancelled_twice_before_it_began_is_ended_too() -> None:
    made = Visit()
    beginning = asyncio.get_running_loop().create_task(
        visit.Service.begin(cast(visit.Visit, made), {}, lambda service: None)
    )
    await turns()
    for _ in range(3):
        beginning.cancel()
        await turns()
    assert not beginning.done()
    made.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Container(Maker):
    """Makes rooms of the kind above."""

    name = "test"
    isolation: Isolation = "process"
    processes = 1
    certificates = ""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.closed = False

    def usual(self) -> Size:
        return size_of(SandboxPolicy())

    async def missing(self) -> Availability | None:
        return None

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> Size:
        return size_of(policy)

    async def make(self, size: Size) -> Room:
        self.made.append(Made())
        return cast(Room, self.made[-1])

    def why(self, said: str) -> Availability:
        return Availability(False, said)

    @property
    def detail(self) -> str:
        return ""

    async def close(self) -> None:
        assert all(room.closed for room in self.made)
        self.closed = True


@pytest.fixture
async def serving(tmp_path: Path) -> tuple[Container, Rooms, Awaitable[None]]:
    """Three services, and the closing of the sandbox that has them."""
    container = Container()
    sandbox = Rooms(container, tmp_path, warm=0)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        await sandbox.spawn(SandboxRun(("x",), str(tmp_path / str(number))))
    return container, sandbox, asyncio.get_running_loop().create_task(sandbox.close())


async def test_services_end_at_the_same_time(serving: tuple[Container, Rooms, Awaitable[None]]) -> None:
    container, _, closing = serving
    await turns()
    assert [room.killed.is_set() for room in container.made] == [True] * 3
    assert not container.closed
    for room in container.made:
        room.may_end.set()
    await closing
    assert container.closed


async def test_one_that_can_not_be_ended_keeps_no_other_and_no_room(
    serving: tuple[Container, Rooms, Awaitable[None]],
) -> None:
    container, _, closing = serving
    container.made[0].fails = True
    for room in container.made:
        room.may_end.set()
    with pytest.raises(RuntimeError, match="can't be told"):
        await closing
    assert container.closed


async def test_closing_goes_on_to_its_end_when_it_is_cancelled(
    serving: tuple[Container, Rooms, "asyncio.Task[None]"],
) -> None:
    container, _, closing = serving
    for _ in range(3):
        await turns()
        closing.cancel()
    assert not closing.done()
    for room in container.made:
        room.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert container.closed


async def test_a_closed_sandbox_makes_no_room(
    serving: tuple[Container, Rooms, Awaitable[None]], tmp_path: Path
) -> None:
    container, sandbox, closing = serving
    for room in container.made:
        room.may_end.set()
    await closing
    with pytest.raises(Unavailable, match="closed"):
        await sandbox.run(SandboxRun(("x",), str(tmp_path / "0")))
