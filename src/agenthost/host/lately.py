"""Which models failed lately, told from the events as they are committed."""

import time
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from agenthost.core.commands import CallModel
from agenthost.core.errors import Failure
from agenthost.core.events import Answered, Asked, Recorded, Retried

WINDOW = 900.0
"""Seconds that count as lately."""
MOST = 2000
_OPEN = 20_000
_OWN = {"budget", "owner-lost", "price-unknown", "stopped"}
"""Failures that say nothing of the model."""


class _Call(Struct, frozen=True):
    at: float
    model: str
    failure: Failure | None


class Failing(Struct, frozen=True):
    """A model's calls lately: how many failed of how many, and how the last one that did."""

    model: str
    failed: int
    calls: int
    last: Failure


class Lately:
    """Hears of every event, and remembers how calls of models went. What it keeps is bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[tuple[str, str], str] = {}
        self._calls: deque[_Call] = deque(maxlen=MOST)

    def hear(self, recorded: Recorded) -> None:
        """An event that is in the journal."""
        event = recorded.event
        if isinstance(event, Asked):
            if isinstance(event.command, CallModel):
                if len(self._open) >= _OPEN:
                    del self._open[next(iter(self._open))]
                self._open[recorded.task, event.command.id] = event.command.model
        elif isinstance(event, Answered):
            model = self._open.pop((recorded.task, event.command), None)
            self._keep(model, event.failure)
        elif isinstance(event, Retried):
            self._keep(self._open.get((recorded.task, event.command)), event.failure)

    def _keep(self, model: str | None, failure: Failure | None) -> None:
        if model is not None and (failure is None or failure.code not in _OWN):
            self._calls.append(_Call(self._clock(), model, failure))

    def failing(self, least: int = 3, share: float = 0.5) -> list[Failing]:
        """Models of which at least so many calls, and such a share of them, failed within the window."""
        since = self._clock() - WINDOW
        while self._calls and self._calls[0].at < since:
            self._calls.popleft()
        calls: dict[str, list[Failure | None]] = {}
        for call in self._calls:
            calls.setdefault(call.model, []).append(call.failure)
        found: list[Failing] = []
        for model, outcomes in sorted(calls.items()):
            failed = [failure for failure in outcomes if failure is not None]
            if len(failed) >= least and len(failed) >= share * len(outcomes):
                found.append(Failing(model, len(failed), len(outcomes), failed[-1]))
        return found
