"""Webhooks, grants, budgets and deletion at a host, over HTTP."""

from typing import Any, TypeVar
from urllib.parse import urlencode

from agenthost.client.transport import Transport, path_of
from agenthost.core.budgets import Limits
from agenthost.core.erasure import Erased
from agenthost.core.grants import Grant, GrantDetail
from agenthost.core.importing import ImportOrder, TakenIn
from agenthost.core.spending import BudgetLine
from agenthost.core.webhooks import DeliveryInfo, DeliveryPage, NewWebhook, WebhookInfo
from agenthost.wire.bodies import BudgetBody, BudgetPage, ErasureBody, GrantPage, WebhookPage, encode

T = TypeVar("T")


class RemoteWebhooks:
    """Fulfils core.webhooks.OwnWebhooks, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def add(self, wanted: NewWebhook, key: str = "") -> WebhookInfo:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return await self._ask(WebhookInfo, "POST", "webhooks", data=encode(wanted), headers=headers)

    async def all(self) -> list[WebhookInfo]:
        return list((await self._ask(WebhookPage, "GET", "webhooks")).items)

    async def show(self, id: str) -> WebhookInfo:
        return await self._ask(WebhookInfo, "GET", "webhooks", id)

    async def remove(self, id: str) -> None:
        await self._transport.call("DELETE", path_of("webhooks", id))

    async def test(self, id: str) -> DeliveryInfo:
        return await self._ask(DeliveryInfo, "POST", "webhooks", id, "test")

    async def deliveries(self, id: str, before: int = 0, limit: int = 50) -> DeliveryPage:
        path = path_of("webhooks", id, "deliveries") + "?" + urlencode({"before": before, "limit": limit})
        return self._transport.decode(await self._transport.call("GET", path), DeliveryPage)

    async def _ask(self, type: type[T], method: str, *names: str, **options: Any) -> T:
        return self._transport.decode(await self._transport.call(method, path_of(*names), **options), type)


class RemoteBudgets:
    """Fulfils core.spending.OwnBudgets, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[BudgetLine]:
        return list(self._transport.decode(await self._transport.call("GET", path_of("budgets")), BudgetPage).items)

    async def of_task(self, task: str) -> list[BudgetLine]:
        path = path_of("tasks", task, "budgets")
        return list(self._transport.decode(await self._transport.call("GET", path), BudgetPage).items)

    async def set(self, subject: str, limits: Limits | None) -> BudgetLine:
        path, headers = path_of("budgets", *subject.split("/")), {"Content-Type": "application/json"}
        given = (
            {"data": encode(BudgetBody(limits.turns, limits.tokens, limits.cost, limits.duration)), "headers": headers}
            if limits
            else {}
        )
        body = await self._transport.call("PUT" if limits is not None else "DELETE", path, **given)
        return self._transport.decode(body, BudgetLine)


class RemoteGrants:
    """Fulfils core.grants.OwnGrants, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> list[Grant]:
        return list(self._transport.decode(await self._transport.call("GET", path_of("grants")), GrantPage).items)

    async def show(self, id: str) -> GrantDetail:
        return self._transport.decode(await self._transport.call("GET", path_of("grants", id)), GrantDetail)

    async def remove(self, id: str) -> None:
        await self._transport.call("DELETE", path_of("grants", id))


class RemoteImporting:
    """Fulfils core.importing.Importing, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def take(self, order: ImportOrder) -> TakenIn:
        headers = {"Content-Type": "application/json"}
        told = await self._transport.call("POST", path_of("imports"), data=encode(order), headers=headers)
        return self._transport.decode(told, TakenIn)


class RemoteDeletion:
    """Fulfils core.erasure.Deletion, for whoever has the token."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def task(self, task: str, force: bool = False) -> Erased:
        path = path_of("tasks", task) + ("?force=true" if force else "")
        return self._transport.decode(await self._transport.call("DELETE", path), Erased)

    async def person(self, person: str) -> Erased:
        return await self._erase(ErasureBody("person", person, person))

    async def namespace(self, namespace: str) -> Erased:
        return await self._erase(ErasureBody("namespace", namespace, namespace))

    async def _erase(self, body: ErasureBody) -> Erased:
        headers = {"Content-Type": "application/json"}
        told = await self._transport.call("POST", path_of("erasures"), data=encode(body), headers=headers)
        return self._transport.decode(told, Erased)
