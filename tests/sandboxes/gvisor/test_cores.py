"""A container's share of the cores: held by a cgroup or by the cores it is bound to, and gone with it."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.gvisor import cores
from agenthost.sandboxes.gvisor.cores import Cores
from agenthost.sandboxes.gvisor.sandbox import Containers, Gvisor

BUSY = """
import os, time
for _ in range(3):
    if os.fork() == 0: break
end = time.monotonic() + 3
open(f'at{os.getpid()}', 'w').close()
while time.monotonic() < end: pass
"""


def spent(word: bytes) -> float:
    """Seconds of CPU time, so far, of the processes that name `word` and of all below them."""
    ticks: dict[int, tuple[int, int]] = {}
    found: set[int] = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            named = word in Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        ticks[int(name)] = (int(fields[1]), sum(int(field) for field in fields[11:15]))
        if named:
            found.add(int(name))
    while more := {pid for pid, (parent, _) in ticks.items() if parent in found} - found:
        found |= more
    return sum(ticks[pid][1] for pid in found) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core is all there is")
async def test_a_run_has_no_more_than_its_cores(sandbox: Gvisor, workspace: Path) -> None:
    """Four processes that do nothing but count would have every core of the machine."""
    policy = SandboxPolicy(cpu=0.5, timeout=60)
    await sandbox.run(SandboxRun(("true",), str(workspace), policy))
    maker = sandbox._maker
    assert isinstance(maker, Containers) and maker._keeper is not None and maker._cores is not None
    state = os.fsencode(maker._keeper.state)
    before, began = spent(state), time.monotonic()
    outcome = await sandbox.run(SandboxRun(("python", "-c", BUSY), str(workspace), policy))
    used, passed = await asyncio.to_thread(spent, state) - before, time.monotonic() - began
    assert outcome.exit_code == 0
    # the next room is made meanwhile, before it is held
    assert used <= (0.5 if maker._cores.exact else 1.0) * 1.2 * passed + 1.0


async def test_what_bounds_a_container_goes_with_it(sandbox: Gvisor, workspace: Path) -> None:
    await sandbox.run(SandboxRun(("true",), str(workspace), SandboxPolicy(cpu=0.5)))
    maker = sandbox._maker
    assert isinstance(maker, Containers) and maker._keeper is not None and maker._cores is not None
    if not maker._cores.exact or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("no cgroup can be made here")
    place, mark = maker._cores._place, maker._keeper.folder.name
    assert place is not None
    assert list(place.glob(f"*{mark}*"))
    await sandbox.close()
    assert not list(place.glob(f"*{mark}*"))


def test_without_a_cgroup_a_container_is_bound_to_whole_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_place", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3})
    shares = Cores("mark")
    if shares._taskset is None:
        pytest.skip("taskset is not installed")
    assert not shares.exact
    assert [shares.share("a", 1.5).words[-1] for _ in range(3)] == ["0,2", "2,3", "3,0"]
    assert not shares.share("a", 3).words


@pytest.mark.parametrize(
    ("line", "path", "found"),
    [
        ("1 2 0:3 / /c/cpu rw - cgroup cgroup rw,cpu,cpuacct", "/a/b", ["/c/cpu/a/b", "/c/cpu/a", "/c/cpu"]),
        ("1 2 0:3 /docker/x /c/cpu ro - cgroup cgroup rw,cpu", "/docker/x", ["/c/cpu"]),
        ("1 2 0:3 / /c/memory rw - cgroup cgroup rw,memory", "/a", []),
    ],
)
def test_the_places_for_a_cgroup_are_those_above_ones_own(line: str, path: str, found: list[str]) -> None:
    assert [str(place) for place in cores._above(line, "cpu", path)] == found
