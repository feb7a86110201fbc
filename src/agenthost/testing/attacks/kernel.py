"""The kernel: calls that make a hole, or a way to one."""

import os
from pathlib import Path

import pytest

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import CALL, attempt
from agenthost.testing.sandboxes import POLICY, python

# Python, so that each call carries arguments with which a process that may do it does it (or gets another
# error than these): a mount that mounts, a namespace that is made. Harmless where it succeeds.
_CALLS = """
path, none = b'/tmp', None
empty = ctypes.create_string_buffer(256)
tries = {
    'mount': (165, 40, b'x', path, b'tmpfs', 0, none), 'umount2': (166, 39, b'/workspace', 2),
    'bind mount': (165, 40, b'/etc', path, none, 4096, none), 'pivot_root': (155, 41, path, path),
    'chroot': (161, 51, path), 'open_tree': (428, 428, -100, path, 1), 'fsopen': (430, 430, b'tmpfs', 0),
    'sethostname': (170, 161, b'x', 1), 'setdomainname': (171, 162, b'x', 1),
    'kexec_load': (246, 104, 0, 0, empty, 0), 'init_module': (175, 105, empty, 0, b''), 'delete_module': (176, 106, b'x', 0),
    'swapon': (167, 224, path, 0), 'acct': (163, 89, none), 'quotactl': (179, 60, 0x80000100, none, 0, empty),
    'settimeofday': (164, 170, empty, none), 'syslog': (103, 116, 3, empty, 200), 'bpf': (321, 280, 0, empty, 72),
    'perf_event_open': (298, 241, empty, 0, -1, -1, 0), 'userfaultfd': (323, 282, 1),
    'io_uring_setup': (425, 425, 4, empty), 'keyctl': (250, 219, 1, none), 'add_key': (248, 217, b'user', b'x', b'x', 1, -2),
    'fanotify_init': (300, 262, 0, 0), 'open_by_handle_at': (304, 265, -100, empty, 0),
    'setns': (308, 268, os.open('/proc/self/ns/net', os.O_RDONLY) if os.path.exists('/proc/self/ns/net') else -1, 0),
}
for name, arguments in tries.items(): print(name.replace(' ', '-'), call(*arguments))
"""
REFUSALS = {"EPERM", "ENOSYS", "EACCES"}
"""What a call that isn't granted answers, whatever its arguments are."""


class KernelAttacks:
    """Calls that only the host's root, or nobody, should make."""

    async def test_dangerous_system_calls_are_refused(self, sandbox: Sandbox, workspace: Path) -> None:
        """A call that is let through says `done`, or an error about its arguments (EINVAL, EFAULT, ENOENT)."""
        said = dict(line.split() for line in (await attempt(sandbox, workspace, CALL + _CALLS)).splitlines())
        assert len(said) >= 25
        assert {name: answer for name, answer in said.items() if answer not in REFUSALS} == {}

    async def test_no_namespace_can_be_made(self, sandbox: Sandbox, workspace: Path) -> None:
        """A user namespace is a set of capabilities of one's own, and most holes of the last years begin with
        one. Allowed, `unshare` says done, and the cloned child would print."""
        code = (
            CALL
            + """
for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    print(call(272, 97, flag))
    pid = libc.syscall(ctypes.c_long(56 if X86 else 220), ctypes.c_long(flag | 17), *[ctypes.c_long(0)] * 4)
    if pid == 0: print('born', flush=True); os._exit(0)
    print('refused' if pid < 0 else 'born')
print(call(435, 435, ctypes.create_string_buffer(b'\\0\\0\\0\\x10', 88), 88))
"""
        )
        said = (await attempt(sandbox, workspace, code)).split()
        assert len(said) == 15
        assert set(said) <= {"EPERM", "ENOSYS", "refused"}

    async def test_other_processes_can_not_be_traced(self, sandbox: Sandbox, workspace: Path) -> None:
        """A tracer owns what it traces. Attached to pid 1, it would own the guard."""
        code = (
            CALL
            + "print(call(101, 117, 16, 1, 0, 0), call(101, 117, 0x4206, 1, 0, 0), call(310, 270, 1, 0, 0, 0, 0, 0) if X86 else 'EPERM')\ntry: open('/proc/1/mem', 'rb').read(1); print('read')\nexcept OSError: print('shut')"
        )
        said = (await attempt(sandbox, workspace, code)).split()
        assert set(said[:2]) <= {"EPERM", "ENOSYS", "EACCES", "ESRCH"}
        assert said[-1] == "shut"

    async def test_nothing_can_be_typed_into_a_terminal(self, sandbox: Sandbox, workspace: Path) -> None:
        """TIOCSTI types a command into the terminal that the host was started from; there, it would say `typed`."""
        code = "import fcntl\nfor n in (0x5412, 0x541C, 0x5423):\n  for fd in (0, 1, 2):\n    try: fcntl.ioctl(fd, n, b'x'); print('typed')\n    except OSError: pass\nfor fd in (0, 1, 2):\n  import os\n  if os.isatty(fd): print('terminal')\nprint('end')"
        assert await attempt(sandbox, workspace, code) == "end"

    async def test_a_foreign_calling_convention_is_no_way_round(self, sandbox: Sandbox, workspace: Path) -> None:
        """A filter that knows only the usual numbers lets x32's through: the answer would be a pid."""
        code = CALL + "print(call(0x40000000 | 39, 0x40000000 | 39))"
        outcome = await python(sandbox, workspace, code)
        assert outcome.exit_code == 128 + 31 or b"ENOSYS" in outcome.stdout  # SIGSYS

    async def test_the_32_bit_calling_convention_is_no_way_round(self, sandbox: Sandbox, workspace: Path) -> None:
        """`int 0x80` has numbers of its own. Let through, it would write `through` into the pipe."""
        if os.uname().machine != "x86_64":
            pytest.skip("only x86_64 has it")
        # mov eax, 4 (write); mov ebx, 1; mov ecx, edi (the text, below 4 GiB); mov edx, 7; int 0x80; ret
        code = """
import ctypes, mmap
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(ctypes.c_void_p(0), ctypes.c_size_t(4096), 7, 0x62, -1, ctypes.c_long(0))
if at in (None, 2**64 - 1): raise SystemExit(0)
code = bytes.fromhex('b804000000bb0100000089f9ba07000000cd80c3')
ctypes.memmove(at, code, len(code)); ctypes.memmove(at + 100, b'through', 7)
ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(at)(at + 100)
"""
        outcome = await python(sandbox, workspace, code, POLICY)
        assert b"through" not in outcome.stdout

    def neighbour(self, workspace: Path) -> Path:
        """Whose earlier runs are looked for: another task's. What a task's own runs leave in the memory of the
        process that they are forked from is no secret among them."""
        other = workspace.parent / "other"
        other.mkdir()
        return other

    async def test_a_run_finds_nothing_of_earlier_runs_in_its_memory(self, sandbox: Sandbox, workspace: Path) -> None:
        """Runs that are forked from a process which saw another's code or output would find the needle."""
        secret = "needle-" + os.urandom(8).hex()
        other = self.neighbour(workspace)
        for _ in range(4):
            await python(sandbox, other, f"x = '{secret}'; print(x)")
        halves = (secret[:11], secret[11:])
        code = f"""
found = looked = 0
needle = ({halves[0]!r}, {halves[1]!r})
import ctypes, re
for line in open('/proc/self/maps'):
    m = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw', line)
    if m:
        begin, end = int(m[1], 16), int(m[2], 16)
        data = ctypes.string_at(begin, end - begin)
        looked += len(data)
        joined = bytearray(needle[0].encode()); at = -1
        while (at := data.find(joined, at + 1)) >= 0:
            found += data[at + 11:at + 11 + len(needle[1])] == needle[1].encode()
print(found, looked > 100_000)
"""
        assert await attempt(sandbox, workspace, code) == "0 True"
