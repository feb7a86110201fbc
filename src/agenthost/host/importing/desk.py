"""Exports taken in as somebody asks for it: read, looked through, decided again, kept in one step."""

import asyncio
import io
import secrets
import time
from collections.abc import Callable

import msgspec

from agenthost.core.access import OWNER, Accounts, Caller, DeedFilter
from agenthost.core.errors import AgentHostError, BadInput, Conflict, Forbidden, NewerVersion, NotFound, Unusable
from agenthost.core.ids import task_id
from agenthost.core.importing import Foreign, Importing, ImportOrder, Imports, TakenIn
from agenthost.core.ports import Blobs, Store
from agenthost.core.replaying import ReplayReport
from agenthost.engine.codec import Codec
from agenthost.host.guarded import deed, forbidden
from agenthost.host.importing.adopting import Adopted, Wanted, adopt, with_aside
from agenthost.host.replaying.reading import ExportFile, read
from agenthost.host.replaying.recording import Recording, replay_all

AT_ONCE = 16
"""Contents that are put away at a time."""


class Desk:
    """For one caller at a time. `codec` encodes events as the host's own, without its secrets."""

    def __init__(
        self, imports: Imports, store: Store, blobs: Blobs, accounts: Accounts, codec: Callable[[], Codec]
    ) -> None:
        self._imports = imports
        self._store = store
        self._blobs = blobs
        self._accounts = accounts
        self._codec = codec
        self._taking = asyncio.Lock()

    def of(self, caller: Caller) -> Importing:
        """The use-case for a caller."""
        return _Importing(self, caller)

    async def take(self, caller: Caller, order: ImportOrder) -> TakenIn:
        """Take an export in as a task of the caller's; who may, and what came of it, is in the audit log."""
        if not caller.may("work"):
            await self._accounts.note([deed(caller, "task.import", order.file, Forbidden.code)])
            raise forbidden(caller, "work", "import tasks")
        whose = caller.person if caller.role == "user" else ""
        # What comes over the home's own socket is asked by whoever has its files in their hands anyway.
        here = caller.via == "socket" and caller.person == OWNER
        if not here and not await self._accounts.has_file(caller.namespace, whose, order.file):
            raise _no_file(order.file)
        outcome, thing = "done", order.file
        try:
            # One at a time: an export is held in memory.
            async with self._taking:
                taken = await self._take(caller, order)
            thing = taken.row.id
            return taken
        except AgentHostError as error:
            outcome = error.code
            raise
        finally:
            await self._accounts.note([deed(caller, "task.import", thing, outcome)])

    async def _take(self, caller: Caller, order: ImportOrder) -> TakenIn:
        try:
            content = io.BytesIO(await self._blobs.get(order.file))
        except NotFound:
            raise _no_file(order.file) from None
        try:
            export = await asyncio.to_thread(read, content)
        except (BadInput, NewerVersion) as error:
            raise Unusable(f"it can't be imported: {error.message}") from error
        recording = export.recording
        now = time.time()
        id = await self._id(caller, recording, now)
        wanted = Wanted(id, caller.person, caller.namespace, f"{caller.via} {caller.at}".strip(), now)
        adopted = await asyncio.to_thread(adopt, recording, set(export.contents), wanted)
        difference = await asyncio.to_thread(_again, adopted)
        await self._keep(caller, export, adopted)
        row = adopted.rows[0]
        events = sum(map(len, adopted.journals.values()))
        missing = len(adopted.aside.missing)
        return TakenIn(row, recording.task, len(adopted.rows), events, missing, not difference, difference)

    async def _id(self, caller: Caller, recording: Recording, now: float) -> str:
        """The id that it had where it was the caller's own task here, which they deleted; else a new one."""
        if (recording.row.person, recording.row.namespace) == (caller.person, caller.namespace):
            wanted = DeedFilter(caller.namespace, caller.person, "task.delete", recording.task, limit=1)
            deleted = await self._accounts.deeds(wanted)
            if deleted and deleted[0].outcome == "done" and await self._store.task(recording.task) is None:
                return recording.task
        return task_id(int(now * 1000), secrets.randbits(35))

    async def _keep(self, caller: Caller, export: ExportFile, adopted: Adopted) -> None:
        """Keep all of it. What a death in the middle leaves are files of the caller's that nothing names, which go as any
        others do."""
        own = self._accounts.own_file
        contents = sorted(adopted.contents)
        for at in range(0, len(contents), AT_ONCE):
            some = contents[at : at + AT_ONCE]
            bodies = [await asyncio.to_thread(export.content, each) for each in some]
            kept = await asyncio.gather(*map(self._blobs.put, bodies))
            await asyncio.gather(*(own(caller.namespace, caller.person, each) for each in kept))
        aside = await self._blobs.put(msgspec.json.encode(adopted.aside))
        await own(caller.namespace, caller.person, aside)
        adopted = with_aside(adopted, aside)
        for name, body in adopted.definitions.items():
            await self._store.put_definition(name, body)
        try:
            tasks = [Foreign(row, await self._codec().encode(adopted.journals[row.id])) for row in adopted.rows]
        except (OverflowError, UnicodeError) as error:
            raise Unusable(f"it can't be imported: it has a value that no journal here can hold ({error})") from error
        if not await self._imports.take_in(tasks, adopted.files):
            raise Conflict(f"the task '{adopted.rows[0].id}' is here already")


def _no_file(digest: str) -> NotFound:
    return NotFound(f"there is no file '{digest[:100]}'; put the export here first (POST /api/v1/files)")


def _again(adopted: Adopted) -> str:
    """In what its journals, decided again, differ; empty where all is the same. Raises Unusable where its definitions don't
    know what it ran."""
    try:
        reports: list[ReplayReport] = asyncio.run(replay_all(adopted.recording()))
    except AgentHostError as error:
        raise Unusable(f"it can't be imported: {error.message}") from error
    wrong = next((each for each in reports if not each.agrees), None)
    return "" if wrong is None else f"{wrong.task}, event {wrong.seq}: {wrong.difference}"


class _Importing:
    """Fulfils core.importing.Importing for one caller."""

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self._desk = desk
        self._caller = caller

    async def take(self, order: ImportOrder) -> TakenIn:
        return await self._desk.take(self._caller, order)
