"""`POST /v1/chat/completions`: a chat is a task, or goes on with one that waits for what the client says."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from agenthost.core.access import Caller
from agenthost.core.api import HostApi
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.models import Usage
from agenthost.core.parts import Message
from agenthost.core.ports import Filter
from agenthost.faces.http.bodies import MOST_JSON, read
from agenthost.faces.http.callers import api_of, caller_of
from agenthost.faces.http.openai import chat_body, given, story
from agenthost.faces.http.openai.chat_body import Chat
from agenthost.faces.http.openai.chat_told import Chunks, Silence, Stopping, choice, whole
from agenthost.faces.http.openai.errors import Ended
from agenthost.faces.http.openai.ids import Place, completion_id, read_call
from agenthost.faces.http.openai.reader import End, Reader, Writer, question_text, total
from agenthost.faces.http.openai.relay import Sink
from agenthost.faces.http.openai.serving import Serving, together
from agenthost.faces.http.openai.story import Beginning

Room = Callable[[], Awaitable[None]] | None

WAITING = 100
"""Tasks of a caller that are looked at for one that waits for what a chat says."""

MOST_BODY = 64 * 1024 * 1024
"""Bytes of a request: pictures come in it."""


async def create(serving: Serving, request: Request) -> Response:
    """A chat completion, streamed or whole."""
    api, caller = api_of(request), caller_of(request)
    chat = await chat_body.read(serving.taking(request), await read(request, max(MOST_JSON, MOST_BODY)))
    chat.given.key = request.headers.get("idempotency-key", "")
    asked = await _answers(api, caller, chat)
    tasks, model, created = [each.row.id for each in asked], chat.given.model, int(asked[0].row.created)
    id = completion_id(asked[0].place)
    hold, stream, counted, stops = chat.given.output is not None, chat.stream, chat.usage, chat.stops
    # A run may take hours: what was asked isn't kept meanwhile.
    del chat

    async def followed(begins: Beginning, writer: Writer, room: Room = None) -> tuple[End, Usage]:
        reader = Reader(begins.row.id, writer, hold, begins.known)
        end = await story.follow(api, begins, reader, room)
        if not end.reason and end.verdict is not None:
            raise Ended(end.verdict, begins.row.id)
        return end, reader.usage

    if not stream:
        said = [Silence() for _ in asked]
        works = [followed(begins, writer) for begins, writer in zip(asked, said, strict=True)]
        ends = await serving.wait(request, api, caller, tasks, together(works))
        choices = [choice(at, tasks[at], end, said[at], stops) for at, (end, _) in enumerate(ends)]
        body = whole(id, model, created, choices, total(usage for _, usage in ends))
        return Response(body, headers={"x-agenthost-task": tasks[0]}, media_type="application/json")

    async def pump(sink: Sink) -> None:
        async def one(at: int) -> Usage:
            chunks = Chunks(sink, id, model, created, counted, at)
            chunks.begin()
            stopping = Stopping(chunks, stops) if stops else None
            end, usage = await followed(asked[at], stopping or chunks, sink.room)
            if stopping is not None:
                stopping.rest(end.seq)
            chunks.end(tasks[at], end, stopping is not None and stopping.stopped)
            return usage

        used = await together([one(at) for at in range(len(asked))])
        Chunks(sink, id, model, created, counted).over(total(used))

    return serving.stream(request, api, caller, tasks, pump)


async def _answers(api: HostApi, caller: Caller, chat: Chat) -> list[Beginning]:
    """Where each answer that is wanted begins. Several are so many tasks, none of which goes on with an earlier one."""
    if chat.answers == 1:
        return [await _begin(api, caller, chat)]
    key, found = chat.given.key, list[Beginning]()
    for at in range(chat.answers):
        chat.given.key = f"{key}#{at}" if key else ""
        row = await given.start(api, caller, chat.given)
        found.append(Beginning(Place(row.id), row, known=row.seq))
    return found


async def _begin(api: HostApi, caller: Caller, chat: Chat) -> Beginning:
    """Go on with the task that the chat's last messages answer, or start one."""
    begins = await _results(api, caller, chat) or await _reply(api, caller, chat)
    if begins is None:
        row = await given.start(api, caller, chat.given)
        begins = Beginning(Place(row.id), row, known=row.seq)
    return begins


async def _results(api: HostApi, caller: Caller, chat: Chat) -> Beginning | None:
    """Hand over what came of the task's calls of the client's tools. None where they are of no task here, or were
    answered otherwise before: then they are history."""
    calls = {id: read_call(id) for id in chat.results}
    tasks = {call[0] for call in calls.values() if call is not None}
    if len(tasks) != 1 or None in calls.values():
        return None
    try:
        told = await story.load(api, tasks.pop())
    except NotFound:
        return None
    results = {call[1]: chat.results[id] for id, call in calls.items() if call is not None}
    if told.spec.name != chat.given.model or not results.keys() <= told.asked().keys():
        return None
    answers = told.answers()
    if any(answers[question][1] != text for question, text in results.items() if question in answers):
        return None
    if results.keys() <= answers.keys():
        # Sent again: the answer to it is told again.
        seq = min(answers[question][0] for question in results)
        row = told.detail.row
        return Beginning(Place(row.id, seq), row, told.after(seq), known=row.seq)
    open = {question.ask.id for question in told.detail.questions if question.ask.kind == "tool"}
    if not open <= results.keys():
        return None
    for turn in chat.said:
        await api.say(told.detail.row.id, Message(caller.person, turn.parts))
    replies = {f"{told.detail.row.id}/{id}": text for id, text in results.items() if id in open}
    return await story.answered(api, told.detail, replies, caller.person)


async def _reply(api: HostApi, caller: Caller, chat: Chat) -> Beginning | None:
    """Answer a question to a person: that of a task of this very chat, which the assistant's last message repeats."""
    turns, words = chat.given.turns, chat.given.last_words()
    if not words or len(turns) < 2 or turns[-2].role != "assistant" or turns[-2].calls:
        return None
    keys = [chat.given.conversation] if chat.named else list(chat.keys.values())[:-1]
    for row in await api.tasks(
        Filter(
            caller.namespace,
            ("working", "input-required", "auth-required"),
            roots_only=True,
            name=chat.given.model,
            person=caller.person,
            limit=WAITING,
        )
    ):
        if row.conversation not in keys:
            continue
        detail = await api.task(row.id)
        for open in detail.questions:
            if open.ask.kind != "tool" and (chat.named or question_text(open.ask) in turns[-2].text):
                try:
                    return await story.answered(api, detail, {f"{open.task}/{open.ask.id}": words}, caller.person)
                except BadInput:
                    break
    return None
