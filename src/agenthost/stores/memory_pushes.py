"""Addresses for push notifications, in memory: the same rules, for tests."""

from msgspec.structs import replace

from agenthost.core.ids import root_id
from agenthost.core.pushes import Push


class MemoryPushes:
    """The port `core.pushes.Pushes`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Push] = {}

    async def put(self, push: Push) -> None:
        self._kept[push.task, push.id] = push

    async def of(self, task: str) -> list[Push]:
        return [push for push in self._sorted() if push.task == task]

    async def open(self) -> list[Push]:
        return [push for push in self._sorted() if not push.done]

    async def told(self, task: str, id: str, seen: dict[str, int], done: bool) -> None:
        if (push := self._kept.get((task, id))) is not None:
            self._kept[task, id] = replace(push, seen=dict(seen), done=done)

    async def delete(self, task: str, id: str) -> bool:
        return self._kept.pop((task, id), None) is not None

    def forget(self, root: str) -> None:
        """Forget those of a task that is deleted, and of all below it."""
        self._kept = {key: push for key, push in self._kept.items() if root_id(push.task) != root}

    def _sorted(self) -> list[Push]:
        return sorted(self._kept.values(), key=lambda push: (push.created, push.task, push.id))
