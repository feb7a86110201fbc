"""Deletion as somebody asks for it: one task, all of a person's, a namespace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from agenthost.core.access import OWNER, Caller, DeedFilter
from agenthost.core.api import HostApi, LiveDelta
from agenthost.core.erasure import Deletion, Erased, Erasure
from agenthost.core.errors import BadInput, Conflict, Forbidden, NotFound, Temporary, Unusable
from agenthost.core.events import Recorded
from agenthost.core.ids import root_id
from agenthost.core.importing import IMPORTED
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Store
from agenthost.core.tasks import TaskRow
from agenthost.core.webhooks import Webhooks
from agenthost.host.entry.entrance import Entrance
from agenthost.host.erasure.eraser import Eraser
from agenthost.host.guarded import MOST_REFUSED, deed, forbidden, note_refused
from agenthost.wire.tries import Tries

PAGE = 200
PATIENCE = 60.0
"""Seconds that a task which is forced may take to end."""


class Ends(Protocol):
    """What of a host ends a task."""

    async def evidence_files(self, row: TaskRow) -> set[str]:
        """The content hashes of a task's evidence, as it was handed out if anybody wanted it."""
        ...

    async def cancel(self, task: str, by: str = "owner", reason: str = "") -> None: ...

    def follow(
        self, task: str, after: dict[str, int] | None = None, tree: bool = True
    ) -> AsyncIterator[Recorded | LiveDelta]: ...


class Desk:
    """For one caller at a time."""

    def __init__(
        self, host: Ends, eraser: Eraser, erasure: Erasure, store: Store, entrance: Entrance, webhooks: Webhooks
    ) -> None:
        self._host = host
        self._eraser = eraser
        self._erasure = erasure
        self._store = store
        self._entrance = entrance
        self._accounts = entrance.register.accounts
        self._webhooks = webhooks
        self._refused = Tries(MOST_REFUSED, 3600.0)

    def of(self, caller: Caller, api: HostApi) -> Deletion:
        """The use-cases for a caller; `api` is the host as they may use it."""
        return _Deletion(self, caller, api)

    async def task(self, caller: Caller, task: str, force: bool) -> Erased:
        """Delete a root task with everything below it. One's own needs the right to work, others' the owner's; that it is
        theirs to see was asked before (`of`). Raises NotFound, Forbidden, and Conflict where it goes on and isn't forced
        to end."""
        row = await self._store.task(task)
        if row is None:
            raise NotFound(f"there is no task '{task}'")
        mine = (row.namespace, row.person) == (caller.namespace, caller.person)
        right = "work" if mine else "own"
        if not caller.may(right):
            await self._note(caller, "task.delete", task, Forbidden.code)
            raise forbidden(caller, right, "delete this task")
        if row.parent:
            raise Unusable(f"'{task}' is a part of the task '{root_id(task)}'; delete that")
        if row.state not in FINAL and row.hold != IMPORTED and not force:
            raise Conflict(f"the task '{task}' goes on ({row.state}); cancel it first, or delete it with force=true")
        await self._note(caller, "task.delete", task)
        return await self._erase([task])

    async def person(self, caller: Caller, person: str) -> Erased:
        """Delete everything of a person of the caller's namespace, and who they were. Of the owner, whose host it is, the
        account stays. Raises Forbidden, and NotFound for somebody who never was."""
        await self._need(caller, "delete all of a person's", "person.delete", person)
        await self._need_person(caller.namespace, person)
        await self._note(caller, "person.delete", person)
        return await self._everything(caller.namespace, person)

    async def _need_person(self, namespace: str, person: str) -> None:
        """Also who was removed before may have left something."""
        found = await self._accounts.person(person)
        if found is not None and found.namespace == namespace:
            return
        removed = await self._accounts.deeds(DeedFilter(namespace, what="person.delete", thing=person, limit=1))
        if found is not None or not (removed or await self._erasure.roots_of(namespace, person, "", 1)):
            raise NotFound(f"there is nobody with the id '{person[:100]}'; `agenthost people list` shows who there is")

    async def namespace(self, caller: Caller, namespace: str) -> Erased:
        """Delete a namespace with everybody and everything in it. Raises Forbidden."""
        await self._need(caller, "delete a namespace", "namespace.delete", namespace)
        if namespace != caller.namespace and (caller.person, caller.namespace) != (OWNER, "default"):
            raise Forbidden(f"you are of the namespace '{caller.namespace}' and can't delete '{namespace}'")
        await self._note(caller, "namespace.delete", namespace)
        people = await self._accounts.people(namespace)
        for person in people:
            await self._shut_out(person.id)
        done = await self._everything(namespace, "")
        for person in people:
            more = await self._everything(namespace, person.id)
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
        if person:
            await self._shut_out(person)
        webhooks = await self._webhooks.of(namespace, person) if person else []
        for webhook in webhooks:
            await self._eraser.forget(webhook)
        tasks = await self._all_tasks(namespace, person)
        gone = 0
        if person:
            self._eraser.changed()
            await self._erasure.forget_person(namespace, person)
            gone = int(await self._entrance.register.erase(person))
            # What they had asked for just before they were shut out.
            tasks += await self._all_tasks(namespace, person)
        files = await self._eraser.files()
        await self._eraser.settle()
        return Erased(tasks, files, gone, len(webhooks))

    async def _all_tasks(self, namespace: str, person: str) -> int:
        tasks = 0
        for _ in range(2):  # what came meanwhile may stand before the last
            after = ""
            while roots := await self._erasure.roots_of(namespace, person, after, PAGE):
                after = roots[-1]
                tasks += (await self._erase(roots, settle=False)).tasks
        return tasks

    async def _shut_out(self, person: str) -> None:
        """First of all, so that nothing of theirs is made any more while the rest goes."""
        await self._entrance.register.shut_out(person)
        self._entrance.forget_links(person)

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
        if row is None or row.state in FINAL or row.hold == IMPORTED:
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

    async def _need(self, caller: Caller, what: str, deed_of: str, thing: str) -> None:
        if not caller.may("own"):
            await self._note(caller, deed_of, thing, Forbidden.code)
            raise forbidden(caller, "own", what)

    async def _note(self, caller: Caller, what: str, thing: str, outcome: str = "done") -> None:
        if outcome == "done":
            await self._accounts.note([deed(caller, what, thing, outcome)])
        else:
            await note_refused(self._accounts, self._refused, caller, what, thing)


class _Deletion:
    """Fulfils core.erasure.Deletion. Made for each request, and cheap."""

    def __init__(self, desk: Desk, caller: Caller, api: HostApi) -> None:
        self._desk = desk
        self._caller = caller
        self._api = api

    async def task(self, task: str, force: bool = False) -> Erased:
        await self._api.task(task)  # raises NotFound where it isn't theirs
        return await self._desk.task(self._caller, task, force)

    async def person(self, person: str) -> Erased:
        return await self._desk.person(self._caller, person)

    async def namespace(self, namespace: str) -> Erased:
        return await self._desk.namespace(self._caller, namespace)
