"""What only Docker promises: its own filter around that of each run, and what a container shows of the machine."""

import os
from pathlib import Path

import aiodocker
import pytest
from testbeds.docker import IMAGE

from agenthost.core.sandboxes import MIB, SandboxPolicy
from agenthost.sandboxes.attached.pool import size_of
from agenthost.sandboxes.docker import seccomp
from agenthost.sandboxes.docker.container import MASKED, Make, config
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.inside import calls
from agenthost.testing.attacks.common import CALL, attempt
from agenthost.testing.sandboxes import python, shell

NUMBERS = {**calls.DENIED, **calls.ABSENT}


async def bare(engine: str, code: str, name: str) -> str:
    """What code prints as the first process of a container like every room's: no filter of a run's is on yet."""
    made = Make(IMAGE, "/usr/bin:/bin", {"agenthost.test": name})
    body = config(made, size_of(SandboxPolicy()))
    body |= {"Entrypoint": ["python3", "-c", code], "Volumes": {}, "OpenStdin": False, "AttachStdin": False}
    body["HostConfig"] |= {"AutoRemove": False, "LogConfig": {"Type": "json-file"}}
    async with aiodocker.Docker(url=engine) as docker:
        container = await docker.containers.create(body)
        try:
            await container.start()
            ended = await container.wait(timeout=60)
            said = "".join(await container.log(stdout=True, stderr=True))
        finally:
            await container.delete(force=True, v=True)
    assert ended["StatusCode"] == 0, said
    return said.strip()


def test_the_profile_names_nothing_that_a_run_may_not_call() -> None:
    """The two are written apart, by what is allowed and by what is not."""
    allowed = seccomp.ALLOWED.split()
    assert len(allowed) == len(set(allowed))
    assert not set(allowed) & set(NUMBERS)
    assert len(allowed) < 300


async def test_the_containers_own_filter_refuses_what_a_runs_does(docker_engine: str) -> None:
    """Without a profile, root's calls alone would fail, and those by their arguments; unknown ones are done."""
    code = (
        CALL
        + f"""
for name, (x86, arm) in {NUMBERS!r}.items():
    if (x86 if X86 else arm) is not None: print(name, call(x86, arm, 0, 0, 0, 0, 0))
print('new', call(452, 452, -100, b'/tmp', 0o700, 0)); print('newer', call(470, 470, 0, 0))
print('mq_open', call(240, 180, b'x', 0o102, 0o600, None))
print('filters', [line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp_filters')])
"""
    )
    said = dict(line.split(maxsplit=1) for line in (await bare(docker_engine, code, "calls")).splitlines())
    assert said.pop("filters", "['1']") == "['1']"
    assert {name: answer for name, answer in said.items() if answer not in ("EPERM", "ENOSYS")} == {}
    assert len(said) > 80


async def test_the_containers_own_filter_looks_at_arguments(docker_engine: str) -> None:
    code = (
        CALL
        + """
import socket
open('/tmp/f', 'w').close()
path = b'/tmp/f'
for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    print(call(56, 220, flag | 17, 0, 0, 0, 0))
print(call(90, 53, *((path, 0o4755) if X86 else (-100, path, 0o4755))), call(268, 53, -100, path, 0o2755))
print(call(91, 52, os.open('/tmp/f', os.O_RDWR), 0o6755), call(257, 56, -100, b'/tmp/g', os.O_CREAT | os.O_WRONLY, 0o4755))
print(call(257, 56, -100, b'/tmp', os.O_TMPFILE | os.O_WRONLY, 0o4755), call(259, 33, -100, b'/tmp/d', 0o20666, 0x103))
print(call(135, 92, 0x0040000))
for family, kind, protocol in ((16, 3, 0), (17, 3, 0), (40, 1, 0), (38, 5, 0), (30, 5, 0)):
    try: socket.socket(family, kind, protocol); print('made', family)
    except OSError as problem: print(errno.errorcode[problem.errno])
"""
    )
    assert set((await bare(docker_engine, code, "arguments")).split()) <= {"EPERM", "ENOSYS"}


async def test_what_programs_need_goes_through_both_filters(sandbox: Docker, workspace: Path) -> None:
    """No attack: files, pipes, threads, subprocesses, timers, sockets, shared memory, locks, and a temporary file without a name."""
    code = """
import fcntl, mmap, multiprocessing, os, select, signal, socket, sqlite3, subprocess, tempfile, threading, time
with tempfile.TemporaryFile() as file: file.write(b'x'); fcntl.flock(file, fcntl.LOCK_EX); os.posix_fallocate(file.fileno(), 0, 4096)
os.mkfifo('pipe'); os.chmod('pipe', 0o600); os.setxattr('.', 'user.a', b'1') if hasattr(os, 'nothing') else None
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(0.03)
ran = []; thread = threading.Thread(target=ran.append, args=(1,)); thread.start(); thread.join()
with multiprocessing.Pool(2) as pool: ran += pool.map(abs, [-1, -2])
print(ran, subprocess.run(['sh', '-c', 'echo sub | cat'], capture_output=True).stdout)
near, far = socket.socketpair(); near.send(b'x'); print(select.select([far], [], [], 1)[0] == [far])
base = sqlite3.connect('base.db'); base.execute('create table t (a)'); base.execute('insert into t values (1)'); base.commit()
print(base.execute('select * from t').fetchall(), os.sched_getaffinity(0) != set(), os.eventfd(0) > 2 if hasattr(os, 'eventfd') else True)
"""
    assert (await attempt(sandbox, workspace, code)).splitlines() == [
        "[1, 1, 2] b'sub\\n'",
        "True",
        "[(1,)] True True",
    ]


async def test_a_run_has_the_same_exact_answers_as_in_bubblewrap(sandbox: Docker, workspace: Path) -> None:
    code = (
        CALL
        + f"""
for name, (x86, arm) in {NUMBERS!r}.items():
    if (x86 if X86 else arm) is not None: print(name, call(x86, arm, 0, 0, 0, 0, 0))
"""
    )
    said = dict(line.split() for line in (await attempt(sandbox, workspace, code)).splitlines())
    assert {name for name in said if name in calls.DENIED and said[name] != "EPERM"} == set()
    assert {name for name in said if name in calls.ABSENT and said[name] != "ENOSYS"} == set()


SEEN = {
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "mounts",
    "net",
    "self",
    "stat",
    "thread-self",
    "uptime",
    "version",
}
"""What /proc has beside processes. The machine's load, memory and kernel can be seen in a container."""


async def test_proc_and_sys_show_nothing_else_of_the_machine(sandbox: Docker, workspace: Path) -> None:
    """Docker's own masks leave some forty files of /proc and all of /sys to be read: what a masked one is, is empty."""
    code = """
import os
def held(path):
    try:
        if os.path.isdir(path): return bool(os.listdir(path))
        return bool(open(path, 'rb').read(1))
    except OSError: return False
print(*[name for name in os.listdir('/proc') if not name.isdigit() and held('/proc/' + name)])
print(*[name for name in os.listdir('/sys') if held('/sys/' + name)])
for path in ('/proc/self/oom_score_adj', '/proc/self/comm', '/proc/self/coredump_filter', '/proc/1/oom_score_adj'):
    try: os.open(path, os.O_WRONLY); print('open', path)
    except OSError: pass
"""
    said = (await attempt(sandbox, workspace, code)).splitlines()
    assert set(said[0].split()) <= SEEN
    assert said[1:] == ["fs"]  # of which there is the container's own cgroup


async def test_only_harmless_devices_are_there(sandbox: Docker, workspace: Path) -> None:
    """No terminal can be had, as there is no place for one."""
    said = await shell(
        sandbox, workspace, "ls /dev; ls /dev/pts | wc -l; python3 -c 'import pty; pty.openpty()' 2>&1 | tail -1"
    )
    *devices, terminals, why = said.stdout.decode().splitlines()
    assert set(devices) == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    }  # fmt: skip
    assert (terminals, why.split(":")[0]) in (("0", "OSError"), ("0", "FileNotFoundError"))


async def test_every_mount_but_the_runs_own_is_read_only(sandbox: Docker, workspace: Path) -> None:
    """/workspace is a volume, which Docker mounts without nosuid and nodev: no_new_privs, the filters and the device
    cgroup stand there instead."""
    lines = (await attempt(sandbox, workspace, "print(open('/proc/self/mountinfo').read())")).splitlines()
    mounts = {line.split()[4]: set(line.split()[5].split(",")) for line in lines}
    assert {"ro"} <= mounts["/"]
    writable = {place for place, flags in mounts.items() if "rw" in flags}
    null = {line.split()[4] for line in lines if line.split()[3] == "/null"}  # /dev/null over a file
    # /dev and what is of it belong to root, and nothing of it can be written by anybody else.
    allowed = {"/workspace", "/tmp", "/dev/shm", "/dev", "/dev/mqueue", "/dev/pts", "/sys/fs/cgroup"}
    assert writable - null <= allowed
    assert null <= set(MASKED)
    for place in ("/tmp", "/dev/shm", "/dev/mqueue", "/proc"):
        assert {"nosuid", "nodev"} <= mounts[place], place
    assert "noexec" in mounts["/dev/shm"]
    assert not await attempt(
        sandbox,
        workspace,
        "import os\nfor p in ('/dev/x', '/dev/pts/x', '/sys/fs/cgroup/x'):\n  try: open(p, 'w'); print(p)\n  except OSError: pass",
    )


async def test_files_in_memory_are_few_and_not_executable_where_nothing_runs(sandbox: Docker, workspace: Path) -> None:
    code = """
import os, shutil
for place in ('/tmp', '/dev/shm'):
    try:
        for n in range(100_000): open(f'{place}/{n}', 'w').close()
    except OSError as problem: print(problem.errno)
    for n in os.listdir(place): os.unlink(f'{place}/{n}')
shutil.copy('/bin/true', '/dev/shm/true'); os.chmod('/dev/shm/true', 0o755)
try: os.execv('/dev/shm/true', ['true'])
except OSError as problem: print(problem.errno)
"""
    outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, disk=64 * MIB))
    assert outcome.stdout.split() == [b"28", b"28", b"13"], outcome


async def test_the_engine_took_every_limit(docker_engine: str, sandbox: Docker, workspace: Path) -> None:
    """What an engine doesn't know it leaves out without a word: so it is asked what it made."""
    policy = SandboxPolicy(timeout=20, memory=128 * MIB, cpu=0.5, processes=16, disk=32 * MIB)
    assert (await shell(sandbox, workspace, "true", policy)).exit_code == 0
    async with aiodocker.Docker(url=docker_engine) as docker:
        mine = [
            each
            for each in await docker.containers.list()
            if each["Labels"].get("agenthost.owner", "").split()[3:4] == [str(os.getpid())]
        ]
        (told,) = [await each.show() for each in mine]
    host = told["HostConfig"]
    assert host["Memory"] == 160 * MIB
    assert host["MemorySwap"] in (160 * MIB, -1)  # a kernel that doesn't count swap
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 17)
    assert (host["CapDrop"], host["CapAdd"] or []) == (["ALL"], [])
    assert (host["NetworkMode"], host["IpcMode"], host["CgroupnsMode"]) == ("none", "private", "private")
    assert host["ReadonlyRootfs"] and not host["Privileged"] and not host["Devices"] and not host["Binds"]
    assert set(host["MaskedPaths"]) == set(MASKED)
    assert "no-new-privileges" in host["SecurityOpt"]
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]}["core"] == 0


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_profile_is_for_both_machines(machine: str) -> None:
    assert f'"SCMP_ARCH_{machine.upper()}"' in seccomp.profile()
