"""Takes tasks away with everything that is theirs alone: rows, files, folders, webhooks.

In steps, each committed, so that work goes on between and a crash leaves nothing half: what was begun is in the database
and is ended by the next sweep. A file may be used by others, or be taken into use while it is looked for: it is removed only
where no workspace has it, no journal names it, nobody else gave it, and nothing has asked the blobs for it meanwhile.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from agenthost.core.erasure import Erasure, Removal, big_body, named_in
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.keeping import ANSWERS_KEPT
from agenthost.core.ports import Blobs, Filter, Store, Workspaces
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import Webhook, Webhooks
from agenthost.engine.parts import Log

PAGE = 500
STEP = 5000
"""Rows of journals that are looked through at once."""
FILES = 5000
"""Doomed files that one look through the journals is for."""


class RemovableBlobs(Blobs, Protocol):
    """Blobs that can be removed."""

    async def remove(self, digest: str, since: float) -> Removal:
        """Remove one, unless it was used after `since` (of `time.monotonic`), or shortly before."""
        ...


class Eraser:
    """`forget` removes a webhook with its secret; `made` names the files that the host makes of a task when they are wanted."""

    def __init__(
        self,
        erasure: Erasure,
        store: Store,
        blobs: RemovableBlobs,
        workspaces: Workspaces,
        webhooks: Webhooks,
        forget: Callable[[Webhook], Awaitable[None]],
        log: Log,
        made: Callable[[TaskRow], Awaitable[set[str]]],
    ) -> None:
        self._made = made
        self._erasure = erasure
        self._store = store
        self._blobs = blobs
        self._workspaces = workspaces
        self._webhooks = webhooks
        self.forget = forget
        self._log = log
        self._one = asyncio.Lock()
        self._unsettled = True  # what a host before this one left is not known

    async def tasks(self, roots: list[str]) -> int:
        """Take root tasks away that have ended; how many there were. Raises Conflict where one goes on."""
        gone = 0
        for root in roots:
            row = await self._store.task(root)
            if row is not None:
                await self._erasure.begin(root, await self._digests(row))
                await self._finish(row)
                gone += 1
        return gone

    async def go_on(self) -> None:
        """End what was begun before a crash."""
        for root in await self._erasure.begun():
            row = await self._store.task(root)
            if row is not None:
                try:
                    await self._finish(row)
                except Temporary:
                    raise
                except AgentHostError as error:
                    self._log.warning("a task can't be erased for now", task=root, problem=error.message)

    async def files(self) -> int:
        """Remove the doomed files that nobody needs; how many. Those that are in use just now stay doomed."""
        removed, after = 0, ""
        async with self._one:
            while doomed := await self._erasure.doomed(after, FILES):
                after = doomed[-1]
                removed += await self._remove(set(doomed))
        return removed

    def changed(self) -> None:
        """Something was removed by somebody else: there is something to settle."""
        self._unsettled = True

    async def settle(self) -> None:
        """Have nothing that is gone stand in the database's files any more."""
        if self._unsettled:
            self._unsettled = False
            try:
                await self._erasure.settle()
            except BaseException:
                self._unsettled = True
                raise

    async def _finish(self, row: TaskRow) -> None:
        for webhook in await self._webhooks.of(row.namespace, row.person):
            if webhook.task == row.id:
                await self.forget(webhook)
        for below in await self._tree(row):
            await self._workspaces.discard(below.id)
        self._unsettled = True
        if row.updated > time.time() - ANSWERS_KEPT:
            await self._forget_answers(row.id)
        gone = False
        while not gone:
            gone = await self._erasure.erase(row.id)
        self._log.info("task erased", task=row.id)

    async def _forget_answers(self, root: str) -> None:
        after, going = "", True
        while going:
            after = await self._erasure.forget_answers(root, after)
            going = bool(after)

    async def _tree(self, row: TaskRow) -> list[TaskRow]:
        found: list[TaskRow] = []
        before = ""
        while page := await self._store.tasks(Filter(row.namespace, root=row.id, before=before, limit=PAGE)):
            found += page
            before = page[-1].id
        return found

    async def _digests(self, row: TaskRow) -> set[str]:
        """The files that a task's journals and inboxes name."""
        found = await self._erasure.waiting(row.id)
        for below in await self._tree(row):
            found |= await self._made(below)
            after = 0
            while page := await self._store.events(below.id, after, PAGE):
                after = page[-1].seq
                for event in page:
                    found |= named_in(event.body)
                    if big := big_body(event.body):
                        found |= await self._inside(big)
        return found

    async def _inside(self, digest: str) -> set[str]:
        """The files that a big body names, which is a file itself."""
        try:
            return named_in(await self._blobs.get(digest))
        except AgentHostError:
            return set()

    async def _remove(self, doomed: set[str]) -> int:
        since, began = time.monotonic(), time.time()
        needed = await self._erasure.held(doomed)
        looked: set[str] = set()
        place, going = 0, True
        while going and doomed - needed:
            found, big, place = await self._erasure.named(doomed - needed, place, STEP)
            needed |= found
            for digest in big - looked:
                looked.add(digest)
                needed |= doomed & await self._inside(digest)
            going = place > 0
        removed = 0
        for digest in sorted(doomed):
            if digest in needed or not await self._erasure.release(digest, began):
                await self._erasure.spare(digest)
            elif (became := await self._blobs.remove(digest, since)) != "used":
                await self._erasure.spare(digest)
                removed += became == "removed"
        return removed
