"""Which llama.cpp is here: `llama-server` on the PATH, else the package xllamacpp; and what it can use."""

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from agenthost.core.errors import Unavailable
from agenthost.core.machines import Gpu
from agenthost.models.llamacpp.gguf import Header
from agenthost.models.llamacpp.plan import Plan
from agenthost.models.llamacpp.words import clean
from agenthost.models.settings import LocalSettings

XLLAMACPP = "xllamacpp"
INSTALL = "Put llama.cpp's llama-server on the PATH, or install the package: pip install 'agenthost[llamacpp]'."
GOMP = "It needs the OpenMP library of GCC. Run: sudo apt-get install libgomp1"
_PATIENCE = 20.0  # seconds to say a version; a first import from a cold disk takes a few
_CHILD = (sys.executable, "-P", "-m", "agenthost.models.llamacpp.child")
"""`-P`: a module in the folder that somebody happens to stand in is no part of it."""
_DEVICE = re.compile(r"^\s*(\w+): (.+?) \((\d+) MiB, \d+ MiB free\)", re.MULTILINE)
_VERSION = re.compile(r"version: (\S+)")
_KINDS: tuple[tuple[str, str], ...] = (("cuda", "cuda"), ("mtl", "metal"), ("metal", "metal"), ("vulkan", "vulkan"))


class Backend(Struct, frozen=True):
    """A llama.cpp. `path`: of llama-server, empty for the package."""

    kind: Literal["llama-server", "xllamacpp"]
    path: str = ""


class About(Struct, frozen=True):
    """What a llama.cpp says of itself."""

    version: str
    gpus: tuple[Gpu, ...] = ()


Stamp = tuple[tuple[int, int, int] | None, ...]
"""Time of the last change, size and inode of each file; None for one that isn't there."""


class Start(Struct, frozen=True):
    """All that a child is started with. `stamp` tells the files of the model and its projector from others in their place."""

    name: str
    path: Path
    header: Header
    plan: Plan
    settings: LocalSettings = LocalSettings()
    projector: Path | None = None
    stamp: Stamp = ()


def find(command: str, environ: Mapping[str, str]) -> Backend:
    """The llama.cpp to use; `command` is what is set. Raises Unavailable, saying how to get one."""
    if command != XLLAMACPP:
        path = shutil.which(command or "llama-server", path=environ.get("PATH", ""))
        if path is not None:
            return Backend("llama-server", path)
        if command:
            raise Unavailable(f"[models.llamacpp] command names '{command}', which can't be run here. {INSTALL}")
    if importlib.util.find_spec(XLLAMACPP) is None:
        raise Unavailable(f"Local models need llama.cpp, and there is none. {INSTALL}")
    return Backend("xllamacpp")


async def about(backend: Backend, environ: Mapping[str, str]) -> About:
    """Ask it for its version and devices. Raises Unavailable where it can't even say that."""
    if backend.kind == "xllamacpp":
        said = await _said(backend, (*_CHILD, "about", str(os.getpid())), environ)
        try:
            found = msgspec.json.decode(said.strip().rpartition(b"\n")[2], type=_Told)
        except msgspec.DecodeError:
            raise _broken(backend, said) from None
        return About(found.version, tuple(_gpu(one.kind, one.name, one.memory) for one in found.devices))
    version = _VERSION.search((await _said(backend, (backend.path, "--version"), environ)).decode(errors="replace"))
    # Versions before 2025 don't know --list-devices: they have none that could be told.
    devices = (await _said(backend, (backend.path, "--list-devices"), environ)).decode(errors="replace")
    gpus = tuple(_gpu(kind, name, int(mib) * 1024**2) for kind, name, mib in _DEVICE.findall(devices))
    return About(version[1] if version else "unknown", gpus)


class _Device(Struct):
    name: str
    kind: str
    memory: int


class _Told(Struct):
    version: str
    devices: list[_Device]


def _gpu(kind: str, name: str, memory: int) -> Gpu:
    known = next((word for start, word in _KINDS if kind.lower().startswith(start)), kind.lower())
    return Gpu(name, known, memory)


async def _said(backend: Backend, command: tuple[str, ...], environ: Mapping[str, str]) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environ), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
    except OSError as error:
        raise Unavailable(f"{backend.path or backend.kind} can't be run: {error.strerror}. {INSTALL}") from None
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError:
        raise Unavailable(f"{backend.path or backend.kind} doesn't say its version. {INSTALL}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said


def _broken(backend: Backend, said: bytes) -> Unavailable:
    words = clean(said.decode(errors="replace")[-300:])
    mend = GOMP if "libgomp" in words else INSTALL
    return Unavailable(f"{backend.kind} is installed and can't be used: {words or 'it said nothing'}. {mend}")


def command_of(backend: Backend, start: Start, port: int) -> tuple[str, ...]:
    """The child's command. What is secret, or not known to every version, is not in it."""
    parent = str(os.getpid())
    if backend.kind == "xllamacpp":
        return (*_CHILD, "serve", parent)
    server = (backend.path, "--model", str(start.path), "--host", "127.0.0.1", "--port", str(port))
    return (*_CHILD, "run", parent, *server, *start.settings.args)


def environment_of(backend: Backend, start: Start, key: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The child's environment. llama-server takes every argument from it too, and ignores those that it doesn't know."""
    # Threads that spin while they wait for each other starve where others compute too: a load of 0.05 s took 0.4 s, and once 11 s.
    kept = {"OMP_WAIT_POLICY": "passive"}
    kept |= {name: value for name, value in environ.items() if not name.startswith("LLAMA_")}
    if backend.kind == "xllamacpp":
        return kept
    plan, settings = start.plan, start.settings
    given = {
        "LLAMA_API_KEY": key,
        "LLAMA_ARG_ALIAS": start.name,
        "LLAMA_ARG_CTX_SIZE": str(plan.context * plan.slots),
        "LLAMA_ARG_N_PARALLEL": str(plan.slots),
        "LLAMA_ARG_UBATCH": str(plan.batch),
        "LLAMA_ARG_BATCH": str(max(2048, plan.batch)),
        "LLAMA_ARG_CACHE_RAM": str(plan.cache // 1024**2),
        "LLAMA_ARG_JINJA": "1",
        "LLAMA_ARG_FIT": "off",
        "LLAMA_ARG_NO_WEBUI": "1",
    }
    if plan.gpu_layers is not None:
        given["LLAMA_ARG_N_GPU_LAYERS"] = str(plan.gpu_layers)
    if settings.threads:
        given["LLAMA_ARG_THREADS"] = str(settings.threads)
    if start.projector is not None:
        given["LLAMA_ARG_MMPROJ"] = str(start.projector)
    if settings.chat_template:
        given["LLAMA_ARG_CHAT_TEMPLATE_FILE"] = settings.chat_template
    if plan.embeddings:
        given["LLAMA_ARG_EMBEDDINGS"] = "1"
        given["LLAMA_ARG_POOLING"] = _pooling(start.header)
    return kept | given


def orders_of(start: Start, key: str, template: str) -> bytes:
    """What our own child is told, as one line."""
    plan = start.plan
    orders = {
        "name": start.name,
        "path": str(start.path),
        "projector": str(start.projector or ""),
        "context": plan.context,
        "slots": plan.slots,
        "batch": plan.batch,
        "cache": plan.cache,
        "gpu_layers": plan.gpu_layers,
        "threads": start.settings.threads or 0,
        "template": template,
        "embeddings": plan.embeddings,
        "pooling": _pooling(start.header) if plan.embeddings else "",
        "key": key,
    }
    return msgspec.json.encode(orders) + b"\n"


def _pooling(header: Header) -> str:
    """The model's own, or the mean: without any, there would be a vector for each token."""
    return header.pooling if header.embeds else "mean"
