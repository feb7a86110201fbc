"""Judges a solution by a problem's test, in two places that never meet.

The solution runs in one workspace of the sandbox, with the arguments of the calls that the test makes; the test
runs in another, with the answers. No run has both, so there is no test for the solution to change, no exit code
to fake, no process to kill and no word to print: all that it can do is to answer, with plain data. See
docs/sandbox.md for what can't be excluded.
"""

import asyncio
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB, SandboxOutcome, SandboxPolicy, SandboxRun

INSIDE = Path(__file__).with_name("inside.py")
# A test whose next call depends on the last answer asks once more for each; more rounds than this are no test.
ROUNDS = 12
_LARGEST = 4 * MIB
POLICY = SandboxPolicy(timeout=10, memory=256 * MIB, processes=32, disk=16 * MIB, output=64 * 1024)


class Problem(Struct, frozen=True):
    """A line of a file in HumanEval's format: `prompt` ends where `canonical_solution` begins; `test` defines
    `check(candidate)`, which asserts; `entry_point` names the function."""

    task_id: str
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str


class Verdict(Struct, frozen=True):
    """`passed`; `wrong` (the test says so); `crashed` (it raised, ended early, or gave no plain data); a limit
    (`time`, `memory`, `disk`, `output`, `processes`); or `unclear`, where the test can't be judged this way."""

    word: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.word == "passed"


class _Told(Struct):
    nonce: str
    word: str
    detail: str = ""
    calls: list[str] = []


def load(path: Path) -> list[Problem]:
    """The problems of a file of JSON lines. Raises msgspec.ValidationError where one isn't in the format."""
    return [msgspec.json.decode(line, type=Problem) for line in path.read_bytes().splitlines() if line.strip()]


async def judge(
    sandbox: Sandbox, problem: Problem, completion: str, folder: Path, policy: SandboxPolicy = POLICY
) -> Verdict:
    """What becomes of `completion` (what follows the prompt). `folder` is an empty one that the sandbox takes
    workspaces from. The policy counts for each run."""
    asked: list[str] = []
    answers, outcome = b"", SandboxOutcome(0)
    for number in range(ROUNDS):
        told = await _test(sandbox, problem, folder / f"test-{number}", asked, answers)
        if told is None:
            return Verdict("unclear", "the test itself did not come to an end")
        if told.word == "silent":
            return _unanswered(outcome)
        if told.word != "ask":
            return Verdict(told.word, told.detail)
        asked = told.calls
        order = {"source": problem.prompt + completion, "entry_point": problem.entry_point, "calls": asked}
        outcome, answers = await _solve(sandbox, folder / f"solve-{number}", order, policy)
        if outcome.limit:
            return Verdict(outcome.limit)
    return Verdict("unclear", f"the test asks one thing after another, more than {ROUNDS} times")


def _unanswered(outcome: SandboxOutcome) -> Verdict:
    said = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return Verdict("crashed", f"exit code {outcome.exit_code} without an answer{': ' + said[-1][:300] if said else ''}")


async def _solve(
    sandbox: Sandbox, folder: Path, order: dict[str, Any], policy: SandboxPolicy
) -> tuple[SandboxOutcome, bytes]:
    await asyncio.to_thread(_lay_out, folder, order, b"")
    outcome = await _run(sandbox, folder, "solve", policy)
    answers = await asyncio.to_thread(_read, folder / "answers.jsonl")
    await _away(sandbox, folder)
    return outcome, answers


async def _test(sandbox: Sandbox, problem: Problem, folder: Path, asked: list[str], answers: bytes) -> _Told | None:
    nonce = secrets.token_hex(16)
    source = problem.prompt + problem.canonical_solution
    order = {"source": source, "test": problem.test, "asked": asked, "nonce": nonce}
    await asyncio.to_thread(_lay_out, folder, order, answers)
    await _run(sandbox, folder, "test", POLICY)
    said = await asyncio.to_thread(_read, folder / "told.json")
    await _away(sandbox, folder)
    try:
        told = msgspec.json.decode(said, type=_Told)
    except msgspec.DecodeError:
        return None
    return told if secrets.compare_digest(told.nonce, nonce) else None


async def _run(sandbox: Sandbox, folder: Path, role: str, policy: SandboxPolicy) -> SandboxOutcome:
    run = SandboxRun(("python", "inside.py", role), str(folder), policy)
    return await sandbox.run(run)


async def _away(sandbox: Sandbox, folder: Path) -> None:
    await sandbox.release(str(folder))
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _lay_out(folder: Path, order: dict[str, Any], answers: bytes) -> None:
    folder.mkdir(parents=True)
    shutil.copyfile(INSIDE, folder / "inside.py")
    (folder / "order.json").write_bytes(msgspec.json.encode(order))
    (folder / "answers.jsonl").write_bytes(answers)


def _read(path: Path) -> bytes:
    """A file that a stranger left: no link, no pipe, not more than the limit; else nothing."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return b""
        found = bytearray()
        while piece := os.read(number, MIB):
            found += piece
        return bytes(found)
    finally:
        os.close(number)
