"""A folder of the person's as the files that a task begins with, and what the task changed put back into it."""

import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.text import Text

from agenthost.cli.render.words import clean, plural, size
from agenthost.core.errors import BadInput

SKIPPED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
    }
)
"""Folders that are made again by tools, or hold what no agent should change."""
MOST_FILES = 5_000
MOST_BYTES = 100_000_000
LONGEST_DIFF = 400
"""Lines of difference shown of one file."""


class Change(Struct, frozen=True):
    """What a task did to one file: its content before and after; None where there was or is none."""

    path: str
    before: bytes | None
    after: bytes | None


def read(folder: Path) -> dict[str, bytes]:
    """The files of a folder by relative path. Links are left out. Raises BadInput where it is no folder, or too big."""
    if not folder.is_dir():
        raise BadInput(f"there is no folder '{folder}'; name one with --workspace")
    files: dict[str, bytes] = {}
    total = 0
    for path in _walk(folder):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadInput(f"'{path}' can't be read: {error.strerror}") from error
        total += len(content)
        files[path.relative_to(folder).as_posix()] = content
        if len(files) > MOST_FILES or total > MOST_BYTES:
            raise BadInput(
                f"'{folder}' is too big for a workspace: more than {MOST_FILES:,} files or {size(MOST_BYTES)}. "
                "Name a smaller folder."
            )
    return files


def _walk(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = Path(base, name)
            if path.is_file() and not path.is_symlink():
                yield path


def difference(change: Change) -> list[str]:
    """A change as lines of a unified diff; one line where either side isn't text."""
    before, after = _lines(change.before), _lines(change.after)
    if before is None or after is None:
        was, now = len(change.before or b""), len(change.after or b"")
        return [f"Binary file {change.path} differs ({size(was)} -> {size(now)})"]
    names = (
        "/dev/null" if change.before is None else f"a/{change.path}",
        "/dev/null" if change.after is None else f"b/{change.path}",
    )
    lines = [line.rstrip("\n") for line in difflib.unified_diff(before, after, *names)]
    # An empty file made or removed has no lines to tell.
    return lines or [f"--- {names[0]}", f"+++ {names[1]}"]


def _lines(content: bytes | None) -> list[str] | None:
    if content is None:
        return []
    if b"\0" in content:
        return None
    try:
        return content.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def coloured(found: list[Change]) -> RenderableType:
    """The changes as a coloured unified diff; of a long one the beginning."""
    styles = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}
    pieces: list[RenderableType] = []
    for change in found:
        lines = difference(change)
        for line in lines[:LONGEST_DIFF]:
            style = next((style for start, style in styles.items() if line.startswith(start)), "default")
            pieces.append(Text(clean(line), style))
        if len(lines) > LONGEST_DIFF:
            pieces.append(Text(f"… {plural(len(lines) - LONGEST_DIFF, 'more line')}", "dim italic"))
    return Group(*pieces)


def inside(folder: Path, path: str) -> Path:
    """Where `path` lies in `folder`. Raises BadInput where it, or a link on the way, leads out of it."""
    target = folder / path
    if Path(path).is_absolute() or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"'{path}' leads out of '{folder}'; nothing was written there")
    return target


def put(folder: Path, path: str, content: bytes) -> Path:
    """Write one file of a task into a folder, in one step; an existing file keeps its mode."""
    target = inside(folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(content)
    if target.is_file() and not target.is_symlink():
        shutil.copymode(target, file.name)
    else:
        os.chmod(file.name, 0o644)
    os.replace(file.name, target)
    return target


def put_back(folder: Path, found: list[Change]) -> list[str]:
    """Apply changes. A file that is no longer what the task began with is left alone; their paths."""
    left: list[str] = []
    for change in found:
        target = inside(folder, change.path)
        now = target.read_bytes() if target.is_file() else None
        if now != change.before and now != change.after:
            left.append(change.path)
        elif change.after is None:
            target.unlink(missing_ok=True)
        else:
            put(folder, change.path, change.after)
    return left
