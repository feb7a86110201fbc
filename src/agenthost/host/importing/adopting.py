"""An export as it is kept here: under ids that are free, its importer's, at rest. Pure; whoever made it isn't trusted.

What an export says of itself beside its journals counts for nothing: rows are made from journals anew. What would let it
reach something here (another task, another's file, a definition by a false hash) is refused or taken out.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask
from agenthost.core.definitions import Bundle
from agenthost.core.errors import Unusable
from agenthost.core.events import Answered, Asked, Claimed, Created, Finished, Recorded
from agenthost.core.ids import child_id, digest
from agenthost.core.importing import IMPORTED, Aside
from agenthost.core.lifecycle import State
from agenthost.core.ports import LedgerEntry
from agenthost.core.tasks import Imported, TaskRow, TaskSpec
from agenthost.engine.step import ends_as
from agenthost.host.records import spec_of
from agenthost.host.replaying.comparing import gap
from agenthost.host.replaying.recording import Recording
from agenthost.host.replaying.writing import named

MOST_TASKS = 5_000
MOST_EVENTS = 200_000
"""Tasks and events of one import: they are written in one commit."""
LATEST = 86_400.0
"""Seconds that another machine's clock may be ahead of this one's."""
NAME = 300
"""Characters of a task's name."""
TITLE = 500
"""Characters of its title that are kept in lists."""

_ROOT = re.compile(r"[0-9a-hjkmnp-tv-z]{16}")
_CHILD = re.compile(r"[0-9a-zA-Z._~-]{1,480}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_AT = 2**53
"""What fits into a float and into any table."""


class Wanted(Struct, frozen=True):
    """What an import is to be: its id, whose, how it came, when."""

    id: str
    person: str
    namespace: str
    via: str
    now: float


class Adopted(Struct, frozen=True):
    """What is to be kept. `journals` by row, with what each begins with as it is here; `files` by workspace; `contents` are
    those that are named and came with it."""

    rows: tuple[TaskRow, ...]
    journals: dict[str, tuple[Recorded, ...]]
    files: dict[str, dict[str, str]]
    definitions: dict[str, bytes]
    contents: frozenset[str]
    aside: Aside
    spent: Spend

    def recording(self) -> Recording:
        """The same as a recording, to be decided again."""
        return Recording(self.rows[0].id, self.rows, self.journals, self.definitions, self.files)


def adopt(recording: Recording, came: set[str], wanted: Wanted) -> Adopted:
    """Make of an export what is kept here. `came`: the contents that are in it. Raises Unusable, which says what is wrong."""
    _need_small(recording)
    for row in recording.rows:
        _need_whole(recording, row, wanted.now)
    moved = _moved(recording, wanted.id)
    definitions, renamed, knows = _definitions(moved)
    ids = {row.id for row in moved.rows}
    entries = moved.ledger
    _need_own(entries, ids)
    spent = _spent(entries)
    missing = _missing(moved, came)
    journals: dict[str, tuple[Recorded, ...]] = {}
    rows: list[TaskRow] = []
    for row, old in zip(moved.rows, recording.rows, strict=True):
        spec = spec_of(moved.journals[row.id])
        _need_place(spec, ids, moved.task)
        _need_defined(spec, knows)
        imported = Imported(old.id, wanted.now, old.person[:NAME], spent if row.id == moved.task else Spend())
        spec = msgspec.structs.replace(
            spec,
            bundle=renamed[spec.bundle],
            namespace=wanted.namespace,
            person=wanted.person,
            conversation="",
            via=wanted.via,
            notes={},
            caused="",
            # What it was tried against is elsewhere; a task here of that id is another.
            trial=msgspec.structs.replace(spec.trial, task="", file="") if spec.trial is not None else None,
            imported=imported,
        )
        first, *rest = moved.journals[row.id]
        events = journals[row.id] = (msgspec.structs.replace(first, event=Created(spec)), *rest)
        rows.append(_row(spec, events, wanted.now))
    files = {name: _listed(listed, came) for name, listed in moved.workspaces.items() if _of(name, ids)}
    contents = frozenset((named(moved) | _digests(files)) & came)
    return Adopted(tuple(rows), journals, files, definitions, contents, Aside(entries, missing), spent)


def with_aside(adopted: Adopted, kept: str) -> Adopted:
    """The same, its root saying where what else came with it is kept."""
    first, *rest = adopted.journals[adopted.rows[0].id]
    assert isinstance(first.event, Created) and first.event.spec.imported is not None
    spec = first.event.spec
    imported = msgspec.structs.replace(first.event.spec.imported, aside=kept)
    first = msgspec.structs.replace(first, event=Created(msgspec.structs.replace(spec, imported=imported)))
    journals = adopted.journals | {adopted.rows[0].id: (first, *rest)}
    return msgspec.structs.replace(adopted, journals=journals)


# --- what is asked of it ---------------------------------------------------------------------------


def _need_small(recording: Recording) -> None:
    events = sum(map(len, recording.journals.values()))
    if len(recording.rows) > MOST_TASKS or events > MOST_EVENTS:
        raise Unusable(
            f"it has {len(recording.rows):,} tasks with {events:,} events, and an import at most {MOST_TASKS:,} and "
            f"{MOST_EVENTS:,}; replay it from its file"
        )
    if "." in recording.task:
        raise Unusable(
            f"it is the export of a part of the task '{recording.task.partition('.')[0][:80]}'; export the whole task"
        )
    if not _ROOT.fullmatch(recording.task):
        raise Unusable(f"'{recording.task[:80]}' is no id of a task")
    if len({row.id for row in recording.rows}) < len(recording.rows):
        raise Unusable("it has the same task twice")


def _need_whole(recording: Recording, row: TaskRow, now: float) -> None:
    """A journal that is whole, begins with its task, and has nothing after its end."""
    root, _, below = row.id.partition(".")
    if root != recording.task or (row.id != root and not _CHILD.fullmatch(below)):
        raise Unusable(f"its task '{row.id[:80]}' is none of the task '{recording.task}'")
    events = recording.journals[row.id]
    if (wrong := gap(msgspec.structs.replace(row, seq=0), events)) is not None:
        raise Unusable(f"the journal of {row.id}: {wrong.difference}")
    spec = spec_of(events)
    if spec.id != row.id:
        raise Unusable(f"the journal of {row.id} begins with the making of '{spec.id[:80]}'")
    if spec.kind == "routing":
        raise Unusable(f"{row.id} is a question of a host's own about a message, and no work")
    for recorded in events:
        if not (math.isfinite(recorded.at) and 0 <= recorded.at <= now + LATEST):
            raise Unusable(f"event {recorded.seq} of {row.id} has the time {recorded.at!r}, which can't be")
        if isinstance(recorded.event, Created) and recorded.seq > 1:
            raise Unusable(f"event {recorded.seq} of {row.id} makes the task again")
        if isinstance(recorded.event, Finished) and recorded.seq < len(events):
            raise Unusable(f"event {recorded.seq} of {row.id} is its end, and others follow")
        if isinstance(recorded.event, Claimed) and not 0 <= recorded.event.epoch < _AT:
            raise Unusable(f"event {recorded.seq} of {row.id} has an epoch that can't be")


def _need_place(spec: TaskSpec, ids: set[str], root: str) -> None:
    """A task that hangs together with the others of its tree, and with nothing else."""
    parted = spec.id != root
    if parted and (spec.parent not in ids or spec.id != child_id(spec.parent, spec.parent_command)):
        raise Unusable(f"{spec.id} says to be below the task '{spec.parent[:80]}', which isn't so")
    if not parted and spec.parent:
        raise Unusable(f"{spec.id} says to be below the task '{spec.parent[:80]}', which isn't in it")
    if spec.workspace not in ids or spec.workspace_base not in ("", f"{spec.id}@base"):
        raise Unusable(f"{spec.id} says to work on the files of '{spec.workspace[:80]}', which is no task of it")
    if any(scope.task not in ids for scope in spec.scopes):
        raise Unusable(f"{spec.id} has the budget of a task that isn't in it")
    if not spec.name or len(spec.name) > NAME:
        raise Unusable(f"{spec.id} has no name, or one of more than {NAME} characters")


def _need_defined(spec: TaskSpec, knows: Mapping[str, Bundle]) -> None:
    bundle = knows.get(spec.bundle)
    if bundle is None:
        raise Unusable(f"the definitions that {spec.id} ran with aren't in it; export the task again")
    if spec.name not in (bundle.workflows if spec.kind == "workflow" else bundle.agents):
        raise Unusable(f"the definitions that {spec.id} ran with have no {spec.kind} '{spec.name}'")


def _need_own(entries: Sequence[LedgerEntry], ids: set[str]) -> None:
    for entry in entries:
        if entry.task not in ids:
            raise Unusable(f"its ledger has a call of the task '{entry.task[:80]}', which isn't in it")


# --- what becomes of it ----------------------------------------------------------------------------


def _moved(recording: Recording, id: str) -> Recording:
    """The recording under another id: wherever the old one stands, the new one does. Both are as long, so that what goes by
    sizes is decided alike."""
    old, new = recording.task.encode(), id.encode()
    if old == new:
        return recording
    try:
        body = msgspec.json.encode((recording.rows, recording.journals, recording.workspaces, recording.ledger))
        rows, journals, workspaces, ledger = msgspec.json.decode(
            body.replace(old, new),
            type=tuple[
                tuple[TaskRow, ...],
                dict[str, tuple[Recorded, ...]],
                dict[str, dict[str, str]],
                tuple[LedgerEntry, ...],
            ],
        )
    except (msgspec.MsgspecError, OverflowError, RecursionError, UnicodeError) as error:
        raise Unusable(f"it can't be taken over under another id: {error}") from error
    return msgspec.structs.replace(
        recording, task=id, rows=rows, journals=journals, workspaces=workspaces, ledger=ledger
    )


def _definitions(recording: Recording) -> tuple[dict[str, bytes], dict[str, str], dict[str, Bundle]]:
    """The definitions by the hash that they really have, and by what each was called the hash and what it says: one in which a secret was replaced has
    another by now, and whoever says so of one that was changed gets it under its own."""
    found: dict[str, bytes] = {}
    renamed: dict[str, str] = {}
    knows: dict[str, Bundle] = {}
    for said, body in recording.definitions.items():
        try:
            knows[said] = Bundle.model_validate_json(body)
        except (ValidationError, RecursionError) as error:
            first = str(error).splitlines()[0]
            raise Unusable(f"its definitions {said} can't be read ({first}); export the task again") from error
        renamed[said] = digest(body)
        found[renamed[said]] = body
    return found, renamed, knows


def _missing(recording: Recording, came: set[str]) -> dict[str, str]:
    """The contents that are named and aren't with it, and why. One that happens to be here is another's."""
    wanted = named(recording) | {hash for files in recording.workspaces.values() for hash in files.values()}
    return {
        name: recording.missing.get(name, "it was not with the import")[:500]
        for name in sorted(wanted - came)
        if _DIGEST.fullmatch(name)
    }


def _of(workspace: str, ids: set[str]) -> bool:
    return workspace.removesuffix("@base") in ids


def _listed(listed: Mapping[str, str], came: set[str]) -> dict[str, str]:
    """A workspace's files, those that came with it."""
    for path in listed:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in path or len(path) > 4096:
            raise Unusable(f"it has a file '{path[:80]}', which no workspace can have")
    return {path: hash for path, hash in listed.items() if hash in came}


def _digests(files: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {hash for listed in files.values() for hash in listed.values()}


def _spent(entries: Sequence[LedgerEntry]) -> Spend:
    total = Spend()
    for entry in entries:
        total += entry.spent if entry.settled and entry.spent is not None else entry.worst
    return total


def _row(spec: TaskSpec, events: Sequence[Recorded], now: float) -> TaskRow:
    """The row that a journal leads to. In lists it stands as if it had ended when it came here, which is also what
    its keeping counts from; its journal has the times of then."""
    end = events[-1].event
    verdict = end.verdict if isinstance(end, Finished) else None
    claimed = [recorded.event.epoch for recorded in events if isinstance(recorded.event, Claimed)]
    return TaskRow(
        id=spec.id,
        kind=spec.kind,
        name=spec.name,
        state=ends_as(verdict) if verdict is not None else _at_rest(events, bool(claimed)),
        created=max(0.0, now - (events[-1].at - events[0].at)),
        updated=now,
        namespace=spec.namespace,
        person=spec.person,
        parent=spec.parent,
        root=spec.root,
        title=spec.title[:TITLE],
        hold="" if verdict is not None else IMPORTED,
        outcome=verdict.outcome if verdict is not None else "",
        reason=verdict.reason if verdict is not None else "imported before it had ended; go on with it: tasks fork",
        seq=len(events),
        epoch=claimed[-1] if claimed else 0,
    )


def _at_rest(events: Sequence[Recorded], claimed: bool) -> State:
    """The state of a task that hadn't ended."""
    asks: dict[str, str] = {}
    for recorded in events:
        if isinstance(recorded.event, Asked) and isinstance(recorded.event.command, Ask):
            asks[recorded.event.command.id] = recorded.event.command.kind
        elif isinstance(recorded.event, Answered):
            asks.pop(recorded.event.command, None)
    if asks:
        return "auth-required" if set(asks.values()) == {"auth"} else "input-required"
    return "working" if claimed else "submitted"
