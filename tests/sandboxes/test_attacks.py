"""Bubblewrap withstands the suite of attacks; and what only it promises: the filter's exact answers, and its mounts."""

import os
from pathlib import Path

import pytest

from agenthost.core.errors import Temporary
from agenthost.core.sandboxes import MIB, SandboxPolicy
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.testing.attacks import AttackSuite
from agenthost.testing.attacks.common import CALL, attempt
from agenthost.testing.sandboxes import python, shell


class TestBubblewrap(AttackSuite):
    def neighbour(self, workspace: Path) -> Path:
        """Here not even a task's own runs find anything of each other: the launcher never sees them."""
        return workspace


async def test_other_kinds_of_sockets_are_refused(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import socket
for family, kind, protocol in ((16, 3, 0), (17, 3, 0), (2, 3, 1), (2, 1, 132), (40, 1, 0), (38, 5, 0), (30, 5, 0), (2, 2, 136), (2, 2, 1)):
    try: socket.socket(family, kind, protocol); print('made', family, kind, protocol)
    except OSError as e: print(e.errno)
"""
    assert set((await attempt(sandbox, workspace, code)).split()) == {"97"}


async def test_proc_shows_the_run_alone(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import os
print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))
for name in ('kcore', 'sysrq-trigger', 'sys/kernel/core_pattern', 'sys/vm/drop_caches', 'keys', 'cmdline', 'kallsyms', 'kmsg', 'timer_list', 'sched_debug', '1/root/etc', '1/environ', '1/mem', '1/fd/3', '1/cwd/etc'):
    try: open('/proc/' + name, 'rb').read(1); print('read', name)
    except (OSError, IsADirectoryError) as e:
        if isinstance(e, IsADirectoryError): print('reached', name)
    try: open('/proc/' + name, 'wb').close(); print('wrote', name)
    except OSError: pass
"""
    said = await attempt(sandbox, workspace, code)
    assert said == "[1, 2]"


async def test_only_harmless_devices_are_there(sandbox: Bubblewrap, workspace: Path) -> None:
    outcome = await shell(sandbox, workspace, "ls /dev; mknod /tmp/d b 8 0 2>/dev/null && echo made")
    assert outcome.stdout.decode().split() == [
        "fd",
        "full",
        "null",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "urandom",
        "zero",
    ]


async def test_set_id_files_can_not_be_made(sandbox: Bubblewrap, workspace: Path) -> None:
    code = (
        CALL
        + """
open('f', 'w').close()
path = os.fsencode('/workspace/f')
print(call(90, 53, *((path, 0o4755) if X86 else (-100, path, 0o4755))), call(268, 53, -100, path, 0o2755))
print(call(91, 52, os.open('f', os.O_RDWR), 0o6755))
print(call(257, 56, -100, b'/workspace/g', os.O_CREAT | os.O_WRONLY, 0o4755), call(257, 56, -100, b'/workspace', os.O_TMPFILE | os.O_WRONLY, 0o4755))
print(call(437, 437, -100, b'/workspace/h', 0, 24), call(452, 452, -100, path, 0o4755, 0))
print(call(268, 53, -100, path, 0o755))
"""
    )
    assert (await attempt(sandbox, workspace, code)).split() == ["EPERM"] * 5 + ["ENOSYS"] * 2 + ["done"]
    assert not [path for path in workspace.iterdir() if path.stat().st_mode & 0o6000]


REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "fsopen": (430, 430),
    "unshare": (272, 97), "setns": (308, 268), "keyctl": (250, 219), "add_key": (248, 217), "bpf": (321, 280),
    "perf_event_open": (298, 241), "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "swapon": (167, 224), "reboot": (169, 142), "sethostname": (170, 161),
    "open_by_handle_at": (304, 265), "syslog": (103, 116), "settimeofday": (164, 170), "acct": (163, 89),
    "quotactl": (179, 60), "pidfd_getfd": (438, 438), "kcmp": (312, 272), "fanotify_init": (300, 262),
    "sched_setaffinity": (203, 122),
}  # fmt: skip
ABSENT = {
    "clone3": (435, 435), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "new": (470, 470),
}  # fmt: skip


async def test_dangerous_system_calls_are_refused_by_the_filter(sandbox: Bubblewrap, workspace: Path) -> None:
    code = CALL + f"for name, (x86, arm) in {REFUSED | ABSENT!r}.items(): print(name, call(x86, arm, 0, 0, 0, 0, 0))"
    said = dict(line.split() for line in (await attempt(sandbox, workspace, code)).splitlines())
    assert said == {**dict.fromkeys(REFUSED, "EPERM"), **dict.fromkeys(ABSENT, "ENOSYS")}


async def test_no_namespace_can_be_made_by_clone_either(sandbox: Bubblewrap, workspace: Path) -> None:
    code = (
        CALL
        + """
for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    print(call(56, 220, flag | 17, 0, 0, 0, 0))
print(call(135, 92, 0x0040000), call(135, 92, 0xffffffff))
"""
    )
    assert (await attempt(sandbox, workspace, code)).split() == ["EPERM"] * 8 + ["done"]


async def test_nothing_can_be_typed_into_a_terminal(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import fcntl\nfor n in (0x5412, 0x541C, 0x5423):\n  try: fcntl.ioctl(0, n, b'x')\n  except OSError as e: print(e.errno)"
    assert (await attempt(sandbox, workspace, code)).split() == ["1", "1", "1"]


async def test_a_run_holds_no_descriptor_but_its_three(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import os\nfor n in os.listdir('/proc/self/fd'):\n  try: print(n, os.readlink('/proc/self/fd/' + n).split(':')[0])\n  except OSError: pass"
    for line in (f'exec python -c "{code}"', None):
        outcome = await (shell(sandbox, workspace, line) if line else python(sandbox, workspace, code))
        assert outcome.stdout.decode().splitlines() == ["0 /dev/null", "1 pipe", "2 pipe"]


async def test_tmp_has_few_inodes(sandbox: Bubblewrap, workspace: Path) -> None:
    inodes = "import os\ntry:\n  for n in range(100_000): open(f'/tmp/{n}', 'w').close()\nexcept OSError as e: print(e.errno)"
    outcome = await python(sandbox, workspace, inodes, SandboxPolicy(timeout=20, disk=64 * MIB))
    assert outcome.stdout == b"28\n"


async def test_limits_can_not_be_raised_again(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import resource, os
for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_CORE):
    soft, hard = resource.getrlimit(kind)
    try: resource.setrlimit(kind, (hard + 1, hard + 1)); print('raised', kind)
    except (ValueError, OSError): pass
try: open('/proc/self/oom_score_adj', 'w').write('-1000'); print('raised oom')
except OSError: pass
try: os.nice(-5); print('nicer')
except OSError: pass
"""
    assert await attempt(sandbox, workspace, code) == ""


async def test_cores_are_bounded(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import os; print(len(os.sched_getaffinity(0)))\ntry: os.sched_setaffinity(0, range(os.cpu_count()))\nexcept OSError: print('no')"
    assert await attempt(sandbox, workspace, code, SandboxPolicy(timeout=30, cpu=1)) in ("1\nno",)


async def test_nothing_is_left_for_the_next_run(sandbox: Bubblewrap, workspace: Path) -> None:
    leave = """
import os, socket, subprocess, sys
open('/tmp/left', 'w').close(); open('/dev/shm/left', 'w').close()
s = socket.socket(socket.AF_UNIX); s.bind('\\0left'); s.listen()
import builtins, json; builtins.left = json.left = sys.left = 1
os.environ['LEFT'] = '1'
subprocess.Popen(['sleep', '100'], start_new_session=True)
"""
    assert (await python(sandbox, workspace, leave)).exit_code == 0
    look = """
import os, sys, socket, builtins, json
print(os.listdir('/tmp'), os.listdir('/dev/shm'), os.environ.get('LEFT'), hasattr(builtins, 'left'), hasattr(json, 'left'), hasattr(sys, 'left'))
print([p for p in os.listdir('/proc') if p.isdigit()])
s = socket.socket(socket.AF_UNIX)
try: s.connect('\\0left'); print('there')
except OSError as e: print('gone')
"""
    said = await attempt(sandbox, workspace, look)
    assert said == "['.shm'] [] None False False False\n['1', '2']\ngone"


async def test_a_link_put_in_a_workspaces_place_leads_nowhere(
    sandbox: Bubblewrap, workspaces: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that shares the parent of another's workspace exchanges it just after the host looked."""
    other = workspaces / "other"
    other.mkdir()
    (other / "theirs").write_text("x")
    inner = workspace / "inner"
    inner.mkdir()
    look = sandbox._look

    def then_exchange(folder: str) -> dict[str, object]:
        seen = look(folder)
        inner.rmdir()
        inner.symlink_to("../other")
        return seen

    monkeypatch.setattr(sandbox, "_look", then_exchange)
    with pytest.raises(Temporary, match="exchanged"):
        await shell(sandbox, inner, "ls; touch in")
    assert [path.name for path in other.iterdir()] == ["theirs"]
    assert (other / "theirs").stat().st_uid == os.getuid()


async def test_every_mount_but_the_runs_own_is_read_only(sandbox: Bubblewrap, workspace: Path) -> None:
    lines = (await attempt(sandbox, workspace, "print(open('/proc/self/mountinfo').read())")).splitlines()
    mounts = {line.split()[4]: set(line.split()[5].split(",")) for line in lines}
    assert {"/", "/usr", "/workspace", "/tmp", "/proc", "/etc"} <= set(mounts)
    for place, flags in mounts.items():
        assert "nosuid" in flags, place
        if not place.startswith("/dev/"):
            assert "nodev" in flags, place
            assert ("rw" in flags) == (place in ("/workspace", "/tmp")), (place, flags)
