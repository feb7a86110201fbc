"""What every suite gets: the results to fill, how much to measure, where, and which subjects there are."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.boxes import BOXES, Box
from bench.processes import FakeModel, Worker
from bench.records import Results


@dataclass(frozen=True)
class Scale:
    """How much is measured. `seconds` is the load of one repetition, `soak` of the soak, which begins after
    `warm_up` sandboxes and looks once nothing has changed for `quiet` seconds."""

    repetitions: int = 5
    seconds: float = 1.5
    launches: int = 15
    rounds: int = 1300
    long_tasks: int = 5
    tasks: int = 100_000
    patient: bool = True
    soak: float = 20.0
    warm_up: int = 66
    quiet: int = 5


FULL = Scale()
QUICK = Scale(
    repetitions=2, seconds=0.7, launches=5, rounds=1300, long_tasks=2, tasks=10_000, patient=False, soak=5, warm_up=24
)
TINY = Scale(
    repetitions=1,
    seconds=0.05,
    launches=1,
    rounds=30,
    long_tasks=1,
    tasks=50,
    patient=False,
    soak=9,
    warm_up=11,
    quiet=3,
)

OURS = "agenthost"
LIMIT = "bare loop"
FLOOR = "bare loop + journal"
LANGGRAPH = "langgraph + SQLite"


@dataclass(frozen=True)
class Subject:
    """Something that is measured: its name for people, where its code is, and what it keeps."""

    name: str
    place: str
    keeps: str
    imports: str
    peer: bool = False


SUBJECTS = (
    Subject(LIMIT, "bench.subjects.bare:Bare", "nothing", "aiohttp"),
    Subject(FLOOR, "bench.subjects.bare:Journalled", "five rows a run", "aiohttp, sqlite3"),
    Subject(OURS, "bench.subjects.ours:Subject", "every event", "agenthost.host.host, bench.subjects.ours"),
    Subject(
        LANGGRAPH,
        "bench.subjects.peer_langgraph:Subject",
        "every step",
        "langgraph.graph, langgraph.checkpoint.sqlite.aio, langchain_openai",
        peer=True,
    ),
    Subject(
        "agno + SQLite",
        "bench.subjects.peer_agno:Subject",
        "a row at the end",
        "agno.agent, agno.models.openai, agno.db.sqlite",
        peer=True,
    ),
    Subject(
        "pydantic-ai",
        "bench.subjects.peer_pydantic_ai:Subject",
        "nothing",
        "pydantic_ai, pydantic_ai.models.openai",
        peer=True,
    ),
)


@dataclass
class Setting:
    """The frame of one run of the benchmark. `boxes`: the sandboxes that are asked for. `image`: for Docker's, the default
    one where empty. `minutes`: of the soak, the scale's where 0. `home`: what our containers are labelled with. `notes`: lines for people, printed at the end."""

    scale: Scale
    results: Results
    folder: Path
    model: FakeModel
    subjects: tuple[Subject, ...]
    python: Callable[[Subject], Path]
    tell: Callable[[str], None]
    boxes: tuple[Box, ...] = BOXES
    image: str = ""
    minutes: float = 0.0
    home: str = field(default_factory=lambda: f"bench-{secrets.token_hex(4)}")
    notes: list[str] = field(default_factory=list[str])
    _made: int = field(default=0)

    def worker(self, subject: Subject, name: str = "") -> Worker:
        """A process for a subject, ready. Raises NotMeasured."""
        self._made += 1
        place = self.folder / f"{self._made}-{name or subject.place.rpartition('.')[2].replace(':', '-').lower()}"
        return Worker(subject.place, self.python(subject), self.model.urls, place)

    def subject(self, name: str) -> Subject:
        """A subject by name."""
        return next(subject for subject in SUBJECTS if subject.name == name)
