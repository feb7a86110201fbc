"""What the host looks at to see whether work is done, and what it says that it saw.

A look is the manifest author's wish, made by the host: of a file, of a JSON file, of an address outside, of the
report of a test run, of all files. Each is a command of the judged task with its answer in the journal, so that what
was seen has an event number.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

MOST_FILE = 32 * 1024 * 1024
"""Bytes of a file that is searched or read as JSON or as a report; a larger one can't be judged."""


class FileLook(Struct, frozen=True, tag="file", omit_defaults=True):
    """A file of the workspace: that it is there (`absent`: that it isn't), that its content has the hash `sha256` (64 hex
    digits), that its text has something which matches the regular expression `pattern`. An empty file is no file, but
    where its own hash is given."""

    path: str
    sha256: str = ""
    pattern: str = ""
    absent: bool = False


class JsonLook(Struct, frozen=True, tag="json", omit_defaults=True):
    """A JSON file of the workspace that is valid for a JSON Schema."""

    path: str
    schema: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class HttpLook(Struct, frozen=True, tag="http", omit_defaults=True):
    """A GET of an address outside, within so many seconds: its status, and something in its body that matches."""

    url: str
    status: int = 200
    body: str = ""
    within: float = 20.0


class ReportLook(Struct, frozen=True, tag="report", omit_defaults=True):
    """A test report in JUnit's XML: at least `tests` were run, none failed, and at most `skipped` were skipped."""

    path: str
    tests: int = 1
    skipped: int = 0


class FilesLook(Struct, frozen=True, tag="files", omit_defaults=True):
    """All files of the workspace by hash, with the text of those in `show` as far as `most` characters go."""

    show: tuple[str, ...] = ()
    most: int = 20_000


Look = FileLook | JsonLook | HttpLook | ReportLook | FilesLook


class Seen(Struct, frozen=True, tag="seen", omit_defaults=True):
    """What the host saw: whether it was as wanted, and if not, why.

    `facts` are by name: `path`, `sha256` (`sha256:` and 64 hex digits), `size` in bytes, `status`, `tests`, `failures`,
    `errors`, `skipped`; of a FilesLook `files` (path to digest), `sizes`, `texts`, and `cut`: how many aren't listed.
    """

    ok: bool
    reason: str = ""
    facts: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class Place(Protocol):
    """The files that are looked at."""

    async def files(self) -> Mapping[str, str]:
        """Path to content digest."""
        ...

    async def read(self, path: str) -> bytes:
        """The content of a file. Raises NotFound, and BadInput for a path that leaves the workspace."""
        ...

    async def size(self, path: str) -> int:
        """Its size in bytes. Raises as `read` does."""
        ...


class Inspector(Protocol):
    """Looks at things for checks. What isn't as wanted is its answer, never an error."""

    async def inspect(self, look: Look, place: Place) -> Seen: ...
