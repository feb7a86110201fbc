"""A tool is called: work is started and watched, or a task that is there is gone on with."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import mcp.types as types
from mcp.shared.exceptions import MCPError
from msgspec import Struct

from agenthost.core.api import HostApi, Order
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.tasks import TaskRow
from agenthost.faces.http.mcp import asking, results
from agenthost.faces.http.mcp.beside import Beside
from agenthost.faces.http.mcp.described import TASKS_EXTENSION, described
from agenthost.faces.http.mcp.orders import order_of
from agenthost.faces.http.mcp.requests import (
    Context,
    Levels,
    Told,
    api_of,
    asker,
    caller_of,
    elicits,
    session_of,
    stateless,
)
from agenthost.faces.http.mcp.surface import Surface, Work
from agenthost.faces.http.mcp.watching import Ended, Left, Outcome, Waits, Watch

Result = types.CallToolResult | types.InputRequiredResult | dict[str, Any]
PATIENCE = 2.0
"""Seconds in which a call may still end as itself before it becomes a task, where the host decides."""
_MOST_RUNNING = 10_000

WAIT, ANSWER, CANCEL = "agenthost_wait", "agenthost_answer", "agenthost_cancel"
_TASK: dict[str, Any] = {"type": "string", "description": "The task's id."}


def _built_in(name: str, description: str, more: dict[str, Any], required: list[str], read: bool) -> types.Tool:
    schema: dict[str, Any] = {"type": "object", "properties": {"task": _TASK} | more, "required": ["task", *required]}
    return types.Tool(
        name=name,
        description=description,
        input_schema=schema,
        annotations=types.ToolAnnotations(read_only_hint=read, open_world_hint=False),
    )


BUILT_IN = (
    _built_in(WAIT, "Waits until a task that goes on has ended or asks something, and gives its result.", {}, [], True),
    _built_in(
        ANSWER,
        "Answers a question that a task waits with, goes on with the task and gives its result.",
        {
            "answer": {"type": "string", "description": "The answer: one of the options, where there are any."},
            "question": {"type": "string", "description": "Which question, as it was told, where there are several."},
        },
        ["answer"],
        False,
    ),
    _built_in(CANCEL, "Cancels a task and everything below it.", {}, [], False),
)


class Running(Struct, frozen=True):
    """A task that a request waits for."""

    api: HostApi
    task: str
    by: str


class Manner(Struct, frozen=True):
    """How a request waits. `began`: it started the work, so that who goes away cancels it, as the revisions have it.
    `new`: just now, so that all that
    happened is told. `related`: it waits for the result of an MCP task, to its end."""

    began: bool = False
    new: bool = False
    related: bool = False


class Calls:
    """Calls of tools. `patience`: seconds after which a client that can't do with a task is told where to go on waiting;
    0: it is kept waiting. `leaving` is set when the host stops; `beside` outlives a request."""

    def __init__(
        self, surface: Surface, levels: Levels, leaving: asyncio.Event, beside: Beside, patience: float
    ) -> None:
        self._patience = patience
        self.surface = surface
        self._levels = levels
        self._leaving = leaving
        self._beside = beside
        self._running: OrderedDict[tuple[str, str], Running] = OrderedDict()

    async def call(self, ctx: Context, params: types.CallToolRequestParams) -> Result | None:
        """The result of a tool of the host; None where it has none of that name."""
        api, arguments = api_of(ctx), params.arguments or {}
        try:
            own = params.name in (WAIT, ANSWER, CANCEL)
            work = None if own else (await self.surface.works(api)).get(params.name)
            if not own and work is None:
                return None
            shaped = work is not None and work.output is not None
            if params.request_state is not None:
                return await self._again(ctx, params, "" if work is None else work.name, shaped)
            manner = Manner(began=work is not None, new=work is not None)
            row = (
                await self._built_in(ctx, params.name, arguments)
                if work is None
                else await self.start(ctx, work, arguments)
            )
            return await self.watch(ctx, row, shaped, manner)
        except AgentHostError as error:
            return results.failure(error.message)

    async def start(self, ctx: Context, work: Work, arguments: dict[str, Any]) -> TaskRow:
        """Start what a tool stands for. Where the request is given up meanwhile, the work is cancelled once it stands."""
        api, caller = api_of(ctx), caller_of(ctx)
        order = await order_of(api, work, arguments, dict(ctx.meta or {}), caller.person, caller.namespace)
        made: asyncio.Future[TaskRow] = asyncio.get_running_loop().create_future()
        self._beside.begin(self._start(api, order, caller.person, made), "mcp: start")
        return await made

    async def _start(self, api: HostApi, order: Order, by: str, made: asyncio.Future[TaskRow]) -> None:
        try:
            row = await api.start(order)
            if made.done():
                self._cancel(Running(api, row.id, by))
            else:
                made.set_result(row)
        except AgentHostError as error:
            if not made.done():
                made.set_exception(error)
        finally:
            if not made.done():
                made.set_exception(RuntimeError("the work wasn't started; the host's log says why"))

    async def watch(self, ctx: Context, row: TaskRow, shaped: bool, manner: Manner = Manner()) -> Result:  # noqa: B008 - frozen
        """Wait for a task, and tell of it meanwhile."""
        api, by = api_of(ctx), caller_of(ctx).person
        running = Running(api, row.id, by) if manner.began else None
        key = (session_of(ctx), str(ctx.request_id))
        if running is not None and not stateless(ctx):
            self._running[key] = running
            while len(self._running) > _MOST_RUNNING:
                self._running.popitem(last=False)
        ask = asker(ctx, row.id if manner.related else "")

        async def leaving() -> Left:
            if manner.related:
                return await self._left(0)
            return await self._left(PATIENCE if manner.began and decides(ctx) else self._patience)

        try:
            told = Told(ctx, self._levels, row.id if manner.related and not stateless(ctx) else "")
            outcome = await Watch(api, row.id, told, ask, by, leaving, manner.new).run()
        except asyncio.CancelledError:
            # Without sessions a closed stream is the word for cancel; with them a notification is, see `cancelled`.
            if stateless(ctx):
                self._cancel(running)
            raise
        self._running.pop(key, None)
        return await self._result(ctx, row, outcome, shaped)

    def cancelled(self, ctx: Context, request: str) -> None:
        """A session's client has cancelled its request: so the task is."""
        self._cancel(self._running.pop((session_of(ctx), request), None))

    def _cancel(self, running: Running | None) -> None:
        """Have a task end; one whose request the host's own end took away goes on."""
        if running is not None and not self._leaving.is_set():
            self._beside.begin(_cancel(running), "mcp: cancel")

    async def _left(self, patience: float) -> Left:
        """When a request is no longer kept waiting: the host stops, or it has taken long."""
        try:
            async with asyncio.timeout(patience or None):
                await self._leaving.wait()
        except TimeoutError:
            return Left("", later=True)
        return Left("the host stops; the task goes on when it starts again")

    async def _result(self, ctx: Context, row: TaskRow, outcome: Outcome, shaped: bool) -> Result:
        match outcome:
            case Ended():
                return await results.finished(api_of(ctx), outcome.row, outcome.event, shaped)
            case Waits() if stateless(ctx) and elicits(ctx) and any(map(asking.askable, outcome.questions)):
                return asks(row.id, outcome)
            case Waits():
                return results.waiting(row.id, outcome.questions, shaped)
            case Left(later=True) if not decides(ctx):
                return results.going(row.id, shaped)
            case Left(later=True):
                detail = await api_of(ctx).task(row.id)
                return described(detail.row, "ttlMs") | {"resultType": "task"}
            case Left():
                again = f'Call the tool {WAIT} with {{"task": "{row.id}"}} to go on waiting.'
                return results.failure(f"{outcome.reason}. {again}", row.id)

    async def _again(self, ctx: Context, params: types.CallToolRequestParams, name: str, shaped: bool) -> Result:
        """A call that is made again with answers. The state is the task's id and no more: what the caller may do with
        it is asked of the host, as for any task."""
        api = api_of(ctx)
        try:
            row = (await api.task(params.request_state or "")).row
        except AgentHostError:
            row = None
        if row is None or (name and row.name != name):
            raise MCPError(types.INVALID_PARAMS, "requestState is not one that this tool gave; call it anew without")
        if await self.answer(ctx, row.id, params.input_responses or {}):
            return await self.watch(ctx, row, shaped, Manner(began=bool(name)))
        return results.waiting(row.id, (await api.task(row.id)).questions, shaped)

    async def answer(self, ctx: Context, task: str, responses: Mapping[str, Any]) -> bool:
        """Pass on what a client answered, by question; what nobody asked is left out. False where the person would
        not answer, so that asking again at once is no use."""
        api, by = api_of(ctx), caller_of(ctx).person
        willing = True
        for question in (await api.task(task)).questions:
            given = responses.get(asking.name_of(question))
            if not isinstance(given, types.ElicitResult):
                continue
            answer = asking.answer_of(question.ask, given)
            if answer is None:
                willing = False
            else:
                await api.reply(task, answer, asking.name_of(question), by, "mcp")
        return willing

    async def _built_in(self, ctx: Context, name: str, arguments: dict[str, Any]) -> TaskRow:
        api, by = api_of(ctx), caller_of(ctx).person
        task = arguments.get("task")
        if not isinstance(task, str) or not task:
            raise BadInput("name the task: give its id as 'task'")
        if name == CANCEL:
            await api.cancel(task, by, "asked for over MCP")
        if name == ANSWER:
            answer = arguments.get("answer")
            if not isinstance(answer, str):
                raise BadInput("give the answer as text, as 'answer'")
            await api.reply(task, answer, str(arguments.get("question") or ""), by, "mcp")
        return (await api.task(task)).row


def asks(task: str, waits: Waits) -> types.InputRequiredResult:
    """Questions as the result of a request, to be made again with answers."""
    return types.InputRequiredResult(
        input_requests={
            asking.name_of(question): types.ElicitRequest(params=asking.form(question))
            for question in waits.questions
            if asking.askable(question)
        },
        request_state=task,
    )


def decides(ctx: Context) -> bool:
    """Whether the client can do with a task in the place of a result."""
    can = ctx.session.client_capabilities
    return stateless(ctx) and can is not None and TASKS_EXTENSION in (can.extensions or {})


async def _cancel(running: Running) -> None:
    try:
        await running.api.cancel(running.task, running.by, "the client cancelled its request")
    except AgentHostError:
        pass  # it has ended by itself
