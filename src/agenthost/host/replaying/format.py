"""The file that an export is: a zip whose table (`export.json`) names every member with its size and hash.

| member | what |
| --- | --- |
| `export.json` | the table: format, version, which task, every other member; always the last |
| `tasks.json` | the rows of the task and those below it, the task first |
| `tasks/ID.jsonl` | a journal, one event a line: `{"task", "seq", "at", "event"}` |
| `definitions/HEX.json` | the pinned definitions that it ran with, by content hash |
| `workspaces.json` | workspace to path to content hash |
| `files/PATH` | the files of the task's own workspace, as they are now |
| `blobs/HEX` | every other content that the journals name, by content hash |
| `ledger.json` | every attempt at a model call |

A content is wherever a member has its hash. The same task gives the same bytes.
"""

import re

import msgspec
from msgspec import Struct

from agenthost.core.events import Recorded

FORMAT = "agenthost-task"
VERSION = 1
"""The version of the file that is written; a change that an older reader would misread raises it."""

TABLE = "export.json"
ROWS = "tasks.json"
WORKSPACES = "workspaces.json"
LEDGER = "ledger.json"

MOST = 512 * 1024 * 1024
"""Bytes of contents in one export: it is held in memory."""
MOST_READ = 2 * MOST
"""Bytes of everything in an export that is read, unpacked."""
MOST_TOLD = 256 * 1024 * 1024
"""Bytes of journals, definitions and lists in one export: they are held in memory several times over."""
MOST_MEMBERS = 200_000
MOST_TABLE = 64 * 1024 * 1024
"""Bytes of the table."""
WHEN = (1980, 1, 1, 0, 0, 0)
"""The time of every member: a zip can't do without, and it must not differ."""

NAME = re.compile(
    r"tasks\.json|workspaces\.json|ledger\.json|tasks/[0-9a-zA-Z._~@-]{1,500}\.jsonl|definitions/[0-9a-f]{64}\.json"
    r"|blobs/[0-9a-f]{64}|files/.{1,4096}",
    re.DOTALL,
)
"""What a member may be called. Nothing is ever unpacked to a disk under such a name."""


class Member(Struct, frozen=True):
    """A member as the table has it; `sha256` as 64 hex digits, `size` in bytes, unpacked."""

    name: str
    sha256: str
    size: int


class Table(Struct, frozen=True, kw_only=True):
    """What an export says of itself. `events`: the version of the events in it. `missing`: contents that are named and not
    here, and why. `redacted`: members in which a secret's value was replaced."""

    format: str = FORMAT
    version: int = VERSION
    agenthost: str = ""
    events: int = 1
    task: str
    members: tuple[Member, ...]
    missing: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    redacted: tuple[str, ...] = ()


class Line(Struct, frozen=True):
    """An event in a journal's file, before its kind and version are looked at."""

    task: str
    seq: int
    at: float
    event: msgspec.Raw


class Kind(Struct, frozen=True):
    """What kind of event it is."""

    type: str


def journal(events: tuple[Recorded, ...]) -> bytes:
    """A journal as it stands in its file."""
    return b"".join(msgspec.json.encode(recorded) + b"\n" for recorded in events)
