"""What the engine tells of a step that is in the journal, to whoever counts, logs or traces."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from agenthost.core.events import Recorded
from agenthost.core.lifecycle import State
from agenthost.core.ports import Settlement


class Committed(Struct, frozen=True):
    """A step of the task of the agent or workflow `name`: its events, its state before (empty: there was none) and
    after, and what is settled with it."""

    events: Sequence[Recorded]
    name: str
    before: State | Literal[""]
    after: State
    settled: Sequence[Settlement] = ()
