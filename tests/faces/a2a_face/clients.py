"""The SDK's own clients, each for one version and one binding."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc.aio
import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import ClientCallContext
from a2a.types.a2a_pb2 import (
    AgentCard,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    Task,
)

from tests.faces.a2a_face.conftest import TOKEN, Serving

BINDINGS = ("JSONRPC", "HTTP+JSON", "GRPC")
WAYS = [(version, binding) for version in ("1.0", "0.3") for binding in BINDINGS]


def calling(token: str) -> ClientCallContext:
    """A call that shows a token, by gRPC too."""
    return ClientCallContext(service_parameters={"authorization": f"Bearer {token}"})


CALL = calling(TOKEN)


async def card_of(serving: Serving, agent: str = "") -> AgentCard:
    async with serving.http("") as http:
        return await A2ACardResolver(http, f"{serving.url}/a2a/{agent}" if agent else serving.url).get_agent_card()


@contextlib.asynccontextmanager
async def client(
    serving: Serving, way: tuple[str, str], agent: str = "", stream: bool = False, token: str = TOKEN
) -> AsyncGenerator[Client]:
    """A client of an agent that speaks one version over one binding, and nothing else."""
    version, binding = way
    card = await card_of(serving, agent)
    wanted = [
        each
        for each in card.supported_interfaces
        if (each.protocol_version, each.protocol_binding) == (version, binding)
    ]
    del card.supported_interfaces[:]
    card.supported_interfaces.extend(wanted)
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        config = ClientConfig(
            streaming=stream,
            httpx_client=http,
            grpc_channel_factory=grpc.aio.insecure_channel,
            supported_protocol_bindings=[binding],
        )
        made = ClientFactory(config).create(card)
        try:
            yield made
        finally:
            await made.close()


def saying(
    text: str, id: str = "m1", task: str = "", context: str = "", *more: Part, **config: Any
) -> SendMessageRequest:
    parts = [Part(text=text), *more] if text else [*more]
    message = Message(message_id=id, task_id=task, context_id=context, role=Role.ROLE_USER, parts=parts)
    return SendMessageRequest(message=message, configuration=SendMessageConfiguration(**config))


async def all_of(items: AsyncIterator[StreamResponse]) -> list[StreamResponse]:
    return [item async for item in items]


async def sent(to: Client, request: SendMessageRequest) -> Task:
    """The task that a message led to, without a stream."""
    (only,) = await all_of(to.send_message(request, context=CALL))
    assert only.WhichOneof("payload") == "task"
    return only.task


def texts(task: Task) -> list[str]:
    return [part.text for artifact in task.artifacts for part in artifact.parts if part.text]
