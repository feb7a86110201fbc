"""The host's files, environment and processes."""

import os
import re
from pathlib import Path

import pytest

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import attempt
from agenthost.testing.sandboxes import python, shell

VARIABLES = frozenset(
    {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS", "PWD", "OLDPWD", "SHLVL"}
    | {"_", "LC_CTYPE"}
)
"""The environment that a run may have: the port's, our own Python's, and what a shell adds."""

DEVICES = frozenset(
    {"fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"}
    | {"tty", "ptmx", "pts", "console", "mqueue", "core", "net", "fuse"}
)
"""What may stand in /dev. Those of the second line are no devices of the machine: terminals of the sandbox's own,
links into its own /proc, its own message queues; `net` and `fuse` are names that must not be openable."""


NAMES = ("/etc/machine-id", "/etc/hostname")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


class HostAttacks:
    """Nothing of the host can be read, and nothing of it can be signalled."""

    async def test_the_hosts_homes_and_data_are_not_there(
        self, sandbox: Sandbox, workspace: Path, tmp_path: Path
    ) -> None:
        """With the host's files mounted, the secret's text would be printed, or a path of the home be there."""
        secret = tmp_path / "secret.txt"
        secret.write_text("the secret")
        secret.chmod(0o644)
        homes = [str(secret), str(workspace), str(Path.home() / ".bashrc"), str(Path.home() / ".ssh"), "/host"]
        code = f"""
import os
for path in {homes!r}:
    try: os.stat(path); print('there', path)
    except OSError: pass
for path in ('/etc/shadow', '/proc/kcore', '/dev/mem', '/dev/kmsg'):
    try: open(path, 'rb').read(1); print('there', path)
    except OSError: pass
print(sorted(os.listdir('/')))
"""
        said = await attempt(sandbox, workspace, code)
        assert "there" not in said
        assert "workspace" in said

    async def test_the_hosts_own_names_are_not_told(self, sandbox: Sandbox, workspace: Path) -> None:
        """Files that name the machine: with the host's /etc, they would hold what they hold here."""
        mine = {path: content for path in NAMES if (content := _read(path))}
        hostname = os.uname().nodename
        code = f"import os\nprint(os.uname().nodename)\nfor path in {list(mine)!r}:\n  try: print(open(path).read())\n  except OSError: pass"
        said = await attempt(sandbox, workspace, code)
        assert said.splitlines()[0] != hostname
        for path, content in mine.items():
            assert content not in said, path

    async def test_the_hosts_environment_is_not_there(
        self, sandbox: Sandbox, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An inherited environment would show the host's variables: any name that isn't a run's own."""
        monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-very-secret")
        outcome = await shell(
            sandbox, workspace, "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        )
        assert b"PATH=" in outcome.stdout
        assert b"very-secret" not in outcome.stdout
        names = {name.decode() for name in re.findall(rb"^([A-Z_]+)=", outcome.stdout, re.M)}
        assert names <= VARIABLES

    async def test_processes_of_the_host_are_not_seen(self, sandbox: Sandbox, workspace: Path) -> None:
        """With the host's pids, there would be hundreds of processes, among them this test's."""
        code = """
import os
print(len([p for p in os.listdir('/proc') if p.isdigit()]))
for p in os.listdir('/proc'):
    if p.isdigit():
        try: words = open('/proc/' + p + '/cmdline', 'rb').read()
        except OSError: continue
        if b'pytest' in words: print('seen', p)
"""
        said = (await attempt(sandbox, workspace, code)).split()
        assert int(said[0]) <= 4
        assert "seen" not in said

    async def test_proc_gives_nothing_away_and_can_not_be_written(self, sandbox: Sandbox, workspace: Path) -> None:
        """With the kernel's own /proc, `wrote` stands for core_pattern (code that runs as the host's root),
        sysrq-trigger, drop_caches, oom_score_adj below zero; `read` for the memory of the guard or the kernel."""
        code = """
import os
for name in ('kcore', 'sysrq-trigger', 'keys', 'kallsyms', 'kmsg', 'timer_list', 'sched_debug', '1/root/etc', '1/mem', '1/cwd/etc', '1/fd/0'):
    try:
        if open('/proc/' + name, 'rb').read(1): print('read', name)
    except IsADirectoryError: print('reached', name)
    except OSError: pass
for name in ('sysrq-trigger', 'sys/kernel/core_pattern', 'sys/vm/drop_caches', 'sys/kernel/modprobe', 'sys/kernel/hostname', 'sys/net/ipv4/ip_forward', 'sys/kernel/randomize_va_space', 'irq/default_smp_affinity', '1/mem', '1/oom_score_adj'):
    try: f = open('/proc/' + name, 'r+b', 0); f.write(b'1'); print('wrote', name)
    except OSError: pass
print('end')
"""
        assert await attempt(sandbox, workspace, code) == "end"

    async def test_signals_reach_nothing_of_the_host_nor_the_runs_guard(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        """With the host's pids, a signal would be sent to this process and to its parent (`sent host`), and
        the guard that ends the run and counts would be gone: the next run would not work."""
        code = f"""
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for pid in (-1, 1, {os.getpid()}, {os.getppid()}):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try: os.kill(pid, number); print('sent', pid if pid in (-1, 1) else 'host')
        except OSError as e: print(type(e).__name__, pid if pid in (-1, 1) else 'host')
print('alive')
"""
        said = await attempt(sandbox, workspace, code)
        assert "sent host" not in said
        assert said.endswith("alive")
        assert (await python(sandbox, workspace, "print(1)")).stdout == b"1\n"

    async def test_the_guard_outlives_a_flood_of_signals(self, sandbox: Sandbox, workspace: Path) -> None:
        """A guard of the same user dies of the first; the run would then go on without limits, or be told
        as a fault of the sandbox."""
        code = "import os, signal\nfor n in range(1, 65):\n  for pid in (1, os.getppid()):\n    try: os.kill(pid, n)\n    except OSError: pass\nos.setsid() if os.getpid() != os.getsid(0) else 0\nprint('end')"
        for _ in range(2):
            outcome = await python(sandbox, workspace, code)
            assert (outcome.exit_code, outcome.stdout) == (0, b"end\n"), outcome

    async def test_only_harmless_devices_are_there(self, sandbox: Sandbox, workspace: Path) -> None:
        """With the host's /dev, its disks stand there; with the right to make devices, one is made."""
        code = f"""
import os, stat
for name in os.listdir('/dev'):
    if name not in {sorted(DEVICES)!r}: print('there', name)
for kind, major, minor in ((stat.S_IFBLK, 8, 0), (stat.S_IFBLK, 254, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 10, 229)):
    for place in ('/tmp/d', '/workspace/d', '/dev/shm/d'):
        try: os.mknod(place, kind | 0o666, os.makedev(major, minor)); print('made', place)
        except OSError: pass
for name in ('fuse', 'net/tun', 'mem', 'kvm', 'sda', 'vda'):
    try: os.open('/dev/' + name, os.O_RDWR); print('opened', name)
    except OSError: pass
print('end')
"""
        assert await attempt(sandbox, workspace, code) == "end"

    async def test_the_hosts_python_packages_are_not_there(self, sandbox: Sandbox, workspace: Path) -> None:
        """With the host's site-packages, AgentHost itself could be imported, and what is beside it read."""
        code = "import importlib.util as u; print([n for n in ('agenthost', 'aiohttp', 'msgspec') if u.find_spec(n)])"
        assert await attempt(sandbox, workspace, code) == "[]"
        assert (await shell(sandbox, workspace, f'exec python -c "{code}"')).stdout == b"[]\n"

    async def test_a_run_holds_no_descriptor_but_its_three(self, sandbox: Sandbox, workspace: Path) -> None:
        """A descriptor of the guard's that was left open would be listed: a way to the host, or to other runs."""
        code = "import os\nfor n in os.listdir('/proc/self/fd'):\n  try: os.readlink('/proc/self/fd/' + n); print(n) if not os.readlink('/proc/self/fd/' + n).startswith('/proc') else 0\n  except OSError: pass"
        for line in (f'exec python -c "{code}"', None):
            outcome = await (shell(sandbox, workspace, line) if line else python(sandbox, workspace, code))
            assert outcome.stdout.decode().split() == ["0", "1", "2"]

    async def test_the_guards_memory_and_files_are_out_of_reach(self, sandbox: Sandbox, workspace: Path) -> None:
        """A guard that can be traced by the run's user would show its descriptors, root and memory maps."""
        line = "ls /proc/1/fd/ /proc/1/root/ /proc/1/cwd/ 2>/dev/null; cat /proc/1/maps /proc/1/environ 2>/dev/null; echo end"
        assert (await shell(sandbox, workspace, line)).stdout == b"end\n"
