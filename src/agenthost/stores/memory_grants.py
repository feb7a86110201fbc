"""Grants in memory: the same rules, for tests."""

from msgspec.structs import replace

from agenthost.core.grants import Grant, GrantUse, Use
from agenthost.core.ids import root_id


class MemoryGrants:
    """The port `core.grants.Grants`."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._uses: dict[str, dict[tuple[str, str], GrantUse]] = {}

    async def put(self, grant: Grant) -> None:
        self._grants.setdefault(grant.id, grant)

    async def get(self, id: str) -> Grant | None:
        return self._grants.get(id)

    async def of(self, namespace: str, person: str = "") -> list[Grant]:
        found = [each for each in self._grants.values() if each.namespace == namespace and person in ("", each.person)]
        return sorted(found, key=lambda each: (each.at, each.id), reverse=True)

    async def matching(self, namespace: str, person: str, kind: str, name: str, tool: str) -> list[Grant]:
        wanted = (kind, name, tool)
        return [each for each in await self.of(namespace, person) if (each.kind, each.name, each.tool) == wanted]

    async def use(self, id: str, use: GrantUse) -> Use:
        grant = self._grants.get(id)
        if grant is None:
            return "gone"
        noted = self._uses.setdefault(id, {})
        if (use.task, use.question) in noted:
            return "again"
        noted[use.task, use.question] = use
        self._grants[id] = replace(grant, uses=grant.uses + 1, used=max(grant.used, use.at))
        return "used"

    async def uses(self, id: str, limit: int = 50) -> list[GrantUse]:
        found = self._uses.get(id, {}).values()
        return sorted(found, key=lambda use: (use.at, use.task, use.question), reverse=True)[:limit]

    async def delete(self, id: str) -> bool:
        self._uses.pop(id, None)
        return self._grants.pop(id, None) is not None

    def forget(self, root: str) -> None:
        """What was used in a tree of tasks that is deleted."""
        for noted in self._uses.values():
            for key in [key for key in noted if root_id(key[0]) == root]:
                del noted[key]

    def forget_person(self, namespace: str, person: str) -> None:
        """All that somebody has or gave; of a namespace where nobody is named."""
        for id, each in list(self._grants.items()):
            if each.namespace == namespace and (not person or person in (each.person, each.by)):
                self._grants.pop(id)
                self._uses.pop(id, None)
