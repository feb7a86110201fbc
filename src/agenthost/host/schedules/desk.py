"""The use-cases of schedules, for one caller at a time."""

import asyncio
import hashlib
import secrets as randomness
import time
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from agenthost.core.access import RIGHTS, Accounts, Caller, Right
from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput, Conflict, NotFound, Unusable, nearest
from agenthost.core.events import Recorded
from agenthost.core.ids import root_id
from agenthost.core.manifests.schedule import Schedule as Manifest
from agenthost.core.ports import Store, ToolContext
from agenthost.core.schedules import (
    NewSchedule,
    OwnSchedules,
    Run,
    RunInfo,
    RunPage,
    Schedule,
    ScheduleChange,
    ScheduleInfo,
    Schedules,
)
from agenthost.host.guarded import deed, forbidden, need_task
from agenthost.host.library import Library
from agenthost.host.schedules.changing import Changes, begun
from agenthost.host.schedules.deciding import task_of, wanted_now
from agenthost.host.schedules.remind import reminder, said
from agenthost.host.schedules.showing import info, run_info
from agenthost.manifests.load import validate_body

MOST = 200
"""Schedules of one person's own."""


class Desk:
    """`call` has the runner look; `journal` reads a task's."""

    def __init__(
        self,
        schedules: Schedules,
        store: Store,
        accounts: Accounts,
        library: Library,
        call: Callable[[], None],
        journal: Callable[[str], Awaitable[list[Recorded]]],
    ) -> None:
        self._journal = journal
        self._schedules = schedules
        self._changes = Changes(schedules)
        self._store = store
        self._accounts = accounts
        self._library = library
        self._call = call
        self._clock: Callable[[], float] = time.time

    def of(self, caller: Caller, api: HostApi) -> OwnSchedules:
        """The use-cases for a caller; `api` is the host as they may use it."""
        return _Own(self, caller, api)

    # --- what people do ---

    async def make(self, caller: Caller, api: HostApi | None, wanted: NewSchedule, key: str = "") -> Schedule:
        """Make a schedule of the caller's own; with the same `key`, once."""
        _need(caller, "work", "make schedules")
        now = self._clock()
        spec = await self._read(caller, api, wanted.name, wanted.spec, now)
        id = _id_for(caller, key) if key else f"sch_{randomness.token_hex(8)}"
        if key and (before := await self._schedules.get(id)) is not None:
            if (before.name, before.spec) != (wanted.name, spec):
                raise Conflict(f"the key '{key}' stands for another schedule already ({before.name}); choose another")
            return before
        theirs = await self._schedules.all(caller.namespace, caller.person)
        if sum(not each.manifest for each in theirs) >= MOST:
            raise Unusable(f"you have {MOST} schedules, which are the most; remove one")
        made = Schedule(id, wanted.name, caller.person, now, spec, caller.namespace)
        made = _paused(made, now) if spec.pop("paused", False) else await begun(made, now)
        if not await self._schedules.add(made):
            raise Conflict(f"you have a schedule '{wanted.name}' already; change that, or choose another name")
        await self._note(caller, "schedule.make", made)
        self._call()
        return made

    async def remind(self, context: ToolContext, wanted: dict[str, Any]) -> str:
        """Have an agent come back to something, for the person whose task it is; what was made, for the agent."""
        row = await self._store.task(root_id(context.task))
        who = await self._accounts.person(row.person) if row is not None else None
        if row is None or who is None or who.disabled:
            raise NotFound("whoever this is done for is no longer here")
        caller = Caller(who.id, who.role, RIGHTS[who.role], who.namespace, f"task:{row.id}")
        key = f"{context.task} {context.key}"
        found = await self._schedules.get(_id_for(caller, key))
        if found is None:
            if any(task_of(run, row.namespace) == row.id for run in await self._schedules.open()):
                raise Unusable(
                    "this was itself started by a schedule, and such work makes no reminders; tell the person"
                )
            words = said(await self._journal(row.id))
            spec = await asyncio.to_thread(reminder, wanted, context.agent, row.conversation, self._clock(), words)
            wish = NewSchedule(f"remind-{_id_for(caller, key)[4:14]}", spec)
            found = await self.make(caller, None, wish, key)
        return f"You will be started again at {found.spec['at']}; the person sees this as the schedule '{found.name}'."

    async def _read(
        self, caller: Caller, api: HostApi | None, name: str, spec: dict[str, Any], now: float | None
    ) -> dict[str, Any]:
        """What a schedule is to say, as it is kept. Raises Unusable, and NotFound for a file that isn't the caller's."""
        if spec.get("person", caller.person) != caller.person:
            raise Unusable("spec.person: a schedule of one's own runs as oneself; leave it out")
        body = {"apiVersion": "agenthost.dev/v1alpha1", "kind": "Schedule", "metadata": {"name": name}, "spec": spec}
        found, problems = await asyncio.to_thread(validate_body, body, self._library.every(), now)
        if problems or not isinstance(found, Manifest):
            first = problems[0]
            raise Unusable(
                f"{first.key}: {first.message}",
                problems=[{"key": each.key, "message": each.message} for each in problems],
            )
        for file in found.spec.run.files:
            if api is None:
                raise Unusable("spec.run.files: a reminder has no files")
            await api.file_size(file.digest)
            # From now on it is given by them, whoever gave it before: a command in its own process notes no giver.
            await self._accounts.own_file(caller.namespace, caller.person, file.digest)
        return found.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"person"})

    async def change(self, caller: Caller, api: HostApi, id: str, change: ScheduleChange) -> Schedule:
        """Have a schedule of the caller's own say something else."""
        schedule = await self.find(caller, id)
        _need(caller, "work", "change schedules")
        self._need_own(schedule, "changed")
        if schedule.person != caller.person:
            raise Conflict(f"the schedule '{schedule.name}' runs as '{schedule.person}', who alone can change it")
        same_time = all(schedule.spec.get(key) == change.spec.get(key) for key in ("at", "until", "timezone"))
        spec = await self._read(caller, api, schedule.name, change.spec, None if same_time else self._clock())
        paused = bool(spec.pop("paused", False))
        after = await self._changes.say(schedule, spec, schedule.person, self._clock())
        if after is None:
            raise _gone(schedule.name)
        if paused:
            return await self.pause(caller, after.id)
        await self._note(caller, "schedule.change", after)
        self._call()
        return after

    async def pause(self, caller: Caller, id: str) -> Schedule:
        """Have a schedule come due no more."""
        schedule = await self._theirs(caller, id, "pause schedules")

        async def stop(found: Schedule) -> Schedule:
            return _paused(found, self._clock())

        return await self._set(caller, schedule, "schedule.pause", stop)

    async def resume(self, caller: Caller, id: str) -> Schedule:
        """Have a schedule come due again."""
        schedule = await self._theirs(caller, id, "resume schedules")
        if schedule.state == "on":
            return schedule

        async def again(found: Schedule) -> Schedule:
            after = await begun(found, self._clock())
            if after.state == "paused":
                raise Conflict(f"the manifest of '{found.name}' says 'paused: true'; apply it without that")
            if after.state == "done":
                raise Conflict(f"the schedule '{found.name}' never comes due again: {after.why}; change when it is due")
            return after

        return await self._set(caller, schedule, "schedule.resume", again)

    async def _set(
        self, caller: Caller, schedule: Schedule, what: str, change: Callable[[Schedule], Awaitable[Schedule]]
    ) -> Schedule:
        after = await self._changes.make(schedule, self._clock(), change)
        if after is None:
            raise _gone(schedule.name)
        await self._note(caller, what, after)
        self._call()
        return after

    async def run(self, caller: Caller, id: str) -> Run:
        """Have a schedule run now as well."""
        schedule = await self._theirs(caller, id, "run schedules")
        due = round(self._clock(), 3)
        while not await self._schedules.put_run(run := wanted_now(schedule, due)):
            due = round(due + 0.001, 3)
            await self.find(caller, schedule.id)
        await self._note(caller, "schedule.run", schedule)
        self._call()
        return run

    async def remove(self, caller: Caller, id: str) -> None:
        """Remove a schedule with its history."""
        schedule = await self._theirs(caller, id, "remove schedules")
        self._need_own(schedule, "removed")
        await self._schedules.delete(schedule.id)
        await self._note(caller, "schedule.delete", schedule)
        self._call()

    # --- what is seen ---

    async def seen(self, caller: Caller) -> list[Schedule]:
        """The schedules that a caller sees, by name."""
        _need(caller, "read", "look at schedules")
        found = await self._schedules.all(caller.namespace, caller.person if caller.role == "user" else "")
        return [each for each in found if caller.sees(each.namespace, each.person)]

    async def find(self, caller: Caller, id: str) -> Schedule:
        """A schedule by its id or name: of one's own, of a manifest, else of whoever has one of that name."""
        found = await self.seen(caller)
        by_id = [each for each in found if each.id == id]
        named = [each for each in found if each.name == id]
        own = [each for each in named if each.person == caller.person and not each.manifest]
        of_manifests = [each for each in named if each.manifest]
        these = by_id or own or of_manifests or named
        if len(these) > 1:
            ids = ", ".join(f"{each.id} (of {each.person})" for each in these)
            raise BadInput(f"several people have a schedule '{id}': {ids}; give its id")
        if these:
            return these[0]
        raise NotFound(f"there is no schedule '{id[:100]}'. {nearest(id, [each.name for each in found])}")

    async def _theirs(self, caller: Caller, id: str, what: str) -> Schedule:
        schedule = await self.find(caller, id)
        need_task(caller, schedule.person, "work", what)
        return schedule

    @staticmethod
    def _need_own(schedule: Schedule, done: str) -> None:
        if schedule.manifest:
            raise Conflict(
                f"the schedule '{schedule.name}' is {done} with its manifest: agenthost apply -f FILE, or agenthost delete "
                f"schedule {schedule.name}"
            )

    async def shown(self, schedules: list[Schedule]) -> list[ScheduleInfo]:
        """Schedules as they are shown."""
        runs = await self._schedules.open()
        # Time zones are read from files.
        return await asyncio.to_thread(
            lambda: [info(each, [run for run in runs if run.schedule == each.id]) for each in schedules]
        )

    async def runs(self, caller: Caller, id: str, before: float, limit: int) -> RunPage:
        """What became of a schedule's due times, the last first."""
        schedule = await self.find(caller, id)
        found = await self._schedules.runs(schedule.id, before or float("inf"), limit)
        last = repr(found[-1].due) if len(found) == limit else ""
        return RunPage(tuple([await self.told(run) for run in found]), last)

    async def told(self, run: Run) -> RunInfo:
        """A run as it is shown."""
        return run_info(run, await self._store.task(run.task) if run.state == "started" else None)

    async def _note(self, caller: Caller, what: str, schedule: Schedule) -> None:
        await self._accounts.note([deed(caller, what, schedule.name, "done")])


def _need(caller: Caller, right: Right, what: str) -> None:
    if not caller.may(right):
        raise forbidden(caller, right, what)


def _paused(schedule: Schedule, now: float) -> Schedule:
    return replace(schedule, due=None, state="paused", why="", looked=now)


def _id_for(caller: Caller, key: str) -> str:
    """An id that follows from an idempotency key."""
    said = f"{caller.namespace}\0{caller.person}\0{key}"
    return f"sch_{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _gone(name: str) -> NotFound:
    return NotFound(f"there is no schedule '{name}' any more")


class _Own:
    """Fulfils core.schedules.OwnSchedules. Made for each request, and cheap."""

    def __init__(self, desk: Desk, caller: Caller, api: HostApi) -> None:
        self._desk = desk
        self._caller = caller
        self._api = api

    async def _one(self, schedule: Schedule) -> ScheduleInfo:
        return (await self._desk.shown([schedule]))[0]

    async def add(self, wanted: NewSchedule, key: str = "") -> ScheduleInfo:
        return await self._one(await self._desk.make(self._caller, self._api, wanted, key))

    async def all(self) -> list[ScheduleInfo]:
        return await self._desk.shown(await self._desk.seen(self._caller))

    async def show(self, id: str) -> ScheduleInfo:
        return await self._one(await self._desk.find(self._caller, id))

    async def change(self, id: str, change: ScheduleChange) -> ScheduleInfo:
        return await self._one(await self._desk.change(self._caller, self._api, id, change))

    async def pause(self, id: str) -> ScheduleInfo:
        return await self._one(await self._desk.pause(self._caller, id))

    async def resume(self, id: str) -> ScheduleInfo:
        return await self._one(await self._desk.resume(self._caller, id))

    async def run(self, id: str) -> RunInfo:
        return await self._desk.told(await self._desk.run(self._caller, id))

    async def remove(self, id: str) -> None:
        await self._desk.remove(self._caller, id)

    async def runs(self, id: str, before: float = 0.0, limit: int = 50) -> RunPage:
        return await self._desk.runs(self._caller, id, before, limit)
