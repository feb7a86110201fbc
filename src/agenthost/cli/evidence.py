"""`agenthost tasks evidence`: what shows that a task is done, taken along as a file, and held against the journal."""

from argparse import Namespace

import msgspec

from agenthost.cli import paths
from agenthost.cli.options import Parser
from agenthost.cli.screen import Screen
from agenthost.core.api import HostApi
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.events import Recorded
from agenthost.core.evidence import EvidencePack, journal_hash

TOLD = (
    "what shows that it is done, by event number",
    "tasks evidence last\ntasks evidence last --to evidence.json\ntasks evidence last --verify evidence.json",
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
    pack = await api.evidence(args.task)
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
    try:
        pack = msgspec.json.decode(paths.read_bytes(args.verify), type=EvidencePack)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"'{args.verify}' is no evidence pack in JSON ({error}); write one with --to FILE.json"
        ) from None
    if pack.task != args.task:
        raise BadInput(f"'{args.verify}' is the evidence of task {pack.task}, not of {args.task}; name that one")
    problems = await differences(api, pack)
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
        now = await api.evidence(pack.task)
        names = (name for name in pack.__struct_fields__ if getattr(now, name) != getattr(pack, name))
        problems = [f"{pack.task}: '{name}' is not what the journal gives" for name in names]
    return problems


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
