"""What a machine has, what somebody needs of it, and who waits; and the port of whoever gives it out."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct


def silent(line: str) -> None:
    """Tells nobody."""


class Gpu(Struct, frozen=True, omit_defaults=True):
    """A graphics processor that models can use. `kind`: `cuda`, `metal`, `vulkan`; `memory` in bytes, 0 where unknown."""

    name: str
    kind: str
    memory: int = 0


class MachineFacts(Struct, frozen=True, omit_defaults=True):
    """What the host may use here: cores, and memory in bytes (a container's or cgroup's limits, where there are any)."""

    cores: float
    memory: int
    gpus: tuple[Gpu, ...] = ()


class Need(Struct, frozen=True, omit_defaults=True):
    """What a run or a model takes: memory and GPU memory in bytes, processors in cores."""

    memory: int = 0
    cpu: float = 0.0
    gpu_memory: int = 0


class Waiting(Struct, frozen=True):
    """Somebody who waits: who, for what, since when (seconds since the epoch)."""

    who: str
    need: Need
    since: float


class Hold(Protocol):
    """Part of the machine that somebody has."""

    async def release(self) -> None: ...


class Machine(Protocol):
    """The machine's memory, processors and GPU, and who has how much of them."""

    def facts(self) -> MachineFacts: ...

    async def hold(
        self,
        need: Need,
        who: str,
        tell: Callable[[str], None] = silent,
        reclaim: Callable[[], Awaitable[None]] | None = None,
    ) -> Hold:
        """Wait until it fits, first come first served, and have it. `reclaim` is called when others wait: a
        holder that is idle releases then. Raises Unavailable where it can never fit here, with the figures."""
        ...

    def waiting(self) -> list[Waiting]:
        """Who waits for what, in order."""
        ...
