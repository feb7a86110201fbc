"""One remote agent by the SDK's client: its card, messages, tasks. Errors are ours from here on."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import ClientCallContext
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
)
from a2a.utils.errors import A2AError, InternalError, TaskNotCancelableError, TaskNotFoundError

from agenthost.core.errors import AgentHostError, Permanent, Temporary
from agenthost.models.a2a.transport import Addresses, GuardedTransport, RefusedConnection

T = TypeVar("T")

BINDINGS = ["JSONRPC", "HTTP+JSON"]
CARD_SECONDS = 300.0
"""How long a card counts before it is looked at again."""
MOST_FILE = 64 * 1024 * 1024
_CLOSED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors before anything was sent."""


class Wire:
    """The agent at `url` (its address, or that of its card). `token` is what it is shown, empty for none."""

    def __init__(self, url: str, token: str, addresses: Addresses) -> None:
        self.url = url
        self.name = urlsplit(url).netloc
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            transport=GuardedTransport(addresses),
            headers=headers,
            timeout=httpx.Timeout(30.0, read=90.0),
            follow_redirects=False,
            trust_env=False,
        )
        self._card: AgentCard | None = None
        self._client: Client | None = None
        self._until = 0.0

    async def close(self) -> None:
        """Let go of every connection."""
        await self._http.aclose()

    # --- what is asked of it ----------------------------------------------------------------------

    async def send(self, message: Message) -> Task | Message:
        """Give it a message, and come back at once. Raises Temporary (`sent` where it may have it), Permanent."""
        config = SendMessageConfiguration(return_immediately=True)
        request = SendMessageRequest(message=message, configuration=config)
        context = ClientCallContext(service_parameters={"Idempotency-Key": message.message_id})

        async def sending() -> Task | Message:
            async with aclosing(_generator(client.send_message(request, context=context))) as answers:
                async for answer in answers:
                    kind = answer.WhichOneof("payload")
                    if kind in ("task", "message"):
                        return answer.task if kind == "task" else answer.message
            raise InternalError("it answered with nothing")

        client = await self._called(False)
        return await self._asked(sending, sent=True)

    async def task(self, id: str, history: int = 0) -> Task | None:
        """A task of it; None where it has no such."""
        client = await self._called(False)

        async def getting() -> Task | None:
            try:
                return await client.get_task(GetTaskRequest(id=id, history_length=history))
            except TaskNotFoundError:
                return None

        return await self._asked(getting)

    async def find(self, context: str, message: str) -> tuple[Task | None, bool]:
        """The task of a context that began with a message, and whether that is sure: 0.3 can't list tasks."""
        client = await self._called(False)

        async def listing() -> tuple[Task | None, bool]:
            try:
                listed = await client.list_tasks(
                    ListTasksRequest(context_id=context, page_size=100, history_length=100)
                )
            except (NotImplementedError, A2AError):
                return None, False
            whole = not listed.next_page_token
            for task in listed.tasks:
                whole = whole and bool(task.history)
                if any(said.message_id == message for said in task.history):
                    return task, True
            return None, whole

        return await self._asked(listing)

    async def cancel(self, id: str) -> None:
        """Have a task end; one that has ended, or isn't there, stays so."""
        client = await self._called(False)

        async def cancelling() -> None:
            try:
                await client.cancel_task(CancelTaskRequest(id=id))
            except (TaskNotFoundError, TaskNotCancelableError):
                pass

        await self._asked(cancelling)

    async def follow(self, id: str) -> AsyncGenerator[StreamResponse]:
        """What happens to a task, until the connection or the task ends. Raises nothing: how the task is, `task` says."""
        client = await self._called(True)
        if self._card is None or not self._card.capabilities.streaming:
            return
        try:
            async with aclosing(_generator(client.subscribe(SubscribeToTaskRequest(id=id)))) as events:
                async for event in events:
                    yield event
        except (A2AError, A2AClientError, httpx.HTTPError, NotImplementedError, ValueError):
            return

    async def fetch(self, url: str) -> bytes | None:
        """A file of the same server; None where it is elsewhere, too large or not to be had."""
        if _origin(url) != _origin(self.url):
            return None

        async def fetching() -> bytes | None:
            got = bytearray()
            async with self._http.stream("GET", url) as response:
                if response.status_code != 200:
                    return None
                async for piece in response.aiter_bytes():
                    got += piece
                    if len(got) > MOST_FILE:
                        return None
            return bytes(got)

        return await self._asked(fetching)

    # --- the client -------------------------------------------------------------------------------

    async def _called(self, stream: bool) -> Client:
        """A client for what its card says."""
        if self._card is None or time.monotonic() > self._until:
            self._card = await self._asked(self._look)
            self._until = time.monotonic() + CARD_SECONDS
        config = ClientConfig(streaming=stream, httpx_client=self._http, supported_protocol_bindings=BINDINGS)
        try:
            return ClientFactory(config).create(self._card)
        except ValueError as error:
            raise Permanent(
                f"the agent at {self.url} speaks neither JSON-RPC nor HTTP+JSON of A2A: {error}", code="bad-answer"
            ) from error

    async def _look(self) -> AgentCard:
        base, _, file = self.url.rpartition("/")
        named = file.endswith(".json")
        path = f"/.well-known/{file}" if named else None
        resolver = A2ACardResolver(self._http, base.removesuffix("/.well-known") if named else self.url)
        card = await resolver.get_agent_card(relative_card_path=path)
        wanted = [each for each in card.supported_interfaces if _origin(each.url) == _origin(self.url)]
        if not wanted:
            raise Permanent(
                f"the card of {self.url} names no address on the same server, and the token is for that alone; give the "
                "agent's own address as `url`",
                code="refused",
            )
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(wanted)
        return card

    async def _asked(self, ask: Callable[[], Awaitable[T]], sent: bool = False) -> T:
        """Ask; whatever goes wrong is ours. `sent`: an answer that is lost may be of something that was done."""
        try:
            return await ask()
        except (A2AError, A2AClientError, httpx.HTTPError, ValueError, NotImplementedError) as error:
            raise self._problem(error, sent) from error

    def _problem(self, error: Exception, sent: bool) -> AgentHostError:
        cause: Any = error
        while cause is not None and not isinstance(cause, httpx.HTTPError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, RefusedConnection):
            return Permanent(f"the agent at {self.url} may not be reached: {cause}", code="unavailable")
        if isinstance(cause, httpx.HTTPStatusError):
            return self._answered(cause.response.status_code, error, sent)
        if isinstance(cause, _CLOSED):
            return Temporary(f"the agent at {self.name} can't be reached: {cause}", code="unreachable")
        if isinstance(cause, httpx.HTTPError) or isinstance(error, A2AClientTimeoutError):
            said = cause or error
            return Temporary(f"the connection to {self.name} broke: {said}", code="unreachable", sent=sent)
        if isinstance(error, InternalError):
            return Temporary(f"the agent at {self.name} failed: {error}", code="server-error", sent=sent)
        if isinstance(error, A2AError):
            return Permanent(f"the agent at {self.name} refuses it: {error}", code="bad-request")
        return Temporary(f"the agent at {self.name} can't be understood: {error}", code="unreachable", sent=sent)

    def _answered(self, status: int, error: Exception, sent: bool) -> AgentHostError:
        if status in (401, 403):
            return Permanent(
                f"the agent at {self.name} doesn't know this host (status {status}); keep its token as a secret and name "
                "that in spec.a2a.token",
                code="auth",
            )
        if status in (408, 425, 429) or status >= 500:
            return Temporary(f"the agent at {self.name} answers with status {status}", code="overloaded", sent=sent)
        return Permanent(f"the agent at {self.name} refuses it (status {status}): {error}", code="bad-request")


def _origin(url: str) -> tuple[str, str, int | None]:
    read = urlsplit(url)
    default = {"https": 443, "http": 80}.get(read.scheme)
    return read.scheme, (read.hostname or "").lower(), read.port or default


def _generator(items: Any) -> AsyncGenerator[StreamResponse]:
    return items
