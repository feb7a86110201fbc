"""Using up the machine: memory, processes, disk, output, time."""

import asyncio
from pathlib import Path

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy
from agenthost.testing.attacks.common import attempt
from agenthost.testing.sandboxes import python, shell


async def ended_by(sandbox: Sandbox, workspace: Path, code: str, policy: SandboxPolicy) -> SandboxOutcome:
    """Run code that would go on for long after it has taken what it may not have."""
    return await python(sandbox, workspace, code + "\nimport time\ntime.sleep(20)", policy)


class Greed:
    """A run gets no more than its policy says, and ends the sooner the more it wants."""

    async def test_a_fork_bomb_gets_no_further_than_its_limit(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unbounded, it would print 500; and after the bomb the next run would find no room for a process."""
        code = """
import os, time
made = 0
try:
    for _ in range(500):
        if os.fork() == 0: time.sleep(30); os._exit(0)
        made += 1
except OSError as e: print(e.errno, made)
else: print('all', made)
"""
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, processes=20))
        if not outcome.limit:
            said = outcome.stdout.split()
            assert said[0] == b"11"
            assert int(said[1]) <= 20
        else:
            assert outcome.limit == "processes"
        bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
        outcome = await python(sandbox, workspace, bomb, SandboxPolicy(timeout=1, processes=20))
        assert outcome.limit in ("time", "processes")
        assert (await python(sandbox, workspace, "print(1)")).stdout == b"1\n"

    async def test_threads_count_as_processes(self, sandbox: Sandbox, workspace: Path) -> None:
        """Counting processes alone, a run would start 500 threads."""
        code = """
import threading, time
made = 0
try:
    for _ in range(500): threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); made += 1
except RuntimeError: print(made, flush=True); import os; os._exit(0)
print('all', flush=True); time.sleep(20)
"""
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, processes=20))
        assert outcome.limit == "processes" or (outcome.exit_code == 0 and int(outcome.stdout) <= 20), outcome

    async def test_two_runs_do_not_share_their_process_limit(self, sandbox: Sandbox, workspace: Path) -> None:
        """Counted by user and not by run, one neighbour would keep the others from starting anything."""
        folders = [workspace.parent / f"many-{n}" for n in range(3)]
        for folder in folders:
            folder.mkdir()
        code = "import os, time\nfor _ in range(12):\n  if os.fork() == 0: time.sleep(1); os._exit(0)\ntime.sleep(.3)\nprint('ok')"
        policy = SandboxPolicy(timeout=30, processes=16)
        outcomes = await asyncio.gather(*(python(sandbox, folder, code, policy) for folder in folders))
        assert [outcome.stdout for outcome in outcomes] == [b"ok\n"] * 3

    async def test_memory_in_small_pieces_counts(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unbounded, it would live to print the last line."""
        code = "kept = []\nfor n in range(4000): kept.append(bytearray(b'x' * 100_000))\nprint('had it all')"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, memory=128 * MIB))
        assert b"had it all" not in outcome.stdout
        assert outcome.limit == "memory" or b"MemoryError" in outcome.stderr, outcome

    async def test_shared_memory_without_a_name_counts(self, sandbox: Sandbox, workspace: Path) -> None:
        """Pages that no process maps any more still hold memory: whoever adds up processes sees nothing."""
        hidden = "import mmap\nm = mmap.mmap(-1, 600_000_000)\nfor n in range(0, 600_000_000, 1 << 20): m[n:n + (1 << 20)] = bytes(1 << 20); m.madvise(mmap.MADV_DONTNEED, n, 1 << 20)"
        outcome = await ended_by(sandbox, workspace, hidden, SandboxPolicy(timeout=20, memory=128 * MIB))
        assert outcome.limit == "memory", outcome

    async def test_files_in_tmp_and_shm_count_as_memory_and_disk(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unbounded, a file in memory grows until the machine has none left (here: until it is full of time)."""
        for place in ("/tmp", "/dev/shm"):
            code = f"f = open('{place}/big', 'wb')\ntry:\n  while True: f.write(b'x' * 1_000_000)\nexcept OSError as e: print(e.errno, f.tell() < 43_000_000)"
            outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=40 * MIB))
            assert outcome.stdout in (b"28 True\n", b"27 True\n") or outcome.limit in ("disk", "memory"), outcome

    async def test_many_small_files_count(self, sandbox: Sandbox, workspace: Path) -> None:
        """Empty files have no size and take all the inodes of the host's disk."""
        code = "for n in range(3000): open(f'/workspace/{n}', 'w').close()"
        outcome = await ended_by(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=4 * MIB))
        assert outcome.limit == "disk" or b"OSError" in outcome.stderr, outcome

    async def test_deleted_files_that_are_still_open_count(self, sandbox: Sandbox, workspace: Path) -> None:
        """Whoever walks the folder sees nothing, and the disk fills."""
        code = "import os\nkept = []\nfor n in range(12):\n  f = open('x', 'wb'); os.unlink('x'); f.write(b'x' * 1_000_000); f.flush(); kept.append(f)"
        outcome = await ended_by(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=8 * MIB))
        assert outcome.limit == "disk" or b"OSError" in outcome.stderr, outcome

    async def test_folders_that_are_shut_or_too_deep_hide_nothing(self, sandbox: Sandbox, workspace: Path) -> None:
        """Whoever can't open a folder, or whose paths end at 4,096 bytes, counts nothing in it."""
        shut = "import os\nos.mkdir('d')\nfor n in range(12): open(f'd/{n}', 'wb').write(b'x' * 1_000_000)\nos.chmod('d', 0)"
        outcome = await ended_by(sandbox, workspace, shut, SandboxPolicy(timeout=20, disk=8 * MIB))
        assert outcome.limit == "disk" or b"OSError" in outcome.stderr, outcome
        await shell(sandbox, workspace, "chmod 700 d && rm -rf d")
        deep = "import os\nfor n in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\nfor n in range(12): open(f'big{n}', 'wb').write(b'x' * 1_000_000)"
        outcome = await ended_by(sandbox, workspace, deep, SandboxPolicy(timeout=20, disk=8 * MIB))
        assert outcome.limit == "disk" or b"OSError" in outcome.stderr, outcome

    async def test_output_to_both_streams_at_once_is_bounded(self, sandbox: Sandbox, workspace: Path) -> None:
        """Kept whole, it would fill the host's memory; the outcome would hold more than its limit."""
        code = "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, output=10_000))
        assert outcome.limit == "output"
        assert len(outcome.stdout) <= 10_000
        assert len(outcome.stderr) <= 10_000

    async def test_limits_can_not_be_raised_again(self, sandbox: Sandbox, workspace: Path) -> None:
        """With CAP_SYS_RESOURCE or soft limits alone, `raised` would be printed."""
        code = """
import resource, os
for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY: continue
    try: resource.setrlimit(kind, (hard + 1, hard + 1)); print('raised', kind)
    except (ValueError, OSError): pass
try: open('/proc/self/oom_score_adj', 'wb', 0).write(b'-1000'); print('raised oom')
except OSError: pass
print('end')
"""
        assert await attempt(sandbox, workspace, code) == "end"
