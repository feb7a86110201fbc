"""What every sandbox asks of a run before it takes it."""

from pathlib import Path

from agenthost.core.errors import BadInput
from agenthost.core.sandboxes import MIB, SandboxPolicy, SandboxRun

LEAST_MEMORY = 32 * MIB


def check_run(run: SandboxRun, processes: int = 1) -> None:
    """Raises BadInput for words that no process can have, a folder outside, and limits that nothing can run within.
    `processes`: the fewest that this sandbox needs."""
    if not run.argv or not run.argv[0]:
        raise BadInput("A run needs a command. Give argv at least one word.")
    if any("\0" in word for word in (*run.argv, run.cwd, *(part for pair in run.env for part in pair))):
        raise BadInput("A run's words can't have a zero byte. Take it out of argv, env or cwd.")
    if any(not name or "=" in name for name, _ in run.env):
        raise BadInput("An environment variable needs a name without '='.")
    if run.cwd.startswith("/") or ".." in run.cwd.split("/"):
        raise BadInput(f"The working directory '{run.cwd}' leaves the workspace. Give a path below it.")
    check_limits(run.policy, processes)


def check_limits(policy: SandboxPolicy, processes: int = 1) -> None:
    """Raises BadInput for limits that nothing can run within."""
    if policy.memory < LEAST_MEMORY or policy.processes < processes or policy.disk < MIB:
        noun = "process" if processes == 1 else "processes"
        raise BadInput(f"A run needs at least 32 MiB of memory, 1 MiB of disk and {processes} {noun}.")
    if not (policy.timeout > 0 and policy.cpu > 0 and policy.output >= 0):
        raise BadInput("A run's timeout and cpu must be above 0, its output 0 or more.")


def place(workspaces: Path, workspace: str) -> Path:
    """The workspace's folder, links resolved; it looks at the disk. Raises BadInput where it isn't below `workspaces`."""
    root, folder = workspaces.resolve(), Path(workspace).resolve()
    if root not in folder.parents:
        raise BadInput(f"The workspace {workspace} does not lie under {root}. Give a folder there.")
    if not folder.is_dir():
        raise BadInput(f"The workspace {workspace} is no folder. Make it first.")
    return folder
