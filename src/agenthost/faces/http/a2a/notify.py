"""Push notifications: addresses kept by task, told what becomes of it, again and again until they have heard."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import msgspec
import structlog
from a2a.compat.v0_3.conversions import to_compat_task
from a2a.types.a2a_pb2 import AuthenticationInfo, TaskPushNotificationConfig, TaskStatusUpdateEvent
from a2a.utils.errors import InvalidParamsError
from a2a.utils.proto_utils import to_stream_response

from agenthost.core.access import RIGHTS, Accounts, Caller
from agenthost.core.api import HostApi, TaskDetail
from agenthost.core.errors import AgentHostError, NotFound, Permanent, Temporary
from agenthost.core.lifecycle import FINAL
from agenthost.core.pushes import Push, Pushes
from agenthost.faces.http.a2a.seats import Seat
from agenthost.faces.http.a2a.tasks import task_of
from agenthost.faces.http.a2a.updates import Update, Updates
from agenthost.faces.http.a2a.words import as_dict
from agenthost.host.guarded import deed, need_task
from agenthost.host.identity import Identity
from agenthost.host.outgoing import Outgoing

MOST_CONFIGS = 20
"""Addresses that one task may have."""
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0)
"""Seconds between two tries at one notification; after the last it is left out."""
MOST_ANSWER = 64 * 1024
SECONDS = 15.0
TOKEN = "X-A2A-Notification-Token"
SIGNATURE = "X-AgentHost-Signature"


class Notifier:
    """Fulfils handler.PushConfigs, and tells the addresses, each in a task of `group`, for as long as `accounts` have whoever
    gave them. `waits`: as WAITS."""

    def __init__(
        self,
        store: Pushes,
        api: HostApi,
        identity: Identity,
        outgoing: Outgoing,
        group: asyncio.TaskGroup,
        accounts: Accounts,
        api_of: Callable[[Caller], HostApi],
        waits: tuple[float, ...] = WAITS,
    ) -> None:
        self._store = store
        self._api = api
        self._identity = identity
        self._outgoing = outgoing
        self._accounts = accounts
        self._api_of = api_of
        self._waits = waits
        self._group = group
        self._stopped = False
        self._telling: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._log = structlog.get_logger(__name__)

    async def start(self) -> None:
        """Tell those first that a host before this one left."""
        for push in await self._store.open():
            self._begin(push)

    def stop(self) -> None:
        """Tell nobody any more; what wasn't told is told by the host that comes next."""
        self._stopped = True
        for telling in list(self._telling.values()):
            telling.cancel()

    # --- what the handler calls -------------------------------------------------------------------

    async def put(self, seat: Seat, task: str, config: TaskPushNotificationConfig) -> TaskPushNotificationConfig:
        """Keep an address. Raises InvalidParamsError where nothing may be sent there, Forbidden."""
        detail = await self._theirs(seat, task)
        if config.HasField("authentication") and not config.authentication.scheme:
            raise InvalidParamsError("authentication needs a scheme, such as Bearer")
        problem = await self._outgoing.problem(config.url)
        if problem:
            raise InvalidParamsError(f"nothing can be sent to {config.url}: {problem}")
        id = config.id or task
        known = [push.id for push in await self._store.of(task)]
        if id not in known and len(known) >= MOST_CONFIGS:
            raise InvalidParamsError(f"a task has {MOST_CONFIGS} push notification configs at most; delete one first")
        # What came with the message that began the task is told everything that comes of it.
        seen = {row.id: row.seq for row in (detail.row, *detail.children)} if config.task_id else {task: 1}
        secret = config.authentication.credentials
        push = Push(
            task,
            id,
            config.url,
            seat.caller.namespace,
            seat.caller.person,
            time.time(),
            detail.row.name,
            seat.base,
            self._identity.seal(config.token, f"{task}/{id}/token"),
            config.authentication.scheme,
            self._identity.seal(secret, f"{task}/{id}/credentials"),
            seat.version,
            seen,
            bool(config.task_id) and detail.row.state in FINAL,
        )
        await self._store.put(push)
        await self._accounts.note([deed(seat.caller, "push.make", f"{task} {config.url}", "done")])
        self._stop(task, id)
        if not push.done:
            self._begin(push)
        return self._shown(push, seat.caller)

    async def all(self, seat: Seat, task: str) -> list[TaskPushNotificationConfig]:
        """The addresses of a task."""
        await self._theirs(seat, task)
        return [self._shown(push, seat.caller) for push in await self._store.of(task)]

    async def delete(self, seat: Seat, task: str, id: str) -> None:
        """Forget one, and tell it nothing more."""
        await self._theirs(seat, task)
        await self._store.delete(task, id)
        self._stop(task, id)

    async def _theirs(self, seat: Seat, task: str) -> TaskDetail:
        """A task whose addresses the caller may change. Raises Forbidden: who may only look sends nothing elsewhere."""
        detail = await self._api.task(task)
        need_task(seat.caller, detail.row.person, "work", "say who is told of tasks")
        return detail

    def _shown(self, push: Push, caller: Caller) -> TaskPushNotificationConfig:
        shown = TaskPushNotificationConfig(task_id=push.task, id=push.id, url=push.url)
        if push.person == caller.person:
            shown.token = self._identity.unseal(push.token, f"{push.task}/{push.id}/token")
        if push.scheme:
            # Credentials are for us to send, and for nobody to read again.
            shown.authentication.CopyFrom(AuthenticationInfo(scheme=push.scheme))
        return shown

    # --- telling ----------------------------------------------------------------------------------

    def _begin(self, push: Push) -> None:
        if self._stopped:
            return
        key = push.task, push.id
        telling = self._group.create_task(self._fenced(push), name=f"push {push.task}/{push.id}")
        self._telling[key] = telling
        telling.add_done_callback(lambda done: self._telling.pop(key) if self._telling.get(key) is done else None)

    def _stop(self, task: str, id: str) -> None:
        if (telling := self._telling.pop((task, id), None)) is not None:
            telling.cancel()

    async def _fenced(self, push: Push) -> None:
        try:
            await self._tell(push)
        except NotFound:
            await self._store.delete(push.task, push.id)
        except AgentHostError as error:
            self._log.warning("push notifications stop", task=push.task, url=push.url, error=error.message)
        except Exception as error:  # noqa: BLE001 - one address's failure is no other's
            self._log.error("push notifications failed", task=push.task, url=push.url, exc_info=error)

    async def _tell(self, push: Push) -> None:
        caller = await self._caller(push)
        if caller is None:
            await self._store.delete(push.task, push.id)
            return
        # As whoever gave the address: it is told nothing that they could not ask for.
        api = self._api_of(caller)
        updates = Updates(api, await api.task(push.task), push.base, after=push.seen, words_too=False)
        async with aclosing(updates.follow()) as items:
            async for update in items:
                if not await self._deliver(api, push, update):
                    await self._store.delete(push.task, push.id)
                    return
                # A status is the last thing that follows from an event.
                if isinstance(update, TaskStatusUpdateEvent):
                    await self._store.told(push.task, push.id, updates.places, updates.state in FINAL)

    async def _deliver(self, api: HostApi, push: Push, update: Update) -> bool:
        """Send one notification; False where the address wants no more."""
        body = msgspec.json.encode(await self._body(api, push, update))
        for wait in (0.0, *self._waits):
            await asyncio.sleep(wait)
            if await self._caller(push) is None:
                return False
            try:
                status = await self._outgoing.post(push.url, self._headers(push, body), body, MOST_ANSWER, SECONDS)
            except Temporary:
                continue
            except Permanent as error:
                self._log.warning("push notification refused", task=push.task, url=push.url, error=error.message)
                return True
            if status == 410:
                return False
            if status < 400 or (status < 500 and status not in (408, 425, 429)):
                return True
        self._log.warning("push notification given up", task=push.task, url=push.url)
        return True

    async def _caller(self, push: Push) -> Caller | None:
        """Who gave the address, as they may look at things now; None where they may not be told of its task any more."""
        person = await self._accounts.person(push.person)
        if person is None or person.disabled:
            return None
        row = (await self._api.task(push.task)).row
        caller = Caller(person.id, person.role, RIGHTS[person.role], person.namespace, "push")
        return caller if caller.sees(row.namespace, row.person) else None

    async def _body(self, api: HostApi, push: Push, update: Update) -> dict[str, Any]:
        if push.version.startswith("0."):
            task = await task_of(api, await api.task(push.task), push.base)
            return to_compat_task(task).model_dump(mode="json", by_alias=True, exclude_none=True)
        return as_dict(to_stream_response(update))

    def _headers(self, push: Push, body: bytes) -> dict[str, str]:
        claims = {"aud": push.url, "task": push.task, "sha256": hashlib.sha256(body).hexdigest()}
        signed = self._identity.token(claims)
        media = "application/json" if push.version.startswith("0.") else "application/a2a+json"
        headers = {"Content-Type": media, "A2A-Version": push.version, SIGNATURE: signed}
        headers |= self._outgoing.traced(push.task)
        if token := self._identity.unseal(push.token, f"{push.task}/{push.id}/token"):
            headers[TOKEN] = token
        if credentials := self._identity.unseal(push.credentials, f"{push.task}/{push.id}/credentials"):
            headers["Authorization"] = f"{push.scheme} {credentials}"
        return headers
