"""What this machine has for us: cores and memory within all limits, and GPUs."""

import asyncio
import os
import platform
import re
from pathlib import Path

from msgspec import Struct

from agenthost.core.machines import Gpu, MachineFacts
from agenthost.machine import cgroups, gpus

_KIB = 1024
_LEAST = 256 * 1024 * 1024
"""What a machine is taken to have that tells nothing at all."""


class Look(Struct, frozen=True):
    """One look at the machine. `available`: bytes of memory that could be had just then without swapping."""

    facts: MachineFacts
    available: int


async def look(root: Path = Path("/"), system: str = "") -> Look:
    """Look at this machine; takes up to a few seconds where there are GPUs. `root` is where /proc lies."""
    system = system or platform.system()
    cards, found = await asyncio.gather(gpus.find(system, root), asyncio.to_thread(_look, root, system))
    if system == "Darwin" and platform.machine() == "arm64":
        # Unified memory: what the GPU may use is the machine's own memory.
        name = await asyncio.to_thread(gpus.ask, "sysctl", "-n", "machdep.cpu.brand_string")
        cards = [Gpu(name.strip() or "Apple GPU", "metal", found.facts.memory)]
    return Look(MachineFacts(found.facts.cores, found.facts.memory, tuple(cards)), found.available)


def _look(root: Path, system: str) -> Look:
    total, available = _mac() if system == "Darwin" else _linux(root)
    limit = cgroups.limits(root)
    if limit.memory is not None and limit.memory < total:
        total = limit.memory
    if limit.free is not None:
        available = min(available, limit.free)
    cores = float(_cores())
    if limit.cores is not None:
        cores = min(cores, limit.cores)
    return Look(MachineFacts(cores, total), min(available, total))


def _linux(root: Path) -> tuple[int, int]:
    """Total and available memory. MemAvailable is there since Linux 3.14."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = {name: int(value) * _KIB for name, value in re.findall(r"^(\w+):\s*(\d+) kB", text, re.MULTILINE)}
    total = found.get("MemTotal") or _pages()
    return total, found.get("MemAvailable", found.get("MemFree", total))


def _mac() -> tuple[int, int]:
    said = gpus.ask("sysctl", "-n", "hw.memsize").strip()
    total = int(said) if said.isdigit() else _pages()
    return total, total


def _pages() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return _LEAST


def _cores() -> int:
    # macOS has no affinity; there every core may be used.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
