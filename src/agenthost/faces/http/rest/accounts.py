"""What was used, what was done, and the settings that change while the host runs."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.access import DeedFilter
from agenthost.core.api import SettingLine
from agenthost.core.keeping import Dimension, UsageFilter, UsageLine
from agenthost.faces.http.bodies import answer, read_json
from agenthost.faces.http.callers import api_of
from agenthost.faces.http.operations import Answer, Body, Example, Operation, query_of
from agenthost.wire.bodies import ChangesBody, DeedPage
from agenthost.wire.cursors import decode_number, encode_cursor

_TIME = Annotated[float, Meta(ge=0, le=1e12)]
_LIMIT = Annotated[int, Meta(ge=1, le=1000, description="how many at most")]


class Using(Struct, frozen=True, forbid_unknown_fields=True):
    """Which usage is wanted."""

    by: Annotated[tuple[Dimension, ...], Meta(description="what it is added up by (may stand more than once)")] = ()
    task: Annotated[str, Meta(description="of this root task's tree")] = ""
    agent: Annotated[str, Meta(description="of this agent")] = ""
    person: Annotated[str, Meta(description="of this person; a user sees their own alone")] = ""
    model: Annotated[str, Meta(description="of this model")] = ""
    since: Annotated[_TIME, Meta(description="from then on, in seconds since the epoch")] = 0.0
    until: Annotated[_TIME, Meta(description="before then")] = 0.0
    limit: _LIMIT = 1000


class Auditing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines of the audit log are wanted."""

    person: Annotated[str, Meta(description="what this person did")] = ""
    what: Annotated[str, Meta(description="of this kind, such as `secret.set`")] = ""
    thing: Annotated[str, Meta(description="to this thing")] = ""
    limit: _LIMIT = 50
    cursor: Annotated[str, Meta(description="the `next` of the page before")] = ""


async def usage(request: Request) -> Response:
    asked = query_of(request, Using)
    wanted = UsageFilter(
        by=tuple(dict.fromkeys(asked.by)),
        task=asked.task,
        agent=asked.agent,
        person=asked.person,
        model=asked.model,
        since=asked.since,
        until=asked.until,
        limit=asked.limit,
    )
    return answer(await api_of(request).usage(wanted))


async def audit(request: Request) -> Response:
    asked = query_of(request, Auditing)
    before = decode_number(asked.cursor)
    wanted = DeedFilter(person=asked.person, what=asked.what, thing=asked.thing, before=before, limit=asked.limit)
    found = await api_of(request).audit(wanted)
    return answer(DeedPage(tuple(found), encode_cursor(found[-1].place) if len(found) >= asked.limit else ""))


async def settings(request: Request) -> Response:
    return answer(await api_of(request).changeable())


async def change(request: Request) -> Response:
    body = await read_json(request, ChangesBody)
    names = zip(body.__struct_fields__, body.__struct_encode_fields__, strict=True)
    given: dict[str, Any] = {name: getattr(body, field) for field, name in names}
    return answer(await api_of(request).change({name: value for name, value in given.items() if value is not UNSET}))


def operations() -> tuple[Operation, ...]:
    """What is about the host's books."""
    return (
        Operation(
            "GET",
            "/usage",
            usage,
            "getUsage",
            "Calls, tokens and money, added up",
            "usage",
            description="By task, agent, person, model and day (in UTC), in any combination, dearest first.",
            query=Using,
            answers=(Answer(200, list[UsageLine], "a line for each"),),
            example=Example(query={"by": "agent", "since": "0"}),
        ),
        Operation(
            "GET",
            "/audit",
            audit,
            "getAudit",
            "The audit log, newest first",
            "audit",
            "own",
            query=Auditing,
            answers=(Answer(200, DeedPage, "a page of it"),),
            errors=(404,),
            example=Example(query={"limit": "20"}),
        ),
        Operation(
            "GET",
            "/settings",
            settings,
            "getSettings",
            "The settings that may change while the host runs",
            "settings",
            "manage",
            answers=(Answer(200, list[SettingLine], "each as it is, and as the file says"),),
        ),
        Operation(
            "PATCH",
            "/settings",
            change,
            "changeSettings",
            "Change settings from now on, restarts included",
            "settings",
            "own",
            description="Those that aren't named stay as they are; null goes back to what the file says.",
            body=Body(ChangesBody),
            answers=(Answer(200, list[SettingLine], "all of them, as they are now"),),
            example=Example(body={"http.rate": 50, "files.size": None}),
        ),
    )
