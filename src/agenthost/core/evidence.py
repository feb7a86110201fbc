"""The evidence pack of a task: what was to be fulfilled, what shows it, and where that stands in the journal."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.events import Recorded
from agenthost.core.ids import digest


class Shown(Struct, frozen=True, omit_defaults=True):
    """One thing that the host saw. `event` is its number in the task's journal, `at` in seconds since the epoch.

    `kind`: `check` (made by the host for the rule of completion), `run` (a command that the agent had run), `tool`, `look`
    (the host's look at all files), `child` (files that an agent below changed), `person`, `client`. `output` is the hash of
    all that was printed or answered; `files` are files by content hash, None where removed. `round`: of checks, from 1.
    """

    event: int
    at: float
    kind: str
    what: str
    ok: bool = True
    reason: str = ""
    exit_code: int | None = None
    output: str = ""
    files: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    facts: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    round: int = 0


class Criterion(Struct, frozen=True, omit_defaults=True):
    """A criterion as it was judged last: `met` None where nobody judged it. `refused`: evidence that a judge named and that
    doesn't hold, as (event, why). `by`: `judge`, `checks` or `host`."""

    number: int
    text: str
    met: bool | None = None
    evidence: tuple[int, ...] = ()
    missing: str = ""
    refused: tuple[tuple[int, str], ...] = ()
    by: str = ""


class EvidencePack(Struct, frozen=True, omit_defaults=True):
    """What shows how a task ended. It follows from the journal alone, and is the same whenever it is made.

    `journal` is the hash of the task's first `events` events, which all of this is read from. `shown` is every check, and
    what else is named as evidence. `files` are those that the task changed, by content hash, None where removed. `judges` are
    the tasks of the supervisor, oldest first. `claims` is what the agent says of its work, which shows nothing. `below` are
    the packs of the tasks below it that had something to prove. `imported`: the id of the task where it was done, where that
    was elsewhere: what its journal says that a host saw, this host didn't.
    """

    task: str
    name: str
    kind: str
    rule: str
    outcome: str
    reason: str
    began: float
    ended: float
    events: int
    journal: str
    criteria: tuple[Criterion, ...] = ()
    shown: tuple[Shown, ...] = ()
    rounds: int = 0
    files: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    judges: tuple[str, ...] = ()
    claims: str = ""
    below: tuple["EvidencePack", ...] = ()
    imported: str = ""
    version: int = 1


def journal_hash(events: Sequence[Recorded]) -> str:
    """The hash of a journal's events, each with its task, number and time."""
    return digest(b"\n".join(msgspec.json.encode(one) for one in events))
