"""The ports: small Protocols that adapters fulfil and the engine and host lean on.

Each has a conformance suite in `agenthost.testing` that every adapter passes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits, Spend
from agenthost.core.commands import CallModel, Command, Evaluate, Finish, Probe
from agenthost.core.events import Answered, Recorded, ScriptRequest, Value
from agenthost.core.lifecycle import State
from agenthost.core.machines import silent
from agenthost.core.models import Delta, ModelAnswer, ModelCard, ModelRequest
from agenthost.core.offers import Batch, Drawing, Embeddings, Media, Moderation, ProviderFile, Speech, Transcript
from agenthost.core.parts import Part
from agenthost.core.sandboxes import Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.core.tasks import Filter, Scope, TaskRow, TaskSpec
from agenthost.core.tools import ToolResult, ToolSpec

S = TypeVar("S")


class Evaluation(Struct, frozen=True):
    """An Evaluate command with everything it needs: names bound, script source, answers so far.

    `answers` are those of the script's requests in order: a value, or a failure's message under
    the key `error`.
    """

    expressions: dict[str, str]
    names: dict[str, Any]
    source: str = ""
    function: str = ""
    answers: tuple[dict[str, Any], ...] = ()


class Program(Protocol[S]):
    """A pure mind: no I/O, no clock, no randomness; the same events give the same state.

    A state belongs to whoever holds it and `apply` consumes it: use what it returns.
    """

    def initial(self, spec: TaskSpec) -> S: ...

    def apply(self, state: S, recorded: Recorded) -> S: ...

    def decide(self, state: S) -> Sequence[Command | Finish]: ...

    def render(self, state: S, command: CallModel) -> ModelRequest: ...

    def bind(self, state: S, command: Evaluate) -> Evaluation: ...


class StoredEvent(Struct, frozen=True):
    """An event as a store keeps it. `body` is JSON, or the JSON of a blob's reference."""

    seq: int
    at: float
    kind: str
    version: int
    body: bytes


class LedgerEntry(Struct, frozen=True, omit_defaults=True):
    """One attempt at a model call in the ledger, keyed (task, command, attempt).

    `worst` is reserved while the call is open and stands for good where its answer was never
    seen (`unsettled`); `spent` counts once it is settled. `scopes` are the budgets it counts
    for. `priced`: the model's price is known; else the costs here are 0 and say nothing.
    """

    task: str
    command: str
    attempt: int
    agent: str
    model: str
    at: float
    worst: Spend
    scopes: tuple[Scope, ...] = ()
    person: str = "owner"
    namespace: str = "default"
    spent: Spend | None = None
    settled: bool = False
    priced: bool = True


class Settlement(Struct, frozen=True):
    """What an attempt really used. `model` is the one that answered."""

    command: str
    attempt: int
    spent: Spend
    model: str


class InboxItem(Struct, frozen=True, omit_defaults=True):
    """Something from outside for a task: `id` is unique within the task, so that it counts once.

    `kind`: `message`, `cancel`, `pause`, `resume`, `reply`, `child`. `body` is JSON.
    """

    task: str
    id: str
    kind: str
    body: bytes
    at: float


class NewTask(Struct, frozen=True):
    """A task to be made: its row and its first event. Making it twice makes it once."""

    row: TaskRow
    created: StoredEvent


class Append(Struct, frozen=True, omit_defaults=True):
    """What one step of a task's owner commits, all or nothing.

    `epoch` must be the task's and `events` must follow its last event, else the append fails
    with LostLease, as it does once the task has ended. An attempt is reserved once and settled once,
    else ValueError. A final state drops the lease and the hold, and empties the inbox. `reason` leaves a
    hold's reason alone. `reserve` is refused as a whole (BudgetRefused, nothing written) where a scope
    has no room. `taken` are ids of inbox items moved into the journal. `send` are items for
    other tasks' inboxes; one that came before, or whose task has ended or is unknown, is left out. `files` are changes to the workspace `workspace`: path to digest, None where removed.
    `worked`: seconds for which something was under way since the step before; they count for `scopes`.
    """

    task: str
    epoch: int
    events: tuple[StoredEvent, ...]
    state: State
    updated: float
    outcome: str = ""
    reason: str = ""
    reserve: tuple[LedgerEntry, ...] = ()
    settle: tuple[Settlement, ...] = ()
    taken: tuple[str, ...] = ()
    send: tuple[InboxItem, ...] = ()
    workspace: str = ""
    files: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    worked: float = 0.0
    scopes: tuple[Scope, ...] = ()


class Store(Protocol):
    """Journals, tasks, inboxes, ledger, workspaces' file lists and definitions.

    Every method may be called from any asyncio task of one loop. Committed means that it survives
    the loss of power. A write whose caller is cancelled may be committed all the same. Besides what
    the methods name, they raise Temporary (`disk-full`, `disk-error`, `store-busy`; nothing of the
    call is written) and StoreDamaged.
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def create(
        self,
        new: NewTask,
        copies: Sequence[tuple[str, str]] = (),
        files: Mapping[str, str] | None = None,
        first: Append | None = None,
    ) -> bool:
        """Make a task; False where it is there already, and then nothing is changed. `copies` are
        workspaces' file lists to copy (from, to); `files` is what the workspace of the task's own id
        begins with. A row with an owner is owned from the start; `first` is that owner's first step, in the same
        commit: where it is refused (BudgetRefused), the task isn't made."""
        ...

    async def claim(self, task: str, owner: str, now: float) -> TaskRow:
        """Become the owner: the epoch grows by one. Raises LostLease where a living owner holds it,
        or it has ended, and NotFound. An owner lives from its first `heartbeat` to the end of its lease; a
        new process takes a new name. A hold doesn't stand in the way."""
        ...

    async def claimable(self, owner: str, now: float, limit: int) -> list[TaskRow]:
        """Unfinished tasks without hold whose owner is nobody, or another whose lease is over: what
        was left first, then the oldest."""
        ...

    async def heartbeat(self, owner: str, until: float) -> None:
        """Prolong the lease of everything that `owner` owns to `until` (seconds since the epoch)."""
        ...

    async def retire(self, owner: str, now: float) -> None:
        """End the leases of every owner but `owner`: for a host that holds the home alone."""
        ...

    async def append(self, batch: Append) -> None:
        """Commit a step. Raises LostLease or BudgetRefused, and then nothing of it is written."""
        ...

    async def book(self, reserve: Sequence[LedgerEntry] = (), settle: Sequence[Settlement] = ()) -> None:
        """Reserve and settle calls that no task makes (the `task` of their entries is empty), all of them or none. Raises
        BudgetRefused where a scope has no room, ValueError as `append` does."""
        ...

    async def put(self, item: InboxItem) -> bool:
        """Put something into a task's inbox; False where that id came before, or the task has ended. Raises NotFound."""
        ...

    async def inbox(self, task: str) -> list[InboxItem]:
        """What is in a task's inbox, in the order it came."""
        ...

    async def hold(self, task: str, hold: str, reason: str) -> None:
        """Set or clear (`""`) a task's hold and its reason; a task that has ended stays as it is. Raises NotFound."""
        ...

    async def task(self, task: str) -> TaskRow | None: ...

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        """A page of tasks. Of root tasks of one name in the order of their change, no more rows are read than are given."""
        ...

    async def count_tasks(self, wanted: Filter) -> int:
        """How many there are in all, whatever the page."""
        ...

    async def find(self, prefix: str) -> list[str]:
        """Up to ten ids of tasks that begin with `prefix`; of children only where it has a dot."""
        ...

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        """The events of a journal after a sequence number, in order."""
        ...

    async def ledger(self, root: str) -> list[LedgerEntry]:
        """Every attempt of a task's tree, in the order they were made."""
        ...

    async def spent(self, task: str) -> Spend:
        """What counts against the account of `task`: settled, reserved and unsettled together."""
        ...

    async def accounts(self, prefix: str) -> dict[str, Spend]:
        """The accounts whose names begin so, at most 10,000, with what counts against them."""
        ...

    async def reckon(self, day: str, since: float) -> None:
        """Have the accounts of a day (`budgets.day_account`) hold no less than what the ledger says of the attempts since
        then: of the host, and of each namespace, person and agent. For budgets that begin to count in the middle of a day."""
        ...

    async def files(self, workspace: str) -> dict[str, str]:
        """The committed files of a workspace: path to content digest."""
        ...

    async def put_definition(self, digest: str, body: bytes) -> None: ...

    async def definition(self, digest: str) -> bytes | None: ...

    async def put_manifests(self, manifests: Sequence[tuple[str, str, str, bytes]], now: float) -> None:
        """Keep the newest manifests (kind, name, namespace, body): all of them or none."""
        ...

    async def manifests(self, kind: str, namespace: str) -> dict[str, bytes]: ...

    async def delete_manifest(self, kind: str, name: str, namespace: str) -> bool: ...


class Blobs(Protocol):
    """Files by content hash. What `put` returned for is on disk and survives the loss of power."""

    async def put(self, content: bytes) -> str:
        """Keep `content`; its digest. Putting the same twice keeps it once."""
        ...

    async def get(self, digest: str) -> bytes:
        """The content. Raises NotFound, or StoreDamaged where it no longer has that hash."""
        ...

    async def size(self, digest: str) -> int:
        """The content's size in bytes. Raises NotFound."""
        ...


class Workspace(Protocol):
    """The files of one workspace, on this machine's disk while somebody works on them.

    Paths are relative, `/`-separated, and never leave the workspace, whatever links are in it.
    """

    @property
    def folder(self) -> str:
        """The folder to hand to a sandbox; it is there once `restore` was called."""
        ...

    async def restore(self, files: Mapping[str, str]) -> None:
        """Make the folder exactly the committed files."""
        ...

    async def changes(self) -> dict[str, str | None]:
        """What differs from what was last committed or restored: path to digest of the content
        (kept as a blob by now), None where removed. Links and devices are removed, not kept. Raises
        BadInput where the folder holds more than its limits; restore it then."""
        ...

    @property
    def dropped(self) -> Sequence[str]:
        """What `changes` removed since the last commit because it is no ordinary file, for people to read."""
        ...

    def committed(self, changes: Mapping[str, str | None]) -> None:
        """Take changes as committed, so that `changes` counts from here."""
        ...

    async def read(self, path: str) -> bytes: ...
    async def write(self, path: str, content: bytes) -> None: ...
    async def delete(self, path: str) -> None: ...
    async def list(self) -> list[tuple[str, int]]:
        """Paths and sizes in bytes, sorted."""
        ...


class Workspaces(Protocol):
    """Hands out workspaces by id; one folder each."""

    def workspace(self, id: str) -> Workspace: ...

    async def discard(self, id: str) -> None:
        """Remove the folder; the committed files remain in the store."""
        ...


class Secrets(Protocol):
    """Secrets by name, encrypted at rest."""

    async def set(self, name: str, value: str) -> None: ...
    async def get(self, name: str) -> str | None: ...
    async def delete(self, name: str) -> bool: ...
    async def names(self) -> list[str]: ...


# --- what performs commands -----------------------------------------------------------------


class Model(Protocol):
    """One model of one provider. An attempt is one call of `answer`; who calls it again is the engine.

    Raises Temporary (with the provider's delay; `sent` where the answer may have been made) and
    Permanent (`code`: auth, bad-request, context-too-long, not-found, refused, bad-answer).
    """

    @property
    def card(self) -> ModelCard: ...

    async def answer(self, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer: ...


class Resumable(Model, Protocol):
    """A model whose answers are made at the provider in the background (`card.background`)."""

    async def begin(self, request: ModelRequest) -> str:
        """Start an answer; the provider's handle, by which it can be fetched whoever asks, also after a crash."""
        ...

    async def resume(self, handle: str, request: ModelRequest, tell: Callable[[Delta], None]) -> ModelAnswer:
        """Wait for an answer that was begun. Raises Permanent (`gone`) where the provider no longer has it, Temporary
        not `sent` where it can't be fetched now (it may be later), and Temporary `sent` where making it failed.
        Cancelled, it only stops waiting: the answer is made on."""
        ...

    async def cancel(self, handle: str) -> None:
        """Tell the provider that nobody wants the answer any more. One that has ended, or is gone, stays so."""
        ...


class Abilities(Protocol):
    """What else a provider does besides answering, for one model of it (`provider:model`, or a configured
    name). What it doesn't have raises Unavailable, which says so and names what to set instead."""

    @property
    def card(self) -> ModelCard: ...

    async def embed(self, texts: Sequence[str]) -> Embeddings: ...

    async def moderate(self, parts: Sequence[Part]) -> Moderation: ...

    async def draw(self, wanted: Drawing) -> Media:
        """Make or change a picture."""
        ...

    async def speak(self, wanted: Speech) -> Media: ...

    async def transcribe(self, audio: bytes, media_type: str, language: str = "") -> Transcript: ...

    async def put_file(self, name: str, content: bytes, purpose: str) -> ProviderFile: ...

    async def files(self) -> list[ProviderFile]: ...

    async def get_file(self, id: str) -> bytes: ...

    async def delete_file(self, id: str) -> None: ...

    async def start_batch(self, requests: Mapping[str, ModelRequest]) -> Batch:
        """Have many requests (by a name each) answered within a day, for less money."""
        ...

    async def batch(self, id: str) -> Batch: ...

    async def batches(self) -> list[Batch]: ...

    async def cancel_batch(self, id: str) -> Batch: ...


class Models(Protocol):
    """Finds models by what a manifest calls them (a configured name, or `provider:model`)."""

    async def model(self, name: str) -> Model:
        """Raises NotFound (unknown name) or Unavailable (no key; says which setting)."""
        ...

    async def abilities(self, name: str) -> Abilities:
        """What else that model's provider does. Raises as `model` does."""
        ...

    async def close(self) -> None: ...


class ToolContext(Protocol):
    """What a tool may use while it is called."""

    @property
    def task(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def key(self) -> str:
        """The idempotency key of this call: the same for every try at it."""
        ...

    @property
    def workspace(self) -> Workspace: ...
    @property
    def blobs(self) -> Blobs: ...
    async def run(self, command: str, timeout: float | None = None) -> SandboxOutcome:
        """Run a shell line in the task's sandbox."""
        ...

    async def reserve(self, model: str, cost: float | None, tokens: int = 0) -> None:
        """Set aside, in the ledger, what this call may cost at most (USD; None: unknown) before it is spent, once a
        call; its result says what it did cost. Raises BudgetRefused where a budget has no room, and AgentHostError
        (`price-unknown`) where money is bounded and the cost is unknown."""
        ...


class Tool(Protocol):
    """Something that an agent can call."""

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult: ...

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        """After a crash: the result, where the call with this key happened; None where nobody can tell.
        Raises KeyError where it certainly did not happen."""
        ...


class Tools(Protocol):
    """Finds tools by the name that a manifest gives."""

    def names(self) -> list[str]:
        """The names that a manifest may give."""
        ...

    def expand(self, name: str) -> list[Tool]:
        """The tools that a manifest's entry stands for. Raises NotFound."""
        ...

    def tool(self, name: str) -> Tool:
        """One tool by its own name. Raises NotFound."""
        ...


class Connection(Protocol):
    """A stream of bytes both ways."""

    async def read(self, most: int = 65536) -> bytes:
        """What has come, at least one byte; empty at the end. Raises OSError where the connection broke."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class SandboxService(Protocol):
    """A run that goes on, and serves ports that only the host reaches."""

    async def connect(self, port: int) -> Connection:
        """A connection to what listens on that port inside, on 127.0.0.1. Raises ConnectionRefusedError while nothing does."""
        ...

    async def wait(self) -> SandboxOutcome:
        """Its outcome, once it has ended by itself, by a limit, or by `stop`."""
        ...

    async def stop(self) -> SandboxOutcome:
        """End it and everything it started. Its exit code is 137 where it was still running."""
        ...


class Sandbox(Protocol):
    """Where code runs. Nothing of a run stays but its workspace. `tell` is given lines for people: what it
    waits for, or does first."""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    async def available(self) -> Availability: ...

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Have what the policy wants ready (packages, image), fetching what is missing (outside, once)."""
        ...

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Run to the end; ended with everything it started when this is cancelled. Raises Unavailable, also
        where it can't give what the policy demands (isolation, hosts): never less."""
        ...

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Start a run that serves ports. The policy's `timeout` counts for it too. Whoever spawns it stops it."""
        ...

    async def release(self, workspace: str) -> None:
        """Nothing more runs in this workspace's folder: let go of what was kept for it."""
        ...

    async def close(self) -> None: ...


class StandIn(Protocol):
    """Answers for everything that a trial may not do (`TaskSpec.trial`), from what was recorded."""

    async def answer(self, spec: TaskSpec, command: Command) -> Answered | None:
        """The answer to a command; None where there is none, and the trial is being ended because of it."""
        ...


class Prober(Protocol):
    """Looks at services."""

    async def probe(self, run: SandboxRun, probe: Probe, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Have `run` serve, look at it, end it. The exit code is 0 where the look found what it should; stdout is what
        was seen, stderr the server's, with the reason at its end. Raises as `Sandbox.spawn` does."""
        ...


class Scripts(Protocol):
    """The embedded language: a sandboxed subset of Python."""

    async def evaluate(self, evaluation: Evaluation) -> Value | ScriptRequest:
        """Raises Permanent (code `script-error`) whose message has line and column."""
        ...

    def mistakes(self, source: str, expression: bool) -> str | None:
        """Why `source` can't be read, with line and column; None where it can."""
        ...

    async def close(self) -> None: ...


class Programs(Protocol):
    """What a task runs, and what the host says of it now."""

    async def program(self, spec: TaskSpec) -> Program[Any]:
        """The program of a task's pinned definitions. Raises NotFound where they are gone."""
        ...

    async def policy(self, spec: TaskSpec) -> SandboxPolicy:
        """The sandbox policy of a task, from its pinned definition."""
        ...

    def replicas(self, namespace: str, role: str) -> int:
        """How many runs of a role (`WORKFLOW/ROLE`) may go on at once, read live."""
        ...

    def limits(self, scope: Scope) -> Limits:
        """A task's budget as its manifest says now."""
        ...

    def scopes(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        """Every budget that counts for a call that a task makes now, as it is now: its own, those above it, and those of
        a day."""
        ...

    def days(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        """Those of a day alone."""
        ...
