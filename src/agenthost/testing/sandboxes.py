"""The conformance suite of the port `core.ports.Sandbox`: every adapter passes it.

Subclass `SandboxSuite` in a test module and give the fixtures `sandbox` (ready to run) and
`workspace` (an empty folder that it accepts).
"""

import asyncio
import os
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput
from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun

POLICY = SandboxPolicy(timeout=30)


async def shell(sandbox: Sandbox, workspace: Path, line: str, policy: SandboxPolicy = POLICY) -> SandboxOutcome:
    """Run a shell line."""
    return await sandbox.run(SandboxRun(("sh", "-c", line), str(workspace), policy))


async def python(sandbox: Sandbox, workspace: Path, code: str, policy: SandboxPolicy = POLICY) -> SandboxOutcome:
    """Run Python code."""
    return await sandbox.run(SandboxRun(("python", "-c", code), str(workspace), policy))


async def begun(file: Path) -> None:
    """Wait until a run has made `file`."""
    for _ in range(1000):
        if await asyncio.to_thread(file.exists):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"the run never made {file}")


async def going_on(file: Path) -> None:
    """Wait until a run has made `file`; two seconds where a back end hands files over only at a run's end."""
    for _ in range(200):
        if await asyncio.to_thread(file.exists):
            break
        await asyncio.sleep(0.01)


async def under_way(run: "asyncio.Task[SandboxOutcome]", file: Path) -> None:
    """As `going_on`, for a run that mustn't be over then."""
    await going_on(file)
    assert not run.done()


def size(file: Path) -> int:
    """A file's size in bytes; 0 where there is none."""
    return file.stat().st_size if file.exists() else 0


class SandboxSuite:
    """What any sandbox must do."""

    async def test_it_says_that_it_is_available(self, sandbox: Sandbox) -> None:
        said = await sandbox.available()
        assert said.available, f"{said.detail}; {said.fix}"
        assert sandbox.name

    async def test_output_and_exit_code_come_back(self, sandbox: Sandbox, workspace: Path) -> None:
        outcome = await shell(sandbox, workspace, "echo out; echo err >&2; exit 3")
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, b"out\n", b"err\n")
        assert (outcome.limit, outcome.cut) == ("", 0)
        assert outcome.duration > 0

    async def test_a_signal_counts_as_128_and_its_number(self, sandbox: Sandbox, workspace: Path) -> None:
        assert (await shell(sandbox, workspace, "kill -TERM $$")).exit_code == 143

    async def test_an_unknown_command_exits_with_127(self, sandbox: Sandbox, workspace: Path) -> None:
        outcome = await sandbox.run(SandboxRun(("no-such-command",), str(workspace), POLICY))
        assert outcome.exit_code == 127
        assert b"no-such-command" in outcome.stderr

    async def test_stdin_is_fed_to_its_end(self, sandbox: Sandbox, workspace: Path) -> None:
        stdin = b"0123456789abcdef" * 20_000
        outcome = await sandbox.run(SandboxRun(("wc", "-c"), str(workspace), POLICY, stdin=stdin))
        assert outcome.stdout.split() == [str(len(stdin)).encode()]

    async def test_without_stdin_there_is_an_end_at_once(self, sandbox: Sandbox, workspace: Path) -> None:
        assert (await shell(sandbox, workspace, "cat; echo done")).stdout == b"done\n"

    async def test_files_go_in_and_come_out(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "in.txt").write_text("ä")
        outcome = await shell(sandbox, workspace, "mkdir -p a/b && cat in.txt in.txt > a/b/out.txt && rm in.txt")
        assert outcome.exit_code == 0, outcome.stderr
        assert (workspace / "a/b/out.txt").read_text() == "ää"
        assert not (workspace / "in.txt").exists()

    async def test_a_run_begins_in_the_folder_it_names(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "deep").mkdir()
        outcome = await sandbox.run(SandboxRun(("pwd",), str(workspace), POLICY, cwd="deep"))
        assert outcome.stdout == b"/workspace/deep\n"

    async def test_a_working_directory_outside_is_refused(self, sandbox: Sandbox, workspace: Path) -> None:
        for cwd in ("/etc", "../x", "a/../../x"):
            with pytest.raises(BadInput, match="working directory"):
                await sandbox.run(SandboxRun(("pwd",), str(workspace), POLICY, cwd=cwd))

    async def test_a_folder_outside_the_workspaces_is_refused(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "link").symlink_to("/etc")
        for folder in ("/", "/etc", str(workspace.parent / ".."), str(workspace.parent), str(workspace / "link")):
            with pytest.raises(BadInput, match="workspace"):
                await sandbox.run(SandboxRun(("pwd",), folder, POLICY))

    async def test_the_environment_is_what_the_run_says(self, sandbox: Sandbox, workspace: Path) -> None:
        run = SandboxRun(("sh", "-c", 'echo "$A|$HOME|$TMPDIR|$LANG"'), str(workspace), POLICY, env=(("A", "1 $x"),))
        assert (await sandbox.run(run)).stdout == b"1 $x|/tmp|/tmp|C.UTF-8\n"

    async def test_python_and_pytest_are_there(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "test_it.py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
        for line in ("python -m pytest -q", "python3 -m pytest -q", "pytest -q"):
            outcome = await shell(sandbox, workspace, line)
            assert outcome.exit_code == 0, outcome
            assert b"1 passed" in outcome.stdout
        assert os.listdir(workspace) == ["test_it.py"]

    async def test_time_ends_a_run_and_all_it_started(self, sandbox: Sandbox, workspace: Path) -> None:
        line = "trap '' TERM; (while :; do echo x >> beat; sleep 0.05; done) & echo begun; while :; do sleep 1; done"
        outcome = await shell(sandbox, workspace, line, SandboxPolicy(timeout=0.5))
        assert (outcome.limit, outcome.stdout) == ("time", b"begun\n")
        assert outcome.exit_code != 0
        beats = (workspace / "beat").stat().st_size
        await asyncio.sleep(0.3)
        assert (workspace / "beat").stat().st_size == beats

    async def test_what_is_left_running_ends_with_the_first_process(self, sandbox: Sandbox, workspace: Path) -> None:
        line = "(setsid sh -c 'while :; do echo x >> beat; sleep 0.02; done' >/dev/null 2>&1 &) ; sleep 0.2; echo over"
        assert (await shell(sandbox, workspace, line)).stdout == b"over\n"
        beats = (workspace / "beat").stat().st_size
        await asyncio.sleep(0.3)
        assert beats > 0
        assert (workspace / "beat").stat().st_size == beats

    async def test_cancelling_ends_the_run(self, sandbox: Sandbox, workspace: Path) -> None:
        line = "while :; do echo x >> beat; sleep 0.02; done"
        run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, line))
        await under_way(run, workspace / "beat")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        beats = size(workspace / "beat")
        await asyncio.sleep(0.3)
        assert size(workspace / "beat") == beats
        look = "sleep 0.3; ls /proc | grep -c '^[0-9]'"  # nothing goes on where the files are either
        assert int((await shell(sandbox, workspace, look)).stdout) <= 6

    async def test_output_beyond_the_limit_is_cut_and_counted(self, sandbox: Sandbox, workspace: Path) -> None:
        policy = SandboxPolicy(timeout=30, output=1000)
        code = "print('begin' + 'x' * 100_000 + 'end')"
        outcome = await python(sandbox, workspace, code, policy)
        assert len(outcome.stdout) == 1000
        assert outcome.stdout.startswith(b"begin")
        assert outcome.stdout.endswith(b"end\n")
        assert outcome.cut == 100_009 - 1000
        assert (outcome.exit_code, outcome.limit) == (0, "")

    async def test_endless_output_is_ended(self, sandbox: Sandbox, workspace: Path) -> None:
        outcome = await shell(sandbox, workspace, "yes", SandboxPolicy(timeout=30, output=1000))
        assert outcome.limit == "output"
        assert len(outcome.stdout) <= 1000
        assert outcome.cut > 0

    async def test_memory_of_one_process_is_bounded(self, sandbox: Sandbox, workspace: Path) -> None:
        code = "import time\nkept = []\nwhile True: kept.append(b'x' * 8_000_000)"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, memory=128 * MIB))
        assert outcome.limit == "memory" or b"MemoryError" in outcome.stderr
        assert outcome.exit_code != 0

    async def test_memory_of_many_processes_is_bounded_together(self, sandbox: Sandbox, workspace: Path) -> None:
        code = "import os, time\nfor _ in range(6): os.fork()\nkept = b'x' * 40_000_000\ntime.sleep(20)"
        policy = SandboxPolicy(timeout=30, memory=128 * MIB, processes=100)
        assert (await python(sandbox, workspace, code, policy)).limit == "memory"

    async def test_disk_is_bounded(self, sandbox: Sandbox, workspace: Path) -> None:
        code = "import time\nfor n in range(40):\n  open(f'f{n}', 'wb').write(b'x' * 1_000_000)\n  time.sleep(.01)\ntime.sleep(20)"
        outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, disk=8 * MIB))
        assert outcome.limit == "disk"

    async def test_disk_is_counted_when_a_run_has_ended_by_itself(self, sandbox: Sandbox, workspace: Path) -> None:
        code = "for n in range(3): open(f'f{n}', 'wb').write(b'x' * 1_000_000)"
        assert (await python(sandbox, workspace, code, SandboxPolicy(timeout=30, disk=2 * MIB))).limit == "disk"

    async def test_runs_go_on_at_once_and_apart(self, sandbox: Sandbox, workspace: Path) -> None:
        folders = [workspace.parent / f"{workspace.name}-{n}" for n in range(8)]
        for folder in folders:
            folder.mkdir()
        code = "import os, time; open('/tmp/mine', 'x'); time.sleep(0.1); print(os.listdir('/workspace'))"
        outcomes = await asyncio.gather(*(python(sandbox, folder, code) for folder in folders))
        assert [outcome.stdout for outcome in outcomes] == [b"[]\n"] * 8

    async def test_a_malformed_requirement_is_refused(self, sandbox: Sandbox) -> None:
        for package in ("--index-url=http://example.invalid", "x @ file:///etc", "./here", "a b", ""):
            with pytest.raises(BadInput):
                await sandbox.prepare(SandboxPolicy(packages=(package,)), lambda _: None)
