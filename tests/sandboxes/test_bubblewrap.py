"""The launcher's life: it starts, dies, is started again, leaks nothing; and how its absence is told."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import agenthost
from agenthost.core.errors import BadInput, Temporary, Unavailable
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes import bubblewrap
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.sandboxes.station import Station
from agenthost.testing.sandboxes import python, shell


def station(sandbox: Bubblewrap) -> Station:
    found = sandbox._station
    assert found is not None
    return found


def children(pid: int) -> list[int]:
    """Every process below `pid`."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    todo = [pid]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


@pytest.mark.parametrize("slow", ["certificates", "command", "process"])
async def test_a_run_that_is_cancelled_while_the_launcher_starts_leaves_no_socket_open(
    cache: Path, workspaces: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    began = threading.Event()
    made: list[socket.socket] = []
    pair = bubblewrap.sockets

    def sockets() -> tuple[socket.socket, socket.socket]:
        made.extend(found := pair())
        return found

    def waits(*_: Any) -> Any:
        began.set()
        time.sleep(0.2)
        return []

    async def waits_too(*_: Any, **__: Any) -> Any:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(bubblewrap, "sockets", sockets)
    if slow == "process":
        monkeypatch.setattr(asyncio, "create_subprocess_exec", waits_too)
    else:
        monkeypatch.setattr(bubblewrap, slow, waits)
    sandbox = Bubblewrap(cache, workspaces)
    async with asyncio.TaskGroup() as group:
        run = group.create_task(shell(sandbox, workspace, "true"))
        while not began.is_set():
            await asyncio.sleep(0.001)
        run.cancel()
    await sandbox.close()
    assert [each for each in made if each.fileno() >= 0] == []


async def test_a_launcher_that_is_late_hears_everything_in_the_end(sandbox: Bubblewrap, workspace: Path) -> None:
    """On a machine short of everything more messages wait for it than its socket holds."""
    assert (await shell(sandbox, workspace, "echo 1")).stdout == b"1\n"
    found = station(sandbox)
    for pid in children(found.pid):
        os.kill(pid, signal.SIGSTOP)
    doors = [found.take() for _ in range(400)]
    late = asyncio.get_running_loop().create_task(shell(sandbox, workspace, "echo 2"))
    for door in doors:
        door.kill()
    assert found.alive
    for pid in children(found.pid):
        os.kill(pid, signal.SIGCONT)
    assert (await late).stdout == b"2\n"
    for door in doors:
        await door.gone
        door.close()
    assert station(sandbox) is found


async def test_a_run_that_writes_without_end_is_ended_by_one_message(sandbox: Bubblewrap, workspace: Path) -> None:
    policy = SandboxPolicy(output=1024, timeout=60)
    outcome = await shell(sandbox, workspace, "yes", policy)
    assert outcome.limit == "output"
    found = station(sandbox)
    sent: list[bytes] = []
    found.tell, told = (lambda message, door=None: (sent.append(message), told(message, door))[1]), found.tell
    assert (await shell(sandbox, workspace, "yes", policy)).limit == "output"
    assert sum(message.startswith(b"kill") for message in sent) == 1


async def test_a_run_whose_launcher_dies_fails_as_temporary_and_the_next_one_works(
    sandbox: Bubblewrap, workspace: Path
) -> None:
    run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, "touch begun; sleep 100"))
    while not (workspace / "begun").exists():
        await asyncio.sleep(0.01)
    below = children(station(sandbox).pid)
    os.kill(station(sandbox).pid, signal.SIGKILL)
    with pytest.raises(Temporary, match=r"launcher ended during this run \(it hung up; exit code -9"):
        await run
    for _ in range(200):
        if not any(Path(f"/proc/{pid}/cmdline").exists() for pid in below):
            break
        await asyncio.sleep(0.01)
    assert not [pid for pid in below if Path(f"/proc/{pid}/cmdline").exists()]
    assert (await python(sandbox, workspace, "print(1)")).stdout == b"1\n"


async def test_many_runs_leave_no_process_and_no_descriptor(sandbox: Bubblewrap, workspace: Path) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            await python(sandbox, workspace, "pass")

    async def cancelled() -> None:
        run = asyncio.get_running_loop().create_task(python(sandbox, workspace, "import time; time.sleep(50)"))
        await asyncio.sleep(0.02)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    await asyncio.gather(*(some(3) for _ in range(8)))
    await asyncio.sleep(0.5)  # spare runs are made after the last one
    descriptors = len(os.listdir("/proc/self/fd"))
    processes = len(children(station(sandbox).pid))
    await asyncio.gather(*(some(25) for _ in range(8)))
    for _ in range(10):
        await cancelled()
    await asyncio.sleep(0.5)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(children(station(sandbox).pid)) == processes


async def test_closing_ends_the_launcher_and_what_runs_in_it(sandbox: Bubblewrap, workspace: Path) -> None:
    run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, "touch begun; sleep 100"))
    while not (workspace / "begun").exists():
        await asyncio.sleep(0.01)
    pid = station(sandbox).pid
    await sandbox.close()
    with pytest.raises(Temporary):
        await run
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(Unavailable):
        await python(sandbox, workspace, "print(1)")


async def test_the_sandbox_ends_with_its_host(
    cache: Path, workspaces: Path, workspace: Path, sandbox: Bubblewrap
) -> None:
    code = f"""
import asyncio
from pathlib import Path
from agenthost.core.sandboxes import SandboxRun
from agenthost.sandboxes.bubblewrap import Bubblewrap
async def main():
    sandbox = Bubblewrap(Path({str(cache)!r}), Path({str(workspaces)!r}))
    await sandbox.run(SandboxRun(("sh", "-c", "while :; do echo x >> beat; sleep 0.02; done"), {str(workspace)!r}))
asyncio.run(main())
"""
    host = subprocess.Popen([sys.executable, "-c", code])
    while not (workspace / "beat").exists():
        await asyncio.sleep(0.02)
    host.kill()
    host.wait()
    await asyncio.sleep(0.3)
    beats = (workspace / "beat").stat().st_size
    await asyncio.sleep(0.3)
    assert (workspace / "beat").stat().st_size == beats


async def test_without_bwrap_it_refuses_and_names_the_fix(cache: Path, workspaces: Path, workspace: Path) -> None:
    sandbox = Bubblewrap(cache, workspaces, bwrap="no-such-bwrap")
    said = await sandbox.available()
    assert not said.available
    assert "bubblewrap" in said.fix
    with pytest.raises(Unavailable, match="bubblewrap") as caught:
        await shell(sandbox, workspace, "touch ran")
    assert caught.value.exit_code == 2
    assert not (workspace / "ran").exists()
    await sandbox.close()


USER_CODE = """
import asyncio, sys
from pathlib import Path
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes import bubblewrap
from agenthost.core.errors import Unavailable
from agenthost.sandboxes.bubblewrap import Bubblewrap
async def main(base):
    workspace = base / "ws" / "one"
    workspace.mkdir(parents=True)
    sandbox = Bubblewrap(base / "cache", base / "ws")
    said = await sandbox.available()
    print(said)
    if not said.available:
        try: await sandbox.run(SandboxRun(("true",), str(workspace)))
        except Unavailable as problem: print("REFUSED", problem)
        return
    code = "import os; open('made', 'w').write(str(os.getuid())); print(os.getuid(), sorted(p for p in os.listdir('/proc') if p.isdigit()))"
    outcome = await sandbox.run(SandboxRun(("python", "-c", code), str(workspace)))
    print(outcome, (workspace / "made").owner())
    line = "ls -A / /root /home 2>&1; grep Cap /proc/self/status; chmod 0 .; head -c 9000000 /dev/zero > /tmp/x; id -u"
    print((await sandbox.run(SandboxRun(("sh", "-c", line), str(workspace)))).stdout.decode())
    workspace.chmod(0o700)
    grow = "import os, time\\nos.mkdir('d')\\nfor n in range(12): open(f'd/{n}', 'wb').write(b'x' * 1_000_000)\\nos.chmod('d', 0)\\ntime.sleep(20)"
    print("GREW", (await sandbox.run(SandboxRun(("python", "-c", grow), str(workspace), SandboxPolicy(timeout=20, disk=8 << 20)))).limit)
    eat = "x = []\\nimport time\\nfor n in range(6): x.append(bytearray(b'x' * 30_000_000))\\ntime.sleep(20)"
    print("ATE", (await sandbox.run(SandboxRun(("python", "-c", eat), str(workspace), SandboxPolicy(timeout=20, memory=100 << 20)))).limit)
    many = "import os, time\\ntry:\\n  for n in range(100):\\n    if os.fork() == 0: time.sleep(9); os._exit(0)\\nexcept OSError: print('stopped', n)"
    print("FORKS", (await sandbox.run(SandboxRun(("python", "-c", many), str(workspace), SandboxPolicy(timeout=20, processes=20)))).stdout)
    await sandbox.close()
asyncio.run(main(Path(sys.argv[1])))
"""


def readable_by_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def as_user(code: str, *before: str) -> str:
    """Run code as an ordinary user in a folder of its own: ourselves, or nobody where we are root."""
    if os.geteuid() == 0 and not readable_by_all(Path(agenthost.__file__).resolve().parent):
        pytest.skip("this checkout lies in root's own folder, where an ordinary user can't read it")
    base = Path(tempfile.mkdtemp(prefix="agenthost-user-", dir="/tmp"))
    command = [*before, sys.executable, "-c", code, str(base)]
    try:
        if os.geteuid() == 0:
            python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
            if not (readable_by_all(python.parent) and readable_by_all(Path(sys.executable).parent)):
                command[len(before)] = _system_python()
            os.chown(base, 65534, 65534)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(base),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, cwd="/")
        assert done.returncode == 0, done.stderr
        return done.stdout
    finally:
        # A run may leave folders that even their owner can't read.
        subprocess.run(["chmod", "-R", "u+rwX", str(base)], check=True)
        shutil.rmtree(base)


def _system_python() -> str:
    """An interpreter of the same version that everyone can run; the one here lies in root's own folder."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"no python{version} here that an ordinary user can run")
    return found


def test_an_ordinary_user_has_the_same_sandbox() -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing")
    said = as_user(USER_CODE)
    if "available=False" in said:
        pytest.skip(f"no sandbox for an ordinary user here: {said}")
    assert "1000 ['1', '2']" in said
    assert "GREW disk" in said
    assert "ATE memory" in said
    assert "FORKS b'stopped 1" in said
    assert said.count("0000000000000000") == 5


def test_where_namespaces_are_forbidden_it_refuses_and_names_the_fix() -> None:
    if shutil.which("unshare") is None or (os.geteuid() == 0 and shutil.which("setpriv") is None):
        pytest.skip("unshare or setpriv is missing")
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    probe = subprocess.run(["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces"], check=False)
    if probe.returncode:
        pytest.skip("user namespaces are forbidden here anyway")
    said = as_user(USER_CODE, "unshare", "--user", "--map-root-user", "sh", "-c", forbid, "-")
    assert "available=False" in said
    assert "REFUSED" in said
    assert "fix=" in said


async def test_a_policy_that_makes_no_sense_is_refused(sandbox: Bubblewrap, workspace: Path) -> None:
    for policy in (
        SandboxPolicy(memory=1),
        SandboxPolicy(timeout=0),
        SandboxPolicy(processes=0),
    ):
        with pytest.raises(BadInput):
            await sandbox.run(SandboxRun(("true",), str(workspace), policy))
    for run in (
        SandboxRun((), str(workspace)),
        SandboxRun(("a\0b",), str(workspace)),
        SandboxRun(("true",), str(workspace), env=(("A=B", ""),)),
    ):
        with pytest.raises(BadInput):
            await sandbox.run(run)
    with pytest.raises(BadInput, match="Make it first"):
        await sandbox.run(SandboxRun(("true",), str(workspace / "no")))
