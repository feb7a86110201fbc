"""A room over a byte stream, with our process as the first one of a real pid namespace (by bwrap alone)."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.ports import Connection
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.attached.boot import START
from agenthost.sandboxes.attached.child import Child
from agenthost.sandboxes.attached.room import ENVIRONMENT, Room
from agenthost.sandboxes.outer import interpreter

POLICY = SandboxPolicy(timeout=30)


def container(python: Path) -> list[str]:
    made = [
        "bwrap",
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "60321",
        "--gid",
        "60321",
        "--as-pid-1",
        "--die-with-parent",
    ]
    made += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for name in ("bin", "lib", "lib64"):
        made += ["--ro-bind-try", f"/{name}", f"/{name}"]
    prefix = str(python.parent.parent)
    made += ["--ro-bind", prefix, prefix, "--tmpfs", "/tmp", "--tmpfs", "/workspace"]
    return [*made, "--", str(python), "-c", START]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap doesn't work here")
    child = await Child.begin(
        container(interpreter()), {"PATH": f"{interpreter().parent}:/usr/bin:/bin", **ENVIRONMENT}
    )
    room = Room(child, child.end)
    await room.start()
    yield room
    await room.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


async def python(
    room: Room, folder: Path, code: str, policy: SandboxPolicy = POLICY, stdin: bytes = b""
) -> SandboxOutcome:
    return await room.run(SandboxRun(("python3", "-c", code), str(folder), policy, stdin=stdin))


async def test_output_exit_code_and_stdin_go_through(room: Room, folder: Path) -> None:
    code = "import sys; print(len(sys.stdin.read())); print('err', file=sys.stderr); sys.exit(3)"
    outcome = await python(room, folder, code, stdin=b"x" * 1_000_000)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr, outcome.limit) == (3, b"1000000\n", b"err\n", "")


async def test_what_a_run_leaves_alive_is_ended_and_its_scratch_is_gone(room: Room, folder: Path) -> None:
    code = "import os, time\nopen('/tmp/left', 'w')\nos.makedirs('/tmp/a/b/c')\nif not os.fork():\n  os.setsid(); time.sleep(60)"
    assert (await python(room, folder, code)).exit_code == 0
    look = "import os; print(os.listdir('/tmp'), sorted(int(p) for p in os.listdir('/proc') if p.isdigit() and p != str(os.getpid())))"
    assert (await python(room, folder, look)).stdout == b"[] [1]\n"


async def test_files_go_in_and_only_changes_come_out(room: Room, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep/in.txt").write_text("in")
    (folder / "gone.txt").write_text("gone")
    (folder / "big").write_bytes(os.urandom(3_000_000))
    code = "import os; os.remove('gone.txt'); open('deep/out.txt', 'w').write(open('deep/in.txt').read() * 2); os.symlink('/etc', 'link'); os.mkdir('empty')"
    before = (folder / "big").stat().st_mtime_ns, (folder / "big").stat().st_ino
    outcome = await python(room, folder, code)
    assert outcome.exit_code == 0, outcome
    assert sorted(os.listdir(folder)) == ["big", "deep", "empty"]
    assert (folder / "deep/out.txt").read_text() == "inin"
    assert ((folder / "big").stat().st_mtime_ns, (folder / "big").stat().st_ino) == before
    (folder / "deep/out.txt").unlink()
    (folder / "new.txt").write_text("new")
    outcome = await python(
        room, folder, "import os; print(os.listdir('deep'), os.path.getsize('big'), open('new.txt').read())"
    )
    assert outcome.stdout == b"['in.txt'] 3000000 new\n"


async def test_the_first_process_is_out_of_a_runs_reach(room: Room, folder: Path) -> None:
    code = """
import os, signal
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP): os.kill(1, number)
for name in ('mem', 'environ', 'fd/3', 'fd/4', 'maps'):
    try: open('/proc/1/' + name, 'rb'); print('open', name)
    except OSError as problem: print(type(problem).__name__)
"""
    assert set((await python(room, folder, code)).stdout.split()) == {b"PermissionError"}
    assert (await python(room, folder, "print(1)")).stdout == b"1\n"


async def test_time_and_output_end_a_run(room: Room, folder: Path) -> None:
    late = await python(room, folder, "print('begun', flush=True)\nwhile True: pass", SandboxPolicy(timeout=0.5))
    assert (late.limit, late.stdout, late.exit_code) == ("time", b"begun\n", 137)
    loud = await python(room, folder, "while True: print('y' * 1000)", SandboxPolicy(timeout=30, output=1000))
    assert loud.limit == "output"
    assert len(loud.stdout) == 1000
    assert (await python(room, folder, "print(1)")).stdout == b"1\n"


async def test_disk_ends_a_run(room: Room, folder: Path) -> None:
    code = "import time\nfor n in range(40):\n  open(f'f{n}', 'wb').write(b'x' * 1_000_000)\n  time.sleep(.01)\ntime.sleep(20)"
    assert (await python(room, folder, code, SandboxPolicy(timeout=30, disk=8 * MIB))).limit == "disk"


async def test_the_host_reaches_what_listens_inside(room: Room, folder: Path) -> None:
    with pytest.raises(ConnectionRefusedError):
        await room.connect(8000)
    code = """
import socket, threading
server = socket.create_server(('127.0.0.1', 8000))
def serve(near):
    while data := near.recv(65536): near.sendall(data.upper())
    near.close()
while True: threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""
    service = asyncio.get_running_loop().create_task(python(room, folder, code, SandboxPolicy(timeout=20)))
    try:
        for _ in range(500):
            try:
                first = await room.connect(8000)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        second = await room.connect(8000)
        for pipe, body in ((first, b"a" * 300_000), (second, b"b")):
            await pipe.write(body)
            came = b""
            while len(came) < len(body):
                came += await pipe.read()
            assert came == body.upper()
            await pipe.close()
    finally:
        service.cancel()
        with pytest.raises(asyncio.CancelledError):
            await service


async def test_a_run_reaches_the_host_only_where_it_listens(room: Room, folder: Path) -> None:
    serving: list[asyncio.Task[None]] = []

    async def serve(connection: Connection, local: tuple[str, int]) -> None:
        await connection.write(f"{local} {await connection.read()!r}".encode())
        await connection.close()

    def accept(connection: Connection, local: tuple[str, int]) -> None:
        serving.append(asyncio.get_running_loop().create_task(serve(connection, local)))

    leave = [
        await room.listen(8443, accept, "0.0.0.0"),
        await room.answer(5353, lambda question: question[::-1]),
    ]
    code = """
import socket
near = socket.create_connection(('127.0.0.9', 8443)); near.sendall(b'hello'); print(near.recv(100).decode())
ask = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); ask.sendto(b'abc', ('127.0.0.1', 5353)); print(ask.recv(100).decode())
"""
    assert (await python(room, folder, code)).stdout == b"('127.0.0.9', 8443) b'hello'\ncba\n"
    await asyncio.gather(*serving)
    for each in leave:
        each()
    assert b"ConnectionRefusedError" in (await python(room, folder, code)).stderr


async def test_whoever_comes_while_many_are_served_waits(room: Room, folder: Path) -> None:
    serving: list[Connection] = []

    async def serve() -> None:
        while len(serving) < 100:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        seen.append(len(serving))
        for number in range(120):
            while len(serving) <= number:
                await asyncio.sleep(0.01)
            await serving[number].write(b"hello")
            await serving[number].close()

    seen: list[int] = []
    leave = await room.listen(8443, lambda connection, _: serving.append(connection))
    code = """
import socket
ends = [socket.create_connection(('127.0.0.1', 8443)) for _ in range(120)]
print(sum((end.recv(100), end.close())[0] == b'hello' for end in ends))
"""
    async with asyncio.TaskGroup() as group:
        group.create_task(serve())
        outcome = await python(room, folder, code)
    leave()
    assert (outcome.stdout, seen) == (b"120\n", [100]), outcome


@pytest.mark.parametrize("turns", [0, 1, 5, 20])
async def test_a_run_that_is_unwanted_before_it_begins_is_ended(room: Room, folder: Path, turns: int) -> None:
    (folder / "big").write_bytes(bytes(2_000_000))
    run = asyncio.get_running_loop().create_task(python(room, folder, "import time; time.sleep(60)", POLICY))
    for _ in range(turns):
        await asyncio.sleep(0)
    room.kill()
    outcome = await run
    assert (outcome.exit_code, outcome.limit) == (137, "")
    assert (folder / "big").stat().st_size == 2_000_000
    assert room.alive


async def test_what_earlier_runs_computed_is_not_counted_against_a_later_one(room: Room, folder: Path) -> None:
    await python(room, folder, "import time\nwhile time.process_time() < 3.2: pass")
    late = await python(room, folder, "import os; os.kill(os.getpid(), 9)", SandboxPolicy(timeout=2))
    assert (late.exit_code, late.limit) == (137, "")


def below(pid: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [pid for child in found for pid in below(child)]


async def test_a_run_meets_no_process_but_its_own_and_the_first(room: Room, folder: Path) -> None:
    """What waits for the next run isn't made before this one has ended."""
    look = "import os; print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()) == [1, os.getpid()])"
    for _ in range(3):
        outcome = await room.run(SandboxRun(("python3", "-c", look), str(folder), POLICY))
        assert outcome.stdout == b"True\n", outcome


async def test_a_process_that_was_ended_while_it_waited_is_replaced(room: Room, folder: Path) -> None:
    """The kernel ends it first when the machine has no memory left."""
    assert isinstance(room._line, Child)
    await room.run(SandboxRun(("true",), str(folder), POLICY))
    while len(waiting := below(room._line.pid)) < 2:  # the room's first process, and the next run's
        await asyncio.sleep(0.01)
    os.kill(waiting[-1], signal.SIGKILL)
    while Path(f"/proc/{waiting[-1]}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
        await asyncio.sleep(0.01)
    outcome = await room.run(SandboxRun(("python3", "-c", "print(1)"), str(folder), POLICY))
    assert (outcome.exit_code, outcome.stdout) == (0, b"1\n")
