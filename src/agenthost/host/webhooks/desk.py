"""The use-cases of webhooks, for one caller at a time: each person has their own, and knows nothing of others'."""

import hashlib
import secrets as randomness
import time
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from agenthost.core.access import Accounts, Caller, Right
from agenthost.core.api import HostApi
from agenthost.core.errors import Conflict, NotFound, Unusable
from agenthost.core.ports import Secrets
from agenthost.core.webhooks import (
    TOLD,
    Delivery,
    DeliveryInfo,
    DeliveryPage,
    NewWebhook,
    OwnWebhooks,
    Webhook,
    WebhookInfo,
    Webhooks,
)
from agenthost.host.guarded import deed, forbidden
from agenthost.host.webhooks import signing, telling
from agenthost.host.webhooks.sending import Sender

MOST = 100
"""Webhooks of one person."""


class Desk:
    """`call` wakes the deliverer; `renew` has new secrets taken out of everything that is journalled."""

    def __init__(
        self,
        webhooks: Webhooks,
        secrets: Secrets,
        accounts: Accounts,
        sender: Sender,
        call: Callable[[], None],
        renew: Callable[[], Awaitable[None]],
    ) -> None:
        self._webhooks = webhooks
        self._secrets = secrets
        self._accounts = accounts
        self._sender = sender
        self._call = call
        self._renew = renew

    def of(self, caller: Caller, api: HostApi) -> OwnWebhooks:
        """The use-cases for a caller; `api` is the host as they may use it."""
        return _Own(self, caller, api)

    async def make(self, caller: Caller, wanted: NewWebhook, key: str = "") -> WebhookInfo:
        """Make a webhook; with the same `key`, once. That a named task is the caller's was asked before (`of`).
        Raises BadInput, Conflict, Forbidden."""
        _need(caller, "work", "make webhooks")
        self._sender.check(wanted.url)
        if not wanted.events:
            raise Unusable(f"a webhook is told of something: give `events`, of {', '.join(TOLD)}")
        secret = signing.check_secret(wanted.secret) if wanted.secret else signing.new_secret()
        id = _id_for(caller, key) if key else f"wh_{randomness.token_hex(12)}"
        made = Webhook(
            id,
            caller.person,
            wanted.url,
            time.time(),
            caller.namespace,
            tuple(dict.fromkeys(wanted.events)),
            wanted.task,
        )
        if (before := await self._webhooks.get(id)) is not None:
            if replace(before, created=0.0, disabled="") != replace(made, created=0.0):
                raise Conflict(f"the key '{key}' stands for another webhook already ({before.url}); choose another")
            return _shown(before, await self._secrets.get(before.secret_name) or "")
        if len(await self._webhooks.of(caller.namespace, caller.person)) >= MOST:
            raise Unusable(f"you have {MOST} webhooks, which are the most; remove one")
        # The secret first: a webhook is never without one.
        await self._secrets.set(made.secret_name, secret)
        await self._webhooks.put(made)
        await self._renew()
        await self._note(caller, "webhook.make", made)
        return _shown(made, secret)

    async def all(self, caller: Caller) -> list[WebhookInfo]:
        """The caller's webhooks."""
        _need(caller, "read", "list webhooks")
        return [_shown(each) for each in await self._webhooks.of(caller.namespace, caller.person)]

    async def show(self, caller: Caller, id: str) -> WebhookInfo:
        """One webhook. Raises NotFound."""
        _need(caller, "read", "look at webhooks")
        return _shown(await self._own(caller, id))

    async def remove(self, caller: Caller, id: str) -> None:
        """Remove a webhook, with what was to be sent. Raises NotFound."""
        webhook = await self._own(caller, id)
        _need(caller, "work", "remove webhooks")
        await self.forget(webhook)
        await self._note(caller, "webhook.delete", webhook)

    async def forget(self, webhook: Webhook) -> None:
        """Remove a webhook and its secret."""
        await self._webhooks.delete(webhook.id)
        await self._secrets.delete(webhook.secret_name)
        await self._renew()

    async def test(self, caller: Caller, id: str) -> Delivery:
        """Have something sent to try a webhook out; one that was given up is tried again from now on. Raises NotFound."""
        webhook = await self._own(caller, id)
        _need(caller, "work", "test webhooks")
        if webhook.disabled:
            await self._webhooks.disable(webhook.id, "")
        delivery = telling.test_delivery(webhook, randomness.token_hex(8), time.time())
        await self._webhooks.add([delivery])
        self._call()
        return delivery

    async def deliveries(self, caller: Caller, id: str, before: int, limit: int) -> list[Delivery]:
        """What was and is to be sent, newest first. Raises NotFound."""
        webhook = await self._own(caller, id)
        _need(caller, "read", "look at deliveries")
        return await self._webhooks.deliveries(webhook.id, before, limit)

    async def _own(self, caller: Caller, id: str) -> Webhook:
        found = await self._webhooks.get(id)
        if found is None or (found.namespace, found.person) != (caller.namespace, caller.person):
            raise NotFound(f"you have no webhook '{id}'")
        return found

    async def _note(self, caller: Caller, what: str, webhook: Webhook) -> None:
        await self._accounts.note([deed(caller, what, webhook.id, "done")])


class _Own:
    """Fulfils core.webhooks.OwnWebhooks. Made for each request, and cheap."""

    def __init__(self, desk: Desk, caller: Caller, api: HostApi) -> None:
        self._desk = desk
        self._caller = caller
        self._api = api

    async def add(self, wanted: NewWebhook, key: str = "") -> WebhookInfo:
        if wanted.task:
            # Raises NotFound where it isn't theirs.
            found = (await self._api.task(wanted.task)).row
            wanted = replace(wanted, task=found.root or found.id)
        return await self._desk.make(self._caller, wanted, key)

    async def all(self) -> list[WebhookInfo]:
        return await self._desk.all(self._caller)

    async def show(self, id: str) -> WebhookInfo:
        return await self._desk.show(self._caller, id)

    async def remove(self, id: str) -> None:
        await self._desk.remove(self._caller, id)

    async def test(self, id: str) -> DeliveryInfo:
        return _told(await self._desk.test(self._caller, id))

    async def deliveries(self, id: str, before: int = 0, limit: int = 50) -> DeliveryPage:
        found = await self._desk.deliveries(self._caller, id, before, limit)
        following = str(found[-1].place) if len(found) >= limit else ""
        return DeliveryPage(tuple(_told(each) for each in found), following)


def _told(delivery: Delivery) -> DeliveryInfo:
    """A delivery without what is the host's own business."""
    return DeliveryInfo(
        delivery.id,
        delivery.webhook,
        delivery.event,
        delivery.at,
        msgspec.json.decode(delivery.body),
        delivery.state,
        delivery.attempts,
        delivery.due,
        delivery.status,
        delivery.reason,
    )


def _need(caller: Caller, right: Right, what: str) -> None:
    if not caller.may(right):
        raise forbidden(caller, right, what)


def _id_for(caller: Caller, key: str) -> str:
    hashed = hashlib.sha256(msgspec.json.encode([caller.namespace, caller.person, key])).hexdigest()
    return f"wh_{hashed[:24]}"


def _shown(webhook: Webhook, secret: str = "") -> WebhookInfo:
    return WebhookInfo(webhook.id, webhook.url, webhook.events, webhook.task, webhook.created, webhook.disabled, secret)
