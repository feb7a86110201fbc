"""A Python run in the sandbox, fully isolated, beside the same run by a plain `python3 -c`."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from agenthost.core.errors import AgentHostError
from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from bench.processes import NotMeasured, environment
from bench.records import median, pairwise
from bench.setting import Setting

SUITE = "sandbox"
SUBJECT = "agenthost, bubblewrap"
PLAIN = "python3 -c, plain"
CODE = "print(1)"
AT_ONCE = 8


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    setting.tell("the sandbox")
    try:
        asyncio.run(_measure(setting))
    except (AgentHostError, NotMeasured, ImportError) as reason:
        setting.results.missing(SUITE, SUBJECT, "run", "ms", str(reason))


async def _measure(setting: Setting) -> None:
    from agenthost.sandboxes.bubblewrap import Bubblewrap

    workspace = setting.folder / "sandbox" / "workspaces" / "w"
    workspace.mkdir(parents=True)
    sandbox: Sandbox = Bubblewrap(setting.folder / "sandbox" / "cache", workspace.parent)
    try:
        found = await sandbox.available()
        if not found.available:
            raise NotMeasured(f"{found.detail}. {found.fix}")
        (workspace / "main.py").write_text(CODE)
        await _sandboxed(sandbox, workspace)
        seen = [
            (_plain(), await _sandboxed(sandbox, workspace), await _sandboxed(sandbox, workspace, ("main.py",)))
            for _ in range(setting.scale.launches * 4)
        ]
        theirs, ours, files = ([one[place] for one in seen] for place in range(3))
        setting.results.add(SUITE, PLAIN, "run", median(theirs), "ms")
        setting.results.add(SUITE, SUBJECT, "run", median(ours), "ms")
        setting.results.add(SUITE, SUBJECT, "run of a file", median(files), "ms")
        setting.results.add(SUITE, SUBJECT, "run, times plain", pairwise(ours, theirs), "x")
        rate = await _at_once(sandbox, workspace, setting.scale.launches * 4)
        setting.results.add(SUITE, SUBJECT, f"runs, {AT_ONCE} at once", rate, "1/s")
    finally:
        await sandbox.close()


async def _sandboxed(sandbox: Sandbox, workspace: Path, what: tuple[str, ...] = ("-c", CODE)) -> float:
    began = time.perf_counter()
    done = await sandbox.run(SandboxRun(("python3", *what), str(workspace), SandboxPolicy()))
    took = (time.perf_counter() - began) * 1000
    if done.stdout != b"1\n":
        raise NotMeasured(f"the sandboxed run failed: {done.stderr.decode(errors='replace')[-300:]}")
    return took


def _plain() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True, env=environment())
    return (time.perf_counter() - began) * 1000


async def _at_once(sandbox: Sandbox, workspace: Path, count: int) -> float:
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await _sandboxed(sandbox, workspace)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - began)
