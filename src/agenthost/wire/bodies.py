"""The bodies of requests and answers that are not records of `core` already."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from agenthost.core.access import Deed, Right
from agenthost.core.api import Applied, ManifestProblem, ManifestVersion
from agenthost.core.conversations import ConversationInfo, Line
from agenthost.core.events import Recorded
from agenthost.core.grants import Always, Grant
from agenthost.core.routing import Topic
from agenthost.core.schedules import ScheduleInfo
from agenthost.core.spending import BudgetLine
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import WebhookInfo

ROOT = "/api/v1"
"""Every path of the API begins with it."""


class TaskPage(Struct, frozen=True, omit_defaults=True):
    """A page of tasks, newest first, or those that changed last. `next` is the cursor of the page after; empty at the end.
    `total` says how many there are in all, where it was asked for."""

    items: tuple[TaskRow, ...]
    next: str = ""
    total: int | None = None


class PlacedBody(Struct, frozen=True):
    """An event of any task, and its place among all of them."""

    place: int
    event: Recorded


class EventPage(Struct, frozen=True):
    """A page of many tasks' events in the order in which they happened. `next` is the cursor after them, at the end too:
    there will be more."""

    items: tuple[PlacedBody, ...]
    next: str


class DeedPage(Struct, frozen=True, omit_defaults=True):
    """A page of the audit log, newest first."""

    items: tuple[Deed, ...]
    next: str = ""


class VersionPage(Struct, frozen=True, omit_defaults=True):
    """A page of a manifest's versions, newest first."""

    items: tuple[ManifestVersion, ...]
    next: str = ""


class WebhookPage(Struct, frozen=True):
    """All of a person's webhooks: there is one page."""

    items: tuple[WebhookInfo, ...]
    next: str = ""


class GrantPage(Struct, frozen=True):
    """All grants that somebody sees: there is one page."""

    items: tuple[Grant, ...]
    next: str = ""


class ConversationPage(Struct, frozen=True):
    """Conversations, the one spoken in last first: there is one page."""

    items: tuple[ConversationInfo, ...]
    next: str = ""


class LinePage(Struct, frozen=True):
    """Lines of conversations, oldest first. `next` is the cursor after them, at the end too: there will be more."""

    items: tuple[Line, ...]
    next: str


class TopicPage(Struct, frozen=True):
    """The tasks of a conversation: there is one page."""

    items: tuple[Topic, ...]
    next: str = ""


class SentBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Under which ids a channel has shown a line."""

    ids: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=500)]


class MoveBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which task a message is for: `to`, empty for a new one, of the agent or workflow `name`."""

    to: Annotated[str, Meta(max_length=200)] = ""
    name: Annotated[str, Meta(max_length=200)] = ""


class SchedulePage(Struct, frozen=True):
    """All the schedules that somebody sees: there is one page."""

    items: tuple[ScheduleInfo, ...]
    next: str = ""


class ErasureBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose everything is to go: a `person`'s or a `namespace`'s. `name` is written once more as `confirm`."""

    kind: Literal["person", "namespace"]
    name: str
    confirm: str


class LinkBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How long a link is good for, and as what the file is handed out."""

    seconds: Annotated[int, Meta(ge=1, le=30 * 86_400)] = 3600
    name: Annotated[str, Meta(max_length=200)] = ""


class Link(Struct, frozen=True):
    """A link that opens one file without a token: its path on this host, and until when it is good."""

    path: str
    until: float


def _dotted(name: str) -> str:
    return name.replace("_", ".", 1)


_Bytes = Annotated[int, Meta(ge=1024 * 1024, le=2**50)]
_Pixels = Annotated[int, Meta(ge=1, le=2**50)]
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class ChangesBody(Struct, frozen=True, forbid_unknown_fields=True, rename=_dotted, omit_defaults=True):
    """Settings to be changed while the host runs; null goes back to what the file says."""

    files_size: _Bytes | None | UnsetType = UNSET
    files_pixels: _Pixels | None | UnsetType = UNSET
    files_side: _Pixels | None | UnsetType = UNSET
    http_rate: Annotated[float, Meta(ge=0, le=1e6)] | None | UnsetType = UNSET
    http_requests: _Count | None | UnsetType = UNSET
    http_streams: _Count | None | UnsetType = UNSET
    http_upload: _Bytes | None | UnsetType = UNSET


class Found(Struct, frozen=True):
    """The one task that a prefix stood for."""

    id: str


class ReplyBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A person's answer to a question (`question` may be empty where there is only one). `via`: the channel that it came
    by, where that is another than this one. `always`: an approval is given for later calls too."""

    text: str
    question: str = ""
    by: str = "owner"
    via: Annotated[str, Meta(pattern="^[a-z0-9-]{0,40}$")] = ""
    always: Always | None = None


class CancelBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who wants a task cancelled, and why."""

    by: str = "owner"
    reason: str = ""


class BudgetBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The most of one day: model turns, tokens, money in USD, seconds of work. What isn't named isn't bounded."""

    turns: Annotated[int, Meta(ge=0)] | None = None
    tokens: Annotated[int, Meta(ge=0)] | None = None
    cost: Annotated[float, Meta(ge=0)] | None = None
    duration: Annotated[float, Meta(ge=0)] | None = None


class BudgetPage(Struct, frozen=True, omit_defaults=True):
    """All budgets that there are to see: there is one page."""

    items: tuple[BudgetLine, ...]


class ApplyBody(Struct, frozen=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """Manifests: file name to YAML."""

    texts: dict[str, str]
    dry_run: bool = False


class TextsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Manifests that are only checked: file name to YAML."""

    texts: dict[str, str]


class AppliedBody(Struct, frozen=True):
    """What became of manifests, or, where there is any problem, nothing but the problems."""

    applied: tuple[Applied, ...]
    problems: tuple[ManifestProblem, ...]


class SecretBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret's value, on its way in. There is no way out."""

    value: str


class PasswordBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A new password, empty for none; `old`: the one before, asked of whoever changes their own."""

    password: str
    old: str = ""


class KeyBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A key to be made. No `person`: the caller. No `rights`: all that its person has and its maker may give. `expires`
    in seconds since the epoch, 0 for never."""

    name: str = ""
    person: str = ""
    rights: tuple[Right, ...] = ()
    expires: float = 0.0


class SignInBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whom a sign-in link is for; empty for whoever asks."""

    person: str = ""


class ProbeBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a model is to be probed."""

    quick: bool = False
    context: Annotated[int, Meta(ge=1000)] | None = None


class Names(Struct, frozen=True):
    """Names and nothing else."""

    names: tuple[str, ...]


class ManifestsBody(Struct, frozen=True):
    """Manifests of a kind by name."""

    items: dict[str, dict[str, Any]]


class End(Struct, frozen=True):
    """How a stream ended: `done` (nothing more will happen), `slow` (the follower took nothing for too
    long), `closing` (the host stops). After the last two a follower may come again with Last-Event-ID."""

    reason: str


def encode(value: Any) -> bytes:
    """A record as JSON."""
    return msgspec.json.encode(value)
