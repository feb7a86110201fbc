"""Amounts of a machine, in words for people."""

from agenthost.core.machines import Need

_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def size(count: int) -> str:
    """Bytes as `512 MiB` or `1.5 GiB`."""
    for unit, factor in _UNITS:
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count} bytes"


def cores(count: float) -> str:
    """Cores as `1 core` or `2.5 cores`."""
    return "1 core" if count == 1 else f"{count:g} cores"


def amount(need: Need) -> str:
    """All that is needed: `512 MiB of memory and 1 core`."""
    parts: list[str] = []
    if need.memory:
        parts.append(f"{size(need.memory)} of memory")
    if need.gpu_memory:
        parts.append(f"{size(need.gpu_memory)} of GPU memory")
    if need.cpu:
        parts.append(cores(need.cpu))
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts) or "nothing"
