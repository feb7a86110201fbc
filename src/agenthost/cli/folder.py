"""A folder of the person's as the files that a task begins with, and what the task changed put back into it."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from agenthost.cli.render.words import clean, plural
from agenthost.core.api import Artifact, HostApi
from agenthost.core.diffs import file_diff
from agenthost.core.errors import BadInput
from agenthost.stores.folders import apply_folder, import_folder

LONGEST = 2_000
"""Lines of difference shown in a terminal."""
RAW = "application/octet-stream"


class HostBlobs:
    """The host's files, reached through its API."""

    def __init__(self, api: HostApi) -> None:
        self._api = api

    async def put(self, content: bytes) -> str:
        return (await self._api.put_file("workspace", content, RAW)).digest

    async def get(self, digest: str) -> bytes:
        return await self._api.get_file(digest)

    async def size(self, digest: str) -> int:
        return len(await self.get(digest))


async def take_in(api: HostApi, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """A folder's files, path to digest, kept by the host; and what was left out. Raises BadInput."""
    found = await import_folder(folder, HostBlobs(api))
    return found.files, found.skipped


async def write_out(api: HostApi, folder: Path, artifacts: list[Artifact]) -> list[Path]:
    """Write a task's files into a folder. Raises BadInput where others of their names are there."""
    after = {artifact.path: artifact.digest for artifact in artifacts}
    make(folder)
    done = await apply_folder(folder, {}, after, HostBlobs(api))
    if done.conflicts:
        raise BadInput(f"'{folder}' has other files of these names: {', '.join(done.conflicts)}; name another folder")
    return [folder / path for path in after]


def make(folder: Path) -> None:
    """Make a folder where it isn't there. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the folder '{folder}' can't be made: {error.strerror}") from error


def contents(folder: Path, paths: list[str]) -> dict[str, bytes]:
    """What is in a folder's files now; a path without a regular file is left out."""
    found: dict[str, bytes] = {}
    for path in paths:
        target = folder / path
        if target.is_file() and target.parent.resolve().is_relative_to(folder.resolve()):
            found[path] = target.read_bytes()
    return found


def difference(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """A unified diff's lines, by path."""
    paths = sorted(before.keys() | after.keys())
    return [line for path in paths for line in file_diff(path, before.get(path), after.get(path)).splitlines()]


def coloured(lines: list[str]) -> RenderableType:
    """A unified diff in colours; of a long one the beginning."""
    styles = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}
    text = Text()
    for line in lines[:LONGEST]:
        style = next((style for start, style in styles.items() if line.startswith(start)), "")
        text.append(clean(line) + "\n", style)
    if len(lines) > LONGEST:
        text.append(f"… {plural(len(lines) - LONGEST, 'more line')}\n", "dim italic")
    return text
