"""What a machine has, what somebody needs of it, and who waits."""

from msgspec import Struct


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
