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
from agenthost.core.ports import Filter, Machine, Sandbox, Store
from agenthost.host.settings import Settings
from agenthost.machine import words
from agenthost.machine.facts import look
from agenthost.machine.shares import capacity
from agenthost.models.detect import find

LOW_DISK = 1024**3


async def examine(
    settings: Settings, sandbox: Sandbox, machine: Machine, store: Store, models: list[ModelLine]
) -> list[Finding]:
    """Look at everything that a host needs."""
    return [
        Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        await asyncio.to_thread(_home, settings.folder),
        await _database(store),
        await _sandbox(sandbox),
        _model(settings, models),
        *await _local_models(),
        *await _machine(settings, machine),
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


async def _sandbox(sandbox: Sandbox) -> Finding:
    found = await sandbox.available()
    if found.available:
        return Finding("ok", "sandbox", f"{sandbox.name}: {found.detail}" if found.detail else sandbox.name)
    return Finding("fail", "sandbox", found.detail, found.fix)


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


async def _local_models() -> list[Finding]:
    return [
        Finding("ok", "local models", f"{found.provider} at {found.base_url}: {', '.join(found.names[:6])}")
        for found in await find()
    ]


async def _machine(settings: Settings, machine: Machine) -> list[Finding]:
    """What the machine has, what of it is handed out, and who waits."""
    seen = await look()
    whole = capacity(settings.machine, seen)
    facts = seen.facts
    told = (
        f"{words.cores(facts.cores)}, {words.size(facts.memory)} of memory ({words.size(seen.available)} free); "
        f"the host hands out {words.amount(Need(whole.memory, whole.cpu))}"
    )
    short = whole.memory > seen.available
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
