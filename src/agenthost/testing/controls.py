"""The sixteen usual controls of a container, each probed from inside by a program.

Subclass `ControlsSuite` in a test module and give the fixtures `sandbox` and `workspace`, as for the suite of
attacks. A probe says what it sees; for each, what an open container would show stands beside it.
"""

import os
from pathlib import Path

import pytest

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxPolicy
from agenthost.testing.attacks.common import CALL, attempt
from agenthost.testing.attacks.host import DEVICES
from agenthost.testing.sandboxes import python, shell

CONTROLS = (
    "capabilities", "bounding set", "no new privileges", "seccomp", "user", "sockets", "read-only root", "/proc/sys",
    "sysrq", "pid namespace", "interfaces", "devices", "mount", "unshare", "memory", "pids",
)  # fmt: skip
"""Their names, in the order of the tests below."""

_STATUS = "print(dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line).get({key!r}, '').strip())"
_NONE = "0" * 16


async def _status(sandbox: Sandbox, workspace: Path, key: str) -> str:
    return await attempt(sandbox, workspace, _STATUS.format(key=key))


class ControlsSuite:
    """What holds in every back end, however it is made to hold."""

    PATHS_OF_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock", "/run/containerd.sock")

    async def test_01_no_capability_is_effective(self, sandbox: Sandbox, workspace: Path) -> None:
        """Root in a usual container has 00000000a80425fb."""
        for key in ("CapEff", "CapPrm", "CapInh"):
            assert await _status(sandbox, workspace, key) == _NONE, key
        ambient = "print(sum(libc.prctl(47, 1, number, 0, 0) == 1 for number in range(64)))"  # PR_CAP_AMBIENT_IS_SET
        assert await attempt(sandbox, workspace, CALL + ambient) == "0"

    async def test_02_the_bounding_set_is_empty(self, sandbox: Sandbox, workspace: Path) -> None:
        """With a full one, a set-id program or a namespace gives capabilities back."""
        assert await _status(sandbox, workspace, "CapBnd") == _NONE

    async def test_03_there_are_no_new_privileges(self, sandbox: Sandbox, workspace: Path) -> None:
        """Without, it is 0, and set-id programs work."""
        assert await attempt(sandbox, workspace, CALL + "print(libc.prctl(39, 0, 0, 0, 0))") == "1"

    async def test_04_a_system_call_filter_is_on(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unconfined, it is 0. The filter is also tried: a call that needs no right is refused (keyctl)."""
        assert await _status(sandbox, workspace, "Seccomp") == "2"
        said = await attempt(sandbox, workspace, CALL + "print(call(250, 219, 0, -3, 1))")
        assert said in ("EPERM", "ENOSYS")

    async def test_05_the_user_is_nobody_here(self, sandbox: Sandbox, workspace: Path) -> None:
        """Root inside shows 0; what it makes would belong to an account that owns other things as well."""
        said = (await shell(sandbox, workspace, "id -u; id -g; touch made")).stdout.split()
        assert b"0" not in said
        if os.geteuid() != 0:
            pytest.skip("not root: what is made belongs to whoever runs this, as it must")
        if (owner := (workspace / "made").stat().st_uid) != 0:
            assert owner > 65_536  # above the accounts of a machine

    async def test_06_no_socket_of_the_host_is_reachable(self, sandbox: Sandbox, workspace: Path) -> None:
        """Sharing the host's network, /proc/net/unix would list the host's sockets; a mounted one is a file."""
        code = f"""
import os, socket
for path in {self.PATHS_OF_SOCKETS!r}:
    if os.path.exists(path): print('there', path)
try: print(*[line.split()[-1] for line in open('/proc/net/unix').read().splitlines()[1:] if len(line.split()) > 7])
except OSError: pass
for name in ('/run/systemd/private', '@/tmp/.X11-unix/X0', '@/org/kernel/linux/storage/multipathd'):
    try: socket.socket(socket.AF_UNIX).connect(name.replace('@', chr(0))); print('reached', name)
    except OSError: pass
"""
        assert await attempt(sandbox, workspace, code) == ""

    async def test_07_the_root_is_read_only(self, sandbox: Sandbox, workspace: Path) -> None:
        """Where it can be written, the mount of / says rw, and a write is done or refused for rights alone."""
        code = """
import os
options = [line.split()[5] for line in open('/proc/self/mountinfo') if line.split()[4] == '/'][-1]
print('ro' in options.split(','))
try: open('/written', 'w'); print('written')
except OSError: pass
"""
        assert await attempt(sandbox, workspace, code) == "True"

    async def test_08_the_kernels_settings_can_not_be_written(self, sandbox: Sandbox, workspace: Path) -> None:
        """Privileged, the value is written back as it is, and `written` printed."""
        code = """
import os
for folder, _, names in os.walk('/proc/sys'):
    for name in names:
        try:
            with open(os.path.join(folder, name), 'r+b', 0) as file: file.write(b''); file.write(b'1'); print('written', folder, name)
        except (OSError, ValueError): pass
print('end')
"""
        assert await attempt(sandbox, workspace, code) == "end"

    async def test_09_the_kernel_takes_no_system_request(self, sandbox: Sandbox, workspace: Path) -> None:
        """Open, a letter written there restarts the machine; opening it for writing is enough to see."""
        code = (
            "import os\ntry: os.open('/proc/sysrq-trigger', os.O_WRONLY); print('open')\nexcept OSError: print('shut')"
        )
        assert await attempt(sandbox, workspace, code) == "shut"

    async def test_10_it_has_pids_of_its_own(self, sandbox: Sandbox, workspace: Path) -> None:
        """With the host's, there is this test's pid, and hundreds more."""
        said = await attempt(sandbox, workspace, "import os; print(*[p for p in os.listdir('/proc') if p.isdigit()])")
        pids = {int(pid) for pid in said.split()}
        assert 0 < len(pids) <= 4
        code = f"import os\ntry: os.kill({os.getpid()}, 0); print('there')\nexcept ProcessLookupError: print('nobody')"
        if os.getpid() not in pids:
            assert await attempt(sandbox, workspace, code) == "nobody"

    async def test_11_loopback_is_the_only_interface(self, sandbox: Sandbox, workspace: Path) -> None:
        """A container on a bridge also has eth0."""
        # SIOCGIFNAME by index (linux/sockios.h): the usual list takes a netlink socket, which a filter may refuse.
        code = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    for index in range(1, 200):
        try: print(fcntl.ioctl(probe, 0x8910, struct.pack('16si20x', b'', index))[:16].rstrip(b'\\0').decode())
        except OSError: pass
"""
        assert (await attempt(sandbox, workspace, code)).split() == ["lo"]

    async def test_12_devices_are_the_harmless_ones(self, sandbox: Sandbox, workspace: Path) -> None:
        """Privileged, /dev has the machine's disks."""
        code = f"""
import os, stat
for name in os.listdir('/dev'):
    if name not in {sorted(DEVICES)!r}: print('there', name)
for name in os.listdir('/dev'):
    status = os.stat('/dev/' + name) if os.path.exists('/dev/' + name) else None
    if status and stat.S_ISBLK(status.st_mode): print('disk', name)
for name in ('null', 'zero', 'full', 'random', 'urandom'): open('/dev/' + name, 'rb').close()
print('end')
"""
        assert await attempt(sandbox, workspace, code) == "end"

    async def test_13_nothing_can_be_mounted(self, sandbox: Sandbox, workspace: Path) -> None:
        """With CAP_SYS_ADMIN: done."""
        code = CALL + "print(call(165, 40, b'x', b'/tmp', b'tmpfs', 0, None), call(166, 39, b'/tmp', 2))"
        assert set((await attempt(sandbox, workspace, code)).split()) == {"EPERM"}

    async def test_14_no_namespace_can_be_unshared(self, sandbox: Sandbox, workspace: Path) -> None:
        """By default an ordinary user makes a user namespace, and in it a network of its own: done, done."""
        code = CALL + "print(call(272, 97, 0x10000000), call(272, 97, 0x40000000), call(272, 97, 0x50000000))"
        assert set((await attempt(sandbox, workspace, code)).split()) <= {"EPERM", "ENOSYS"}

    async def test_15_memory_is_bounded(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unbounded, it prints `all`."""
        code = "kept = [bytearray(b'x' * 1_000_000) for _ in range(300)]\nprint('all')"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, memory=96 * MIB))
        assert b"all" not in outcome.stdout
        assert outcome.exit_code != 0
        fits = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, memory=512 * MIB))
        assert fits.stdout == b"all\n", fits

    async def test_16_processes_are_bounded(self, sandbox: Sandbox, workspace: Path) -> None:
        """Unbounded, it prints 60."""
        code = "import os, time\nmade = 0\ntry:\n  for _ in range(60):\n    if os.fork() == 0: time.sleep(2); os._exit(0)\n    made += 1\nexcept OSError: pass\nprint(made)"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, processes=16))
        assert outcome.limit == "processes" or int(outcome.stdout) <= 16
        fits = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, processes=100))
        assert fits.stdout == b"60\n", fits
