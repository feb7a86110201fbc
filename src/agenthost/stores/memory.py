"""The in-memory twin of the stores: the same rules in plain dicts, for tests and for hosts that keep nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.budgets import Spend, day_account
from agenthost.core.errors import Unavailable
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL, Hold, State
from agenthost.core.ports import Append, Filter, InboxItem, LedgerEntry, NewTask, Settlement, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.stores.memory_usage import Of, Sums
from agenthost.stores.rules import (
    EMPTY,
    Account,
    Attempt,
    Place,
    booking,
    by_day,
    charge,
    check_place,
    not_claimed,
    total,
    unknown,
    weigh,
)

_Key = tuple[str, str, int]


class Tables(Struct):
    """Everything that a memory store holds. A taken inbox item stays as None: its id counts once. `used` is what tasks
    that are deleted have used."""

    tasks: dict[str, TaskRow] = {}
    events: dict[str, list[StoredEvent]] = {}
    owners: dict[str, float] = {}
    inboxes: dict[str, dict[str, InboxItem | None]] = {}
    ledger: dict[_Key, LedgerEntry] = {}
    accounts: dict[str, Account] = {}
    files: dict[str, dict[str, str]] = {}
    definitions: dict[str, bytes] = {}
    manifests: dict[tuple[str, str, str], bytes] = {}
    versions: dict[tuple[str, str, str], list[tuple[float, bytes]]] = {}
    placed: list[tuple[str, StoredEvent]] = []
    used: dict[Of, Sums] = {}

    def copy(self) -> "Tables":
        """Tables of their own with the same rows; rows never change."""
        return Tables(
            tasks=dict(self.tasks),
            events={task: list(events) for task, events in self.events.items()},
            owners=dict(self.owners),
            inboxes={task: dict(items) for task, items in self.inboxes.items()},
            ledger=dict(self.ledger),
            accounts=dict(self.accounts),
            files={workspace: dict(files) for workspace, files in self.files.items()},
            definitions=dict(self.definitions),
            manifests=dict(self.manifests),
            versions={key: list(bodies) for key, bodies in self.versions.items()},
            placed=list(self.placed),
            used=dict(self.used),
        )


ASKING: frozenset[State] = frozenset(("input-required", "auth-required"))
"""The states of a task that waits for a person."""


class MemoryStore:
    """The port `core.ports.Store` in memory.

    `on_commit` is called before each write becomes visible; when it raises, nothing of that write
    has happened and its caller gets the exception: a test's crash at a commit. `snapshot` and
    `restore` are the disk that outlives it.
    """

    def __init__(self, on_commit: Callable[[], None] | None = None) -> None:
        self.on_commit = on_commit
        self.commits = 0
        """Writes committed since it was made."""
        self.answered: dict[str, int] = {}
        """By task, the event with which its last question was open no more."""
        self.foreign: set[str] = set()
        """Tasks that were done elsewhere (`memory_imports`): what happened to them is no news."""
        self._tables = Tables()
        self._open = False

    def snapshot(self) -> Tables:
        """A copy of everything, as a disk would have it now."""
        return self._tables.copy()

    def restore(self, tables: Tables) -> None:
        """Hold exactly what a snapshot held."""
        self._tables = tables.copy()

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False

    # --- writes

    async def create(
        self,
        new: NewTask,
        copies: Sequence[tuple[str, str]] = (),
        files: Mapping[str, str] | None = None,
        first: Append | None = None,
    ) -> bool:
        tables, row = self._check(), new.row
        if row.id in tables.tasks:
            return False
        if first is not None:
            check_place(first, Place(row.epoch, new.created.seq, False))
            charge(first, tables.accounts, self._attempts(first))
        self._commit()
        tables.tasks[row.id] = replace(row, root=row.root or root_id(row.id), seq=new.created.seq)
        tables.events[row.id] = [new.created]
        tables.placed.append((row.id, new.created))
        if row.owner:
            tables.owners.setdefault(row.owner, 0)
        for origin, copied in copies:
            tables.files.setdefault(copied, {}).update(tables.files.get(origin, {}))
        if files:
            tables.files.setdefault(row.id, {}).update(files)
        if first is not None:
            self._step(first, tables.tasks[row.id])
        return True

    async def claim(self, task: str, owner: str, now: float) -> TaskRow:
        tables = self._check()
        row = tables.tasks.get(task)
        if row is None or self._over(row):
            raise not_claimed(task, row is not None, True)
        if row.owner not in ("", owner) and tables.owners.get(row.owner, 0) > now:
            raise not_claimed(task, True, False)
        self._commit()
        tables.owners.setdefault(owner, 0)
        claimed = tables.tasks[task] = replace(row, owner=owner, epoch=row.epoch + 1)
        return claimed

    async def heartbeat(self, owner: str, until: float) -> None:
        tables = self._check()
        self._commit()
        tables.owners[owner] = until

    async def retire(self, owner: str, now: float) -> None:
        tables = self._check()
        self._commit()
        for row in list(tables.tasks.values()):
            if row.owner not in ("", owner):
                tables.tasks[row.id] = replace(row, owner="")
        for other in [name for name in tables.owners if name != owner]:
            del tables.owners[other]

    async def append(self, batch: Append) -> None:
        tables = self._check()
        row = tables.tasks.get(batch.task)
        check_place(batch, Place(row.epoch, row.seq, self._over(row)) if row else None)
        assert row
        charge(batch, tables.accounts, self._attempts(batch))
        self._commit()
        self._step(batch, row)

    def _step(self, batch: Append, row: TaskRow) -> None:
        tables = self._tables
        accounts = charge(batch, tables.accounts, self._attempts(batch))
        tables.tasks[row.id] = _moved(row, batch)
        if row.state in ASKING and batch.state not in ASKING:
            self.answered[row.id] = tables.tasks[row.id].seq
        tables.events[row.id] += batch.events
        tables.placed += [(row.id, event) for event in batch.events]
        self._charge(batch, accounts)
        self._exchange(batch)
        self._change_files(batch)

    async def book(self, reserve: Sequence[LedgerEntry] = (), settle: Sequence[Settlement] = ()) -> None:
        batch = booking(reserve, settle)
        accounts = charge(batch, self._check().accounts, self._attempts(batch))
        self._commit()
        self._charge(batch, accounts)

    def _charge(self, batch: Append, accounts: Mapping[str, Account]) -> None:
        tables = self._tables
        for entry in batch.reserve:
            tables.ledger[entry.task, entry.command, entry.attempt] = replace(entry, spent=None, settled=False)
        for settlement in batch.settle:
            key = (batch.task, settlement.command, settlement.attempt)
            tables.ledger[key] = replace(
                tables.ledger[key], spent=settlement.spent, model=settlement.model, settled=True
            )
        tables.accounts |= accounts

    async def put(self, item: InboxItem) -> bool:
        tables = self._check()
        if item.task not in tables.tasks:
            raise unknown(item.task)
        if not self._welcome(item):
            return False
        self._commit()
        tables.inboxes.setdefault(item.task, {})[item.id] = item
        return True

    async def hold(self, task: str, hold: str, reason: str) -> None:
        tables = self._check()
        row = tables.tasks.get(task)
        if row is None:
            raise unknown(task)
        if not self._over(row):
            self._commit()
            tables.tasks[task] = replace(row, hold=cast(Hold, hold), reason=reason)

    async def put_definition(self, digest: str, body: bytes) -> None:
        tables = self._check()
        self._commit()
        tables.definitions.setdefault(digest, body)

    async def put_manifests(self, manifests: Sequence[tuple[str, str, str, bytes]], now: float) -> None:
        tables = self._check()
        self._commit()
        for kind, name, namespace, body in manifests:
            tables.manifests[namespace, kind, name] = body
            tables.versions.setdefault((namespace, kind, name), []).append((now, body))

    async def delete_manifest(self, kind: str, name: str, namespace: str) -> bool:
        tables = self._check()
        self._commit()
        if tables.manifests.pop((namespace, kind, name), None) is None:
            return False
        tables.versions[namespace, kind, name].append((time.time(), b""))
        return True

    # --- reads

    async def claimable(self, owner: str, now: float, limit: int) -> list[TaskRow]:
        tables = self._check()
        free = {name for name, until in tables.owners.items() if until <= now and name != owner} | {""}
        found = [row for row in tables.tasks.values() if row.owner in free and not row.hold and row.state not in FINAL]
        # What somebody left comes before what nobody has had.
        found.sort(key=lambda row: (row.owner == "", row.owner, row.created, row.id))
        return found[:limit]

    async def inbox(self, task: str) -> list[InboxItem]:
        return [item for item in self._check().inboxes.get(task, {}).values() if item]

    async def task(self, task: str) -> TaskRow | None:
        return self._check().tasks.get(task)

    async def tasks(self, wanted: Filter) -> list[TaskRow]:
        tables = self._check()
        by_change = wanted.order == "updated"

        def place(row: TaskRow) -> tuple[float, str]:
            return row.updated if by_change else row.created, row.id

        found = [row for row in tables.tasks.values() if _wanted(row, wanted)]
        if wanted.before:
            last = tables.tasks.get(wanted.before)
            end = (wanted.before_change, wanted.before) if by_change else place(last) if last else (0.0, "")
            found = [row for row in found if place(row) < end]
        return sorted(found, key=place, reverse=True)[: wanted.limit]

    async def count_tasks(self, wanted: Filter) -> int:
        return sum(_wanted(row, wanted) for row in self._check().tasks.values())

    async def find(self, prefix: str) -> list[str]:
        tasks = self._check().tasks
        below = "." in prefix
        return sorted(id for id, row in tasks.items() if id.startswith(prefix) and (below or not row.parent))[:10]

    async def events(self, task: str, after: int = 0, limit: int = 1000) -> list[StoredEvent]:
        found = self._check().events.get(task, [])
        # Numbers follow one another, so that the place is known.
        start = max(0, after + 1 - found[0].seq) if found else 0
        return found[start : start + limit]

    async def ledger(self, root: str) -> list[LedgerEntry]:
        return [entry for entry in self._check().ledger.values() if root_id(entry.task) == root]

    async def spent(self, task: str) -> Spend:
        return total(self._check().accounts.get(task, EMPTY))

    async def accounts(self, prefix: str) -> dict[str, Spend]:
        found = sorted((name, held) for name, held in self._check().accounts.items() if name.startswith(prefix))
        return {name: total(held) for name, held in found[:10_000]}

    async def reckon(self, day: str, since: float) -> None:
        tables, sums = self._check(), dict[str, Spend]()
        for entry in tables.ledger.values():
            if entry.at >= since:
                for subject in by_day(entry):
                    account = day_account(day, subject)
                    sums[account] = sums.get(account, Spend()) + (entry.spent or entry.worst)
        for account, held in sums.items():
            before = tables.accounts.get(account, EMPTY)
            now = weigh(held)
            tables.accounts[account] = (
                max(before[0], now[0]),
                max(before[1], now[1]),
                max(before[2], now[2]),
                before[3],
            )

    async def files(self, workspace: str) -> dict[str, str]:
        return dict(sorted(self._check().files.get(workspace, {}).items()))

    async def definition(self, digest: str) -> bytes | None:
        return self._check().definitions.get(digest)

    async def manifests(self, kind: str, namespace: str) -> dict[str, bytes]:
        found = sorted(self._check().manifests.items())
        return {name: body for (of, sort, name), body in found if (of, sort) == (namespace, kind)}

    @property
    def tables(self) -> Tables:
        """Everything that is held, for `memory_keeping` and `memory_erasure`."""
        return self._check()

    # --- inside

    def _over(self, row: TaskRow) -> bool:
        """Whether nothing more happens to a task."""
        return row.state in FINAL or row.id in self.foreign

    def _check(self) -> Tables:
        if not self._open:
            raise Unavailable("the store is not open; open it before it is used")
        return self._tables

    def _commit(self) -> None:
        if self.on_commit:
            self.on_commit()
        self.commits += 1

    def _attempts(self, batch: Append) -> dict[_Key, Attempt]:
        keys = [(batch.task, named.command, named.attempt) for named in (*batch.reserve, *batch.settle)]
        found = ((key, self._tables.ledger.get(key)) for key in keys)
        return {key: Attempt(entry.worst, entry.scopes, entry.settled) for key, entry in found if entry}

    def _welcome(self, item: InboxItem) -> bool:
        row = self._tables.tasks.get(item.task)
        return row is not None and not self._over(row) and item.id not in self._tables.inboxes.get(item.task, {})

    def _exchange(self, batch: Append) -> None:
        inboxes = self._tables.inboxes
        own = inboxes.get(batch.task, {})
        for id in batch.taken:
            if id in own:
                own[id] = None
        for item in batch.send:
            if self._welcome(item):
                inboxes.setdefault(item.task, {})[item.id] = item
        if batch.state in FINAL:
            inboxes.pop(batch.task, None)

    def _change_files(self, batch: Append) -> None:
        if not batch.files:
            return
        files = self._tables.files.setdefault(batch.workspace, {})
        for path, digest in batch.files.items():
            if digest is None:
                files.pop(path, None)
            else:
                files[path] = digest


def _moved(row: TaskRow, batch: Append) -> TaskRow:
    ended = batch.state in FINAL
    return replace(
        row,
        state=batch.state,
        updated=batch.updated,
        seq=row.seq + len(batch.events),
        outcome=batch.outcome,
        # A hold says why in the same place; it is kept until it is cleared or the task ends.
        reason=row.reason if row.hold and not ended else batch.reason,
        hold="" if ended else row.hold,
        owner="" if ended else row.owner,
    )


def _wanted(row: TaskRow, wanted: Filter) -> bool:
    return (
        row.namespace == wanted.namespace
        and (not wanted.states or row.state in wanted.states)
        and (not wanted.root or row.root == wanted.root)
        and not (wanted.roots_only and row.parent)
        and (not wanted.name or row.name == wanted.name)
        and (not wanted.person or row.person == wanted.person)
        and (not wanted.conversation or row.conversation == wanted.conversation)
        and (not wanted.parent or row.parent == wanted.parent)
        and wanted.text.lower() in row.title.lower()
        and row.created >= wanted.since
        and (not wanted.until or row.created < wanted.until)
        and row.updated >= wanted.changed_since
    )
