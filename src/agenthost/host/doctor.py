"""What is well with a host and what is not, each with how to mend it."""

import asyncio
import os
import platform
import shutil
import time
from pathlib import Path

from agenthost.core.api import Finding, ModelLine
from agenthost.core.errors import AgentHostError
from agenthost.core.machines import Need
from agenthost.core.ports import Filter, Store
from agenthost.host.settings import Settings
from agenthost.machine import words
from agenthost.machine.facts import look
from agenthost.machine.ledger import Ledger
from agenthost.models.detect import find
from agenthost.models.llamacpp import backend
from agenthost.sandboxes.choice import Choice, Seen

LOW_DISK = 1024**3


async def examine(
    settings: Settings, sandbox: Choice, machine: Ledger, store: Store, models: list[ModelLine]
) -> list[Finding]:
    """Look at everything that a host needs."""
    return [
        Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        await asyncio.to_thread(_home, settings.folder),
        await _database(store),
        *await _sandboxes(sandbox),
        _model(settings, models),
        *await _local_models(),
        *await _llama_cpp(settings, machine, models),
        *await _machine(machine),
    ]


def _home(home: Path) -> Finding:
    if not os.access(home, os.W_OK):
        return Finding("fail", "home", f"{home} can't be written", "choose another with AGENTHOST_HOME")
    free = shutil.disk_usage(home).free
    seen = f"{home}, {free / 1024**3:.1f} GiB free"
    if free < LOW_DISK:
        return Finding("warn", "home", seen, "make room on this disk: journals and workspaces are kept there")
    return Finding("ok", "home", seen)


async def _database(store: Store) -> Finding:
    try:
        rows = await store.tasks(Filter(limit=1))
    except AgentHostError as error:
        return Finding("fail", "database", error.message)
    return Finding("ok", "database", f"SQLite, the newest task is {rows[0].id}" if rows else "SQLite, no task yet")


async def _sandboxes(choice: Choice) -> list[Finding]:
    """Whether there is one for code that demands nothing, and each that there could be."""
    seen = await choice.survey()
    found = await choice.available()
    whole = (
        Finding("ok", "sandbox", found.detail)
        if found.available
        else Finding("fail", "sandbox", found.detail, found.fix)
    )
    return [whole, *map(_back_end, seen)]


def _back_end(seen: Seen) -> Finding:
    about = f"isolation {seen.isolation}" + (", runs what demands no other" if seen.chosen else "")
    if seen.availability.available:
        return Finding("ok", f"sandbox {seen.name}", f"{about}; {seen.availability.detail}")
    return Finding("ok", f"sandbox {seen.name}", f"not here: {seen.availability.detail}", seen.availability.fix)


def _model(settings: Settings, models: list[ModelLine]) -> Finding:
    usable = [model.name for model in models if model.usable]
    default = settings.models.default
    if default and {default, "default"} & {*usable}:
        return Finding("ok", "model", f"default is {default}")
    if usable and not default:
        return Finding("ok", "model", f"can be used: {', '.join(usable[:6])}")
    why = next((f": {model.note}" for model in models if model.name == "default" and model.note), "")
    return Finding(
        "warn",
        "model",
        f"the default model '{default}' can't be used{why}" if default else "none is set",
        "set OPENAI_API_KEY, or AGENTHOST_MODEL to one such as openai:gpt-5.5 or ollama:NAME",
    )


async def _llama_cpp(settings: Settings, machine: Ledger, models: list[ModelLine]) -> list[Finding]:
    """Which llama.cpp is here, what it can use, and the models that it would run."""
    local = [model for model in models if model.provider == "llamacpp" and model.name.startswith("llamacpp:")]
    try:
        found = await asyncio.to_thread(backend.find, settings.models.llamacpp.command, os.environ)
        about = await backend.about(found, os.environ)
    except AgentHostError as error:
        # Who runs no models here doesn't lack it.
        status = "warn" if local or settings.models.default.startswith("llamacpp:") else "ok"
        return [Finding(status, "llama.cpp", "not here" if status == "ok" else error.message, backend.INSTALL)]
    where = f" ({found.path})" if found.path else ""
    gpus = ", ".join(f"{gpu.name} by {gpu.kind}" for gpu in about.gpus)
    unused = machine.facts().gpus and not about.gpus
    findings = [
        Finding(
            "warn" if unused else "ok",
            "llama.cpp",
            f"{found.kind} {about.version}{where}, {gpus or 'on the processors alone'}",
            "this build can't use the GPU that is here; install one for CUDA, Vulkan or ROCm" if unused else "",
        )
    ]
    for model in local:
        seen = f"{model.name}: {f'{model.window} tokens, ' if model.window else ''}{model.note}"
        findings.append(Finding("ok" if model.usable else "warn", "local models", seen))
    return findings


async def _local_models() -> list[Finding]:
    return [
        Finding("ok", "local models", f"{found.provider} at {found.base_url}: {', '.join(found.names[:6])}")
        for found in await find()
    ]


async def _machine(machine: Ledger) -> list[Finding]:
    """What the machine has, what of it is handed out, and who waits."""
    seen, whole, facts = await look(), machine.whole, machine.facts()
    held = sum(one.need.memory for one in machine.holding())
    told = (
        f"{words.cores(facts.cores)}, {words.size(facts.memory)} of memory ({words.size(seen.available)} free); "
        f"the host hands out {words.amount(Need(whole.memory, whole.cpu))}, of which {words.size(held)} are held"
    )
    short = whole.memory - held > seen.available
    fix = "other programs use the memory: end some, or lower [machine] memory"
    found = [Finding("warn" if short else "ok", "machine", told, fix if short else "")]
    for gpu in facts.gpus:
        memory = f", {words.size(gpu.memory)}" if gpu.memory else ""
        fix = "" if gpu.memory or whole.gpu_memory else "say how much memory it has: [machine] gpu-memory"
        found.append(Finding("ok", "GPU", f"{gpu.name} ({gpu.kind}{memory})", fix))
    if not facts.gpus:
        found.append(Finding("ok", "GPU", "none was found (nvidia-smi, vulkaninfo); models run on the processor"))
    now = time.time()
    return found + [
        Finding("ok", "waiting", f"{one.who} for {words.amount(one.need)}, since {now - one.since:.0f} s")
        for one in machine.waiting()
    ]
