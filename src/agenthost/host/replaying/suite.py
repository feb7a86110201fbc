"""A folder of exports as a regression suite: each decided again, over as many CPUs as there are."""

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from xml.sax.saxutils import quoteattr

from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.replaying import FileReport
from agenthost.host.replaying.reading import read
from agenthost.host.replaying.recording import replay_all

LARGE = 4 * 1024 * 1024
"""Bytes of exports from which processes of their own (0.5 s to start) are worth it."""
CHUNK = 16
"""Files that a process is given at once."""

Tell = Callable[[int, int], None]
"""How many files are done, of how many."""


def exports_in(folder: Path) -> list[Path]:
    """The exports of a folder and those below it, by name. Raises BadInput where there is none."""
    found = sorted(path for path in folder.rglob("*.zip") if path.is_file())
    if not found:
        raise BadInput(f"there is no export in {folder}; write one: agenthost tasks export TASK --to {folder}/TASK.zip")
    return found


def replay_file(path: Path) -> FileReport:
    """Decide one export again; what is wrong with the file stands in the report."""
    try:
        recording = read(path).recording
        reports = asyncio.run(replay_all(recording))
    except AgentHostError as error:
        return FileReport(str(path), unread=error.message)
    return FileReport(str(path), recording.task, recording.row.name, tuple(reports))


def replay_files(paths: list[Path], tell: Tell = lambda done, total: None) -> list[FileReport]:
    """Decide exports again, in the order they are given. Call it where no loop runs: it works until it is done."""
    found: list[FileReport] = []
    workers = min(_cpus(), len(paths))
    if workers < 2 or sum(map(_size, paths)) < LARGE:
        for path in paths:
            found.append(replay_file(path))
            tell(len(found), len(paths))
        return found
    # A fork of a process that has threads may hang; a new one loads what it needs.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        for report in pool.map(replay_file, paths, chunksize=max(1, min(CHUNK, len(paths) // workers))):
            found.append(report)
            tell(len(found), len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _cpus() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def exit_code(reports: Iterable[FileReport]) -> int:
    """0 where all came out the same, 2 where one can't be read, else 1."""
    found = list(reports)
    if any(report.unread for report in found):
        return 2
    return 0 if all(report.agrees for report in found) else 1


def junit(reports: list[FileReport]) -> str:
    """The reports as JUnit's XML: a test case for each file."""
    failures = sum(1 for report in reports if not report.unread and not report.agrees)
    errors = sum(1 for report in reports if report.unread)
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    lines.append(
        f'<testsuite name="agenthost tasks replay" tests="{len(reports)}" failures="{failures}" errors="{errors}">'
    )
    for report in reports:
        lines.append(f"  <testcase classname={_quoted(report.name or 'export')} name={_quoted(report.file)}>")
        if report.unread:
            lines.append(f"    <error message={_quoted(report.unread)}/>")
        for each in report.reports:
            if not each.agrees:
                told = f"{each.task}, event {each.seq}: {each.difference}"
                lines.append(f"    <failure message={_quoted(told)}/>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>"]) + "\n"


def _quoted(text: str) -> str:
    """An attribute of XML: without the characters that XML has no way to say."""
    return quoteattr("".join(char if char >= " " or char in "\t\n" else "�" for char in text))
