"""`agenthost tasks evidence`: what shows that a task is done, taken along as a file, and held against the journal."""

import asyncio
from argparse import Namespace
from pathlib import Path

import msgspec

from agenthost.cli import paths
from agenthost.cli.options import Parser
from agenthost.cli.screen import Screen
from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack, journal_hash
from agenthost.core.ids import digest

TOLD = (
    "what shows that it is done, by event number",
    "tasks evidence last\ntasks evidence last --to evidence.json\ntasks evidence last --verify evidence.json\n"
    "tasks evidence task.zip",
)


def add_to(parser: Parser) -> None:
    """The options of the word."""
    parser.add_argument(
        "--to", metavar="FILE", help="write it to this file: Markdown where that ends in .md, else JSON"
    )
    parser.add_argument("--verify", metavar="FILE", help="hold a pack that was written before against the journal")


async def run(args: Namespace, api: HostApi, screen: Screen) -> int:
    """Show a task's evidence, write it, or verify a file."""
    if args.verify:
        return await _verify(args, api, screen)
    return _give(args, await api.evidence(args.task), screen)


async def of_export(args: Namespace, screen: Screen) -> int:
    """The same from an export alone, without a host: 1 where the evidence that is in it, or in the file that is held
    against it, isn't what its journals show."""
    from agenthost.host.proof.desk import FILES
    from agenthost.host.replaying.proving import evidence_of
    from agenthost.host.replaying.reading import read

    export = await asyncio.to_thread(read, Path(args.task))
    pack = await evidence_of(export.recording)
    if args.verify:
        given = _read(args.verify, pack.task)
        return _told(screen, given, [] if given == pack else _fields(given, pack))
    kept = export.files.get(FILES[0])
    code = _give(args, pack, screen)
    if kept is not None and kept != digest(as_json(pack)):
        screen.say(f"The evidence that is in {args.task} is not what its journals show.", "red")
        return 1
    return code


def _give(args: Namespace, pack: EvidencePack, screen: Screen) -> int:
    if args.to:
        content = page_of(pack).encode() if args.to.endswith(".md") else as_json(pack)
        paths.write(args.to, content)
        if screen.json:
            screen.object({"task": pack.task, "file": args.to, "size": len(content)})
        else:
            screen.line(args.to)
    elif screen.json:
        screen.object(pack)
    else:
        screen.line(page_of(pack).rstrip())
    return 0


def page_of(pack: EvidencePack) -> str:
    """A pack for people."""
    from agenthost.host.proof.page import page

    return page(pack)


def as_json(pack: EvidencePack) -> bytes:
    """A pack as a file."""
    return msgspec.json.format(msgspec.json.encode(pack), indent=2) + b"\n"


async def _verify(args: Namespace, api: HostApi, screen: Screen) -> int:
    pack = _read(args.verify, args.task)
    return _told(screen, pack, await differences(api, pack))


def _read(file: str, task: str) -> EvidencePack:
    try:
        pack = msgspec.json.decode(paths.read_bytes(file), type=EvidencePack)
    except msgspec.DecodeError as error:
        raise BadInput(f"'{file}' is no evidence pack in JSON ({error}); write one with --to FILE.json") from None
    if pack.task != task:
        raise BadInput(f"'{file}' is the evidence of task {pack.task}, not of {task}; name that one")
    return pack


def _told(screen: Screen, pack: EvidencePack, problems: list[str]) -> int:
    if screen.json:
        screen.object({"task": pack.task, "agrees": not problems, "problems": problems})
    for problem in problems:
        screen.say(problem, "red")
    if not problems:
        screen.say(f"It agrees with the journal of task {pack.task} ({pack.events} events).")
    return 1 if problems else 0


async def differences(api: HostApi, pack: EvidencePack) -> list[str]:
    """In what a pack differs from the journals that it says it was read from."""
    problems = await _hashes(api, pack)
    if not problems:
        problems = _fields(pack, await api.evidence(pack.task))
    return problems


def _fields(pack: EvidencePack, now: EvidencePack) -> list[str]:
    names = (name for name in pack.__struct_fields__ if getattr(now, name) != getattr(pack, name))
    return [f"{pack.task}: '{name}' is not what the journal gives" for name in names]


async def _hashes(api: HostApi, pack: EvidencePack) -> list[str]:
    problems: list[str] = []
    try:
        events = await _first(api, pack.task, pack.events)
        if journal_hash(events) != pack.journal:
            problems.append(
                f"{pack.task}: the journal's first {pack.events} events are others than the pack was made of"
            )
    except AgentHostError as error:
        problems.append(f"{pack.task}: its journal can't be read: {error.message}")
    for below in pack.below:
        problems += await _hashes(api, below)
    return problems


async def _first(api: HostApi, task: str, count: int) -> list[Recorded]:
    found: list[Recorded] = []
    while len(found) < count:
        page = await api.events(task, found[-1].seq if found else 0, min(1000, count - len(found)))
        if not page:
            break
        found += page
    return found
