"""A container's life: it is used again, ends with its host, and leaves nothing; and how gVisor's absence is told."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.core.errors import Unavailable
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.gvisor.keeper import Keeper
from agenthost.sandboxes.gvisor.sandbox import Gvisor
from agenthost.testing.sandboxes import python, shell


def naming(folder: Path) -> list[int]:
    """The processes whose command line names `folder`."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.fsencode(folder) in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


async def gone(folder: Path) -> bool:
    """Whether no process names `folder` any more, within ten seconds."""
    for _ in range(200):
        if not naming(folder):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_it_is_a_kernel_of_its_own(sandbox: Gvisor, workspace: Path) -> None:
    assert sandbox.isolation == "kernel"
    said = await shell(sandbox, workspace, "uname -r; dmesg | head -1")
    assert os.uname().release not in said.stdout.decode()
    outcome = await sandbox.run(SandboxRun(("true",), str(workspace), SandboxPolicy(isolation="kernel")))
    assert outcome.exit_code == 0


async def test_closing_leaves_no_process_and_no_file(sandbox: Gvisor, cache: Path, workspace: Path) -> None:
    await python(sandbox, workspace, "print(1)")
    (folder,) = (cache / "gvisor").glob(f"{os.getpid()}-*")
    assert naming(folder)
    await sandbox.close()
    assert await gone(folder)
    assert not folder.exists()
    with pytest.raises(Unavailable):
        await python(sandbox, workspace, "print(1)")


async def test_a_released_workspace_keeps_no_container(sandbox: Gvisor, workspace: Path) -> None:
    await python(sandbox, workspace, "print(1)")
    assert str(workspace) in {held.key[0] for held in sandbox._pool._held.values()}
    await sandbox.release(str(workspace))
    assert not sandbox._pool._held


async def test_what_a_killed_host_left_is_cleared_by_the_next(
    sandbox: Gvisor, cache: Path, workspaces: Path, workspace: Path
) -> None:
    code = f"""
import asyncio
from pathlib import Path
from agenthost.core.sandboxes import SandboxRun
from agenthost.sandboxes.gvisor.sandbox import Gvisor
async def main():
    sandbox = Gvisor(Path({str(cache)!r}), Path({str(workspaces)!r}))
    await sandbox.run(SandboxRun(("true",), {str(workspace)!r}))
    print("ran", flush=True)
    await sandbox.run(SandboxRun(("sleep", "100"), {str(workspace)!r}))
asyncio.run(main())
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert host.stdout is not None
    with host.stdout:
        assert await asyncio.to_thread(host.stdout.readline) == b"ran\n"
        left = next((cache / "gvisor").glob(f"{host.pid}-*"))
        host.kill()
        host.wait()
    assert await gone(left)
    assert left.is_dir()
    keeper = Keeper(cache / "gvisor", ["runsc"])
    await asyncio.to_thread(keeper.open)
    assert not left.exists()
    assert next((cache / "gvisor").glob(f"{os.getpid()}-*")).is_dir()  # a host that lives keeps its own
    await asyncio.to_thread(keeper.close)


async def test_a_missing_runsc_is_told_with_the_package(tmp_path: Path) -> None:
    sandbox = Gvisor(tmp_path / "cache", tmp_path / "w", runsc="no-runsc-here")
    said = await sandbox.available()
    assert not said.available
    assert "bookworm-backports" in said.fix
    await sandbox.close()
