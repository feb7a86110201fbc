"""A host that has an executor function: it runs what names it, and nothing else goes there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.errors import Unavailable
from agenthost.core.events import Answered, RunResult
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.sandboxes.functions.conftest import DEPLOYED, SECRET, running

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: far}
spec:
  sandbox: {kind: functions, memory: 3000Mi}
  steps: [{id: run, command: "pwd; echo made > made.txt"}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: strong}
spec:
  sandbox: {isolation: kernel, image: some/image}
  steps: [{id: run, command: "pwd"}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: granted}
spec:
  sandbox: {kind: functions, network: granted, hosts: [api.example.com]}
  steps: [{id: run, command: "pwd"}]
"""


@pytest.fixture
async def host(function: str, tmp_path: Path):
    (tmp_path / "agenthost.toml").write_text(
        f'[machine]\nmemory = "64Mi"\n[sandbox.functions]\nurl = "{function}"\nidentity = "none"\nmemory = 4096\n'
    )
    opened = await open_host(load(tmp_path, {}), work=True)
    await opened.set_secret("AGENTHOST_FUNCTIONS_SECRET", SECRET)
    done, problems = await opened.apply({"m.yaml": MANIFESTS})
    assert done and not problems
    yield opened
    await opened.close()


async def test_what_names_it_runs_there_and_takes_nothing_of_this_machine(host: Host) -> None:
    row = await host.start(Order("far"))
    events = [item.event async for item in host.follow(row.id) if not isinstance(item, LiveDelta)]
    (result,) = [
        event.answer for event in events if isinstance(event, Answered) and isinstance(event.answer, RunResult)
    ]
    assert result.exit_code == 0
    assert "agenthost-run-" in result.stdout
    (artifact,) = await host.artifacts(row.id)
    assert (artifact.path, await host.get_file(artifact.digest)) == ("made.txt", b"made\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strong", "isolation kernel with image some/image is demanded"),
        ("granted", "kind functions with network to api.example.com is demanded, and no sandbox here gives that"),
    ],
)
async def test_what_it_cant_give_is_refused_before_anything_is_kept(host: Host, name: str, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        await host.start(Order(name))
    assert await host.tasks(Filter()) == []


async def test_doctor_lists_it_beside_the_others(host: Host) -> None:
    found = {finding.what: finding for finding in await host.doctor()}
    assert found["sandbox functions"].seen.startswith("isolation kernel; functions, Python 3.")
    assert "sandbox bubblewrap" in found


FILTERED = """
import errno, socket, sys
sys.path.insert(0, sys.argv[1])
import runner
runner._filter()
socket.socketpair()
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        assert error.errno == errno.EAFNOSUPPORT, error
    else:
        raise SystemExit(f"{family} can be had")
assert runner._LIBC.syscall(425, 1, 0) == -1
print("shut")
"""


def test_without_namespaces_a_filter_shuts_the_network() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILTERED, str(DEPLOYED)],
        capture_output=True,
        check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == b"shut\n", done


WITHOUT = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import runner
runner._LIBC.unshare = lambda *_: -1
os.dup2(1, 9)
sys.argv[1] = json.dumps({
    "argv": [sys.executable, "-c", sys.argv[2]], "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/", "status": 9,
    "own": [], "memory": 1 << 29, "disk": 1 << 20, "timeout": 20, "cpu": 1, "processes": 10,
})
runner.main()
"""
INSIDE = """
import socket, subprocess
try:
    socket.create_connection(("127.0.0.1", 9))
except OSError as error:
    print(error.errno, flush=True)
subprocess.Popen(["sleep", "4712.5"], start_new_session=True)
raise SystemExit(5)
"""


def test_a_run_without_namespaces_is_shut_in_too_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(DEPLOYED), INSIDE],
        capture_output=True,
        check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        timeout=60,
    )
    assert done.stdout == b'97\n{"exit": 5}', done
    assert running(b"sleep\x004712.5") == []


FORKS = """
import os, resource, time
made = 0
for _ in range(60):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        made += 1
    except BlockingIOError:
        break
print(made, os.getuid(), resource.getrlimit(resource.RLIMIT_NPROC)[0])
"""


def test_the_kernel_itself_bounds_a_runs_processes_also_where_the_function_is_root(tmp_path: Path) -> None:
    """What watches a run looks every now and then; a run can fork thousands of processes meanwhile."""
    (tmp_path / "file").write_text("")
    tmp_path.chmod(0o755)
    for place in tmp_path.parents:
        if place.stat().st_uid == os.geteuid() and str(place) != "/":
            place.chmod(place.stat().st_mode | 0o011)
    order = {
        **{"argv": [sys.executable, "-c", FORKS], "env": {"PATH": "/usr/bin:/bin"}, "cwd": "/", "status": 9},
        **{"own": [str(tmp_path)], "memory": 1 << 29, "disk": 1 << 20, "timeout": 20, "cpu": 1, "processes": 10},
    }
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 9>&1', "sh", sys.executable, "-I", str(DEPLOYED / "runner.py"), json.dumps(order)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    made, user, most = map(int, done.stdout.split(b"{")[0].split())
    assert most == 13, done
    if os.geteuid() != 0:
        assert made <= 13
    elif user:
        assert made <= 13 and user == (tmp_path / "file").stat().st_uid > 1 << 24
    else:
        python = Path(sys.executable)
        ways = {python, *python.parents, python.resolve(), *python.resolve().parents}
        assert not all(way.stat().st_mode & 0o001 for way in ways)  # no other user may run this Python
