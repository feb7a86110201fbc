"""The sandbox `functions` against the real function: the port's suite, and its own limits."""

import asyncio
import os
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput, Permanent, Unavailable
from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxPolicy, SandboxRun
from agenthost.sandboxes.functions import client as module
from agenthost.sandboxes.functions.folder import MOST_FILES
from agenthost.testing.sandboxes import POLICY, SandboxSuite, python, shell
from tests.sandboxes.functions.conftest import apart, client, running

MOST_ENTRIES = 2 * MOST_FILES


class TestFunctions(SandboxSuite):
    """Overridden is what can't be at somebody else's: the place of /workspace, files that are seen while it runs, and a
    /tmp of its own where several requests share a process (deployed, there is one request at a time)."""

    async def test_a_run_begins_in_the_folder_it_names(self, sandbox: Sandbox, workspace: Path) -> None:
        (workspace / "deep").mkdir()
        outcome = await sandbox.run(SandboxRun(("pwd",), str(workspace), POLICY, cwd="deep"))
        assert outcome.stdout.endswith(b"/workspace/deep\n")

    async def test_the_environment_is_what_the_run_says(self, sandbox: Sandbox, workspace: Path) -> None:
        line = 'echo "$A|$LANG"; test "$HOME" = "$TMPDIR" && touch "$HOME/x"; env | cut -d= -f1 | sort | tr "\\n" " "'
        run = SandboxRun(("sh", "-c", line), str(workspace), POLICY, env=(("A", "1 $x"),))
        first, names = (await sandbox.run(run)).stdout.splitlines()
        assert first == b"1 $x|C.UTF-8"
        assert set(names.split()) <= set(
            b"A HOME LANG OLDPWD PATH PWD PYTEST_ADDOPTS PYTHONDONTWRITEBYTECODE SHLVL TMPDIR _".split()
        )

    async def test_cancelling_ends_the_run(self, sandbox: Sandbox, workspace: Path) -> None:
        """Nothing comes back; what runs there ends by its timeout."""
        line = "echo x > beat; sleep 1; echo y > beat"
        run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, line, SandboxPolicy(timeout=2)))
        await asyncio.sleep(0.3)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert os.listdir(workspace) == []

    async def test_runs_go_on_at_once_and_apart(self, sandbox: Sandbox, workspace: Path) -> None:
        folders = [workspace.parent / f"{workspace.name}-{n}" for n in range(8)]
        for folder in folders:
            folder.mkdir()
        code = "import os, time; open(os.environ['TMPDIR'] + '/mine', 'x'); time.sleep(0.1); print(os.listdir('.'))"
        outcomes = await asyncio.gather(*(python(sandbox, folder, code) for folder in folders))
        assert [outcome.stdout for outcome in outcomes] == [b"[]\n"] * 8


async def test_there_is_no_network_but_a_loopback(sandbox: Sandbox, workspace: Path) -> None:
    code = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].sendall(b"mine")).start()
print(socket.create_connection(server.getsockname()).recv(9))
print(sorted(name for _, name in socket.if_nameindex()))
try:
    socket.create_connection(("192.0.2.1", 80), 3)
except OSError as error:
    print("no way out")
"""
    outcome = await python(sandbox, workspace, code)
    assert outcome.stdout.splitlines()[0] == b"b'mine'", outcome
    assert b"'lo'" in outcome.stdout
    assert b"eth" not in outcome.stdout
    assert outcome.stdout.splitlines()[-1] == b"no way out"


async def test_the_secret_and_the_functions_memory_are_out_of_reach(sandbox: Sandbox, workspace: Path) -> None:
    code = """
import os, glob
print("AGENTHOST_SECRET" in os.environ)
found = []
for file in glob.glob("/proc/[0-9]*/environ"):
    try:
        found += [file] if b"AGENTHOST_SECRET" in open(file, "rb").read() else []
    except OSError:
        pass
ours = open("/proc/self/status").read()
print("CapBnd:\\t0000000000000000" in ours, "NoNewPrivs:\\t1" in ours)
print("found", found)
"""
    outcome = await python(sandbox, workspace, code)
    assert outcome.stdout.splitlines() == [b"False", b"True True", b"found []"], outcome


async def test_what_runs_on_after_its_runner_was_killed_is_ended(sandbox: Sandbox, workspace: Path) -> None:
    """Where the run has processes of its own it can't kill what watches over it; else the outcome says killed. Its
    files still come."""
    outcome = await shell(sandbox, workspace, "echo x > kept; (setsid sleep 4711.25 &); kill -9 $PPID; exit 137")
    assert outcome.exit_code == 137
    assert (workspace / "kept").read_text() == "x\n"
    assert running(b"sleep\x004711.") == []


async def test_a_run_reaches_no_process_but_its_own(sandbox: Sandbox, workspace: Path) -> None:
    """Not even by a signal to everybody: the function goes on, and so do other runs."""
    if not apart():
        pytest.skip("there are no pid namespaces here, and the signal would go to everybody")
    (workspace.parent / "other").mkdir()
    other = asyncio.get_running_loop().create_task(shell(sandbox, workspace.parent / "other", "sleep 1; echo lived"))
    await asyncio.sleep(0.3)
    code = """
import os
print(os.getppid(), [name for name in os.listdir('/proc') if name.isdigit()])
try:
    os.kill(-1, 9)
except ProcessLookupError:
    print("nobody")
"""
    outcome = await python(sandbox, workspace, code)
    assert outcome.stdout == b"1 ['1', '2']\nnobody\n", outcome
    assert (await other).stdout == b"lived\n"
    assert (await shell(sandbox, workspace, "echo on")).stdout == b"on\n"


@pytest.mark.parametrize(
    "code",
    [
        f"import os\nfor n in range({MOST_ENTRIES + 1}): os.mkdir(f'{{n}}')",
        f"import os\nfor n in range({MOST_ENTRIES - 1000}): os.mkdir(f'{{n}}-' + 'n' * 240)",
    ],
)
async def test_leaving_more_entries_than_an_answer_takes_is_told(sandbox: Sandbox, workspace: Path, code: str) -> None:
    policy = SandboxPolicy(timeout=100, disk=1024 * MIB)
    with pytest.raises(Permanent, match="what the run leaves|the run leaves more than") as raised:
        await python(sandbox, workspace, code, policy)
    assert raised.value.code == "answer-too-large"
    assert os.listdir(workspace) == []


async def test_a_run_that_its_limit_ended_is_told_also_where_it_leaves_too_much(
    sandbox: Sandbox, workspace: Path
) -> None:
    (workspace / "kept").write_text("kept")
    code = """
import os, time
print('said', flush=True); os.remove('kept')
much = os.urandom(7_500_000)
for name in '123456': open(name, 'wb').write(much)
time.sleep(20)
"""
    outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=20, disk=8 * MIB))
    assert (outcome.exit_code, outcome.limit, outcome.stdout) == (137, "disk", b"said\n")
    left = os.listdir(workspace)  # too much for an answer, unless it was ended before that
    assert left == ["kept"] or ("kept" not in left and 2 <= len(left) <= 4)


async def test_processes_are_bounded(sandbox: Sandbox, workspace: Path) -> None:
    code = """
import os, time
made = 0
for _ in range(150):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        made += 1
    except OSError:
        break
print(made)
time.sleep(1)
"""
    outcome = await python(sandbox, workspace, code, SandboxPolicy(timeout=30, processes=10))
    assert outcome.limit == "processes" or int(outcome.stdout) <= 12


async def test_names_that_are_no_text_neither_go_nor_come_and_harm_nothing(sandbox: Sandbox, workspace: Path) -> None:
    strange = os.fsencode(workspace) + b"/\xff\n"
    with open(strange, "wb") as file:
        file.write(b"mine")
    os.mkdir(os.fsencode(workspace) + b"/\xfe")
    code = "import os; print(os.listdir('.')); open(b'\\xff', 'w'); os.mkdir(b'\\xfd'); open('a\\tb', 'w'); open('ok', 'w')"
    outcome = await python(sandbox, workspace, code)
    assert outcome.stdout == b"[]\n", outcome
    assert sorted(os.listdir(os.fsencode(workspace))) == [b"ok", b"\xfe", b"\xff\n"]


async def test_links_and_devices_neither_go_nor_come(sandbox: Sandbox, workspace: Path) -> None:
    (workspace / "secret").symlink_to("/etc/hostname")
    (workspace / "folder").symlink_to("/etc")
    os.mkfifo(workspace / "pipe")
    (workspace / "file").write_text("x")
    outcome = await shell(sandbox, workspace, "ls; ln -s /etc/passwd made; mkfifo tube; echo y > file")
    assert outcome.stdout == b"file\n"
    assert (workspace / "file").read_text() == "y\n"
    assert not (workspace / "made").exists() and not (workspace / "tube").exists()


async def test_folders_modes_and_unchanged_files_stay_as_they_are(sandbox: Sandbox, workspace: Path) -> None:
    (workspace / "empty").mkdir()
    (workspace / "gone").mkdir()
    (workspace / "tool").write_text("#!/bin/sh\necho ran\n")
    before = (workspace / "tool").stat()
    outcome = await shell(sandbox, workspace, "./tool; rmdir gone; mkdir new; ls -d empty")
    assert outcome.stdout == b"ran\nempty\n"
    assert sorted(os.listdir(workspace)) == ["empty", "new", "tool"]
    assert (workspace / "tool").stat().st_ino == before.st_ino, "it was written again though it is the same"


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (SandboxPolicy(hosts=("a.example",)), "can't grant a network"),
        (SandboxPolicy(image="python:3"), "has no images"),
        (SandboxPolicy(memory=4096 * MIB), r"needs 4480 MiB, and it has 4096.*\[sandbox.functions\] memory"),
        (SandboxPolicy(timeout=301), r"301 s, and the function 300.*\[sandbox.functions\] timeout"),
        (SandboxPolicy(packages=("numpy",)), r"doesn't have numpy.*\[sandbox.functions\] packages"),
    ],
)
async def test_what_the_function_cant_give_is_refused_before_anything_is_sent(
    workspaces: Path, workspace: Path, policy: SandboxPolicy, words: str
) -> None:
    async def nobody(*_: object) -> tuple[int, dict[str, str], bytes]:
        raise AssertionError("something was sent")

    sandbox = client("http://127.0.0.1:1/", workspaces)
    sandbox._post = nobody  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Unavailable, match=words):
        await sandbox.run(SandboxRun(("true",), str(workspace), policy))
    with pytest.raises(Unavailable, match="can't serve ports"):
        await sandbox.spawn(SandboxRun(("true",), str(workspace)))


async def test_a_workspace_that_is_too_large_is_refused_with_the_documented_number(
    sandbox: Sandbox, workspace: Path
) -> None:
    with open(workspace / "large", "wb") as file:
        file.truncate(module.MOST)
    with pytest.raises(BadInput, match=r"at most 28000000 bytes.*cloud.google.com/functions/quotas"):
        await shell(sandbox, workspace, "true")


async def test_leaving_more_than_an_answer_takes_is_told(sandbox: Sandbox, workspace: Path) -> None:
    with pytest.raises(Permanent, match="more than 31000000 bytes"):
        await shell(sandbox, workspace, "head -c 32000000 /dev/urandom > large")
    assert os.listdir(workspace) == []


async def test_packages_that_the_image_has_are_fine(function: str, workspaces: Path, workspace: Path) -> None:
    sandbox = client(function, workspaces, packages=("pytest", "numpy>=2"))
    policy = SandboxPolicy(packages=("numpy>=2",))
    await sandbox.prepare(policy, lambda _: None)
    assert (await sandbox.run(SandboxRun(("true",), str(workspace), policy))).exit_code == 0


async def test_another_secret_is_refused_on_either_side(function: str, workspaces: Path, workspace: Path) -> None:
    wrong = client(function, workspaces, secret="another secret that is long")
    with pytest.raises(Unavailable, match="signature is wrong: is the shared secret the same"):
        await shell(wrong, workspace, "true")
    assert "shared secret the same" in (await wrong.available()).detail
    none = client(function, workspaces, secret=None)
    with pytest.raises(Unavailable, match="agenthost secrets set AGENTHOST_FUNCTIONS_SECRET"):
        await shell(none, workspace, "true")


async def test_a_function_that_isnt_set_or_isnt_there_is_said(workspaces: Path) -> None:
    said = await client("", workspaces).available()
    assert not said.available and "[sandbox.functions] url" in said.fix
    away = await client("http://127.0.0.1:1/", workspaces).available()
    assert not away.available and "can't be reached" in away.detail
    for url in ("http://example.com/", "ftp://x", "nonsense"):
        said = await client(url, workspaces).available()
        assert "https:// address" in said.detail
    said = await client("https://function.invalid/", workspaces).available()
    assert "on this machine only" in said.detail
