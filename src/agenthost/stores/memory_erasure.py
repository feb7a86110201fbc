"""Erasure in memory: the same rules, for tests. What is let go of here is gone at once."""

from collections.abc import Callable, Iterable

from agenthost.core.erasure import big_body, named_in
from agenthost.core.ids import root_id
from agenthost.core.keeping import KeptAnswer, answers_of
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import LedgerEntry, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from agenthost.stores.memory_conversations import MemoryConversations
from agenthost.stores.memory_grants import MemoryGrants
from agenthost.stores.memory_keeping import MemoryKeeping
from agenthost.stores.memory_pushes import MemoryPushes
from agenthost.stores.memory_schedules import MemorySchedules
from agenthost.stores.memory_shelf import MemoryShelf
from agenthost.stores.memory_usage import deleted, nobodys
from agenthost.stores.memory_webhooks import MemoryWebhooks
from agenthost.stores.rules import goes_on

_GONE = StoredEvent(0, 0.0, "gone", 1, b"")


class MemoryErasure:
    """The port `core.erasure.Erasure`, over all that a host in memory keeps."""

    def __init__(
        self,
        store: MemoryStore,
        accounts: MemoryAccounts,
        pushes: MemoryPushes,
        webhooks: MemoryWebhooks,
        shelf: MemoryShelf,
        keeping: MemoryKeeping,
        conversations: MemoryConversations | None = None,
        schedules: MemorySchedules | None = None,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._pushes = pushes
        self._webhooks = webhooks
        self._shelf = shelf
        self._keeping = keeping
        self.grants = MemoryGrants()
        self._conversations = conversations or MemoryConversations(store)
        self._schedules = schedules or MemorySchedules()
        self._begun: set[str] = set()
        self._doomed: set[tuple[str, str, str]] = set()

    async def ended_before(self, at: float, limit: int) -> list[str]:
        found = [row for row in self._roots() if row.state in FINAL and row.updated < at]
        return [row.id for row in sorted(found, key=lambda row: (row.updated, row.id))[:limit]]

    async def roots_of(self, namespace: str, person: str, after: str, limit: int) -> list[str]:
        found = (row for row in self._roots() if row.namespace == namespace and person in ("", row.person))
        return sorted(row.id for row in found if row.id > after)[:limit]

    async def begin(self, root: str, digests: set[str]) -> None:
        tables = self._store.tables
        below = self._below(root, tables.tasks)
        for id in sorted(below):
            if tables.tasks[id].state not in FINAL:
                raise goes_on(id)
        self._begun.add(root)
        if (row := tables.tasks.get(root)) is not None:
            of_workspaces = {file for id in self._below(root, tables.files) for file in tables.files[id].values()}
            self._doomed |= {(digest, row.namespace, row.person) for digest in digests | of_workspaces}

    async def begun(self) -> list[str]:
        return sorted(self._begun)

    async def erase(self, root: str) -> bool:
        tables = self._store.tables
        going = [key for key in tables.ledger if root_id(key[0]) == root]
        tables.used = deleted(tables.used, [tables.ledger.pop(key) for key in going])
        for table in (tables.events, tables.inboxes, tables.accounts, tables.files, tables.tasks):
            for id in self._below(root, table):
                del table[id]
        tables.placed = [("", _GONE) if root_id(task) == root else (task, event) for task, event in tables.placed]
        self._pushes.forget(root)
        self._webhooks.forget(root)
        self.grants.forget(root)
        self._shelf.forget_within(root)
        self._conversations.forget(root)
        self._begun.discard(root)
        return True

    async def waiting(self, root: str) -> set[str]:
        inboxes = self._store.tables.inboxes
        bodies = (item.body for id in self._below(root, inboxes) for item in inboxes[id].values() if item)
        return _named(bodies)

    async def doom_gifts(self, before: float, after: float, limit: int) -> float | None:
        found = sorted((at, given) for given, at in self._accounts.given.items() if after < at < before)[:limit]
        self._doomed |= {(digest, namespace, person) for _, (namespace, person, digest) in found}
        return found[-1][0] if found else None

    async def doomed(self, after: str, limit: int) -> list[str]:
        self._doomed |= self._shelf.let_go | {(digest, "", "") for digest in self._schedules.let_go}
        self._shelf.let_go.clear()
        self._schedules.let_go.clear()
        return sorted({digest for digest, _, _ in self._doomed if digest > after})[:limit]

    async def held(self, digests: set[str]) -> set[str]:
        of_workspaces = {digest for files in self._store.tables.files.values() for digest in files.values()}
        lines = self._conversations.held() | self._schedules.held()
        return (of_workspaces | self._shelf.held() | lines) & digests

    async def release(self, digest: str, before: float) -> bool:
        given = self._accounts.given
        for of, namespace, person in self._doomed:
            if of == digest and given.get((namespace, person, digest), before) < before:
                del given[namespace, person, digest]
        return all(of != digest for _, _, of in given)

    async def spare(self, digest: str) -> None:
        self._doomed = {doomed for doomed in self._doomed if doomed[0] != digest}

    async def named(self, digests: set[str], after: int, step: int) -> tuple[set[str], set[str], int]:
        tables = self._store.tables
        bodies = [event.body for _, event in tables.placed[after : after + step]]
        big = {big_body(body) for body in bodies} - {""}
        if not after:
            bodies += [item.body for items in tables.inboxes.values() for item in items.values() if item]
        return digests & _named(bodies), big, after + step if after + step < len(tables.placed) else 0

    async def forget_person(self, namespace: str, person: str) -> None:
        self._shelf.forget(namespace, person)
        self.grants.forget_person(namespace, person)
        self._conversations.forget_person(namespace, person)
        self._schedules.forget(namespace, person)
        self._forget_gifts(namespace, person)
        tables = self._store.tables
        self._forget_calls(lambda entry: (entry.namespace, entry.person) == (namespace, person))
        tables.used = nobodys(tables.used, namespace, person)
        self._forget_answers(lambda key, _: key.startswith(answers_of(namespace, person)))

    async def forget_namespace(self, namespace: str) -> None:
        self._shelf.forget(namespace)
        self.grants.forget_person(namespace, "")
        self._conversations.forget_person(namespace, "")
        self._schedules.forget(namespace)
        self._forget_gifts(namespace, "")
        tables = self._store.tables
        self._forget_calls(lambda entry: entry.namespace == namespace)
        tables.used = {of: sums for of, sums in tables.used.items() if of.namespace != namespace}
        tables.manifests = {key: body for key, body in tables.manifests.items() if key[0] != namespace}
        tables.versions = {key: kept for key, kept in tables.versions.items() if key[0] != namespace}

    async def forget_answers(self, root: str, after: str) -> str:
        self._forget_answers(lambda _, answer: root.encode() in answer.head + answer.body)
        return ""

    async def trim_answers(self, before: float) -> int:
        return self._forget_answers(lambda _, answer: answer.at < before)

    async def trim_audit(self, before: float) -> int:
        return self._accounts.trim(before)

    async def trim_calls(self, before: float) -> int:
        return self._forget_calls(lambda entry: entry.at < before)

    async def settle(self) -> None:
        """Nothing of it was in a file."""

    def _roots(self) -> Iterable[TaskRow]:
        return (row for row in self._store.tables.tasks.values() if not row.parent)

    @staticmethod
    def _below(root: str, ids: Iterable[str]) -> list[str]:
        return [id for id in ids if root_id(id) == root]

    def _forget_answers(self, gone: Callable[[str, KeptAnswer], bool]) -> int:
        going = [key for key, answer in self._keeping.answers.items() if gone(key, answer)]
        for key in going:
            del self._keeping.answers[key]
        return len(going)

    def _forget_calls(self, gone: Callable[[LedgerEntry], bool]) -> int:
        """Calls that no task made."""
        tables = self._store.tables
        going = [key for key, entry in tables.ledger.items() if not entry.task and gone(entry)]
        tables.used = deleted(tables.used, [tables.ledger.pop(key) for key in going])
        return len(going)

    def _forget_gifts(self, namespace: str, person: str) -> None:
        given = self._accounts.given
        for key in [key for key in given if key[0] == namespace and person in ("", key[1])]:
            self._doomed.add((key[2], "", ""))
            del given[key]


def _named(bodies: Iterable[bytes]) -> set[str]:
    return {digest for body in bodies for digest in named_in(body)}
