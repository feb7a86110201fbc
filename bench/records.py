"""What was measured: records, their medians, and ratios of what was measured side by side."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """One figure. `value` is None where it could not be measured, and `why` says the reason."""

    suite: str
    subject: str
    metric: str
    value: float | None
    unit: str
    why: str = ""


@dataclass
class Results:
    """All figures of a run."""

    records: list[Record] = field(default_factory=list)

    def add(self, suite: str, subject: str, metric: str, value: float, unit: str) -> None:
        """Keep a figure."""
        self.records.append(Record(suite, subject, metric, value, unit))

    def missing(self, suite: str, subject: str, metric: str, unit: str, why: str) -> None:
        """Keep that a figure could not be had, and why."""
        self.records.append(Record(suite, subject, metric, None, unit, why))

    def value(self, suite: str, subject: str, metric: str) -> float | None:
        """A figure, where there is one."""
        for record in self.records:
            if (record.suite, record.subject, record.metric) == (suite, subject, metric):
                return record.value
        return None

    def write(self, file: Path) -> None:
        """Write `[{suite, subject, metric, value, unit}]`; `why` is there where a value isn't."""
        rows: list[dict[str, Any]] = []
        for record in self.records:
            row = asdict(record)
            if record.value is None:
                row["unit"] = record.unit
            else:
                del row["why"]
                row["value"] = round(record.value, 6)
            rows.append(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def median(values: Sequence[float]) -> float:
    """The middle of some values."""
    return statistics.median(values)


def pairwise(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of what was measured one right after the other: what the machine does to
    both at that time falls out."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])
