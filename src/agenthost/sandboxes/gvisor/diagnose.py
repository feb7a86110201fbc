"""Why gVisor can't be used here, and what mends it."""

import os
import platform
import shutil
import sys

from agenthost.core.sandboxes import Availability

_PACKAGE = (
    "Debian has it as runsc in bookworm-backports (and in trixie): add 'deb http://deb.debian.org/debian "
    "bookworm-backports main' to apt's sources, then: apt-get install runsc/bookworm-backports. Else see "
    "gvisor.dev/docs/user_guide/install, or set [sandbox.gvisor] command"
)


def before(command: str) -> Availability | None:
    """What is missing for certain, or None."""
    if sys.platform != "linux":
        return Availability(
            False, f"gVisor runs on Linux only, and this is {sys.platform}", "run AgentHost in a Linux machine or WSL 2"
        )
    if platform.machine() not in ("x86_64", "aarch64"):
        return Availability(
            False, f"gVisor knows no {platform.machine()}", "run AgentHost on x86_64 or aarch64, or use bubblewrap"
        )
    if shutil.which(command) is None:
        return Availability(False, f"{command} is not installed", _PACKAGE)
    return None


def after(said: str) -> Availability:
    """What most likely keeps a container from starting, given what runsc said."""
    lines = [line for line in said.splitlines() if line.strip()]
    detail = f"a container doesn't start: {lines[-1][:400] if lines else 'runsc said nothing'}"
    if "/dev/kvm" in said or "kvm" in detail:
        return Availability(False, detail, 'set [sandbox.gvisor] platform = "systrap"')
    if "cgroup" in detail:
        return Availability(False, detail, "run AgentHost as root, or where its cgroup may be written")
    if "newuidmap" in detail or "user namespace" in detail or "operation not permitted" in detail:
        if os.geteuid() == 0:
            return Availability(
                False,
                detail,
                "AgentHost runs in a container: start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined",
            )
        return Availability(False, detail, "sysctl -w kernel.unprivileged_userns_clone=1, or run AgentHost as root")
    return Availability(False, detail, "see docs/sandbox.md, or set another [sandbox] kind")
