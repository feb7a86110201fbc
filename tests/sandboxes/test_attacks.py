"""What hostile code tries, one test each. Every test shows that the attack would work but for the defence,
or looks for the thing that must not be there."""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest

from agenthost.core.errors import Temporary
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.testing.sandboxes import begun, python, shell

POLICY = SandboxPolicy(timeout=30)


async def attempt(sandbox: Bubblewrap, workspace: Path, code: str, policy: SandboxPolicy = POLICY) -> str:
    """Run Python code that must not crash; what it printed."""
    outcome = await python(sandbox, workspace, code, policy)
    assert outcome.exit_code == 0, outcome
    return outcome.stdout.decode().strip()


# A call by its number, so that libc has no say: prints the errno's name or "done".
CALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == 'x86_64'
def call(x86, arm, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(x86 if X86 else arm), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return 'done' if done >= 0 else errno.errorcode[ctypes.get_errno()]
"""


# --- network ----------------------------------------------------------------------------------


async def test_the_hosts_loopback_is_not_reachable(sandbox: Bubblewrap, workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # it can be reached from here
            pass
        said = await attempt(
            sandbox,
            workspace,
            f"import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 3)\nexcept OSError as e: print(type(e).__name__)",
        )
    assert said == "ConnectionRefusedError"


async def test_no_address_but_its_own_loopback_can_be_reached(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import socket, errno
for family, address in ((2, '169.254.169.254'), (2, '10.0.0.1'), (2, '8.8.8.8'), (10, 'fe80::1'), (10, '2001:4860:4860::8888')):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            s = socket.socket(family, kind); s.settimeout(3); s.connect((address, 80)); print('reached', address)
        except OSError as e: print(errno.errorcode.get(e.errno, e.errno))
"""
    said = set((await attempt(sandbox, workspace, code)).split())
    assert said <= {"ENETUNREACH", "EADDRNOTAVAIL", "EINVAL", "EHOSTUNREACH"}
    assert said


async def test_a_server_in_the_sandbox_can_be_tested_on_its_own_loopback(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import socket
with socket.create_server(('127.0.0.1', 0)) as server:
    with socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept(); far.sendall(b'hello'); print(near.recv(5).decode()); far.close()
"""
    assert await attempt(sandbox, workspace, code) == "hello"


async def test_abstract_sockets_of_the_host_are_not_there(sandbox: Bubblewrap, workspace: Path) -> None:
    name = f"agenthost-attack-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        server.listen()
        code = f"import socket\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect('\\0{name}')\nexcept OSError as e: print(type(e).__name__)"
        assert await attempt(sandbox, workspace, code) == "ConnectionRefusedError"


async def test_other_kinds_of_sockets_are_refused(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import socket
for family, kind, protocol in ((16, 3, 0), (17, 3, 0), (2, 3, 1), (2, 1, 132), (40, 1, 0), (38, 5, 0), (30, 5, 0), (2, 2, 136), (2, 2, 1)):
    try: socket.socket(family, kind, protocol); print('made', family, kind, protocol)
    except OSError as e: print(e.errno)
"""
    assert set((await attempt(sandbox, workspace, code)).split()) == {"97"}


# --- the host's files, environment and processes ----------------------------------------------


async def test_the_hosts_homes_and_data_are_not_there(
    sandbox: Bubblewrap, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    secret.chmod(0o644)
    code = f"""
import os
for path in ({str(secret)!r}, {str(Path.home() / ".bashrc")!r}, {str(Path.home() / ".ssh")!r}, '/etc/shadow', '/etc/hostname', '/etc/machine-id', '/var', '/sys', '/run', '/mnt', '/boot', '/host', '/skel', '/new'):
    try: os.stat(path); print('there', path)
    except OSError: pass
print(sorted(os.listdir('/')), sorted(os.listdir('/etc')))
"""
    said = await attempt(sandbox, workspace, code)
    assert "there" not in said
    assert "workspace" in said


async def test_the_hosts_environment_is_not_there(
    cache: Path, workspaces: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-very-secret")
    sandbox = Bubblewrap(cache, workspaces)
    try:
        if not (await sandbox.available()).available:
            pytest.skip("no sandbox here")
        outcome = await shell(
            sandbox, workspace, "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        )
    finally:
        await sandbox.close()
    assert b"PATH=" in outcome.stdout
    assert b"very-secret" not in outcome.stdout
    names = set(re.findall(rb"^([A-Z_]+)=", outcome.stdout, re.M))
    assert names <= {
        b"PATH",
        b"HOME",
        b"LANG",
        b"TMPDIR",
        b"PYTHONDONTWRITEBYTECODE",
        b"PYTEST_ADDOPTS",
        b"PWD",
        b"OLDPWD",
        b"SHLVL",
        b"_",
        b"LC_CTYPE",
    }


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


async def test_signals_reach_nothing_of_the_host_nor_the_runs_guard(sandbox: Bubblewrap, workspace: Path) -> None:
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


async def test_the_hosts_python_packages_are_not_there(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('agenthost', 'aiohttp', 'msgspec', 'pip', 'numpy') if u.find_spec(n)])"
    assert await attempt(sandbox, workspace, code) == "[]"
    assert (await shell(sandbox, workspace, f'exec python -c "{code}"')).stdout == b"[]\n"


# --- writing ----------------------------------------------------------------------------------


async def test_nothing_outside_the_workspace_can_be_written(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import os, sys
places = ['/', '/usr', '/usr/bin', '/etc', '/opt', '/opt/agenthost', '/opt/agenthost/bin', '/opt/agenthost/python', '/opt/agenthost/packages', '/dev', '/proc', sys.base_prefix, os.path.dirname(os.__file__)]
for place in places:
    try: open(place + '/x', 'w'); print('wrote', place)
    except OSError as e: pass
    try: os.chmod(place, 0o777); print('changed', place)
    except OSError as e: pass
for place in ('/workspace', '/tmp', '/dev/shm'):
    open(place + '/x', 'w').write('1'); print('ok')
"""
    assert (await attempt(sandbox, workspace, code)).split() == ["ok"] * 3
    assert [path.name for path in workspace.iterdir()] == ["x"]


async def test_other_workspaces_are_not_there(sandbox: Bubblewrap, workspaces: Path, workspace: Path) -> None:
    other = workspaces / "other"
    other.mkdir()
    (other / "theirs").write_text("x")
    line = f"find / -name theirs 2>/dev/null; ls /workspace/.. ; ls {other} {workspaces}; echo end"
    said = (await shell(sandbox, workspace, line)).stdout.decode()
    assert "theirs" not in said
    assert said.endswith("end\n")


async def test_links_left_in_the_workspace_do_not_lead_the_next_run_out(
    sandbox: Bubblewrap, workspace: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    before = outside.stat()
    await shell(
        sandbox,
        workspace,
        f"ln -s {outside} way; ln -s {outside}/file f; ln -s / root; ln -s /etc/passwd p; ln /etc/passwd hard",
    )
    outcome = await shell(sandbox, workspace, "cat way/file f; echo x > f; echo y > way/new; ls hard")
    assert b"mine" not in outcome.stdout
    assert (outside / "file").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["file"]
    after = outside.stat()
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert (outside / "file").stat().st_uid == os.getuid()  # ownership changes follow no link either


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


async def test_set_id_programs_gain_nothing(sandbox: Bubblewrap, workspace: Path) -> None:
    line = "grep -E 'NoNewPrivs|Seccomp:|Cap' /proc/self/status; find / -xdev -perm -4000 2>/dev/null | head -3; id -u; su -c id root; mount -t tmpfs x /tmp"
    said = (await shell(sandbox, workspace, line)).stdout.decode()
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said
    assert re.findall(r"Cap\w+:\t(\w+)", said) == ["0000000000000000"] * 5
    assert "uid=0" not in said


# --- the kernel -------------------------------------------------------------------------------

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


async def test_a_foreign_calling_convention_is_killed(sandbox: Bubblewrap, workspace: Path) -> None:
    code = CALL + "print(call(0x40000000 | 39, 0x40000000 | 39))"
    outcome = await python(sandbox, workspace, code)
    assert outcome.exit_code == 128 + 31 or b"ENOSYS" in outcome.stdout  # SIGSYS


async def test_the_guards_memory_and_files_are_out_of_reach(sandbox: Bubblewrap, workspace: Path) -> None:
    line = "ls /proc/1/fd /proc/1/root /proc/1/cwd /proc/1/ns/mnt /proc/1/map_files 2>/dev/null; cat /proc/1/maps /proc/1/environ 2>/dev/null; readlink /proc/1/exe; echo end"
    assert (await shell(sandbox, workspace, line)).stdout == b"end\n"


async def test_a_run_holds_no_descriptor_but_its_three(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import os\nfor n in os.listdir('/proc/self/fd'):\n  try: print(n, os.readlink('/proc/self/fd/' + n).split(':')[0])\n  except OSError: pass"
    for line in (f'exec python -c "{code}"', None):
        outcome = await (shell(sandbox, workspace, line) if line else python(sandbox, workspace, code))
        assert outcome.stdout.decode().splitlines() == ["0 /dev/null", "1 pipe", "2 pipe"]


async def test_a_run_finds_nothing_of_earlier_runs_in_its_memory(sandbox: Bubblewrap, workspace: Path) -> None:
    secret = "needle-" + os.urandom(8).hex()
    for _ in range(5):
        await python(sandbox, workspace, f"x = '{secret}'")
    halves = (secret[:11], secret[11:])
    code = f"""
found = 0
needle = ({halves[0]!r}, {halves[1]!r})
import re
for line in open('/proc/self/maps'):
    m = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw', line)
    if m:
        begin, end = int(m[1], 16), int(m[2], 16)
        with open('/proc/self/mem', 'rb', 0) as f:
            f.seek(begin)
            data = f.read(end - begin)
        joined = bytearray(needle[0].encode()); at = -1
        while (at := data.find(joined, at + 1)) >= 0:
            found += data[at + 11:at + 11 + len(needle[1])] == needle[1].encode()
print(found)
"""
    assert await attempt(sandbox, workspace, code) == "0"


# --- using up ---------------------------------------------------------------------------------


async def test_a_fork_bomb_gets_no_further_than_its_limit(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import os, time
made = 0
try:
    for _ in range(500):
        if os.fork() == 0: time.sleep(30); os._exit(0)
        made += 1
except OSError as e: print(e.errno, made)
"""
    said = (await attempt(sandbox, workspace, code, SandboxPolicy(timeout=30, processes=20))).split()
    assert said[0] == "11"
    assert int(said[1]) <= 20
    bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass"
    outcome = await python(sandbox, workspace, bomb, SandboxPolicy(timeout=1, processes=20))
    assert outcome.limit == "time"
    assert (await python(sandbox, workspace, "print(1)")).stdout == b"1\n"


async def test_two_runs_do_not_share_their_process_limit(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import os, time\nfor _ in range(12):\n  if os.fork() == 0: time.sleep(1); os._exit(0)\ntime.sleep(.3)\nprint('ok')"
    policy = SandboxPolicy(timeout=30, processes=16)
    outcomes = await asyncio.gather(*(python(sandbox, workspace, code, policy) for _ in range(3)))
    assert [outcome.stdout for outcome in outcomes] == [b"ok\n"] * 3


async def ended_by(sandbox: Bubblewrap, workspace: Path, code: str, policy: SandboxPolicy) -> SandboxOutcome:
    return await python(sandbox, workspace, code + "\nimport time\ntime.sleep(20)", policy)


async def test_shared_memory_without_a_name_counts(sandbox: Bubblewrap, workspace: Path) -> None:
    hidden = "import mmap\nm = mmap.mmap(-1, 600_000_000)\nfor n in range(0, 600_000_000, 1 << 20): m[n:n + (1 << 20)] = bytes(1 << 20); m.madvise(mmap.MADV_DONTNEED, n, 1 << 20)"
    outcome = await ended_by(sandbox, workspace, hidden, SandboxPolicy(timeout=20, memory=128 * MIB))
    assert outcome.limit == "memory"


async def test_files_in_tmp_and_shm_count_as_memory_and_disk(sandbox: Bubblewrap, workspace: Path) -> None:
    for place in ("/tmp", "/dev/shm"):
        code = f"f = open('{place}/big', 'wb')\ntry:\n  while True: f.write(b'x' * 1_000_000)\nexcept OSError as e: print(e.errno, f.tell() < 43_000_000)"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=40 * MIB))
        assert outcome.stdout in (b"28 True\n", b"27 True\n") or outcome.limit in ("disk", "memory")


async def test_many_small_files_count(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "for n in range(3000): open(f'/workspace/{n}', 'w').close()"
    assert (await ended_by(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=4 * MIB))).limit == "disk"
    inodes = "import os\ntry:\n  for n in range(100_000): open(f'/tmp/{n}', 'w').close()\nexcept OSError as e: print(e.errno)"
    outcome = await python(sandbox, workspace, inodes, SandboxPolicy(timeout=20, disk=64 * MIB))
    assert outcome.stdout == b"28\n"


async def test_deleted_files_that_are_still_open_count(sandbox: Bubblewrap, workspace: Path) -> None:
    code = "import os\nkept = []\nfor n in range(12):\n  f = open('x', 'wb'); os.unlink('x'); f.write(b'x' * 1_000_000); f.flush(); kept.append(f)"
    assert (await ended_by(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=8 * MIB))).limit == "disk"


async def test_folders_that_are_shut_or_too_deep_hide_nothing(sandbox: Bubblewrap, workspace: Path) -> None:
    shut = (
        "import os\nos.mkdir('d')\nfor n in range(12): open(f'd/{n}', 'wb').write(b'x' * 1_000_000)\nos.chmod('d', 0)"
    )
    assert (await ended_by(sandbox, workspace, shut, SandboxPolicy(timeout=20, disk=8 * MIB))).limit == "disk"
    await shell(sandbox, workspace, "chmod 700 d && rm -rf d")
    deep = "import os\nfor n in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('big', 'wb').write(b'x' * 1_000_000)"
    assert (await ended_by(sandbox, workspace, deep, SandboxPolicy(timeout=20, disk=8 * MIB))).limit == "disk"


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


# --- what is left -----------------------------------------------------------------------------


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


async def test_as_root_code_runs_as_a_user_of_its_own(sandbox: Bubblewrap, workspace: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root")
    await shell(sandbox, workspace, "touch made; sleep 0")
    owner = (workspace / "made").stat().st_uid
    assert owner not in (0, 1000)
    (workspace / "ours").write_text("from the host")
    outcome = await shell(sandbox, workspace, "cat ours && echo more >> ours && rm made")
    assert outcome.exit_code == 0, outcome
    assert (workspace / "ours").read_text() == "from the hostmore\n"


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


async def test_a_run_can_not_reach_the_network_of_another_run(
    sandbox: Bubblewrap, workspaces: Path, workspace: Path
) -> None:
    other = workspaces / "other"
    other.mkdir()
    serve = """
import socket, time
server = socket.create_server(('127.0.0.1', 8001))
named = socket.socket(socket.AF_UNIX); named.bind('\\0neighbour'); named.listen()
open('ready', 'w').close(); time.sleep(20)
"""
    serving = asyncio.get_running_loop().create_task(python(sandbox, other, serve))
    try:
        await begun(other / "ready")
        reach = """
import socket
for family, address in ((socket.AF_INET, ('127.0.0.1', 8001)), (socket.AF_UNIX, '\\0neighbour')):
    try: socket.socket(family).connect(address); print('reached')
    except OSError as e: print(type(e).__name__)
"""
        assert (await attempt(sandbox, workspace, reach)).split() == ["ConnectionRefusedError"] * 2
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def test_every_mount_but_the_runs_own_is_read_only(sandbox: Bubblewrap, workspace: Path) -> None:
    lines = (await attempt(sandbox, workspace, "print(open('/proc/self/mountinfo').read())")).splitlines()
    mounts = {line.split()[4]: set(line.split()[5].split(",")) for line in lines}
    assert {"/", "/usr", "/workspace", "/tmp", "/proc", "/etc"} <= set(mounts)
    for place, flags in mounts.items():
        assert "nosuid" in flags, place
        if not place.startswith("/dev/"):
            assert "nodev" in flags, place
            assert ("rw" in flags) == (place in ("/workspace", "/tmp")), (place, flags)
