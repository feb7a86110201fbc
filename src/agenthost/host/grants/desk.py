"""The use-cases of grants, for one caller at a time."""

from agenthost.core.access import Accounts, Caller
from agenthost.core.errors import NotFound
from agenthost.core.grants import Grant, GrantDetail, Grants, OwnGrants
from agenthost.host.guarded import deed, forbidden


class Desk:
    """Where grants are listed and taken back. `kept`: who keeps them."""

    def __init__(self, grants: Grants, accounts: Accounts) -> None:
        self.kept = grants
        self._accounts = accounts

    def of(self, caller: Caller) -> OwnGrants:
        """The use-cases for a caller."""
        return _Own(self.kept, self._accounts, caller)


class _Own:
    """Fulfils core.grants.OwnGrants. Made for each request, and cheap."""

    def __init__(self, grants: Grants, accounts: Accounts, caller: Caller) -> None:
        self._grants = grants
        self._accounts = accounts
        self._caller = caller

    async def all(self) -> list[Grant]:
        self._need_read()
        whose = self._caller.person if self._caller.role == "user" else ""
        return await self._grants.of(self._caller.namespace, whose)

    async def show(self, id: str) -> GrantDetail:
        self._need_read()
        return GrantDetail(await self._seen(id), tuple(await self._grants.uses(id)))

    async def remove(self, id: str) -> None:
        caller = self._caller
        if not caller.may("work"):
            raise forbidden(caller, "work", "take grants back")
        grant = await self._seen(id)
        if caller.person not in (grant.person, grant.by) and not caller.may("manage"):
            raise forbidden(caller, "manage", "take other people's grants back")
        if not await self._grants.delete(id):
            raise NotFound(f"the grant '{id}' was taken back already")
        thing = f"{grant.id} {grant.kind}/{grant.name} {grant.tool}"
        await self._accounts.note([deed(caller, "grant.remove", thing, "done")])

    def _need_read(self) -> None:
        if not self._caller.may("read"):
            raise forbidden(self._caller, "read", "look at grants")

    async def _seen(self, id: str) -> Grant:
        found = await self._grants.get(id)
        caller = self._caller
        if found is None or not (
            caller.sees(found.namespace, found.person)
            or (found.namespace, found.by) == (caller.namespace, caller.person)
        ):
            raise NotFound(f"there is no grant '{id[:80]}'; `agenthost grants list` shows those that there are")
        return found
