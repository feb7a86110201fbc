"""The use-cases of a host, as its faces see them. The host fulfils it in process; the client over HTTP.

A face (the command line, a web page) is written against `HostApi` and never knows which it has.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from agenthost.core.access import OWNER, Caller, Deed, DeedFilter
from agenthost.core.administration import Administration
from agenthost.core.budgets import Spend
from agenthost.core.commands import Ask
from agenthost.core.conversations import Line
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack
from agenthost.core.grants import Always
from agenthost.core.keeping import UsageFilter, UsageLine
from agenthost.core.machines import MachineFacts, Waiting
from agenthost.core.models import Delta, Fitness, ModelCard
from agenthost.core.parts import FilePart, Message
from agenthost.core.ports import Abilities, Filter, LedgerEntry
from agenthost.core.replaying import Contrast, ForkOrder, ReplayReport, TrialOrder
from agenthost.core.routing import Decision
from agenthost.core.tasks import TaskRow, Terms


class Order(Struct, frozen=True, omit_defaults=True):
    """Work to be started: an agent or a workflow by name, what is said, files, inputs by name.

    `inputs` of type file name a file that was put before (`put_file`). `model` overrides what
    `default` means for this task. `key`: the same key starts the work once. `workspace`: files to
    begin with, path to digest. `conversation` is the thread that the work belongs to, in the words of who gives it.
    `terms` are set beside an agent's manifest; a workflow takes none. `person`, `namespace`, `via` (how they were
    known) and `caused` (the traceparent of the request) are the host's to say: what a caller writes there is not believed.
    `notes` are kept with the task for whoever gave it, by the name of who keeps them, and mean nothing to anybody else.
    `data` are JSON values said beside the text. `message` is the id of the message that asks for the work, where it came by a channel that has such.
    """

    name: str
    text: str = ""
    files: tuple[FilePart, ...] = ()
    inputs: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    model: str = ""
    key: str = ""
    title: str = ""
    workspace: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    namespace: str = "default"
    person: str = "owner"
    conversation: str = ""
    terms: Terms | None = None
    via: str = ""
    notes: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    data: tuple[Any, ...] = ()
    message: str = ""
    caused: str = ""


class OpenQuestion(Struct, frozen=True, omit_defaults=True):
    """A question that waits for a person: which task asked it (perhaps far below the root), what, and when. `until`: when
    it ends by its default, 0 for never. `grant`: the id of the one that was given with its answer."""

    task: str
    ask: Ask
    at: float
    until: float = 0.0
    grant: str = ""


class TaskDetail(Struct, frozen=True):
    """A task with what is below it, what it waits for and what it has used. `trace` is the id of its trace, 32 hex digits."""

    row: TaskRow
    children: tuple[TaskRow, ...] = ()
    questions: tuple[OpenQuestion, ...] = ()
    spent: Spend = Spend()
    trace: str = ""


class LiveDelta(Struct, frozen=True):
    """A provisional piece of a model's answer: of which task, command and attempt."""

    task: str
    command: str
    attempt: int
    delta: Delta


class Artifact(Struct, frozen=True):
    """A file that a task produced: its path in the workspace, content hash and size in bytes."""

    path: str
    digest: str
    size: int = 0


class Applied(Struct, frozen=True):
    """What became of a manifest: `created`, `changed` or `unchanged`."""

    kind: str
    name: str
    outcome: str


class ManifestProblem(Struct, frozen=True):
    """A mistake in a manifest: where, and what was expected."""

    file: str
    line: int
    column: int
    key: str
    message: str


class ModelLine(Struct, frozen=True, omit_defaults=True):
    """A model as it is listed; `note` says why it can't be used, or where it was found. `calling`: how it is made to
    call tools (`no`: it can't). `probed`: when it was, in seconds since the epoch (0: never). `pid`: of the process
    that runs it here, 0 where none does."""

    name: str
    provider: str
    usable: bool
    window: int = 0
    images: bool = False
    input_price: float | None = None
    output_price: float | None = None
    note: str = ""
    pid: int = 0
    calling: str = ""
    probed: float = 0.0


class ModelDetail(Struct, frozen=True, omit_defaults=True):
    """One model: what its name stands for (outermost first), its card as claimed and as the loop goes by it, and
    what a probe found (None: it was never probed)."""

    name: str
    stands_for: tuple[str, ...]
    claimed: ModelCard
    card: ModelCard
    fitness: Fitness | None = None


class Finding(Struct, frozen=True, omit_defaults=True):
    """One line of `doctor`: `ok`, `warn` or `fail`, what was looked at, what was seen, how to mend it."""

    status: str
    what: str
    seen: str = ""
    fix: str = ""


class Health(Struct, frozen=True):
    """How a host is: `ok`, `degraded`, `starting` or `closing`. `degraded`, where it is asked for: what isn't as it should
    be."""

    status: str = "ok"
    degraded: tuple[Finding, ...] | msgspec.UnsetType = msgspec.UNSET


class HostInfo(Struct, frozen=True, omit_defaults=True):
    """Which host this is. `serving` is False for one that lives in the command's own process. `machine` is what it
    is on; `waiting` are those who wait for a part of it, in order."""

    version: str
    home: str
    pid: int
    serving: bool = False
    machine: MachineFacts | None = None
    waiting: tuple[Waiting, ...] = ()


class Incoming(Struct, frozen=True, omit_defaults=True):
    """A message whose task the host finds: `task` where it is named, else by what is known of its `conversation`; what is
    new is for the agent (or workflow) `name`. `question`: which of the task's it answers. `key`: the message's id in its
    channel, by which it counts once. `reply_to` is the channel's id of the message that it answers, `quote` the words that
    it quotes, `button` the data of the one that was pressed. `edits`: the id of an earlier message of the conversation,
    whose new text this is (`deleted`: which was taken back). `forwarded`: words of somebody else that are passed on with
    it; they are material, never an order. `channel` and `account`: where it came from and who wrote, in the channel's
    words."""

    text: str = ""
    files: tuple[FilePart, ...] = ()
    name: str = ""
    task: str = ""
    question: str = ""
    conversation: str = ""
    key: str = ""
    reply_to: str = ""
    quote: str = ""
    button: str = ""
    edits: str = ""
    deleted: bool = False
    channel: str = ""
    account: str = ""
    forwarded: str = ""


class Placed(Struct, frozen=True, omit_defaults=True):
    """What became of a message: it started the task, was said to it, answered its question, or was heard by the host itself
    (`told`); `asked`: the host asks which task it is for, `kept`: it waits behind such a question. `line` is its place in
    its conversation, `decision` what was decided; `said` is what the host says to it at once. `task` is None where it is
    for none, or not known yet."""

    task: TaskRow | None
    became: Literal["order", "message", "answer", "told", "asked", "kept"]
    line: int = 0
    decision: Decision | None = None
    said: tuple[Line, ...] = ()


class News(Struct, frozen=True):
    """Events of many tasks in the order in which they happened; `place` is after which to ask for more."""

    items: tuple[tuple[int, Recorded], ...]
    place: int


class ManifestVersion(Struct, frozen=True, omit_defaults=True):
    """A manifest as it was from `at` on, None where it was deleted then. `version` names its content."""

    number: int
    at: float
    version: str
    manifest: dict[str, Any] | None = None


class Linked(Struct, frozen=True, omit_defaults=True):
    """A file that a link opens, until when (seconds since the epoch), in whose name. `key`: the one that it was made with;
    it ends with that."""

    digest: str
    until: float
    name: str = ""
    media_type: str = ""
    person: str = "owner"
    namespace: str = "default"
    key: str = ""


class SettingLine(Struct, frozen=True):
    """A setting that may change while the host runs: as it is, and as the file says."""

    name: str
    value: float
    given: float


class HostApi(Protocol):
    """What a host does for those who reach it. Unknown names raise NotFound with the nearest known."""

    async def info(self) -> HostInfo: ...

    async def put_file(self, name: str, content: bytes, media_type: str = "") -> FilePart:
        """Keep a file; BadInput where it is empty, too large, or not what its name says.

        With a `media_type` it is kept as it is, also where it is empty: a workspace's file.
        """
        ...

    async def take_file(self, name: str, pieces: AsyncIterable[bytes], media_type: str = "") -> FilePart:
        """Keep a file of any size as it comes; the rest as `put_file`."""
        ...

    async def get_file(self, digest: str) -> bytes: ...

    async def file_size(self, digest: str) -> int: ...

    async def read_file(self, digest: str, start: int, length: int) -> bytes: ...

    async def link(self, file: Linked) -> str:
        """A secret by which anybody may read the file until then."""
        ...

    async def start(self, order: Order) -> TaskRow:
        """Start work. BadInput and NotFound are raised before anything is kept."""
        ...

    async def place(self, came: Incoming, person: str = "owner", namespace: str = "default") -> Placed: ...

    async def news(self, after: int, limit: int = 500, person: str = "", namespace: str = "default") -> News:
        """Events of every task (of a person's) after a place."""
        ...

    def watch(
        self, after: int | None = None, person: str = "", namespace: str = "default"
    ) -> AsyncIterator[tuple[int, Recorded]]:
        """Events of every task after a place (None: from now on), for ever, each with its place."""
        ...

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]:
        """What has happened and happens, of a task and everything below it, until it has ended.

        `after` gives, by task id, the last sequence number seen; nothing is missed or repeated.
        Deltas come between, only live.
        """
        ...

    async def find(self, prefix: str) -> str:
        """The one task id that begins with `prefix` (`last` is the newest root). NotFound, or BadInput where several do."""
        ...

    async def tasks(self, wanted: Filter) -> list[TaskRow]: ...

    async def count_tasks(self, wanted: Filter) -> int:
        """How many there are in all, whatever the page."""
        ...

    async def task(self, task: str) -> TaskDetail: ...

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[Recorded]: ...

    async def say(self, task: str, message: Message) -> None:
        """A message for a running task; it is seen at the next step."""
        ...

    async def reply(
        self,
        task: str,
        text: str,
        question: str = "",
        by: str = "owner",
        via: str = "",
        always: Always | None = None,
    ) -> OpenQuestion:
        """Answer an open question of the task or of one below it (the only one, or `task/command`). `via`: the channel
        that the answer came by. `always`: an approval is given for later calls too. The first answer counts: raises
        Conflict that says who gave it, and Forbidden that says who may answer."""
        ...

    async def questions(self, namespace: str = "default") -> list[OpenQuestion]:
        """Every open question that whoever asks may answer, of any task: the oldest first, at most 200. `namespace` is the
        host's to say."""
        ...

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None: ...

    async def pause(self, task: str, by: str = "owner", reason: str = "") -> None:
        """Have a task and everything below it rest: what is under way ends, nothing new begins, also after a restart. One that
        is paused stays so. Raises Conflict where it has ended."""
        ...

    async def resume(self, task: str, by: str = "owner") -> None:
        """Have a paused task and everything below it go on. Raises Conflict where it isn't paused."""
        ...

    async def artifacts(self, task: str) -> list[Artifact]: ...

    async def artifact(self, task: str, path: str) -> Artifact: ...

    async def evidence(self, task: str) -> EvidencePack:
        """What shows how a task ended, with those below it that had something to prove; read from their journals."""
        ...

    async def ledger(self, task: str) -> list[LedgerEntry]: ...

    async def export(self, task: str) -> bytes:
        """A task with everything below it as one file (a zip of journals, definitions and blobs)."""
        ...

    async def replay(self, task: str) -> list[ReplayReport]:
        """Decide a task's journal, and those below it, again; nothing is performed."""
        ...

    async def fork(self, task: str, order: ForkOrder) -> TaskRow:
        """A new task that goes on from an event of another. Raises Unusable where it can't go on from there."""
        ...

    async def try_again(self, order: TrialOrder) -> TaskRow:
        """A task once more with another model, as a new one. Nothing is performed but calls of that model: everything
        else is answered from what was recorded."""
        ...

    async def contrast(self, trial: str) -> Contrast:
        """What such a new task did, beside what was recorded. Raises Unusable for any other task."""
        ...

    async def apply(
        self, texts: dict[str, str], dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take manifests, file name to YAML. All of them or, where there is any problem, none. `by`: who applies them,
        as whom schedules run; over HTTP it is who asks, whatever is said here."""
        ...

    async def manifests(self, kind: str) -> dict[str, dict[str, Any]]:
        """The manifests of a kind (`agent`, `workflow`, `schedule`) by name."""
        ...

    async def manifest(self, kind: str, name: str) -> ManifestVersion: ...

    async def put_manifest(
        self, kind: str, name: str, text: str, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take the manifest of that name. `expected`: the version that it must have now (empty: there must be none; `*`:
        any). Raises Stale."""
        ...

    async def versions(self, kind: str, name: str, before: int = 0, limit: int = 50) -> list[ManifestVersion]:
        """How a manifest was, newest first. Raises NotFound where there never was one."""
        ...

    async def roll_back(
        self, kind: str, name: str, number: int, expected: str | None = None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Apply an earlier version again, as the newest."""
        ...

    async def delete(self, kind: str, name: str, expected: str | None = None) -> None: ...

    async def models(self, provider: str = "") -> list[ModelLine]:
        """What can be named here, or all that one provider (or server) says it has. Raises NotFound, and Unavailable
        where it can't be asked."""
        ...

    async def model(self, name: str) -> ModelDetail:
        """One model. Raises NotFound, or Unavailable saying which setting is missing."""
        ...

    async def abilities(self, name: str) -> Abilities:
        """What else that model's provider does. Raises as `model` does."""
        ...

    def probe(self, name: str, quick: bool = False, context: int = 0) -> AsyncIterator[str | Fitness]:
        """Find out what a model really does, keep it, and go by it from now on: lines for people, then the result.

        It calls the model, which may cost: the first line says about how much. `quick` asks less; `context` is the
        longest text that is tried, in tokens (0: a moderate one). Raises as `model` does."""
        ...

    async def set_secret(self, name: str, value: str) -> None:
        """Keep a secret, encrypted; an empty value forgets it (NotFound where there is none)."""
        ...

    async def secrets(self) -> list[str]: ...

    async def usage(self, wanted: UsageFilter) -> list[UsageLine]: ...

    async def audit(self, wanted: DeedFilter) -> list[Deed]: ...

    async def changeable(self) -> list[SettingLine]: ...

    async def change(self, values: dict[str, float | None]) -> list[SettingLine]:
        """Change settings from now on, restarts included; None goes back to the file's. Raises BadInput, and nothing is
        changed."""
        ...

    async def doctor(self) -> list[Finding]: ...

    async def health(self) -> Health:
        """How the host is doing, with what is degraded. Cheap enough to be asked again and again, unlike `doctor`."""
        ...

    async def close(self) -> None: ...


class Reception(Protocol):
    """Tells a face whose a request is, and gives it the host as they may use it."""

    async def known(self, token: str, address: str) -> Caller:
        """Whose a token is that came from `address`. Raises Unauthenticated."""
        ...

    def api(self, caller: Caller) -> HostApi:
        """The host as that caller may use it."""
        ...

    def admin(self, caller: Caller) -> Administration:
        """People and keys as that caller may look after them."""
        ...

    async def linked(self, secret: str, address: str) -> tuple[Caller, Linked]:
        """What a link opens, and in whose name. Raises NotFound, also where it has expired."""
        ...

    def heed(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever somebody lost a key, a right or themselves: whoever is here may be here no more."""
        ...
