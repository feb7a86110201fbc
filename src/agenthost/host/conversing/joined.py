"""Joins what holds conversations, from settings."""

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Protocol

import msgspec

from agenthost.core.access import OWNER, RIGHTS, Accounts, Caller, Right
from agenthost.core.api import HostApi
from agenthost.core.conversations import Thread
from agenthost.core.errors import AgentHostError
from agenthost.core.events import Finished, Recorded
from agenthost.core.ids import task_id
from agenthost.core.parts import DataPart, Message
from agenthost.core.replaying import ForkOrder
from agenthost.core.routing import Decision, Scene, Spoken
from agenthost.core.tasks import TaskRow, TaskSpec
from agenthost.engine.engine import Engine
from agenthost.engine.parts import Log
from agenthost.host.adapters import Adapters
from agenthost.host.conversing.desk import Desk, Ways
from agenthost.host.conversing.moving import Mover
from agenthost.host.conversing.teller import Teller
from agenthost.host.guarded import GuardedHost, Owners
from agenthost.host.library import Library
from agenthost.host.settings import RoutingSettings

PATIENCE = 60.0
"""Seconds that a message waits for the small model's answer; after that a person is asked."""


class Hosting(HostApi, Protocol):
    """What conversations need of the host that they are held in."""

    engine: Engine
    library: Library

    async def events_of(self, task: str) -> list[Recorded]: ...


def joined(host: Hosting, given: RoutingSettings, adapters: Adapters, log: Log) -> tuple[Teller, Desk]:
    """Who tells what tasks say, and where messages come in."""
    owners = Owners(adapters.store)

    async def of(person: str, namespace: str) -> HostApi | None:
        return await _as(host, adapters.accounts, owners, person, namespace)

    async def fork(api: HostApi, task: str, at: int) -> TaskRow:
        return await api.fork(task, ForkOrder(at))

    async def ask(spoken: Spoken, scene: Scene, thread: Thread) -> Decision | None:
        return await _asked(host, given, spoken, scene, thread)

    kept = adapters.conversations
    desk = Desk(kept, Ways(of, ask, given.agent), Mover(kept, host.events_of, fork), log)
    teller = Teller(kept, adapters.store, adapters.blobs, host.events_of, desk.recover, desk.told, log)
    desk.fresh, desk.left = teller.gather, teller.left
    return teller, desk


async def _as(host: HostApi, accounts: Accounts, owners: Owners, person: str, namespace: str) -> HostApi | None:
    """The host as somebody may use it now, whoever they were when they wrote."""
    if person == OWNER:
        return host
    found = await accounts.person(person)
    if found is None or found.disabled or found.namespace != namespace:
        return None
    rights: list[Right] = [right for right in RIGHTS[found.role] if right in ("read", "work")]
    return GuardedHost(host, Caller(found.id, found.role, tuple(rights), namespace, "conversation"), accounts, owners)


async def _asked(
    host: Hosting, given: RoutingSettings, spoken: Spoken, scene: Scene, thread: Thread
) -> Decision | None:
    """What a small model says, asked by a task of its own, so that the question is in a journal and in the ledger."""
    if not given.model:
        return None
    spec = TaskSpec(
        id=task_id(int(time.time() * 1000), secrets.randbits(35)),
        kind="routing",
        name="routing",
        bundle="",
        message=Message("host", ()),
        inputs={"spoken": msgspec.to_builtins(spoken), "scene": msgspec.to_builtins(scene)},
        title="Which task is a message for?",
        namespace=thread.namespace,
        person=thread.person,
        model=given.model,
    )
    with suppress(TimeoutError, AgentHostError):
        async with asyncio.timeout(PATIENCE):
            await host.engine.create(spec)
            async for item in host.follow(spec.id):
                if isinstance(item, Recorded) and isinstance(item.event, Finished):
                    return _read(item.event, scene)
    return None


def _read(finished: Finished, scene: Scene) -> Decision | None:
    known = {topic.task for topic in scene.topics} | {""}
    for part in finished.parts:
        if isinstance(part, DataPart):
            with suppress(msgspec.ValidationError):
                decision = msgspec.convert(part.data, Decision)
                return decision if decision.task in known else None
    return None
