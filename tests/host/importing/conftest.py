"""A host that takes in what was exported, and what tests need to forge exports."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.access import Caller
from agenthost.core.errors import Conflict
from agenthost.core.importing import ImportOrder, TakenIn
from agenthost.host.host import Host
from agenthost.host.replaying import format
from agenthost.host.replaying.reading import ExportFile, read
from tests.host.conftest import Opens
from tests.host.importing.tools import DONE
from tests.recordings.make import MANIFESTS

RECORDINGS = Path(__file__).parents[2] / "recordings"
FILES = sorted(RECORDINGS.glob("*.zip"))
Members = dict[str, bytes]
Journal = list[dict[str, Any]]


TOOLS = "[tools]\n" + "".join(f'{name} = "tests.host.importing.tools:{name}"\n' for name in ("note", "send", "pay"))


@pytest.fixture
def effects() -> list[tuple[str, object]]:
    """What the tools really did."""
    DONE.calls.clear()
    return DONE.calls


@pytest.fixture
async def host(opens: Opens) -> Host:
    """A host that has never seen what was recorded, with the same agents."""
    return await opens(PLAYS, *MANIFESTS.split("---\n"), toml=TOOLS)


PLAYS = """\
rules:
  - when: {says: pay}
    reply: {calls: [{tool: pay, arguments: {to: eve}}]}
  - reply: {text: "ready: {{said}}"}
"""


OWNER = Caller()


async def taken(host: Host, content: bytes, caller: Caller = OWNER) -> TakenIn:
    """An export taken in, as whoever asks over HTTP."""
    kept = await host.put_file("it.zip", content, "application/zip")
    await host.accounts.own_file(caller.namespace, caller.person, kept.digest)
    return await host.importing.of(caller).take(ImportOrder(kept.digest))


async def refusing(host: Host, task: str) -> None:
    """Until it has ended; whoever is asked agrees to nothing."""
    while (detail := await host.task(task)).row.state not in ("completed", "failed", "canceled"):
        for open in detail.questions:
            answer = "give up" if open.ask.kind == "doubt" else "deny"
            with suppress(Conflict):  # a moment ago it had its answer
                await host.reply(task, answer, f"{open.task}/{open.ask.id}")
        await asyncio.sleep(0.002)


async def looked(content: bytes) -> ExportFile:
    """An export, read where nothing waits for it."""
    return await asyncio.to_thread(read, io.BytesIO(content))


def members(content: bytes) -> Members:
    """The members of an export."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(found: Members) -> bytes:
    """An export of members, whose table has their sizes and hashes: forged, and whole."""
    said = json.loads(found[format.TABLE])
    said["members"] = [
        {"name": name, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        for name, body in found.items()
        if name != format.TABLE
    ]
    found[format.TABLE] = json.dumps(said).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in found.items():
            archive.writestr(name, body)
    return out.getvalue()


def forged(content: bytes, change: Callable[[Journal], Journal | None]) -> bytes:
    """An export whose root has another journal."""
    found = members(content)
    name = f"tasks/{json.loads(found[format.TABLE])['task']}.jsonl"
    journal = [json.loads(line) for line in found[name].splitlines()]
    journal = change(journal) or journal
    found[name] = b"".join(json.dumps(line).encode() + b"\n" for line in journal)
    rows = json.loads(found[format.ROWS])
    rows[0]["seq"] = len(journal)
    found[format.ROWS] = json.dumps(rows).encode()
    return packed(found)
