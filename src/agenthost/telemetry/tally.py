"""Counts and spreads by labels: dicts and nothing else, so that counting costs next to nothing."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

MOST = 1000
"""Sets of labels that one figure keeps; any further one counts as OTHER."""
OTHER = "other"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds for what takes milliseconds to minutes."""
LONG = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Bounds for what takes seconds to a day."""

Labels = tuple[str, ...]


class Sample(Struct, frozen=True):
    """A figure as it was at one moment. `values` by label values; of a spread, `spreads`: how many fell up to each of
    `bounds` and beyond (each counted once), and the sum."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: Labels
    values: Mapping[Labels, float] = {}
    bounds: tuple[float, ...] = ()
    spreads: Mapping[Labels, tuple[tuple[int, ...], float]] = {}


class Count:
    """A figure that grows."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self._values: dict[Labels, float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count one more, or `by`."""
        values = self._values
        if labels in values:
            values[labels] += by
        else:
            labels = _bounded(labels, len(values))
            values[labels] = values.get(labels, 0) + by

    def sample(self) -> Sample:
        return Sample("counter", self.name, self.help, self.labels, dict(self._values))


class Gauge:
    """A figure that is looked up with `read` when it is wanted. `grows`: it only ever does."""

    def __init__(
        self, name: str, help: str, *labels: str, read: Callable[[], Mapping[Labels, float]], grows: bool = False
    ) -> None:
        self.grows = grows
        self.name = name
        self.help = help
        self.labels = labels
        self._read = read

    def sample(self) -> Sample:
        kind = "counter" if self.grows else "gauge"
        return Sample(kind, self.name, self.help, self.labels, dict(self._read()))


class Spread:
    """How values are spread over ranges, whose upper `bounds` rise."""

    def __init__(self, name: str, help: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, value: float, *labels: str) -> None:
        """Count a value."""
        counts = self._counts.get(labels)
        if counts is None:
            labels = _bounded(labels, len(self._counts))
            # The sum is there first: another thread may take a sample in between.
            self._sums.setdefault(labels, 0.0)
            counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[labels] += value

    def sample(self) -> Sample:
        spreads = {labels: (tuple(counts), self._sums[labels]) for labels, counts in list(self._counts.items())}
        return Sample("histogram", self.name, self.help, self.labels, bounds=self.bounds, spreads=spreads)


Figure = Count | Gauge | Spread


def _bounded(labels: Labels, known: int) -> Labels:
    return labels if known < MOST else (OTHER,) * len(labels)
