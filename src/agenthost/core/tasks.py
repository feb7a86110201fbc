"""A task as it is started and as it is listed."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits, Reached, Spend
from agenthost.core.lifecycle import Hold, State
from agenthost.core.models import Turn
from agenthost.core.parts import Message
from agenthost.core.questions import Asking
from agenthost.core.tools import ToolSpec
from agenthost.core.trust import Given


class Scope(Struct, frozen=True, omit_defaults=True):
    """A budget that counts for a task: its own, that of a task above it, or somebody's of a day. `task` holds the account.

    `source` (`default/agent/coder`: namespace, kind, name) names the manifest whose budget it is: it is read live, and `limits` is
    what it was when the task began, for when that manifest is gone. `reached`: what becomes of a task that it has no room for.
    `before` was spent before the account began: by the task that this one goes on from.
    """

    task: str
    limits: Limits
    source: str = ""
    reached: Reached = "end"
    before: Spend = Spend()


class Forked(Struct, frozen=True, omit_defaults=True):
    """Which task, and which event of it, a task goes on from: its own first `seq` events are copies of that one's.
    `redefined`: with other definitions than those under which they happened. `later`: by how many seconds the times of the
    copies were moved, so that what waits for a time waits as long as it would have. `foreign`: they came with an import, of
    this task or of one that it goes on from."""

    task: str
    seq: int
    redefined: bool = False
    later: float = 0.0
    foreign: bool = False


class Imported(Struct, frozen=True, omit_defaults=True):
    """Where a task comes from that was taken in from an export: its id there, when it was taken in (seconds since the
    epoch), by whom it was made there. `spent` is what it and those below it used there; nothing of it counts here. `aside` is the
    content hash of what else came with the root (`core.importing.Aside`)."""

    task: str
    at: float
    person: str = ""
    spent: Spend = Spend()
    aside: str = ""


class Trial(Struct, frozen=True, omit_defaults=True):
    """Which task a task does over with another model. What it calls is answered from the recording: the journals of `task`
    here, or those of the export `file` (its content hash). `unrecorded`: what becomes of a call that isn't there."""

    task: str
    file: str = ""
    unrecorded: Literal["stop", "error"] = "stop"


class Terms(Struct, frozen=True, omit_defaults=True):
    """What the one who gives the work sets beside the agent's manifest, for this task alone.

    `instructions` are added to the agent's own. `history` is what was said before the task's message, oldest first.
    `tools` are run by the one who gave the work: a call of one is a question of kind `tool`, and its answer the
    result. `output` is a JSON Schema in the place of the manifest's. `max_output` in tokens.
    """

    instructions: str = ""
    history: tuple[Turn, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    output: dict[str, Any] | None = None
    temperature: float | None = None
    max_output: int = 0


class TaskSpec(Struct, frozen=True, omit_defaults=True):
    """Everything that a task starts with. It never changes, so a replay starts from the same.

    `bundle` is the content hash of the definitions that the task uses. `chain` names what runs
    above it (`agent/coder`), for the limits on depth and loops. `workspace` is the id of the files
    it works on; `workspace_base` is the id of the list of what they were copied from, where they are a copy.
    `role` is `WORKFLOW/ROLE`, where the task runs in one. `inputs` are a workflow's; `message` is what was said to start it.
    `via` is how its person was known who gave the work, and from which address; `caused` is the traceparent of
    the request. `notes` are the order's. `asking`: how questions are asked where the definitions say nothing. `trust` is what a child inherits of where values
    come from. `files` is what its own workspace began with, path to digest. `forked` and `trial`: which task it goes on from, or does over.
    `imported`: it was done elsewhere, and is here to be looked at.
    """

    id: str
    kind: Literal["agent", "workflow", "supervisor", "routing"]
    name: str
    bundle: str
    message: Message
    inputs: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    title: str = ""
    namespace: str = "default"
    person: str = "owner"
    conversation: str = ""
    workspace: str = ""
    workspace_base: str = ""
    parent: str = ""
    parent_command: str = ""
    role: str = ""
    chain: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    model: str = ""
    terms: Terms | None = None
    via: str = ""
    notes: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    caused: str = ""
    asking: Asking = Asking()
    files: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    forked: Forked | None = None
    trial: Trial | None = None
    trust: Given | None = None
    imported: Imported | None = None

    @property
    def root(self) -> str:
        """The id of the task at the top of the tree."""
        return self.id.partition(".")[0]


class TaskRow(Struct, frozen=True, omit_defaults=True):
    """A task as tables keep it. Times in seconds since the epoch; `seq` is its last event's number."""

    id: str
    kind: str
    name: str
    state: State
    created: float
    updated: float
    namespace: str = "default"
    person: str = "owner"
    parent: str = ""
    root: str = ""
    title: str = ""
    hold: Hold = ""
    outcome: str = ""
    reason: str = ""
    seq: int = 0
    epoch: int = 0
    owner: str = ""
    conversation: str = ""


class Filter(Struct, frozen=True, omit_defaults=True):
    """Which tasks a listing wants. Newest first, or those that changed last; `before` is the id that the last page ended
    with, and where they are ordered by their change, `before_change` its `updated`. `text` is a part of the title,
    whatever its case (of ASCII); `since` and `until` (before which) bound when a task was created, `changed_since` when
    it changed."""

    namespace: str = "default"
    states: tuple[State, ...] = ()
    root: str = ""
    roots_only: bool = False
    name: str = ""
    person: str = ""
    conversation: str = ""
    before: str = ""
    limit: int = 50
    parent: str = ""
    text: str = ""
    since: float = 0.0
    until: float = 0.0
    order: Literal["created", "updated"] = "created"
    before_change: float = 0.0
    changed_since: float = 0.0
