"""`/v1/responses`: made, looked at, streamed again, cancelled, listed by what went in."""

from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput, Forbidden, NotFound
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import Turn
from agenthost.core.parts import Message
from agenthost.core.tasks import Terms
from agenthost.faces.http.bodies import answer, query, read
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.openai import given, gone, responses_body, story, thread
from agenthost.faces.http.openai.chat import MOST_BODY
from agenthost.faces.http.openai.content import Taking
from agenthost.faces.http.openai.errors import Ended, Refused
from agenthost.faces.http.openai.exchange import exchange
from agenthost.faces.http.openai.given import NOTES
from agenthost.faces.http.openai.ids import Place, read_call, read_response, response_id
from agenthost.faces.http.openai.inputs import inputs
from agenthost.faces.http.openai.listing import paged
from agenthost.faces.http.openai.reader import Reader
from agenthost.faces.http.openai.record import Facts, Json, facts_of
from agenthost.faces.http.openai.relay import Sink
from agenthost.faces.http.openai.responses_body import Asking
from agenthost.faces.http.openai.responses_told import Items, Nowhere
from agenthost.faces.http.openai.serving import Serving
from agenthost.faces.http.openai.story import Beginning, Story
from agenthost.faces.http.openai.thread import Thread


async def create(serving: Serving, request: Request) -> Response:
    """A response: whole, streamed, or begun in the background."""
    taking = serving.taking(request)
    asking = await responses_body.read(taking, await read(request, MOST_BODY))
    asking.given.key = request.headers.get("idempotency-key", "")
    begins = await _begin(taking, asking)
    task = begins.row.id
    facts = _facts(asking, begins)
    hold = asking.given.output is not None
    if asking.body.stream:
        return _stream(serving, request, begins, facts, hold)
    if asking.body.background:
        status = "queued" if begins.row.state == "submitted" else "in_progress"
        return answer(Items(Nowhere(), task, facts).so_far(status))
    del asking  # a run may take hours
    items = Items(Nowhere(), task, facts)
    reader = Reader(task, items, hold)
    end = await serving.wait(request, taking.api, taking.caller, [task], story.follow(taking.api, begins, reader))
    if not end.reason and end.verdict is not None:
        raise Ended(end.verdict, task)
    return answer(items.end(end, reader.usage))


async def get(serving: Serving, request: Request) -> Response:
    """A response as it is by now; with `stream`, its events from the beginning, or after the number that was seen."""
    told, place = await _stored(serving, request)
    facts = _told_facts(told, place)
    if query(request, "stream", bool, False):
        after = query(request, "starting_after", int, -1)
        seen = told.detail.row
        begins = Beginning(place, seen, told.after(place.seq) or None, known=seen.seq)
        hold = facts.terms.output is not None
        return _stream(serving, request, begins, facts, hold, after)
    return answer(_record(told, place, facts))


async def cancel(serving: Serving, request: Request) -> Response:
    """End a response that goes on in the background; as it is then."""
    told, place = await _stored(serving, request)
    api, caller, facts = api_of(request), caller_of(request), _told_facts(told, place)
    if not facts.notes.get("background"):
        raise Refused("Cannot cancel a synchronous response.", "response_id", "invalid_value")
    if told.detail.row.state not in FINAL:
        await _end(api, caller, place, "cancelled by its client")
        begins = Beginning(place, told.detail.row, told.after(len(told.events)))
        await serving.wait(request, api, caller, [place.task], story.last(api, begins))
        told = await story.load(api, place.task)
    return answer(_record(told, place, facts))


async def _end(api: HostApi, caller: Caller, place: Place, why: str) -> None:
    try:
        await api.cancel(place.task, caller.person, why)
    except BadInput as error:
        # Else it has ended meanwhile.
        if isinstance(error, Forbidden):
            raise


async def delete(serving: Serving, request: Request) -> Response:
    """Delete a response for good: its task, once every response of it is deleted. Until then it is found no more, and what
    it still does is ended."""
    told, place = await _stored(serving, request)
    api, caller, behind = api_of(request), caller_of(request), serving.behind
    others = [each for each in _places(told) if each != place]
    if told.detail.row.person == caller.person:
        for each in others:
            if not await gone.deleted(behind.shelf, caller, each):
                if told.detail.row.state not in FINAL and told.until(place.seq) == len(told.events):
                    await _end(api, caller, place, "its response was deleted")
                await gone.delete(behind.shelf, caller, place)
                return _deleted(place)
    await behind.erasure.task(caller, place.task, force=True)
    return _deleted(place)


def _deleted(place: Place) -> Response:
    return answer({"id": response_id(place), "object": "response", "deleted": True})


def _places(told: Story) -> list[Place]:
    """Where the responses of a task begin."""
    found = [Place(told.detail.row.id)]
    while found[-1].seq < (upto := told.until(found[-1].seq)) < len(told.events):
        found.append(Place(told.detail.row.id, upto))
    return found


async def input_items(serving: Serving, request: Request) -> Response:
    """What went into a response, newest first."""
    told, place = await _stored(serving, request)
    return paged(request, inputs(told, place))


# --- where a response begins ------------------------------------------------------------------------


async def _begin(taking: Taking, asking: Asking) -> Beginning:
    """Go on with the task that the input answers, or start one; what was said before becomes its history."""
    api, caller, wanted = taking.api, taking.caller, asking.given
    within = await thread.load(taking, wanted.conversation) if wanted.conversation else None
    begins = await _results(api, caller, asking)
    if begins is not None:
        return begins
    before = await _before(taking, asking, within)
    turns: list[Turn] = []
    if before is not None:
        told, place = before
        row = told.detail.row
        open, words = told.waits(place), wanted.last_words()
        if open is not None and words:
            return await story.answered(api, told.detail, {f"{open.task}/{open.ask.id}": words}, caller.person)
        upto = told.until(place.seq)
        if upto == len(told.events) and row.state not in FINAL and not told.detail.questions:
            raise _going(place, within)
        if within is None:
            turns = exchange(told.events[:upto], row.id)
            wanted.conversation = told.spec.conversation or f"resp_{row.id}"
    if within is not None:
        turns, instructions = await thread.said(taking, within)
        wanted.instructions = "\n\n".join(filter(None, [*instructions, wanted.instructions]))
        wanted.notes["before"] = len(turns)
    wanted.turns = turns + wanted.turns
    _paired(asking)
    row = await given.start(api, caller, wanted)
    return Beginning(Place(row.id), row, known=row.seq)


def _going(place: Place, within: Thread | None) -> Refused:
    told = f"The response '{response_id(place)}' is still in progress."
    if within is None:
        return Refused(told, "previous_response_id", "invalid_value")
    return Refused(
        f"Another process is working on this conversation: {told}", "conversation", "conversation_locked", 409
    )


async def _results(api: HostApi, caller: Caller, asking: Asking) -> Beginning | None:
    """Hand over what came of a task's calls of the client's tools, where they wait for it."""
    calls = {id: read_call(id) for id in asking.results}
    tasks = {call[0] for call in calls.values() if call is not None}
    if len(tasks) != 1 or None in calls.values():
        return None
    try:
        told = await story.load(api, tasks.pop())
    except NotFound:
        return None
    row = told.detail.row
    results = {call[1]: asking.results[id] for id, call in calls.items() if call is not None}
    open = {question.ask.id for question in told.detail.questions if question.ask.kind == "tool"}
    if told.spec.name != asking.given.model or not results.keys() & open:
        return None
    missing = sorted(open - results.keys())
    if missing:
        raise _no_output(f"call_{row.id}_{missing[0]}")
    for turn in asking.said:
        await api.say(row.id, Message(caller.person, turn.parts))
    replies = {f"{row.id}/{id}": text for id, text in results.items() if id in open}
    return await story.answered(api, told.detail, replies, caller.person)


async def _before(taking: Taking, asking: Asking, within: Thread | None) -> tuple[Story, Place] | None:
    """The response that a request goes on from: the one that it names, or the newest of its conversation."""
    if within is not None:
        if within.newest is None:
            return None
        told = await story.load(taking.api, within.newest.id)
        return told, _places(told)[-1]
    if not asking.before:
        return None
    place = read_response(asking.before)
    missing = Refused(
        f"Previous response with id '{asking.before}' not found.",
        "previous_response_id",
        "previous_response_not_found",
        404,
    )
    if place is None:
        raise missing
    try:
        told = await story.load(taking.api, place.task)
    except NotFound as error:
        raise missing from error
    if not _kept(told) or place.seq > len(told.events) or await gone.deleted(taking.shelf, taking.caller, place):
        raise missing
    return told, place


def _paired(asking: Asking) -> None:
    """Every call has its output and every output its call. Raises Refused."""
    names: dict[str, str] = {}
    open: set[str] = set()
    turns = asking.given.turns
    for at, turn in enumerate(turns):
        if turn.role == "tool":
            if turn.call_id not in open:
                raise Refused(
                    f"No tool call found for function call output with call_id {turn.call_id}.",
                    "input",
                    "invalid_value",
                )
            open.discard(turn.call_id)
            turns[at] = Turn("tool", turn.parts, call_id=turn.call_id, name=names[turn.call_id], error=turn.error)
        elif open:
            raise _no_output(min(open))
        open |= {call.id for call in turn.calls}
        names |= {call.id: call.name for call in turn.calls}
    if open:
        raise _no_output(min(open))


def _no_output(id: str) -> Refused:
    return Refused(f"No tool output found for function call {id}.", "input", "invalid_value")


# --- what is told -----------------------------------------------------------------------------------


def _facts(asking: Asking, begins: Beginning) -> Facts:
    wanted = asking.given
    terms = Terms(
        wanted.instructions, (), wanted.tools, wanted.output, wanted.temperature, wanted.max_output
    )  # fmt: skip
    return Facts(
        response_id(begins.place), begins.row.updated, wanted.model, terms, wanted.notes, asking.before or None
    )  # fmt: skip


def _told_facts(told: Story, place: Place) -> Facts:
    created = told.events[min(place.seq, len(told.events) - 1)].at
    return facts_of(told.spec, place, created)


def _record(told: Story, place: Place, facts: Facts) -> Json:
    items = Items(Nowhere(), place.task, facts)
    reader = Reader(place.task, items, facts.terms.output is not None)
    end = told.tell(reader, place.seq)
    if end is not None:
        return items.end(end, reader.usage)
    return items.so_far("queued" if told.detail.row.state == "submitted" else "in_progress")


def _stream(
    serving: Serving,
    request: Request,
    begins: Beginning,
    facts: Facts,
    hold: bool,
    after: int = -1,
) -> Response:
    api, caller, task = api_of(request), caller_of(request), begins.row.id

    async def pump(sink: Sink) -> None:
        items = Items(sink, task, facts, after)
        items.begin("queued" if facts.notes.get("background") else "in_progress")
        reader = Reader(task, items, hold, begins.known)
        end = await story.follow(api, begins, reader, sink.room)
        items.end(end, reader.usage)

    return serving.stream(request, api, caller, [task], pump)


async def _stored(serving: Serving, request: Request) -> tuple[Story, Place]:
    """The task and place of the response that a path names. Raises Refused where there is none, or none that was kept."""
    id = str(request.path_params["id"])
    place = read_response(id)
    missing = Refused(f"Response with id '{id}' not found.", "response_id", "response_not_found", 404)
    if place is None:
        raise missing
    try:
        told = await story.load(api_of(request), place.task)
    except NotFound as error:
        raise missing from error
    if (
        not _kept(told)
        or place.seq > len(told.events)
        or await gone.deleted(serving.behind.shelf, caller_of(request), place)
    ):
        raise missing
    return told, place


def _kept(told: Story) -> bool:
    """Whether a task was given as a response that is to be found again."""
    notes = cast(Json, told.spec.notes.get(NOTES) or {})
    return notes.get("kind") == "response" and notes.get("store", True) is not False
