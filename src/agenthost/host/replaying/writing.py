"""A recording as one file."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Awaitable, Callable

import msgspec

from agenthost import __version__
from agenthost.core.errors import AgentHostError, Temporary, Unusable
from agenthost.core.events import VERSION as EVENTS
from agenthost.core.events import Recorded
from agenthost.core.ports import Blobs
from agenthost.host.records import digests_in, spec_of
from agenthost.host.replaying import format
from agenthost.host.replaying.format import Member, Table
from agenthost.host.replaying.proving import evidence_files
from agenthost.host.replaying.reading import journal_of
from agenthost.host.replaying.recording import Recording, replay_all

Redact = Callable[[bytes], bytes]
Add = Callable[[str, bytes], Awaitable[None]]


async def write(recording: Recording, blobs: Blobs, redact: Redact, alike: Redact | None = None) -> bytes:
    """The export of a recording, with every content that it names. `redact` takes the values of secrets out of what is said
    of the task; a content that holds one is left out. `alike` does so and
    keeps sizes: it is taken for journals where they replay the same only so. Raises Unusable where it would be more than `format.MOST`, or its journals
    more than `format.MOST_TOLD`."""
    packed = io.BytesIO()
    members: list[Member] = []
    redacted: list[str] = []
    missing = dict(recording.missing)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:

        async def add(name: str, content: bytes) -> None:
            members.append(Member(name, hashlib.sha256(content).hexdigest(), len(content)))
            # Beside the loop: it packs some 30 MB a second.
            await asyncio.to_thread(archive.writestr, _entry(name), content)

        room = format.MOST_TOLD
        journals: dict[str, tuple[Recorded, ...]] = {}
        kept = await _journals(recording, redact, alike or redact)
        for name, body in _told(recording):
            clean = kept.get(name) or redact(body)
            room -= len(clean)
            if room < 0:
                raise Unusable(
                    f"the task's journals are more than {format.MOST_TOLD >> 20} MB, the most that an export holds; export "
                    "the tasks below it one by one"
                )
            if clean != body:
                redacted.append(name)
                journals |= _reread(name, clean)
            await add(name, clean)
        told = msgspec.structs.replace(recording, journals=recording.journals | journals)
        evidence = await evidence_files(told)
        for path, content in evidence.items():
            await add(f"files/{path}", content)
        await _contents(recording, blobs, redact, add, missing, set(evidence))
        table = Table(
            agenthost=__version__,
            events=EVENTS,
            task=recording.task,
            members=tuple(members),
            missing=missing,
            redacted=tuple(redacted),
        )
        archive.writestr(_entry(format.TABLE), _json(table))
    return packed.getvalue()


async def _journals(recording: Recording, redact: Redact, alike: Redact) -> dict[str, bytes]:
    """The journals that have a secret in them, without it: as those that replay the same."""
    bodies = {f"tasks/{row.id}.jsonl": format.journal(recording.journals[row.id]) for row in recording.rows}
    held = {name: body for name, body in bodies.items() if redact(body) != body}
    for way in (redact, alike) if held else ():
        clean = {name: way(body) for name, body in held.items()}
        journals: dict[str, tuple[Recorded, ...]] = {}
        for name, body in clean.items():
            journals |= _reread(name, body)
        definitions = {name: redact(body) for name, body in recording.definitions.items()}
        told = msgspec.structs.replace(recording, journals=recording.journals | journals, definitions=definitions)
        try:
            if len(journals) == len(clean) and all(each.agrees for each in await replay_all(told)):
                return clean
        except AgentHostError:
            continue
    return {}


def _reread(name: str, body: bytes) -> dict[str, tuple[Recorded, ...]]:
    """A journal from which a secret was taken, as who reads the export finds it."""
    task = name.removeprefix("tasks/").removesuffix(".jsonl")
    if name == task:
        return {}
    try:
        return {task: journal_of(task, EVENTS, body)}
    except (AgentHostError, msgspec.MsgspecError):
        return {}


def _told(recording: Recording) -> list[tuple[str, bytes]]:
    """What is said of the task, member by member."""
    told = [
        (format.ROWS, _json(recording.rows)),
        (format.WORKSPACES, _json(recording.workspaces)),
        (format.LEDGER, _json(recording.ledger)),
    ]
    told += [(f"tasks/{row.id}.jsonl", format.journal(recording.journals[row.id])) for row in recording.rows]
    found = sorted(recording.definitions.items())
    return told + [(f"definitions/{digest.partition(':')[2]}.json", body) for digest, body in found]


async def _contents(
    recording: Recording, blobs: Blobs, redact: Redact, add: Add, missing: dict[str, str], made: set[str]
) -> None:
    """The contents: those of the task's own workspace under their paths, every other by its hash. `made`: paths under which
    the host's own files stand."""
    room = format.MOST
    kept: set[str] = set()
    own = recording.workspaces.get(spec_of(recording.journals[recording.task]).workspace, {})
    wanted = [(f"files/{path}", digest) for path, digest in sorted(own.items()) if path not in made]
    wanted += [(f"blobs/{digest.partition(':')[2]}", digest) for digest in sorted(named(recording))]
    for name, digest in wanted:
        if name.startswith("blobs/") and (digest in kept or digest in missing or digest in recording.definitions):
            continue
        if digest in recording.missing:
            # It wasn't with the import; one of that hash that is here is another's.
            missing[digest] = recording.missing[digest]
            continue
        try:
            room -= await blobs.size(digest)
            content = b"" if room < 0 else await blobs.get(digest)
        except Temporary:
            raise
        except AgentHostError as error:
            missing[digest] = error.message
            continue
        if room < 0:
            raise Unusable(
                f"the task's files are more than {format.MOST >> 20} MB, the most that an export holds; take them one by one"
            )
        if redact(content) != content:
            missing[digest] = "it holds a secret of this host"
            continue
        kept.add(digest)
        await add(name, content)


def named(recording: Recording) -> set[str]:
    """The content hashes of every file that a recording names."""
    found: set[str] = set()
    for events in recording.journals.values():
        for recorded in events:
            found |= digests_in(recorded)
    for files in recording.workspaces.values():
        found |= set(files.values())
    return found


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, format.WHEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    entry.create_system = 3
    return entry


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"
