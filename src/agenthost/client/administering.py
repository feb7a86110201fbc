"""People and keys of a host, over HTTP."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from agenthost.client.transport import Transport, path_of
from agenthost.core.access import Right
from agenthost.core.administration import (
    Fate,
    KeyInfo,
    Me,
    NewKey,
    NewPerson,
    PersonChange,
    PersonInfo,
    SignInLink,
)
from agenthost.wire.bodies import KeyBody, PasswordBody, SignInBody, encode

T = TypeVar("T")


class RemoteAdministration:
    """Fulfils core.administration.Administration."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def whoami(self) -> Me:
        return await self._ask(Me, "GET", ["me"])

    async def people(self) -> list[PersonInfo]:
        return await self._ask(list[PersonInfo], "GET", ["people"])

    async def person(self, id: str) -> PersonInfo:
        return await self._ask(PersonInfo, "GET", ["people", id])

    async def add_person(self, person: NewPerson) -> PersonInfo:
        return await self._ask(PersonInfo, "POST", ["people"], person)

    async def change_person(self, id: str, change: PersonChange) -> PersonInfo:
        return await self._ask(PersonInfo, "PATCH", ["people", id], change)

    async def set_password(self, id: str, password: str, old: str = "") -> None:
        await self._send("PUT", ["people", id, "password"], PasswordBody(password, old))

    async def delete_person(self, id: str, tasks: Fate = "cancel") -> None:
        await self._send("DELETE", ["people", id], query={"tasks": tasks})

    async def sign_in_link(self, person: str = "") -> SignInLink:
        return await self._ask(SignInLink, "POST", ["sign-in-links"], SignInBody(person))

    async def keys(self, person: str = "") -> list[KeyInfo]:
        return await self._ask(list[KeyInfo], "GET", ["keys"], query={"person": person} if person else None)

    async def make_key(
        self, name: str = "", person: str = "", rights: tuple[Right, ...] = (), expires: float = 0.0
    ) -> NewKey:
        return await self._ask(NewKey, "POST", ["keys"], KeyBody(name, person, rights, expires))

    async def revoke_key(self, id: str, person: str = "") -> None:
        await self._send("DELETE", ["keys", id], query={"person": person} if person else None)

    async def _ask(
        self, type: type[T], method: str, names: Sequence[str], body: Any = None, query: dict[str, Any] | None = None
    ) -> T:
        return self._transport.decode(await self._send(method, names, body, query), type)

    async def _send(
        self, method: str, names: Sequence[str], body: Any = None, query: dict[str, Any] | None = None
    ) -> bytes:
        path = path_of(*names) + ("?" + urlencode(query) if query else "")
        if body is None:
            return await self._transport.call(method, path)
        headers = {"Content-Type": "application/json"}
        return await self._transport.call(method, path, data=encode(body), headers=headers)
