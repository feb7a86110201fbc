"""Hands committed events and provisional deltas to whoever follows, within this process."""

import asyncio
from collections.abc import Sequence

from agenthost.core.api import LiveDelta
from agenthost.core.events import Answered, Finished, Recorded
from agenthost.core.ids import root_id
from agenthost.core.models import Delta
from agenthost.engine.signal import Signal

MOST_WAITING = 4096
"""Items that wait for a slow follower before it has to read the journal again."""

YOUNG = 16
"""Events of a new tree that are remembered, so that whoever follows it from the start needs no journal."""


EARLY = 64
"""Deltas of a call that are kept for whoever begins to follow right after the task was made."""


class Follower:
    """One who follows a task's tree. What doesn't fit is dropped and `missed` says so."""

    def __init__(self) -> None:
        self.items: list[Recorded | LiveDelta] = []
        self.missed = False
        self._wake = Signal()

    def put(self, item: Recorded | LiveDelta) -> None:
        if len(self.items) >= MOST_WAITING:
            self.items.clear()
            self.missed = True
        self.items.append(item)
        self._wake.set()

    def miss(self) -> None:
        """Have the journal read again."""
        self.missed = True
        self._wake.set()

    async def wait(self) -> None:
        """Until there is something (or something was missed)."""
        await self._wake.wait()
        self._wake.clear()


class Bus:
    """Followers by the root of the tree that they follow."""

    def __init__(self) -> None:
        self._followers: dict[str, list[Follower]] = {}
        self._young: dict[str, list[Recorded]] = {}
        self._early: dict[str, list[LiveDelta]] = {}
        self.watchers: set[asyncio.Event] = set()
        """Of those who read every task's events: set when there are more."""

    def begin(self, task: str) -> None:
        """A root task is about to be told of from its first event on."""
        self._young[task] = []
        self._early[task] = []

    def young(self, task: str) -> list[Recorded | LiveDelta] | None:
        """Everything that happened in the tree of a root task that goes on, with what a call that is under way has said
        so far; None where it is too much to remember."""
        young = self._young.get(task)
        return None if young is None else [*young, *self._early.pop(task, ())]

    def forget(self, task: str) -> None:
        """Nothing is told of a task any more, or not in the order of its journal: followers read that."""
        self._young.pop(task, None)
        self._early.pop(task, None)

    def follow(self, task: str) -> Follower:
        follower = Follower()
        self._followers.setdefault(root_id(task), []).append(follower)
        return follower

    def leave(self, task: str, follower: Follower) -> None:
        followers = self._followers.get(root_id(task), [])
        if follower in followers:
            followers.remove(follower)
        if not followers:
            self._followers.pop(root_id(task), None)

    @property
    def followers(self) -> int:
        """How many follow."""
        return sum(map(len, self._followers.values()))

    def committed(self, events: Sequence[Recorded]) -> None:
        """Events that are in the journal now."""
        if not events:
            return
        for watcher in self.watchers:
            watcher.set()
        root = root_id(events[0].task)
        young = self._young.get(root)
        if young is not None:
            young.extend(events)
            if root in self._early and any(isinstance(event.event, Answered) for event in events):
                self._early[root] = []
            ended = events[0].task == root and isinstance(events[-1].event, Finished)
            if ended or len(young) > YOUNG:
                self.forget(root)
        for follower in self._followers.get(root, ()):
            for event in events:
                follower.put(event)

    def delta(self, task: str, command: str, attempt: int, delta: Delta) -> None:
        """A provisional piece of an answer."""
        root = root_id(task)
        early = self._early.get(root)
        if early is not None:
            early.append(LiveDelta(task, command, attempt, delta))
            if len(early) > EARLY:
                del self._early[root]
        for follower in self._followers.get(root, ()):
            follower.put(LiveDelta(task, command, attempt, delta))

    def look_again(self, task: str) -> None:
        """Something changed that no event tells (a task was held): followers read the store again."""
        self.forget(root_id(task))
        for follower in self._followers.get(root_id(task), ()):
            follower.miss()

    def followed(self, task: str) -> bool:
        """Whether anybody follows the task."""
        return root_id(task) in self._followers
