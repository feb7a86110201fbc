"""Evidence packs of a host's tasks, and the files that they are handed out as."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from agenthost.core.definitions import Bundle
from agenthost.core.errors import Unusable
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.tasks import TaskRow
from agenthost.host.proof import pack as packing
from agenthost.host.proof.page import page
from agenthost.host.records import spec_of

_FAILS = (LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError)
"""What reading a journal raises that no host wrote: that of an import may be forged."""
Journal = Callable[[str], Awaitable[list[Recorded]]]

FILES = (".agenthost/evidence.json", ".agenthost/evidence.md")
"""Under these names an ended task's evidence is among its artifacts."""


class Library(Protocol):
    """Where pinned definitions are found."""

    async def bundle(self, digest: str) -> Bundle: ...


async def evidence(journal: Journal, library: Library, row: TaskRow, below: list[TaskRow]) -> EvidencePack:
    """The pack of a task, with those of the tasks right below it that have something to prove, and so on."""
    packs: list[EvidencePack] = []
    for child in below:
        # Judges prove nothing themselves; what they found is in the pack of the task that they judged.
        if child.parent == row.id and child.kind != "supervisor":
            under = [one for one in below if one.id.startswith(f"{child.id}.")]
            found = await evidence(journal, library, child, under)
            if found.criteria or found.shown or found.below:
                packs.append(found)
    events = await journal(row.id)
    bundle = await library.bundle(spec_of(events).bundle)
    try:
        return packing.pack(events, bundle, packs)
    except _FAILS as error:
        raise Unusable(f"the journal of '{row.id}' shows nothing that hangs together ({error!r})") from error


async def has_files(library: Library, first: list[Recorded], row: TaskRow) -> bool:
    """Whether a task hands out its evidence: an agent's, with something to prove."""
    return row.kind == "agent" and packing.proves(await library.bundle(spec_of(first).bundle), first)


def files(pack: EvidencePack) -> dict[str, bytes]:
    """The pack as files."""
    return dict(zip(FILES, (as_json(pack), page(pack).encode()), strict=True))


def as_json(pack: EvidencePack) -> bytes:
    """The pack as a file of JSON."""
    return msgspec.json.format(msgspec.json.encode(pack), indent=2) + b"\n"
