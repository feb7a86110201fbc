"""Has the schedules be those that the manifests say."""

import secrets as randomness
import time
from collections.abc import Callable
from typing import Any

from agenthost.core.keeping import Keeping
from agenthost.core.schedules import Schedule, Schedules
from agenthost.host.library import NAMESPACE, Library
from agenthost.host.schedules.changing import Changes, begun


class Manifested:
    """`call` has the runner look."""

    def __init__(self, schedules: Schedules, keeping: Keeping, library: Library, call: Callable[[], None]) -> None:
        self._schedules = schedules
        self._keeping = keeping
        self._library = library
        self._call = call

    async def take(self) -> None:
        """Take what the manifests say. Done again it changes nothing."""
        wanted = self._library.manifests("schedule")
        kept = {each.name: each for each in await self._schedules.all(NAMESPACE) if each.manifest}
        for name, body in wanted.items():
            spec: dict[str, Any] = {key: value for key, value in body["spec"].items() if key != "person"}
            await self._take(name, spec, str(body["spec"].get("person", "")), kept.get(name))
        for name in kept.keys() - wanted.keys():
            await self._schedules.delete(kept[name].id)
        self._call()

    async def _take(self, name: str, spec: dict[str, Any], person: str, before: Schedule | None) -> None:
        if before is not None and (before.spec, before.person) == (spec, person):
            return
        # From when it was applied: what was due since then counts, also where the host died just then.
        versions = await self._keeping.versions("schedule", name, NAMESPACE, limit=1)
        since = versions[0].at if versions else time.time()
        if before is not None:
            await Changes(self._schedules).say(before, spec, person, since)
            return
        made = Schedule(f"sch_{randomness.token_hex(8)}", name, person, since, spec, manifest=True)
        await self._schedules.add(await begun(made, since))
