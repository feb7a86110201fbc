"""`/schedules`: what is run when, and what became of each time. Users have their own."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.schedules import NewSchedule, OwnSchedules, RunInfo, RunPage, ScheduleChange, ScheduleInfo
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.keyed import key_of
from agenthost.faces.http.operations import IDEMPOTENCY_KEY, Answer, Body, Example, Operation, query_of
from agenthost.host.schedules.desk import Desk
from agenthost.wire.bodies import SchedulePage

MOST_LISTED = 500


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs are listed."""

    before: Annotated[float, Meta(ge=0, le=1e12, description="the `next` of the page before")] = 0.0
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED, description="how many in one page")] = 50


_PLACES: dict[str, Any] = {
    "schedule": Annotated[str, Meta(description="A schedule's id, or its name", examples=["sch_0000000000000000"])]
}
_TAG = "Schedules"
_UNKNOWN = Example(places={"schedule": "sch_0000000000000000"}, status=404)
_SPEC = {"cron": "0 9 * * mon-fri", "timezone": "Europe/Athens", "run": {"agent": "echo", "text": "What is new?"}}


def operations(desk: Desk) -> tuple[Operation, ...]:
    """Schedules, below the API's root."""
    face = _Face(desk)
    one = "/schedules/{schedule}"
    told = Answer(200, ScheduleInfo, "the schedule")
    return (
        Operation(
            "POST",
            "/schedules",
            face.make,
            "addSchedule",
            "Have an agent or a workflow run when it is due, as oneself",
            _TAG,
            "work",
            headers=(IDEMPOTENCY_KEY,),
            body=Body(NewSchedule, "its name, and as `spec` what a manifest of the kind Schedule has there"),
            answers=(Answer(201, ScheduleInfo, "the schedule"),),
            errors=(404, 409, 422),
            example=Example(body={"name": "morning", "spec": _SPEC}),
            creates=True,
        ),
        Operation(
            "GET",
            "/schedules",
            face.all,
            "listSchedules",
            "The schedules that one sees, those of manifests among them, by name",
            _TAG,
            "read",
            answers=(Answer(200, SchedulePage, "all of them"),),
        ),
        Operation(
            "GET",
            one,
            face.show,
            "getSchedule",
            "One of them",
            _TAG,
            "read",
            answers=(told,),
            places=_PLACES,
            example=_UNKNOWN,
        ),
        Operation(
            "PUT",
            one,
            face.change,
            "changeSchedule",
            "Have one of one's own say something else; what came due before runs as it was",
            _TAG,
            "work",
            body=Body(ScheduleChange, "the whole `spec`"),
            answers=(told,),
            errors=(409, 422),
            places=_PLACES,
            example=Example(body={"spec": _SPEC}, places={"schedule": "sch_0000000000000000"}, status=404),
        ),
        Operation(
            "DELETE",
            one,
            face.remove,
            "deleteSchedule",
            "Remove it with its history; its tasks stay",
            _TAG,
            "work",
            answers=(Answer(204),),
            errors=(409,),
            places=_PLACES,
            example=_UNKNOWN,
        ),
        *_doing(face, one, told),
        Operation(
            "GET",
            f"{one}/runs",
            face.runs,
            "listScheduleRuns",
            "What became of its due times, the last first",
            _TAG,
            "read",
            query=Listing,
            answers=(Answer(200, RunPage, "a page"),),
            places=_PLACES,
            example=_UNKNOWN,
        ),
    )


def _doing(face: "_Face", one: str, told: Answer) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            f"{one}/pause",
            face.pause,
            "pauseSchedule",
            "Have it come due no more; what runs goes on",
            _TAG,
            "work",
            answers=(told,),
            places=_PLACES,
            example=_UNKNOWN,
        ),
        Operation(
            "POST",
            f"{one}/resume",
            face.resume,
            "resumeSchedule",
            "Have it come due again from now on, also after the host stopped it",
            _TAG,
            "work",
            answers=(told,),
            errors=(409,),
            places=_PLACES,
            example=_UNKNOWN,
        ),
        Operation(
            "POST",
            f"{one}/run",
            face.run,
            "runSchedule",
            "Have it run now as well",
            _TAG,
            "work",
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, RunInfo, "the run, which is about to begin"),),
            places=_PLACES,
            example=_UNKNOWN,
            creates=True,
        ),
    )


class _Face:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _own(self, request: Request) -> OwnSchedules:
        return self._desk.of(caller_of(request), api_of(request))

    async def make(self, request: Request) -> Response:
        wanted = await read_json(request, NewSchedule)
        return answer(await self._own(request).add(wanted, key_of(request) or ""), 201)

    async def all(self, request: Request) -> Response:
        return answer(SchedulePage(tuple(await self._own(request).all())))

    async def show(self, request: Request) -> Response:
        return answer(await self._own(request).show(_id(request)))

    async def change(self, request: Request) -> Response:
        change = await read_json(request, ScheduleChange)
        return answer(await self._own(request).change(_id(request), change))

    async def remove(self, request: Request) -> Response:
        await self._own(request).remove(_id(request))
        return Response(status_code=204)

    async def pause(self, request: Request) -> Response:
        return answer(await self._own(request).pause(_id(request)))

    async def resume(self, request: Request) -> Response:
        return answer(await self._own(request).resume(_id(request)))

    async def run(self, request: Request) -> Response:
        return answer(await self._own(request).run(_id(request)), 202)

    async def runs(self, request: Request) -> Response:
        asked = query_of(request, Listing)
        return answer(await self._own(request).runs(_id(request), asked.before, asked.limit))


def _id(request: Request) -> str:
    return str(request.path_params["schedule"])
