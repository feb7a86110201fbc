"""What comes out of a room is a stranger's: whatever it says, and wherever it dies, the host goes on and keeps its bounds."""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.core.errors import AgentHostError, BadInput, Temporary, Unavailable
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.attached import channel as channels
from agenthost.sandboxes.attached import room as rooms
from agenthost.sandboxes.attached.channel import Pipe
from agenthost.sandboxes.attached.child import Child
from agenthost.sandboxes.attached.room import Room
from agenthost.sandboxes.attached.sync import Incoming
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.handling import MOST
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.inside import records
from agenthost.sandboxes.inside.frames import DATA, END, GRANT, HEAD, MOST_CHANNELS, OPEN, RESET, WINDOW

POLICY = SandboxPolicy(timeout=30)
HELLO = b'{"hello": 1, "problem": ""}'


def frame(kind: int, number: int, body: bytes = b"", lane: int = 0) -> bytes:
    return HEAD.pack(kind, lane, number, len(body)) + body


def opened(number: int, told: Any) -> bytes:
    return frame(OPEN, number, told if isinstance(told, bytes) else json.dumps(told).encode())


def record(**head: Any) -> bytes:
    return records.pack(head)


class Peer:
    """The far end of a line, in this process: what the host writes is kept, what is `said` reaches it."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.held = bytearray()
        self.unsent = 0
        self.closed = False
        self.ends = 0
        self.reads = True
        self.holding = False
        self.heard = asyncio.Event()
        self.answer: Callable[[int, int, int, bytes], None] | None = None

    # --- the port `Line` ---------------------------------------------------------------------

    def start(self, received: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.received, self.lost = received, lost

    def write(self, data: bytes) -> None:
        if not self.reads:
            self.unsent += len(data)
            return
        self.held += data
        asyncio.get_running_loop().call_soon(self._take)

    async def drain(self) -> None:
        while self.unsent and not self.closed:
            await asyncio.sleep(0)

    def hold(self, held: bool) -> None:
        self.holding = held

    def close(self) -> None:
        self.closed = True

    async def end(self) -> str:
        self.ends += 1
        await asyncio.sleep(0)
        return ""

    # --- the room's side ---------------------------------------------------------------------

    def _take(self) -> None:
        if self.held[:1] == b"\0":  # our process's code, and how long it is
            del self.held[: 4 + int.from_bytes(self.held[:4], "big")]
        while len(self.held) >= HEAD.size:
            kind, lane, number, length = HEAD.unpack_from(self.held)
            if len(self.held) < HEAD.size + length:
                return
            body = bytes(self.held[HEAD.size : HEAD.size + length])
            del self.held[: HEAD.size + length]
            self.frames.append((kind, lane, number, body))
            self.heard.set()
            if self.answer is not None:
                self.answer(kind, lane, number, body)

    def say(self, *pieces: bytes) -> None:
        if not self.closed:
            self.received(b"".join(pieces))

    async def until(self, kind: int, number: int | None = None) -> tuple[int, int, int, bytes]:
        """The next frame of this kind from the host."""
        while True:
            while self.frames:
                found = self.frames.pop(0)
                if found[0] == kind and number in (None, found[2]):
                    return found
            self.heard.clear()
            await self.heard.wait()


@pytest.fixture
async def peer() -> Peer:
    return Peer()


@pytest.fixture
async def room(peer: Peer) -> AsyncIterator[Room]:
    """A room that has greeted."""
    made = Room(peer, peer.end)
    starting = asyncio.get_running_loop().create_task(made.start())
    while not hasattr(peer, "received"):
        await asyncio.sleep(0)
    peer.say(opened(2, HELLO), frame(END, 2))
    await starting
    yield made
    await made.close()
    assert peer.ends == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_PATIENCE", 0.2)
    monkeypatch.setattr(rooms, "_GRACE", 0.2)


def begin(room: Room, folder: Path, policy: SandboxPolicy = POLICY, **more: Any) -> "asyncio.Task[SandboxOutcome]":
    return asyncio.get_running_loop().create_task(room.run(SandboxRun(("x",), str(folder), policy, **more)))


async def asked(peer: Peer) -> int:
    """The number of the run's channel, once the host has asked for the run."""
    _, _, number, _ = await peer.until(OPEN)
    while b'{"run"' not in (await peer.until(DATA, number))[3]:
        pass
    return number


async def lost(run: "asyncio.Task[SandboxOutcome]", room: Room, peer: Peer) -> Temporary:
    """The run ended with an error that has a name, and its room is gone."""
    with pytest.raises(Temporary) as raised:
        await asyncio.wait_for(run, 20)
    assert not room.alive
    assert peer.closed
    return raised.value


# --- an honest one, so that the rest means something ----------------------------------------------


async def test_an_honest_room_is_believed(room: Room, peer: Peer, folder: Path) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, b"out", 1), frame(DATA, number, record(exit=3, limit="")))
    peer.say(frame(DATA, number, record(file="a/b", size=2, mtime=1) + b"hi"), frame(END, number))
    outcome = await run
    assert (outcome.exit_code, outcome.stdout) == (3, b"out")
    assert (folder / "a/b").read_bytes() == b"hi"


# --- a room that keeps the host waiting -------------------------------------------------------------


async def test_a_room_that_never_takes_the_workspace_is_given_up(
    room: Room, peer: Peer, folder: Path, hasty: None
) -> None:
    (folder / "big").write_bytes(bytes(2 * WINDOW))
    assert "doesn't go on" in (await lost(begin(room, folder), room, peer)).message


async def test_an_end_before_there_was_a_run_is_a_breach(room: Room, peer: Peer, folder: Path) -> None:
    (folder / "big").write_bytes(bytes(2 * WINDOW))
    run = begin(room, folder)
    _, _, number, _ = await peer.until(DATA)
    peer.say(frame(DATA, number, record(exit=0, limit="")), frame(DATA, number, b"\0"))
    assert "before there was a run" in (await lost(run, room, peer)).message


async def test_a_room_that_tells_an_exit_and_then_nothing_is_given_up(
    room: Room, peer: Peer, folder: Path, hasty: None
) -> None:
    run = begin(room, folder)
    peer.say(frame(DATA, await asked(peer), record(exit=0, limit="")))
    assert "doesn't go on" in (await lost(run, room, peer)).message


async def test_a_run_that_the_room_does_not_end_is_given_up(room: Room, peer: Peer, folder: Path, hasty: None) -> None:
    run = begin(room, folder, SandboxPolicy(timeout=100_000))
    await asked(peer)
    room.kill()
    assert "didn't end" in (await lost(run, room, peer)).message


async def test_time_is_over_also_where_the_room_says_nothing(room: Room, peer: Peer, folder: Path, hasty: None) -> None:
    outcome = await begin(room, folder, SandboxPolicy(timeout=0.1))
    assert (outcome.exit_code, outcome.limit) == (137, "time")
    assert not room.alive


async def test_records_without_end_have_an_end(room: Room, peer: Peer, folder: Path) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, record(exit=0, limit="")))
    window = WINDOW - 100

    def more(kind: int, lane: int, channel: int, body: bytes) -> None:
        nonlocal window
        if kind == GRANT and channel == number:
            window += int.from_bytes(body, "big")
            send()

    def send() -> None:
        nonlocal window
        body = record(gone=[]) * 1000
        while window >= len(body):
            window -= len(body)
            peer.say(frame(DATA, number, body))

    peer.answer = more
    send()
    outcome = await asyncio.wait_for(run, 30)
    assert outcome.limit == "disk"
    assert not room.alive


async def test_more_than_a_run_may_leave_is_its_limit_on_disk(room: Room, peer: Peer, folder: Path) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, record(exit=0, limit="") + record(file="a", size=1 << 40, mtime=1)))
    assert (await run).limit == "disk"
    assert os.listdir(folder) == []


async def test_everything_that_was_sent_may_be_changed(room: Room, peer: Peer, folder: Path) -> None:
    policy = SandboxPolicy(timeout=30, disk=1 << 20)
    with open(folder / "big", "wb") as file:
        file.truncate(100 << 20)
    run = begin(room, folder, policy)
    _, _, number, _ = await peer.until(OPEN)
    wanted = asyncio.Event()

    def taken(kind: int, lane: int, channel: int, body: bytes) -> None:
        if b'{"run"' in body:
            wanted.set()
        if kind == DATA and channel == number:
            peer.frames.clear()
            peer.say(frame(GRANT, number, len(body).to_bytes(4, "big")))

    peer.answer = taken
    peer.say(
        frame(GRANT, number, sum(len(body) for kind, _, _, body in peer.frames if kind == DATA).to_bytes(4, "big"))
    )
    await wanted.wait()
    peer.answer = None
    peer.say(frame(DATA, number, record(exit=0, limit="") + record(file="big", size=100 << 20, mtime=1)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert room.alive
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


# --- a room that breaks the rules --------------------------------------------------------------------

BREACHES: dict[str, Callable[[int], bytes]] = {
    "a frame too long": lambda _: HEAD.pack(DATA, 0, 1, 1 << 31),
    "an unknown kind": lambda n: frame(99, n),
    "a channel of the host's numbers": lambda _: opened(101, {"listener": 1}),
    "a channel that was never opened": lambda _: frame(DATA, 4000, b"x"),
    "a number twice": lambda _: opened(2, HELLO),
    "a second greeting": lambda _: opened(4, HELLO),
    "a first frame that is no JSON": lambda _: opened(4, b"\xff\xfe"),
    "a first frame that is deep": lambda _: opened(4, b"[" * 60_000),
    "a first frame that is a list": lambda _: opened(4, ["hello"]),
    "a first frame that is a text": lambda _: opened(4, "hello"),
    "a first frame that is a number": lambda _: opened(4, b"1" * 60_000),
    "a listener that is a list": lambda _: opened(4, {"listener": [], "local": ["a", 1]}),
    "more than its window": lambda n: frame(DATA, n, bytes(65536)) * 5,
    "more granted than was sent": lambda n: frame(GRANT, n, b"\xff" * 4),
    "a grant of three bytes": lambda n: frame(GRANT, n, b"abc"),
    "a lane that isn't there": lambda n: frame(DATA, n, b"x", 9),
    "an end without an exit": lambda n: frame(END, n),
    "an end within a record": lambda n: frame(DATA, n, record(exit=0) + b"\0\0") + frame(END, n),
    "a record that is no JSON": lambda n: frame(DATA, n, b"\0\0\0\2xx"),
    "a record that is deep": lambda n: frame(DATA, n, b"\0\0\xf0\0" + b"[" * 0xF000),
    "a record's head too long": lambda n: frame(DATA, n, b"\xff" * 8),
    "a size below nothing": lambda n: frame(DATA, n, record(exit=0) + record(file="a", size=-1)),
    "a size that is a text": lambda n: frame(DATA, n, record(exit=0) + record(file="a", size="1")),
    "a file without a size": lambda n: frame(DATA, n, record(exit=0) + record(file="a")),
    "content of an exit": lambda n: frame(DATA, n, record(exit=0, size=5) + b"12345"),
    "content of folders": lambda n: frame(DATA, n, record(exit=0) + record(folders=["a"], size=5) + b"12345"),
    "a file before the exit": lambda n: frame(DATA, n, record(file="a", size=1, mtime=1) + b"x"),
    "an unknown record": lambda n: frame(DATA, n, record(exit=0) + record(what=1)),
    "paths that are numbers": lambda n: frame(DATA, n, record(exit=0) + record(gone=[1])),
    "a path that is a number": lambda n: frame(DATA, n, record(exit=0) + record(file=1, size=0)),
    "a path upwards": lambda n: frame(DATA, n, record(exit=0) + record(file="../a", size=0)),
    "a path upwards in the middle": lambda n: frame(DATA, n, record(exit=0) + record(folders=["a/../../b"])),
    "an absolute path": lambda n: frame(DATA, n, record(exit=0) + record(gone=["/etc"])),
    "an empty path": lambda n: frame(DATA, n, record(exit=0) + record(gone=[""])),
    "a zero byte in a path": lambda n: frame(DATA, n, record(exit=0) + record(file="a\0b", size=0)),
    "half a character in a path": lambda n: frame(DATA, n, record(exit=0) + record(file="\ud800", size=0)),
    "a long name": lambda n: frame(DATA, n, record(exit=0) + record(file="x" * 256, size=0)),
    "a long path": lambda n: frame(DATA, n, record(exit=0) + record(file="x/" * 600 + "x", size=0)),
    "output after the exit": lambda n: frame(DATA, n, record(exit=0)) + frame(DATA, n, b"x", 1),
    "an exit that is a text": lambda n: frame(DATA, n, record(exit="0")) + frame(END, n),
    "an exit beyond a byte": lambda n: frame(DATA, n, record(exit=10**40)) + frame(END, n),
    "an exit below nothing": lambda n: frame(DATA, n, record(exit=-1)) + frame(END, n),
    "an exit that is a truth": lambda n: frame(DATA, n, record(exit=True)) + frame(END, n),
    "a limit that is a list": lambda n: frame(DATA, n, record(exit=0, limit=[])) + frame(END, n),
    "an error": lambda n: frame(DATA, n, record(error=["x" * 60_000])) + frame(END, n),
    "giving the run up": lambda n: frame(RESET, n, b"\xff" * 60_000),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_breach_ends_the_run_with_a_name_and_touches_nothing(
    room: Room, peer: Peer, folder: Path, breach: str
) -> None:
    (folder.parent / "b").mkdir()
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(BREACHES[breach](number))
    with pytest.raises(Temporary) as raised:
        await asyncio.wait_for(run, 20)
    assert len(raised.value.message) < 2000
    assert room.alive == (breach == "an error")
    assert [sorted(os.listdir(place)) for place in (folder, folder.parent)] == [[], ["b", "workspace"]]


@pytest.mark.parametrize("told", [["hello"], "hello", 1, None, {"hello": 1, "problem": ["x"] * 10_000}])
async def test_a_greeting_that_is_none_is_refused(peer: Peer, told: Any) -> None:
    made = Room(peer, peer.end)
    starting = asyncio.get_running_loop().create_task(made.start())
    while not hasattr(peer, "received"):
        await asyncio.sleep(0)
    peer.say(opened(2, told))
    with pytest.raises(Unavailable) as raised:
        await starting
    assert len(raised.value.message) < 2000
    await made.close()


async def test_links_in_the_way_are_never_gone_through(room: Room, peer: Peer, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    run = begin(room, folder)
    number = await asked(peer)
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "kept")
    (folder / "hard").hardlink_to(outside / "kept")
    told = record(file="link/new", size=1, mtime=1) + b"x" + record(file="file", size=1, mtime=1) + b"x"
    told += record(file="hard", size=1, mtime=1) + b"x" + record(gone=["link/kept"])
    peer.say(frame(DATA, number, record(exit=0, limit="") + told), frame(END, number))
    assert (await run).exit_code == 0
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"kept": "kept"}
    assert not (folder / "link").is_symlink() and (folder / "link/new").read_text() == "x"
    assert (folder / "file").read_text() == (folder / "hard").read_text() == "x"


async def test_words_that_are_too_many_are_refused_and_the_room_stays(room: Room, folder: Path) -> None:
    with pytest.raises(BadInput, match="too long"):
        await room.run(SandboxRun(("x", "\u20ac" * 1_000_000), str(folder), POLICY))
    assert room.alive


# --- many channels -------------------------------------------------------------------------------------


async def listening(room: Room, peer: Peer, accept: rooms.Accept = lambda pipe, local: None) -> int:
    going = asyncio.get_running_loop().create_task(room.listen(8000, accept))
    _, _, number, _ = await peer.until(OPEN)
    # The first connection comes with the answer.
    peer.say(frame(DATA, number, b"+"), opened(4, {"listener": number, "local": ["127.0.0.1", 8000]}))
    await going
    assert room.alive
    return number


async def answering_listens(peer: Peer, ports: int) -> list[int]:
    """Say that what the host wants to listen on is listened on; the listeners' numbers."""
    found: list[int] = []
    for _ in range(ports):
        found.append((await peer.until(OPEN))[2])
        peer.say(frame(DATA, found[-1], b"+"))
    return found


async def test_channels_that_are_given_up_and_opened_again_are_bounded(room: Room, peer: Peer, folder: Path) -> None:
    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        await asyncio.Event().wait()
        return []

    egress = Egress(["api.example"], Way(resolve=resolve))
    assert egress.answer(b"\0\1\1\0\0\1\0\0\0\0\0\0\3api\7example\0\0\1\0\1")
    before = len(asyncio.all_tasks())
    run = asyncio.get_running_loop().create_task(room.run(SandboxRun(("x",), str(folder), POLICY), egress))
    listener = (await answering_listens(peer, 4))[0]
    await asked(peer)
    for number in range(6, 6 + 2 * 1000, 2):
        peer.say(opened(number, {"listener": listener, "local": ["127.64.0.1", 80]}))
        peer.say(
            frame(DATA, number, b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n" + bytes(60_000)), frame(RESET, number)
        )
        await asyncio.sleep(0)
    assert room.alive
    assert MOST / 2 < len(asyncio.all_tasks()) - before < MOST + 10
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(asyncio.all_tasks()) == before


async def test_a_way_out_that_the_room_does_not_open_is_given_up(
    room: Room, peer: Peer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_START_SECONDS", 0.1)
    run = room.run(SandboxRun(("x",), str(folder), POLICY), Egress(["api.example"], Way()))
    with pytest.raises(Temporary, match="way out"):
        await run
    assert not room.alive


async def test_too_many_open_channels_are_a_breach(room: Room, peer: Peer) -> None:
    listener = await listening(room, peer)
    for number in range(6, 6 + 2 * MOST_CHANNELS, 2):
        peer.say(opened(number, {"listener": listener, "local": ["127.0.0.1", 8000]}))
    assert not room.alive


@pytest.mark.parametrize("local", [["a", float("inf")], ["a", float("nan")], "ab", {"a": 1}, ["a"], 5, [1, 2, 3]])
async def test_an_address_that_is_none_is_a_breach(room: Room, peer: Peer, local: Any) -> None:
    listener = await listening(room, peer)
    peer.say(opened(6, {"listener": listener, "local": local}))
    assert not room.alive


async def test_a_room_that_does_not_read_is_given_up(room: Room, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "_MOST_UNSENT", 100_000)

    going = asyncio.get_running_loop().create_task(room.answer(53, lambda question: bytes(1000)))
    _, _, listener, _ = await peer.until(OPEN)
    peer.say(frame(DATA, listener, b"+"))
    await going
    peer.reads = False
    most = 0
    for number in range(6, 100_000, 2):
        peer.say(opened(number, {"listener": listener, "local": ["127.0.0.1", 53]}), frame(END, number))
        await asyncio.sleep(0)
        most = max(most, peer.unsent)
        if not room.alive:
            break
    assert not room.alive
    assert most < 100_000 + 70_000


FLOODS: dict[str, Callable[[int], bytes]] = {
    "frames for a channel that was closed": lambda number: frame(DATA, 2, b"x") * 20,
    "channels opened and given up": lambda number: (
        opened(number, {"listener": 1, "local": ["a", 1]}) + frame(RESET, number)
    ),
    "grants of nothing": lambda number: frame(GRANT, 2, bytes(4)) * 20,
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_room_that_sends_faster_than_is_good_is_not_read_for_a_while(
    room: Room, peer: Peer, folder: Path, flood: str
) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    for other in range(6, 40_000, 2):
        peer.say(FLOODS[flood](other))
        if peer.holding:
            break
    assert peer.holding and room.alive
    while peer.holding:
        await asyncio.sleep(0.005)
    peer.say(frame(DATA, number, record(exit=0, limit="")), frame(END, number))
    assert (await run).exit_code == 0
    assert room.alive


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_room_that_talks_though_nothing_is_wanted_of_it_is_hung_up_on(
    room: Room, peer: Peer, folder: Path, flood: str
) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, record(exit=0, limit="")), frame(END, number))
    await run
    assert room.alive
    for other in range(6, 4_000, 2):
        peer.say(FLOODS[flood](other))
    assert not room.alive
    assert "nothing is wanted" in room.hung_up.result()


async def test_output_in_small_pieces_is_no_flood(room: Room, peer: Peer, folder: Path) -> None:
    run = begin(room, folder)
    number = await asked(peer)
    for _ in range(10_000):
        peer.say(frame(DATA, number, b"line\n", 1))
    assert not peer.holding
    peer.say(frame(DATA, number, record(exit=0, limit="")), frame(END, number))
    assert (await run).stdout == b"line\n" * 10_000


async def test_what_a_process_says_before_anybody_listens_stays_in_its_pipe() -> None:
    child = await Child.begin([sys.executable, "-c", PROGRAMS["garbage"]], {})
    came = asyncio.Event()
    try:
        await asyncio.sleep(0.3)
        assert len(child._protocol.early) < 1 << 20  # pyright: ignore[reportPrivateUsage]
        child.start(lambda data: came.set(), lambda why: None)
        await asyncio.wait_for(came.wait(), 20)
        child.hold(True)
        came.clear()
        await asyncio.sleep(0.1)
        came.clear()
        await asyncio.sleep(0.1)
        assert not came.is_set()
        child.hold(False)
        await asyncio.wait_for(came.wait(), 20)
    finally:
        await child.end()


async def test_a_connection_closed_twice_grants_what_came_once(room: Room, peer: Peer) -> None:
    taken: list[Pipe] = []
    listener = await listening(room, peer, lambda pipe, local: taken.append(pipe))
    peer.say(opened(6, {"listener": listener, "local": ["127.0.0.1", 1]}))
    peer.say(frame(DATA, 6, bytes(60_000)), frame(DATA, 6, bytes(60_000)))
    connection = taken[1]
    await connection.read(1)
    await connection.close()
    await connection.close()
    assert await connection.read() == b""
    await asyncio.sleep(0)
    granted = sum(int.from_bytes(body, "big") for kind, _, number, body in peer.frames if (kind, number) == (GRANT, 6))
    assert granted == 120_000


async def test_a_connection_that_is_not_made_in_time_leaves_no_channel(room: Room, peer: Peer) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await room.connect(80)
        _, _, number, _ = await peer.until(OPEN)
        await peer.until(RESET, number)
    assert room._link._mux.ours == 0  # pyright: ignore[reportPrivateUsage]


async def test_a_connection_that_ends_before_it_is_made_is_refused(room: Room, peer: Peer) -> None:
    going = asyncio.get_running_loop().create_task(room.connect(80))
    _, _, number, _ = await peer.until(OPEN)
    peer.say(frame(END, number))
    with pytest.raises(ConnectionRefusedError):
        await going


# --- ends ------------------------------------------------------------------------------------------------


async def test_a_run_cancelled_while_its_files_are_written_ends_after_they_are(
    room: Room, peer: Peer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go = threading.Event(), threading.Event()
    apply = Incoming.apply

    def slow(self: Incoming, todo: list[tuple[str, Any]]) -> None:
        apply(self, todo[:1])
        held.set()
        go.wait(20)
        apply(self, todo[1:])

    monkeypatch.setattr(Incoming, "apply", slow)
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, record(exit=0, limit="") + record(file="a", size=3, mtime=1) + b"abc"))
    await asyncio.to_thread(held.wait, 20)
    run.cancel()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not run.done()  # its file is still open, and its number must not become another file's
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (folder / "a").read_bytes() == b"abc"


async def test_a_kill_before_the_run_begins_ends_it(room: Room, peer: Peer, folder: Path) -> None:
    run = begin(room, folder)
    room.kill()
    number = await asked(peer)
    _, _, _, body = await peer.until(OPEN)
    assert json.loads(body) == {"do": "kill"}
    peer.say(frame(DATA, number, record(exit=137, limit="")), frame(END, number))
    assert (await run).exit_code == 137


async def test_a_disk_of_the_hosts_that_takes_nothing_has_a_name(
    room: Room, peer: Peer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Incoming, todo: list[tuple[str, Any]]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Incoming, "apply", full)
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(frame(DATA, number, record(exit=0, limit="") + record(folders=["a"])), frame(END, number))
    assert (await lost(run, room, peer)).code == "disk"


async def test_closing_is_done_to_its_end_also_when_it_is_cancelled(peer: Peer) -> None:
    go = asyncio.Event()
    ended: list[str] = []

    async def end() -> str:
        await go.wait()
        ended.append("ended")
        return "memory"

    made = Room(peer, end)
    closing = asyncio.get_running_loop().create_task(made.close())
    await asyncio.sleep(0)
    other = asyncio.get_running_loop().create_task(made.close())
    for _ in range(3):
        closing.cancel()
        await asyncio.sleep(0)
    assert not closing.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert (await other, ended) == ("memory", ["ended"])


def transcript(number: int) -> list[bytes]:
    """What an honest room says of a run, frame by frame."""
    told = record(exit=0, limit="") + record(gone=["old"]) + record(folders=["d"]) + record(file="d/f", size=4, mtime=1)
    return [
        frame(DATA, number, b"out", 1),
        frame(DATA, number, b"err", 2),
        frame(DATA, number, told[:30]),
        frame(DATA, number, told[30:] + b"ab"),
        frame(DATA, number, b"cd"),
        frame(END, number),
    ]


@pytest.mark.parametrize("words", range(6))
async def test_a_room_that_dies_at_any_word_is_a_temporary_failure(
    room: Room, peer: Peer, folder: Path, words: int
) -> None:
    (folder / "old").write_text("old")
    run = begin(room, folder)
    number = await asked(peer)
    peer.say(*transcript(number)[:words])
    await asyncio.sleep(0)
    peer.lost("")
    error = await lost(run, room, peer)
    assert (error.code, error.sent) == ("sandbox", True)


@pytest.mark.parametrize("turns", range(1, 40))
async def test_a_run_cancelled_at_any_moment_leaves_nothing(room: Room, peer: Peer, folder: Path, turns: int) -> None:
    (folder / "old").write_text("old")
    before = len(os.listdir("/proc/self/fd")), asyncio.all_tasks()
    run = begin(room, folder)

    async def answer() -> None:
        for piece in transcript(await asked(peer)):
            peer.say(piece)
            await asyncio.sleep(0)

    answering = asyncio.get_running_loop().create_task(answer())
    for _ in range(turns):
        await asyncio.sleep(0.0005 if turns % 2 else 0)
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        assert (await run).exit_code == 0
    answering.cancel()
    await asyncio.wait([answering])
    assert run.cancelled() == (not room.alive)
    assert (len(os.listdir("/proc/self/fd")), asyncio.all_tasks()) == before


# --- garbage ---------------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        frame,
        st.integers(0, 6),
        st.integers(0, 9),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([HELLO, record(exit=0, limit=""), record(file="a", size=2), record(gone=["a"])]),
            st.dictionaries(
                st.sampled_from(["exit", "limit", "file", "size", "gone", "folders", "error", "listener", "local"]),
                st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.text(max_size=5)), st.floats()),
            ).map(lambda head: records.pack(head)),
        ),
        st.integers(0, 3),
    ),
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=12), st.booleans())
def test_no_word_is_too_strange(tmp_path: Path, words: list[bytes], listens: bool) -> None:
    folder = tmp_path / "fuzzed"
    folder.mkdir(exist_ok=True)
    problems: list[dict[str, Any]] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        peer = Peer()
        room = Room(peer, peer.end)
        starting = asyncio.get_running_loop().create_task(room.start())
        while not hasattr(peer, "received"):
            await asyncio.sleep(0)
        peer.say(opened(2, HELLO), frame(END, 2))
        await starting
        if listens:
            await listening(room, peer)
        run = begin(room, folder)
        await asked(peer)
        for word in words:
            peer.say(word)
            await asyncio.sleep(0)
        peer.lost("")
        with contextlib.suppress(AgentHostError):
            await run
        await room.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(go())
    assert not problems
    assert sorted(os.listdir(tmp_path)) == ["fuzzed"]


# --- real processes that are no room -----------------------------------------------------------------------

PROGRAMS = {
    "nothing": "",
    "garbage": "import os\nwhile True: os.write(1, os.urandom(65536))",
    "an endless frame": "import os\nos.write(1, b'\\2\\0' + b'\\0' * 4 + b'\\0\\1\\0\\0')\nwhile True: os.write(1, bytes(65536))",
    "silence that ends": "import sys; sys.stdin.close(); sys.stderr.write('no python here\\n' * 100_000)",
    "a deaf one": "import os, time\nos.close(0)\ntime.sleep(0.3)",
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_program_that_is_no_room_is_unavailable_and_gone(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.sandboxes.attached.child._END_SECONDS", 0.1)
    child = await Child.begin([sys.executable, "-c", PROGRAMS[program]], {})
    made = Room(child, child.end)
    with pytest.raises(Unavailable) as raised:
        await made.start()
    assert len(raised.value.message) < 2000
    await made.close()
    assert not Path(f"/proc/{child.pid}").exists()


async def test_a_room_that_stays_after_its_line_ended_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.sandboxes.attached.child._END_SECONDS", 0.1)
    program = "import os, time\nos.write(1, b'x' * 100)\nwhile True: time.sleep(1)"
    child = await Child.begin([sys.executable, "-c", program], {})
    made = Room(child, child.end)
    with pytest.raises(Unavailable):
        await made.start()
    await made.close()
    assert not Path(f"/proc/{child.pid}").exists()
