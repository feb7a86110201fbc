"""Who may no more loses what is open at once, over every binding; who may goes on."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from a2a.client.errors import A2AClientError
from a2a.compat.v0_3 import a2a_v0_3_pb2, a2a_v0_3_pb2_grpc
from a2a.types import a2a_pb2, a2a_pb2_grpc
from a2a.types.a2a_pb2 import CancelTaskRequest
from a2a.utils.errors import A2AError
from google.protobuf.message_factory import GetMessageClass

from agenthost.core.administration import NewKey, NewPerson, PersonChange
from agenthost.core.ports import Filter
from tests.faces.a2a_face.clients import CALL, WAYS, calling, client, saying
from tests.faces.a2a_face.conftest import Serving

# gRPC's own poller leaves its sockets and locks to the garbage collector when a loop ends, as each test's does.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ways = pytest.mark.parametrize("way", WAYS, ids=["-".join(way) for way in WAYS])
BROKEN = (A2AClientError, A2AError, httpx.HTTPError, grpc.RpcError)
"""How the SDK's clients say that a stream was cut, each binding in its own words."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What gRPC leaves to the garbage collector is collected here, and not within another test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def never_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found out by looking again: only what is told counts."""
    monkeypatch.setattr("agenthost.faces.http.presence.LOOK", 3600.0)
    monkeypatch.setattr("agenthost.host.reception._FOR", 3600.0)


async def otto(serving: Serving) -> NewKey:
    """Somebody with a key."""
    admin = serving.host.admin()
    await admin.add_person(NewPerson("otto", "operator"))
    return await admin.make_key(person="otto")


async def take_back(serving: Serving, made: NewKey, change: str) -> None:
    admin = serving.host.admin()
    if change == "revoked":
        await admin.revoke_key(made.key.id, "otto")
    elif change == "role":
        await admin.change_person("otto", PersonChange(role="read-only"))
    else:
        await admin.delete_person("otto", "keep")


async def to_its_end(items: AsyncIterator[Any]) -> None:
    async with asyncio.timeout(30):
        async for _ in items:
            pass


@ways
@pytest.mark.parametrize("change", ["revoked", "role", "removed"])
async def test_an_open_stream_is_cut_and_nobody_elses(serving: Serving, way: tuple[str, str], change: str) -> None:
    made = await otto(serving)
    async with (
        client(serving, way, stream=True, token=made.secret) as his,
        client(serving, way, stream=True) as owners,
    ):
        mine = owners.send_message(saying("forever", "m2"), context=CALL)
        kept = (await anext(mine)).task.id
        items = his.send_message(saying("forever"), context=calling(made.secret))
        task = (await anext(items)).task.id
        await take_back(serving, made, change)
        with pytest.raises(BROKEN):
            await to_its_end(items)
        assert (await serving.host.task(task)).row.state == "working"  # the work is not the stream's
        await owners.cancel_task(CancelTaskRequest(id=kept), context=CALL)
        await to_its_end(mine)  # to an end of its own


@pytest.mark.parametrize("way", [way for way in WAYS if way[1] == "GRPC"], ids="-".join)
async def test_a_call_by_grpc_that_waits_for_its_answer_is_cut(serving: Serving, way: tuple[str, str]) -> None:
    made = await otto(serving)
    async with client(serving, way, token=made.secret) as his, asyncio.TaskGroup() as group:

        async def waits() -> None:
            with pytest.raises(A2AClientError, match=r"UNAUTHENTICATED|taken back"):
                await to_its_end(his.send_message(saying("forever"), context=calling(made.secret)))

        waiting = group.create_task(waits())
        async with asyncio.timeout(30):
            while not await serving.host.tasks(Filter(person="otto")):
                await asyncio.sleep(0.05)
        assert not waiting.done()
        await take_back(serving, made, "revoked")


METHODS = [
    (version, method.name)
    for version, package in (("1.0", a2a_pb2), ("0.3", a2a_v0_3_pb2))
    for method in package.DESCRIPTOR.services_by_name["A2AService"].methods
]


@pytest.mark.parametrize("way", [("1.0", "GRPC")])
async def test_every_method_of_grpc_wants_a_token_that_is_known(serving: Serving, way: tuple[str, str]) -> None:
    """Those of both services, as the SDK describes them: one that is added is tried, too."""
    assert len(METHODS) >= 20
    place = serving.grpc
    for token in ("", "Bearer ah_wrong", "Basic YTpi"):
        async with grpc.aio.insecure_channel(place) as channel:
            stubs: dict[str, Any] = {
                "1.0": a2a_pb2_grpc.A2AServiceStub(channel),
                "0.3": a2a_v0_3_pb2_grpc.A2AServiceStub(channel),
            }
            for version, name in METHODS:
                package: Any = a2a_pb2 if version == "1.0" else a2a_v0_3_pb2
                described = package.DESCRIPTOR.services_by_name["A2AService"].methods_by_name[name]
                request = GetMessageClass(described.input_type)()
                metadata = (("authorization", token),) if token else ()
                call = getattr(stubs[version], name)(request, metadata=metadata)
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    if described.server_streaming:
                        await to_its_end(call)
                    else:
                        await call
                assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED, (version, name)
