"""What of a home belongs into a back-up, and what doesn't: what can be made again, and what is another's."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

DATABASE = "agenthost.db"
RECORD = "backups.json"
FOLDER = "backups"
ASIDE = "before-restore-"
STAGING = ".restoring"

MADE_AGAIN = {"workspaces", "cache", "logs", "lock", "host.sock", "secrets.lock"}
"""Workspaces are restored from the files that the database names, and sandboxes' layers from their sources."""

LEFT = {"models": "models are large, and fetched again by `agenthost model pull`"}
"""What is left out though nobody makes it again by itself, and what to tell about it."""

_OTHERS = {DATABASE, "blobs", FOLDER, RECORD}
_PASSING = re.compile(r"\.tmp$|\.part$|\.sock$|^\.")
_BESIDE = (f"{DATABASE}-", f"{DATABASE}.", ASIDE, STAGING)
_SECRET = re.compile(r"(?i)key|token|secret|password|credential|\.pem$")
_SETTING = re.compile(rb"(?im)^\s*\"?(api-key|headers|password|token|[\w-]*secret)\"?\s*=")
SETTINGS = "agenthost.toml"


def stays(name: str) -> bool:
    """Whether something right in a home is left where it is when a back-up is put into the home."""
    return (
        name in MADE_AGAIN - {"workspaces", "host.sock"}
        or name in LEFT
        or name in (FOLDER, RECORD)
        or name.startswith((ASIDE, STAGING))
    )


def files(home: Path) -> Iterator[str]:
    """The files of a home beside database and blobs that belong into a back-up, as paths below it with `/`."""
    for entry in sorted(os.scandir(home), key=lambda entry: entry.name):
        name = entry.name
        if name in MADE_AGAIN | _OTHERS or name in LEFT or name.startswith(_BESIDE) or _PASSING.search(name):
            continue
        if entry.is_file():
            yield name
        elif entry.is_dir():
            for folder, below, inside in os.walk(entry.path):
                below.sort()
                for found in sorted(inside):
                    path = Path(folder, found)
                    if path.is_file() and not _PASSING.search(found):
                        yield path.relative_to(home).as_posix()


def left_out(home: Path) -> list[str]:
    """What a back-up doesn't have though somebody may miss it, with what to do."""
    return [f"{name}/: {why}" for name, why in LEFT.items() if (home / name).is_dir() and any((home / name).iterdir())]


def is_secret(path: str, content: bytes) -> bool:
    """Whether a file of a home is, or may hold, something that opens doors."""
    return bool(_SECRET.search(path)) or (path == SETTINGS and bool(_SETTING.search(content)))


class Noted(Struct, frozen=True):
    """A back-up as the home remembers it: where it was put, and when it was made (seconds since the epoch)."""

    file: str
    made: float


def noted(folder: Path) -> list[Noted]:
    """The back-ups that a home remembers, newest first."""
    try:
        found = msgspec.json.decode((folder / RECORD).read_bytes(), type=list[Noted])
    except (OSError, msgspec.DecodeError):
        return []
    return sorted(found, key=lambda each: each.made, reverse=True)
