"""The graphics processors of this machine, as their vendors' own commands tell. Nothing found is no error."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

from agenthost.core.machines import Gpu
from agenthost.core.sandboxes import MIB

PATIENCE = 5.0
"""Seconds that a command may take. nvidia-smi takes one or two where the driver isn't kept loaded."""

_SOFTWARE = ("llvmpipe", "lavapipe", "swiftshader", "softpipe")
"""Vulkan devices that are the processor in disguise."""


async def find(system: str, root: Path = Path("/")) -> list[Gpu]:
    """The GPUs, each once: a card that CUDA drives isn't told again as a Vulkan device. Metal's are added by whoever
    knows the memory (`facts`)."""
    if system == "Darwin":
        return []
    found = cuda(await _said("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"))
    found = found or await asyncio.to_thread(driver, root)
    others = vulkan(await _said("vulkaninfo", "--summary"))
    return found + [gpu for gpu in others if not (found and "nvidia" in gpu.name.lower())]


def cuda(said: str) -> list[Gpu]:
    """The cards in nvidia-smi's table of names and MiB."""
    found: list[Gpu] = []
    for line in said.splitlines():
        name, comma, memory = line.rpartition(",")
        if comma and memory.strip().isdigit():
            found.append(Gpu(name.strip(), "cuda", int(memory) * MIB))
    return found


def driver(root: Path) -> list[Gpu]:
    """The cards that NVIDIA's driver lists, without their memory: for machines without nvidia-smi."""
    found: list[Gpu] = []
    for file in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if model := re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE):
            found.append(Gpu(model[1], "cuda"))
    return found


def vulkan(said: str) -> list[Gpu]:
    """The devices in vulkaninfo's summary, which tells no memory; the processor's own ones are left out."""
    found: list[Gpu] = []
    for device in re.split(r"^GPU\d+:\s*$", said, flags=re.MULTILINE)[1:]:
        name = re.search(r"^\s*deviceName\s*=\s*(.+?)\s*$", device, re.MULTILINE)
        kind = re.search(r"^\s*deviceType\s*=\s*(\S+)", device, re.MULTILINE)
        if name is None or (kind is not None and kind[1].endswith("_CPU")):
            continue
        if not any(word in name[1].lower() for word in _SOFTWARE):
            found.append(Gpu(name[1], "vulkan"))
    return found


async def _said(*words: str) -> str:
    """What a command prints; empty where it isn't there, fails, or takes too long."""
    return await asyncio.to_thread(ask, *words)


def ask(*words: str) -> str:
    """As `find` asks a command, for threads."""
    command = shutil.which(words[0])
    if command is None:
        return ""
    try:
        done = subprocess.run(
            [command, *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
