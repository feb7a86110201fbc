"""Calls out: whom a person wants told of their tasks' ends and questions, and the port that keeps what is to be sent."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

from msgspec import Struct

Told = Literal["task.ended", "task.question", "task.answered", "webhook.test"]
"""What a delivery tells of. `task.answered`: a question is open no more, and by whom it was answered, which may be the host at
its time limit. `webhook.test` is sent when somebody asks for it, to every webhook."""

TOLD: tuple[Told, ...] = get_args(Told)

SECRET = "webhook-"
"""What the names of webhooks' secrets begin with."""


class Webhook(Struct, frozen=True, omit_defaults=True):
    """A URL that is called for a person. `task` names one root task, empty for all of theirs. `created` in seconds since
    the epoch. `disabled` says why nothing is sent any more. Its secret is kept among the host's, as `secret_name`."""

    id: str
    person: str
    url: str
    created: float
    namespace: str = "default"
    events: tuple[Told, ...] = ("task.ended", "task.question")
    task: str = ""
    disabled: str = ""

    @property
    def secret_name(self) -> str:
        """The name of the secret that its deliveries are signed with."""
        return SECRET + self.id


class Delivery(Struct, frozen=True, omit_defaults=True):
    """One call, told again until it is taken. `body` is what is sent, byte for byte. `due`: when it is tried next;
    `status` and `reason`: what came of the last try. Times in seconds since the epoch; `place` orders them."""

    id: str
    webhook: str
    root: str
    event: Told
    at: float
    body: bytes
    state: Literal["waiting", "delivered", "dead"] = "waiting"
    attempts: int = 0
    due: float = 0.0
    status: int = 0
    reason: str = ""
    place: int = 0


class NewWebhook(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A webhook as it is asked for. `task`: one root task, empty for all of one's own. `secret`: one of the caller's own."""

    url: str
    events: tuple[Told, ...] = ("task.ended", "task.question")
    task: str = ""
    secret: str = ""


class WebhookInfo(Struct, frozen=True, omit_defaults=True):
    """A webhook as its person sees it. `secret` is told once, when it is made."""

    id: str
    url: str
    events: tuple[Told, ...]
    task: str
    created: float
    disabled: str = ""
    secret: str = ""


class DeliveryInfo(Struct, frozen=True):
    """A delivery as the webhook's person sees it, with its body as JSON."""

    id: str
    webhook: str
    event: Told
    at: float
    body: dict[str, Any]
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    due: float
    status: int
    reason: str


class DeliveryPage(Struct, frozen=True):
    """Deliveries, newest first; `next` is the `before` of the page after, empty at the end."""

    items: tuple[DeliveryInfo, ...]
    next: str = ""


class OwnWebhooks(Protocol):
    """The use-cases, for one caller: each person has their own webhooks, and knows nothing of others'. All raise Forbidden
    where the caller may not, NotFound for a webhook or a task that isn't theirs."""

    async def add(self, wanted: NewWebhook, key: str = "") -> WebhookInfo:
        """Make one; with the same `key`, once. Raises BadInput, and Conflict where the key stands for another."""
        ...

    async def all(self) -> list[WebhookInfo]: ...

    async def show(self, id: str) -> WebhookInfo: ...

    async def remove(self, id: str) -> None:
        """Remove one, with what was to be sent."""
        ...

    async def test(self, id: str) -> DeliveryInfo:
        """Have something sent to try one out; one that was given up is called again from now on."""
        ...

    async def deliveries(self, id: str, before: int = 0, limit: int = 50) -> DeliveryPage:
        """What was and is to be sent, newest first; at most 500 in one page."""
        ...


class Mark(Struct, frozen=True):
    """A task that ended or waits for an answer: its journal after `seen` up to `seq` wasn't looked at yet. `at`: when that
    was written, which may be later than the time that the event says."""

    task: str
    seq: int
    seen: int
    at: float = 0.0


class Webhooks(Protocol):
    """Keeps webhooks and their deliveries. What it returned for is on disk. A mark is written with the event itself, so
    that no end and no question is lost. Its conformance suite is `agenthost.testing.webhooks`."""

    async def put(self, webhook: Webhook) -> None: ...

    async def get(self, id: str) -> Webhook | None: ...

    async def of(self, namespace: str, person: str) -> list[Webhook]:
        """A person's webhooks, the oldest first."""
        ...

    async def disable(self, id: str, why: str) -> None:
        """Send nothing more to one, where it is still there; an empty `why` has it go on."""
        ...

    async def delete(self, id: str) -> bool:
        """Remove one with its deliveries; False where there is none."""
        ...

    async def marks(self, limit: int) -> list[Mark]: ...

    async def add(self, deliveries: list[Delivery], mark: Mark | None = None) -> None:
        """Keep deliveries, each once by its id, of webhooks that are there; `mark` was looked at with them, up to its `seq`."""
        ...

    async def take(self, now: float, until: float, limit: int, but: Sequence[str] = ()) -> list[Delivery]:
        """Deliveries that are due, the oldest of each webhook and task; nobody else takes them before `until`. `but`: people
        (`NAMESPACE/PERSON`) whose wait."""
        ...

    async def next_due(self, but: Sequence[str] = ()) -> float | None:
        """When the next delivery is due, but for those of some people."""
        ...

    async def settle(self, delivery: Delivery) -> None:
        """Keep what came of a try: state, attempts, due, status and reason."""
        ...

    async def deliveries(self, webhook: str, before: int = 0, limit: int = 50) -> list[Delivery]:
        """Newest first; `before`: the `place` that the last page ended with."""
        ...

    async def prune(self, before: float) -> int:
        """Remove deliveries that were delivered, or died, and are older than that; how many."""
        ...
