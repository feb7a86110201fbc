"""The bodies of requests and answers that are not records of `core` already."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.api import Applied, Finding, ManifestProblem
from agenthost.core.tasks import TaskRow

ROOT = "/api/v1"
"""Every path of the API begins with it."""


class TaskPage(Struct, frozen=True, omit_defaults=True):
    """A page of tasks, newest first. `next` is what `before` takes for the page after; empty at the end."""

    items: tuple[TaskRow, ...]
    next: str = ""


class Found(Struct, frozen=True):
    """The one task that a prefix stood for."""

    id: str


class ReplyBody(Struct, frozen=True, omit_defaults=True):
    """A person's answer to a question (`question` may be empty where there is only one)."""

    text: str
    question: str = ""
    by: str = "owner"


class CancelBody(Struct, frozen=True, omit_defaults=True):
    """Who wants a task cancelled, and why."""

    by: str = "owner"
    reason: str = ""


class ApplyBody(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Manifests: file name to YAML."""

    texts: dict[str, str]
    dry_run: bool = False


class AppliedBody(Struct, frozen=True):
    """What became of manifests, or, where there is any problem, nothing but the problems."""

    applied: tuple[Applied, ...]
    problems: tuple[ManifestProblem, ...]


class SecretBody(Struct, frozen=True):
    """A secret's value, on its way in. There is no way out."""

    value: str


class PasswordBody(Struct, frozen=True, omit_defaults=True):
    """A new password, empty for none; `old`: the one before, asked of whoever changes their own."""

    password: str
    old: str = ""


class LinkBody(Struct, frozen=True, omit_defaults=True):
    """Whom a sign-in link is for; empty for whoever asks."""

    person: str = ""


class ProbeBody(Struct, frozen=True, omit_defaults=True):
    """How a model is to be probed."""

    quick: bool = False
    context: int = 0


class Names(Struct, frozen=True):
    """Names and nothing else."""

    names: tuple[str, ...]


class ManifestsBody(Struct, frozen=True):
    """Manifests of a kind by name."""

    items: dict[str, dict[str, Any]]


class Health(Struct, frozen=True):
    """That the host is alive: `ok`, `degraded`, `starting` or `closing`. `degraded`, where it is asked for: what isn't as
    it should be."""

    status: str = "ok"
    degraded: tuple[Finding, ...] | msgspec.UnsetType = msgspec.UNSET


class End(Struct, frozen=True):
    """How a stream ended: `done` (nothing more will happen), `slow` (the follower took nothing for too
    long), `closing` (the host stops). After the last two a follower may come again with Last-Event-ID."""

    reason: str


def encode(value: Any) -> bytes:
    """A record as JSON."""
    return msgspec.json.encode(value)
