"""A run's first process: from the fork to the program that was asked for; and how it ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any, NoReturn

from agenthost.sandboxes.inside import cage, linux, rooms, warm

WORKSPACE = "/workspace"


def become(request: dict[str, Any], files: Sequence[int], filter: bytes, python: warm.Interpreter) -> warm.Job:
    """From here on this process is somebody else's: `files` as its stdin, stdout and stderr, its limits, no rights.

    Returns only where the interpreter that is here shall run the program.
    """
    try:
        _take_files(files)
        _limit(request)
        if request["cpu"]:
            cage.pin(request["cpu"], request["turn"])
        cage.step_down(rooms.UID)
        cage.lock(filter)
    except OSError as problem:
        _fail(126, f"sandbox: {problem}")
    return _program(request, python)


def shut_in(files: Sequence[int], filter: bytes, user: int) -> None:
    """The first half of `become`, what needs no request: `user` without rights, and `files` (three or more) as all it has."""
    try:
        _take_files(files)
        cage.step_down(user)
        cage.lock(filter)
    except OSError as problem:
        _fail(126, f"sandbox: {problem}")


def begin(request: dict[str, Any], python: warm.Interpreter) -> warm.Job:
    """The other half of `become`, for a process that is shut in. Where cores are granted, its container bounds them."""
    try:
        _limit(request)
    except OSError as problem:
        _fail(126, f"sandbox: {problem}")
    return _program(request, python)


def _take_files(files: Sequence[int]) -> None:
    os.setsid()
    for target, source in enumerate(files):
        os.dup2(source, target)
    linux.close_from(len(files))
    linux.prctl(linux.PR_SET_DUMPABLE, 1)


def _limit(request: dict[str, Any]) -> None:
    cage.limits(request["memory"], request["processes"], request["disk"], request["cpu_seconds"], request["counted"])


def _program(request: dict[str, Any], python: warm.Interpreter) -> warm.Job:
    try:
        os.chdir(WORKSPACE)
        os.chdir(request["cwd"] or ".")
    except OSError as problem:
        _fail(126, f"sandbox: {problem}")
    os.environ.clear()
    os.environ.update(request["env"])
    argv: list[str] = request["argv"]
    if (job := warm.plan(argv, request["env"], python)) is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        return job
    cage.plain_signals()
    try:
        os.execvp(argv[0], argv)
    except FileNotFoundError:
        _fail(127, f"sandbox: {argv[0]}: not found")
    except (OSError, ValueError) as problem:
        _fail(126, f"sandbox: {argv[0]}: {problem}")


def _fail(code: int, text: str) -> NoReturn:
    os.write(2, text.encode("utf-8", "replace") + b"\n")
    os._exit(code)


def reap(pid: int) -> int | None:
    """Collect what has ended; the code of the process `pid` (the shell's manner), None while it runs."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code
