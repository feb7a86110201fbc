"""Schedules of a host, over HTTP."""

from typing import Any, TypeVar
from urllib.parse import urlencode

from agenthost.client.transport import Transport, path_of
from agenthost.core.schedules import NewSchedule, RunInfo, RunPage, ScheduleChange, ScheduleInfo
from agenthost.wire.bodies import SchedulePage, encode

T = TypeVar("T")


class RemoteSchedules:
    """Fulfils core.schedules.OwnSchedules, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def add(self, wanted: NewSchedule, key: str = "") -> ScheduleInfo:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return await self._ask(ScheduleInfo, "POST", data=encode(wanted), headers=headers)

    async def all(self) -> list[ScheduleInfo]:
        return list((await self._ask(SchedulePage, "GET")).items)

    async def show(self, id: str) -> ScheduleInfo:
        return await self._ask(ScheduleInfo, "GET", id)

    async def change(self, id: str, change: ScheduleChange) -> ScheduleInfo:
        headers = {"Content-Type": "application/json"}
        return await self._ask(ScheduleInfo, "PUT", id, data=encode(change), headers=headers)

    async def pause(self, id: str) -> ScheduleInfo:
        return await self._ask(ScheduleInfo, "POST", id, "pause")

    async def resume(self, id: str) -> ScheduleInfo:
        return await self._ask(ScheduleInfo, "POST", id, "resume")

    async def run(self, id: str) -> RunInfo:
        return await self._ask(RunInfo, "POST", id, "run")

    async def remove(self, id: str) -> None:
        await self._transport.call("DELETE", path_of("schedules", id))

    async def runs(self, id: str, before: float = 0.0, limit: int = 50) -> RunPage:
        path = path_of("schedules", id, "runs") + "?" + urlencode({"before": repr(before), "limit": limit})
        return self._transport.decode(await self._transport.call("GET", path), RunPage)

    async def _ask(self, type: type[T], method: str, *names: str, **options: Any) -> T:
        return self._transport.decode(await self._transport.call(method, path_of("schedules", *names), **options), type)
