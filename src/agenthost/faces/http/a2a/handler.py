"""The methods of A2A over the host: each acts as its caller and reads the journal."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Protocol, TypeVar

import msgspec
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import (
    A2AError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.proto_utils import validate_proto_required_fields
from a2a.utils.task import apply_history_length, validate_history_length
from google.protobuf.message import Message as ProtoMessage

from agenthost.core.api import HostApi, Order, TaskDetail
from agenthost.core.errors import AgentHostError, BadInput, Forbidden
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import Message as OurMessage
from agenthost.faces.http.a2a import listing, words
from agenthost.faces.http.a2a.agents import Agents
from agenthost.faces.http.a2a.earlier import earlier_terms
from agenthost.faces.http.a2a.seats import Seat, seat_of
from agenthost.faces.http.a2a.tasks import Shown, context_of, detail_of, task_of
from agenthost.faces.http.a2a.updates import Update, Updates
from agenthost.faces.http.streams import Closing

M = TypeVar("M", bound=ProtoMessage)
T = TypeVar("T")

MOST_ID = 512
"""Characters of the ids that a client may choose."""
CANCEL_SECONDS = 20.0
"""How long a cancel waits for the task's end before it answers with the task as it is."""


class PushConfigs(Protocol):
    """What keeps the addresses for push notifications, and sends to them."""

    async def put(self, seat: Seat, task: str, config: TaskPushNotificationConfig) -> TaskPushNotificationConfig: ...
    async def all(self, seat: Seat, task: str) -> list[TaskPushNotificationConfig]: ...
    async def delete(self, seat: Seat, task: str, id: str) -> None: ...


Cards = Callable[[HostApi, str, str], Awaitable[AgentCard]]
"""The extended card of an agent (the second argument, empty for the default one) at a base URL."""


def fenced(method: Callable[[Any, M, ServerCallContext], Coroutine[Any, Any, T]]) -> Any:
    """A method that looks at what is required first, and whose errors are A2A's."""

    @wraps(method)
    async def inner(self: Any, params: M, context: ServerCallContext) -> T:
        _check(params, context)
        try:
            return await method(self, params, context)
        except AgentHostError as error:
            raise _told(error, context) from error

    return inner


def _check(params: ProtoMessage, context: ServerCallContext) -> None:
    """What 1.0 requires; 0.3 gets a push notification config without its id, too."""
    early = seat_of(context).version.startswith("0.")
    if not (early and isinstance(params, GetTaskPushNotificationConfigRequest)):
        validate_proto_required_fields(params)


def _told(error: AgentHostError, context: ServerCallContext) -> A2AError:
    if isinstance(error, Forbidden):
        seat_of(context).refused.append(error)
    return words.error_of(error)


def fenced_stream(method: Callable[[Any, M, ServerCallContext], AsyncGenerator[T]]) -> Any:
    """The same for a method that gives a stream."""

    @wraps(method)
    async def inner(self: Any, params: M, context: ServerCallContext) -> AsyncGenerator[T]:
        validate_proto_required_fields(params)
        try:
            async with contextlib.aclosing(method(self, params, context)) as items:
                async for item in items:
                    yield item
        except AgentHostError as error:
            raise _told(error, context) from error

    return inner


class HostHandler(RequestHandler):
    """The SDK's RequestHandler over core.api.HostApi. The SDK's stores, queues and executors have no part in it. Nobody is
    kept waiting by a host that stops: a call answers with the task as it is, and a stream ends."""

    def __init__(self, agents: Agents, extended: Cards, pushes: PushConfigs | None, closing: Closing) -> None:
        self._closing = closing
        self._agents = agents
        self._extended = extended
        self._pushes = pushes

    # --- messages ---------------------------------------------------------------------------------

    @fenced
    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task | Message:
        """Take a message; wait for the caller's turn unless they don't want to."""
        seat = seat_of(context)
        detail, answered = await self._deliver(seat, params, context)
        if not params.configuration.return_immediately:
            async for _ in self._closing.until(Updates(seat.api, detail, seat.base, answered).turn()):
                pass
        detail = await seat.api.task(detail.row.id)
        task = await task_of(seat.api, detail, seat.base, Shown(_history(params.configuration)))
        return apply_history_length(task, params.configuration)

    @fenced_stream
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task | Update]:
        """Take a message, and show what comes of it until it is the caller's turn again."""
        seat = seat_of(context)
        detail, answered = await self._deliver(seat, params, context)
        updates = Updates(seat.api, detail, seat.base, answered)
        task = await task_of(seat.api, detail, seat.base, Shown(_history(params.configuration)))
        if answered:
            task.status.CopyFrom(words.status(updates.state, detail.row.updated))
        yield apply_history_length(task, params.configuration)
        async for update in self._closing.until(updates.turn()):
            yield update

    async def _deliver(
        self, seat: Seat, params: SendMessageRequest, context: ServerCallContext
    ) -> tuple[TaskDetail, frozenset[str]]:
        """A message goes where it belongs: to the task that it names, or into a new one."""
        validate_history_length(params.configuration)
        message = params.message
        if max(len(message.message_id), len(message.context_id)) > MOST_ID:
            raise InvalidParamsError(f"messageId and contextId have {MOST_ID} characters at most")
        agent = await self._agents.resolve(seat, context.tenant)
        told = await words.heard(seat.api, message, seat.base)
        answered = frozenset[str]()
        if message.task_id:
            detail = await detail_of(seat.api, message.task_id, agent)
            answered = await self._continue(seat, detail, message, told)
        else:
            order = Order(
                agent,
                told.text,
                told.files,
                key=f"a2a/{seat.caller.person}/{agent}/{seat.key}" if seat.key else "",
                namespace=seat.caller.namespace,
                person=seat.caller.person,
                conversation=message.context_id or uuid.uuid4().hex,
                message=message.message_id,
            )
            order = await self._agents.fill(seat, order, told.data)
            if message.context_id and await self._agents.is_agent(seat, agent):
                order = await earlier_terms(seat.api, order, bool(seat.key))
            row = await seat.api.start(order)
            # What was made just now is followed from its beginning; a repetition finds the task as it is.
            begun = TaskDetail(msgspec.structs.replace(row, seq=1, state="submitted"))
            detail = await seat.api.task(row.id) if seat.key else begun
        if params.configuration.HasField("task_push_notification_config"):
            await self._configs().put(seat, detail.row.id, params.configuration.task_push_notification_config)
        return detail, answered

    async def _continue(self, seat: Seat, detail: TaskDetail, message: Message, told: words.Told) -> frozenset[str]:
        """A message for a task: the answer to what it asks, else something that it hears at its next step."""
        row = detail.row
        if message.context_id and message.context_id != context_of(row):
            raise InvalidParamsError(
                f"the task '{row.id}' belongs to the context '{context_of(row)}', not to '{message.context_id}'"
            )
        if row.state in FINAL:
            raise UnsupportedOperationError(
                f"the task '{row.id}' has ended ({row.state}); leave out taskId to begin another in its context"
            )
        if not detail.questions:
            await seat.api.say(row.id, OurMessage(seat.caller.person, told.parts, message.message_id))
            return frozenset()
        # One message answers one question: the oldest, or the one whose id it names.
        named = message.metadata.fields["question"].string_value if "question" in message.metadata else ""
        names = [f"{asked.task}/{asked.ask.id}" for asked in detail.questions]
        chosen = named if named in names else names[0]
        if told.files:
            await seat.api.say(row.id, OurMessage(seat.caller.person, told.files, message.message_id))
        await seat.api.reply(row.id, told.answer, chosen, seat.caller.person, "a2a")
        return frozenset({chosen})

    # --- tasks ------------------------------------------------------------------------------------

    @fenced
    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        """A task as it is now."""
        validate_history_length(params)
        seat = seat_of(context)
        detail = await self._detail(seat, context, params.id)
        return apply_history_length(await task_of(seat.api, detail, seat.base, Shown(_history(params))), params)

    @fenced
    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """The caller's tasks of an agent, the last changed first."""
        seat = seat_of(context)
        return await listing.page(seat, await self._agents.resolve(seat, context.tenant), params)

    @fenced
    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task | None:
        """Have a task end, and wait until it has."""
        seat = seat_of(context)
        detail = await self._detail(seat, context, params.id)
        if detail.row.state in FINAL:
            raise TaskNotCancelableError(f"the task '{params.id}' has ended ({detail.row.state})")
        try:
            await seat.api.cancel(params.id, seat.caller.person, "canceled by A2A")
        except Forbidden:
            raise
        except BadInput as error:
            # It ended in this moment.
            raise TaskNotCancelableError(error.message) from error
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                async for _ in self._closing.until(Updates(seat.api, detail, seat.base).follow()):
                    pass
        return await task_of(seat.api, await seat.api.task(params.id), seat.base)

    @fenced_stream
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Task | Update]:
        """A task as it is, then what happens to it until it has ended."""
        seat = seat_of(context)
        detail = await self._detail(seat, context, params.id)
        if detail.row.state in FINAL:
            raise UnsupportedOperationError(f"the task '{params.id}' has ended ({detail.row.state}); get it instead")
        updates = Updates(seat.api, detail, seat.base)
        yield await task_of(seat.api, detail, seat.base)
        async for update in self._closing.until(updates.follow()):
            yield update

    # --- push notifications -----------------------------------------------------------------------

    @fenced
    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Keep an address that is told what becomes of a task."""
        seat = await self._own(context, params.task_id)
        return await self._configs().put(seat, params.task_id, params)

    @fenced
    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """One of those addresses. Without an id (0.3): the first."""
        seat = await self._own(context, params.task_id)
        found = await self._configs().all(seat, params.task_id)
        for config in found:
            if params.id in (config.id, ""):
                return config
        raise TaskNotFoundError(f"the task '{params.task_id}' has no push notification config '{params.id}'")

    @fenced
    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        """All of them."""
        seat = await self._own(context, params.task_id)
        return ListTaskPushNotificationConfigsResponse(configs=await self._configs().all(seat, params.task_id))

    @fenced
    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """Forget one. That there is none isn't an error (specification 3.1.10)."""
        seat = await self._own(context, params.task_id)
        await self._configs().delete(seat, params.task_id, params.id)

    async def _own(self, context: ServerCallContext, task: str) -> Seat:
        """The caller's seat, where the task is theirs and the agent's."""
        seat = seat_of(context)
        await self._detail(seat, context, task)
        return seat

    async def _detail(self, seat: Seat, context: ServerCallContext, task: str) -> TaskDetail:
        return await detail_of(seat.api, task, await self._agents.resolve(seat, context.tenant))

    def _configs(self) -> PushConfigs:
        if self._pushes is None:
            raise PushNotificationNotSupportedError()
        return self._pushes

    # --- the card ---------------------------------------------------------------------------------

    @fenced
    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        """The card with what only those who may use the agent are told."""
        seat = seat_of(context)
        return await self._extended(seat.api, await self._agents.resolve(seat, context.tenant), seat.base)


def _history(wanted: Any) -> int | None:
    return wanted.history_length if wanted.HasField("history_length") else None
