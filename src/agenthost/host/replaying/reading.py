"""An export back from its file. Whoever made it isn't trusted: nothing is unpacked to a disk, and everything has a bound."""

import hashlib
import zipfile
from pathlib import Path
from typing import IO, Any, TypeVar
from zlib import error as ZlibError

import msgspec

from agenthost.core.errors import AgentHostError, BadInput, NewerVersion, NotFound
from agenthost.core.events import Created, Recorded, decode_event
from agenthost.core.ids import digest
from agenthost.core.ports import LedgerEntry
from agenthost.core.tasks import TaskRow
from agenthost.host.replaying import format
from agenthost.host.replaying.format import Kind, Line, Member, Table
from agenthost.host.replaying.recording import Recording

T = TypeVar("T")

_PIECE = 1024 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, ZlibError, EOFError, OSError, NotImplementedError, RuntimeError)
"""What Python's reader of zips raises on one that is damaged, encrypted or of another kind."""


class ExportFile:
    """An export that was looked through: every member is there, whole, and what the table says. `contents` says which
    member holds a content."""

    def __init__(
        self, source: Path | IO[bytes], recording: Recording, contents: dict[str, Member], files: dict[str, str]
    ) -> None:
        self._source = source
        self.recording = recording
        self.contents = contents
        self.files = files
        """The files of the task's own workspace and its evidence, path to content hash."""

    def content(self, digest: str) -> bytes:
        """A content by its hash. Raises NotFound."""
        member = self.contents.get(digest)
        if member is None:
            why = self.recording.missing.get(digest, "it isn't in the export")
            raise NotFound(f"the content {digest} can't be had: {why}")
        with zipfile.ZipFile(self._source) as archive:
            return archive.read(member.name)


def read(source: Path | IO[bytes]) -> ExportFile:
    """Look an export through. Raises BadInput, which says what is wrong with it, and NewerVersion."""
    try:
        with zipfile.ZipFile(source) as archive:
            return _Reader(archive).export(source)
    except AgentHostError:
        raise
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"it is no export of a task that can be read: {error}") from error
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {source}") from error
    except _BROKEN as error:
        raise BadInput(f"it is no zip that can be read ({error}); export the task again") from error


class _Reader:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._entries: dict[str, zipfile.ZipInfo] = {}
        room = format.MOST_READ
        for entry in archive.infolist():
            room -= entry.file_size
            if room < 0 or len(self._entries) >= format.MOST_MEMBERS:
                raise BadInput(
                    f"it holds more than an export may ({format.MOST_READ >> 20} MB, {format.MOST_MEMBERS:,} members)"
                )
            if entry.compress_type not in _METHODS or entry.flag_bits & 1:
                raise BadInput(f"its member {entry.filename[:80]!r} is packed in a way that no export is")
            if entry.filename in self._entries:
                raise BadInput(f"it has two members {entry.filename[:80]!r}")
            self._entries[entry.filename] = entry

    def export(self, source: Path | IO[bytes]) -> ExportFile:
        table = self._table()
        members = {member.name: member for member in table.members}
        strange = [name for name in self._entries if name != format.TABLE and name not in members]
        if strange:
            raise BadInput(f"it has a member that its table doesn't name: {strange[0][:80]!r}")
        contents: dict[str, Member] = {}
        told: dict[str, bytes] = {}
        room = format.MOST_TOLD
        for member in table.members:
            keep = not member.name.startswith(("files/", "blobs/"))
            room -= member.size if keep else 0
            if room < 0:
                raise BadInput(
                    f"its journals are more than {format.MOST_TOLD >> 20} MB, the most that are read at once"
                )
            body = self._checked(member, keep)
            if body is None:
                contents.setdefault(f"sha256:{member.sha256}", member)
            else:
                told[member.name] = body
        files = {
            member.name.removeprefix("files/"): f"sha256:{member.sha256}"
            for member in table.members
            if member.name.startswith("files/")
        }
        return ExportFile(source, self._recording(table, told), contents, files)

    def _table(self) -> Table:
        entry = self._entries.get(format.TABLE)
        if entry is None:
            raise BadInput(
                f"it has no {format.TABLE}, so it is no export of a task, or one of an AgentHost that wrote none: export again"
            )
        if entry.file_size > format.MOST_TABLE:
            raise BadInput(f"its {format.TABLE} is larger than {format.MOST_TABLE >> 20} MB")
        body = self._archive.read(entry)
        said = msgspec.json.decode(body, type=dict[str, Any])
        if said.get("format") != format.FORMAT:
            raise BadInput(f"its {format.TABLE} doesn't say that it is an export of a task")
        version = said.get("version")
        if isinstance(version, int) and version > format.VERSION:
            raise NewerVersion(
                f"it was exported by a newer AgentHost ({said.get('agenthost', '?')}, version {version} of the file; this one "
                f"reads up to {format.VERSION}); upgrade AgentHost"
            )
        table = msgspec.json.decode(body, type=Table)
        for member in table.members:
            if not format.NAME.fullmatch(member.name):
                raise BadInput(f"its table names a member {member.name[:80]!r}, which no export has")
        return table

    def _checked(self, member: Member, keep: bool) -> bytes | None:
        """A member, whole and with the hash that the table says; its content where it is kept."""
        entry = self._entries.get(member.name)
        if entry is None:
            raise BadInput(f"its member {member.name!r} is missing")
        if entry.file_size != member.size:
            raise BadInput(f"its member {member.name!r} has {entry.file_size} bytes, and the table says {member.size}")
        found = hashlib.sha256()
        pieces: list[bytes] = []
        with self._archive.open(entry) as stream:
            while piece := stream.read(_PIECE):
                found.update(piece)
                if keep:
                    pieces.append(piece)
        if found.hexdigest() != member.sha256:
            raise BadInput(f"its member {member.name!r} was changed: it no longer has the hash that the table says")
        return b"".join(pieces) if keep else None

    def _recording(self, table: Table, told: dict[str, bytes]) -> Recording:
        rows = tuple(_decoded(told, format.ROWS, list[TaskRow]))
        if not rows or rows[0].id != table.task:
            raise BadInput(f"its {format.ROWS} doesn't begin with the task {table.task!r}")
        journals = {row.id: journal_of(row.id, table.events, told.get(f"tasks/{row.id}.jsonl")) for row in rows}
        definitions: dict[str, bytes] = {}
        for name, body in told.items():
            if name.startswith("definitions/"):
                hash = f"sha256:{name.removeprefix('definitions/').removesuffix('.json')}"
                if digest(body) != hash and name not in table.redacted:
                    raise BadInput(f"its member {name!r} isn't what its name says")
                definitions[hash] = body
        return Recording(
            table.task,
            rows,
            journals,
            definitions,
            _decoded(told, format.WORKSPACES, dict[str, dict[str, str]]),
            tuple(_decoded(told, format.LEDGER, list[LedgerEntry])),
            table.missing,
        )


def _decoded(told: dict[str, bytes], name: str, type: type[T]) -> T:
    if name not in told:
        raise BadInput(f"its member {name!r} is missing")
    return msgspec.json.decode(told[name], type=type)


_line = msgspec.json.Decoder(Line)
_kind = msgspec.json.Decoder(Kind)


def journal_of(task: str, version: int, body: bytes | None) -> tuple[Recorded, ...]:
    """A journal from its member. Raises BadInput and NewerVersion."""
    if body is None:
        raise BadInput(f"the journal of {task} is missing")
    found: list[Recorded] = []
    for text in body.splitlines():
        line = _line.decode(text)
        if line.task != task:
            raise BadInput(f"the journal of {task} has an event of {line.task[:80]!r}")
        event = decode_event(_kind.decode(line.event).type, version, bytes(line.event))
        found.append(Recorded(task, line.seq, line.at, event))
    if not found or not isinstance(found[0].event, Created):
        raise BadInput(f"the journal of {task} doesn't begin with the task's making")
    return tuple(found)
