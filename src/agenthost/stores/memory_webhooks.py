"""Webhooks and their deliveries in memory: the same rules, for tests."""

from collections.abc import Sequence

from msgspec.structs import replace

from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter
from agenthost.core.webhooks import Delivery, Mark, Webhook
from agenthost.stores.memory import ASKING, MemoryStore


class MemoryWebhooks:
    """The port `core.webhooks.Webhooks`. `store` tells which tasks ended or wait for an answer."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._webhooks: dict[str, Webhook] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._seen: dict[str, int] = {}

    async def put(self, webhook: Webhook) -> None:
        self._webhooks[webhook.id] = webhook

    async def get(self, id: str) -> Webhook | None:
        return self._webhooks.get(id)

    async def of(self, namespace: str, person: str) -> list[Webhook]:
        found = [each for each in self._webhooks.values() if (each.namespace, each.person) == (namespace, person)]
        return sorted(found, key=lambda each: (each.created, each.id))

    async def disable(self, id: str, why: str) -> None:
        if id in self._webhooks:
            self._webhooks[id] = replace(self._webhooks[id], disabled=why)

    async def delete(self, id: str) -> bool:
        self._deliveries = {key: each for key, each in self._deliveries.items() if each.webhook != id}
        return self._webhooks.pop(id, None) is not None

    async def marks(self, limit: int) -> list[Mark]:
        found: list[Mark] = []
        for namespace, person in {(each.namespace, each.person) for each in self._webhooks.values()}:
            for row in await self._store.tasks(Filter(namespace, person=person, limit=1_000_000)):
                seen = self._seen.get(row.id, 0)
                moved = row.seq if row.state in FINAL or row.state in ASKING else self._store.answered.get(row.id, 0)
                if moved > seen and row.id not in self._store.foreign:
                    found.append(Mark(row.id, moved, seen, row.updated))
        return sorted(found, key=lambda mark: mark.task)[:limit]

    async def add(self, deliveries: list[Delivery], mark: Mark | None = None) -> None:
        for delivery in deliveries:
            if delivery.id not in self._deliveries and delivery.webhook in self._webhooks:
                place = 1 + max((each.place for each in self._deliveries.values()), default=0)
                self._deliveries[delivery.id] = replace(delivery, place=place)
        if mark is not None:
            self._seen[mark.task] = max(mark.seq, self._seen.get(mark.task, 0))

    def _first(self) -> list[Delivery]:
        """The oldest of each webhook and task that waits."""
        found: dict[tuple[str, str], Delivery] = {}
        for each in sorted(self._deliveries.values(), key=lambda each: each.place):
            webhook = self._webhooks.get(each.webhook)
            if each.state == "waiting" and webhook is not None and not webhook.disabled:
                found.setdefault((each.webhook, each.root), each)
        return list(found.values())

    async def take(self, now: float, until: float, limit: int, but: Sequence[str] = ()) -> list[Delivery]:
        first = [each for each in self._first() if each.due <= now and self._whose(each) not in but]
        due = sorted(first, key=lambda each: (each.due, each.place))
        taken = [replace(each, due=until) for each in due[:limit]]
        self._deliveries |= {each.id: each for each in taken}
        return sorted(taken, key=lambda each: each.place)

    async def next_due(self, but: Sequence[str] = ()) -> float | None:
        return min((each.due for each in self._first() if self._whose(each) not in but), default=None)

    def _whose(self, delivery: Delivery) -> str:
        webhook = self._webhooks[delivery.webhook]
        return f"{webhook.namespace}/{webhook.person}"

    async def settle(self, delivery: Delivery) -> None:
        if delivery.id in self._deliveries:
            self._deliveries[delivery.id] = delivery

    async def deliveries(self, webhook: str, before: int = 0, limit: int = 50) -> list[Delivery]:
        found = [each for each in self._deliveries.values() if each.webhook == webhook]
        found = [each for each in found if not before or each.place < before]
        return sorted(found, key=lambda each: -each.place)[:limit]

    def forget(self, root: str) -> None:
        """Forget what was told, or is to be told, of a task that is deleted, and of all below it."""
        self._deliveries = {id: each for id, each in self._deliveries.items() if each.root != root}
        self._seen = {task: seen for task, seen in self._seen.items() if root_id(task) != root}

    async def prune(self, before: float) -> int:
        gone = [id for id, each in self._deliveries.items() if each.state != "waiting" and each.at < before]
        for id in gone:
            del self._deliveries[id]
        return len(gone)
