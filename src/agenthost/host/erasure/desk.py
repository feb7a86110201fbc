"""Deletion as somebody asks for it: one task, all of a person's, a namespace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Struct

from agenthost.core.access import OWNER, Accounts, Caller
from agenthost.core.api import LiveDelta
from agenthost.core.erasure import Erasure
from agenthost.core.errors import BadInput, Conflict, Forbidden, NotFound, Temporary, Unusable
from agenthost.core.events import Recorded
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Store
from agenthost.core.webhooks import Webhooks
from agenthost.host.erasure.eraser import Eraser
from agenthost.host.guarded import deed, forbidden

PAGE = 200
PATIENCE = 60.0
"""Seconds that a task which is forced may take to end."""


class Erased(Struct, frozen=True, omit_defaults=True):
    """What is gone: root tasks, files that were nobody else's, people, webhooks."""

    tasks: int = 0
    files: int = 0
    people: int = 0
    webhooks: int = 0


class Ends(Protocol):
    """What of a host ends a task."""

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None: ...

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]: ...


class Desk:
    """For one caller at a time. That a task is theirs to see is the face's to ask."""

    def __init__(
        self, host: Ends, eraser: Eraser, erasure: Erasure, store: Store, accounts: Accounts, webhooks: Webhooks
    ) -> None:
        self._host = host
        self._eraser = eraser
        self._erasure = erasure
        self._store = store
        self._accounts = accounts
        self._webhooks = webhooks

    async def task(self, caller: Caller, task: str, force: bool) -> Erased:
        """Delete a root task with everything below it. One's own needs the right to work, others' the owner's. Raises
        NotFound, Forbidden, and Conflict where it goes on and isn't forced to end."""
        row = await self._store.task(task)
        if row is None:
            raise NotFound(f"there is no task '{task}'")
        mine = (row.namespace, row.person) == (caller.namespace, caller.person)
        right = "work" if mine else "own"
        if not caller.may(right):
            raise forbidden(caller, right, "delete this task")
        if row.parent:
            raise Unusable(f"'{task}' is a part of the task '{root_id(task)}'; delete that")
        if row.state not in FINAL and not force:
            raise Conflict(f"the task '{task}' goes on ({row.state}); cancel it first, or delete it with force=true")
        await self._note(caller, "task.delete", task)
        return await self._erase([task])

    async def person(self, caller: Caller, person: str) -> Erased:
        """Delete everything of a person of the caller's namespace, and who they were. Of the owner, whose host it is, the
        account stays. Raises Forbidden."""
        self._need(caller, "delete all of a person's")
        await self._note(caller, "person.delete", person)
        return await self._everything(caller.namespace, person)

    async def namespace(self, caller: Caller, namespace: str) -> Erased:
        """Delete a namespace with everybody and everything in it. Raises Forbidden."""
        self._need(caller, "delete a namespace")
        if namespace != caller.namespace and (caller.person, caller.namespace) != (OWNER, "default"):
            raise Forbidden(f"you are of the namespace '{caller.namespace}' and can't delete '{namespace}'")
        await self._note(caller, "namespace.delete", namespace)
        done = Erased()
        for person in [*[each.id for each in await self._accounts.people(namespace)], ""]:
            more = await self._everything(namespace, person)
            done = Erased(
                done.tasks + more.tasks,
                done.files + more.files,
                done.people + more.people,
                done.webhooks + more.webhooks,
            )
        self._eraser.changed()
        await self._erasure.forget_namespace(namespace)
        files = await self._eraser.files()
        await self._eraser.settle()
        return Erased(done.tasks, done.files + files, done.people, done.webhooks)

    async def _everything(self, namespace: str, person: str) -> Erased:
        """All of somebody's; an empty `person` is the tasks of everybody."""
        # First who they are: nobody can give work any more whose work is going.
        gone = int(person not in ("", OWNER) and await self._accounts.delete_person(person))
        webhooks = await self._webhooks.of(namespace, person) if person else []
        for webhook in webhooks:
            await self._eraser.forget(webhook)
        tasks = 0
        for _ in range(2):  # a request that was let in before may give work yet
            after = ""
            while roots := await self._erasure.roots_of(namespace, person, after, PAGE):
                after = roots[-1]
                tasks += (await self._erase(roots, settle=False)).tasks
        if person:
            self._eraser.changed()
            await self._erasure.forget_person(namespace, person)
        files = await self._eraser.files()
        await self._eraser.settle()
        return Erased(tasks, files, gone, len(webhooks))

    async def _erase(self, roots: list[str], settle: bool = True) -> Erased:
        for root in roots:
            await self._end(root)
        tasks = await self._eraser.tasks(roots)
        if not settle:
            return Erased(tasks)
        files = await self._eraser.files()
        await self._eraser.settle()
        return Erased(tasks, files)

    async def _end(self, task: str) -> None:
        """Have a task end, where it hasn't. Raises Temporary where it doesn't in time."""
        row = await self._store.task(task)
        if row is None or row.state in FINAL:
            return
        with suppress(BadInput):  # it ended this moment
            await self._host.cancel(task, reason="it is to be deleted")
        try:
            async with asyncio.timeout(PATIENCE):
                items: Any = self._host.follow(task)
                async for _ in items:
                    pass
        except TimeoutError:
            raise Temporary(f"the task '{task}' doesn't end; try again", code="busy", delay=PATIENCE) from None

    def _need(self, caller: Caller, what: str) -> None:
        if not caller.may("own"):
            raise forbidden(caller, "own", what)

    async def _note(self, caller: Caller, what: str, thing: str) -> None:
        await self._accounts.note([deed(caller, what, thing, "done")])
