"""What the attacks share: how one is carried out, and calls to the kernel that libc has no say in."""

from pathlib import Path

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.testing.sandboxes import POLICY, python

CALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == 'x86_64'
def call(x86, arm, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(x86 if X86 else arm), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return 'done' if done >= 0 else errno.errorcode[ctypes.get_errno()]
"""
"""Python: `call(number on x86_64, number on aarch64, arguments...)` is "done" or the error's name."""


async def attempt(sandbox: Sandbox, workspace: Path, code: str, policy: SandboxPolicy = POLICY) -> str:
    """Run Python code that must not crash; what it printed."""
    outcome = await python(sandbox, workspace, code, policy)
    assert outcome.exit_code == 0, outcome
    return outcome.stdout.decode().strip()
