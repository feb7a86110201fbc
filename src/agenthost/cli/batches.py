"""`agenthost model batch`, `model files` and `model embed`: what a model's provider does besides answering."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from agenthost.cli import prompts
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words
from agenthost.cli.screen import Screen
from agenthost.core.budgets import cost_of
from agenthost.core.errors import AgentHostError, BadInput, Temporary
from agenthost.core.models import ModelCard, Usage
from agenthost.core.offers import Batch, ProviderFile
from agenthost.core.ports import Abilities

_FIRST, _MOST = 2.0, 60.0  # seconds between two looks at a batch; doubles from the first to the last
_TEXTS = 512  # embedded at once, so that there is progress
_OPEN = ("waiting", "running")
_PURPOSE = "user_data"  # OpenAI's, for files of any use


def words(words: Words) -> None:
    """The three words and what comes after them."""
    batch = words.add(
        "batch",
        "have many requests answered within a day, for less money",
        "model batch submit default questions.txt --watch --out answers.jsonl",
    )
    group = Words(batch, "action")
    submit = group.add(
        "submit",
        "send a file of requests: a prompt a line (.txt), or a JSON object a line (.jsonl)",
        "model batch submit openai:gpt-5.4-mini questions.txt\nmodel batch submit default requests.jsonl --watch --out answers.jsonl",
    )
    _model(submit)
    submit.add_argument("file", metavar="FILE", help="the requests; - is stdin, as .jsonl")
    submit.add_argument("--instructions", metavar="TEXT", default="", help="said before each request without its own")
    submit.add_argument("--max-output", type=int, default=4096, metavar="TOKENS", help="the longest answer (4096)")
    submit.add_argument("--watch", action="store_true", help="wait for the answers, and print them")
    _out(submit)
    _model(group.add("list", "the batches that a provider has", "model batch list default"))
    for name, text in (
        ("show", "how a batch is"),
        ("watch", "wait until a batch has ended, and print its answers"),
        ("results", "the answers of a batch that has ended, a JSON object a line"),
        ("cancel", "have no more of a batch answered"),
    ):
        made = group.add(name, text, f"model batch {name} default batch_abc123")
        _model(made)
        made.add_argument("id", metavar="ID", help="the batch's id, as `submit` and `list` print it")
        if name in ("watch", "results"):
            _out(made)
    files = Words(words.add("files", "the files that a provider keeps", "model files list default"), "action")
    _model(files.add("list", "what a provider keeps", "model files list default"))
    put = files.add("put", "have a provider keep a file", "model files put default notes.pdf")
    _model(put)
    put.add_argument("file", metavar="FILE", help="the file")
    put.add_argument("--purpose", default=_PURPOSE, metavar="WORD", help=f"what it is for ({_PURPOSE}; also batch)")
    for name, text in (("get", "fetch a file"), ("delete", "have a provider forget a file")):
        made = files.add(name, text, f"model files {name} default file-abc123")
        _model(made)
        made.add_argument("id", metavar="ID", help="the file's id, as `list` prints it")
        if name == "get":
            _out(made)
    embed = words.add(
        "embed",
        "a vector for each line of a text, a JSON object a line",
        "model embed openai:text-embedding-3-small lines.txt --out vectors.jsonl",
    )
    _model(embed)
    embed.add_argument("file", metavar="FILE", help="the text, a line each; - is stdin")
    _out(embed)


def _model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a configured name, or provider:model")


def _out(parser: Parser) -> None:
    parser.add_argument("--out", metavar="FILE", default="", help="write there instead of stdout")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the words say."""
    if args.word == "embed":
        return await _embed(args, door, screen)
    if args.word == "files":
        return await _files(args, door, screen)
    if args.action == "list":
        return await _list(args, door, screen)
    if args.action == "submit":
        return await _submit(args, door, screen)
    if args.action == "watch":
        return await _watch(args, door, screen)
    async with door.host() as host:
        abilities = await host.api.abilities(args.model)
        found = await (abilities.cancel_batch(args.id) if args.action == "cancel" else abilities.batch(args.id))
    if args.action == "results":
        return await _ended(found, args, screen, abilities.card)
    _tell(found, screen)
    return 0


# --- batches -------------------------------------------------------------------------------------


async def _submit(args: Namespace, door: Door, screen: Screen) -> int:
    content = await asyncio.to_thread(_read, args.file)
    async with door.host() as host:
        abilities = await host.api.abilities(args.model)
        defaults = prompts.Defaults(abilities.card.name, args.instructions, args.max_output)
        requests = await prompts.requests(content, args.file, defaults, host.api.put_file)
        screen.hint(f"sending {len(requests):,} requests to {args.model}")
        found = await abilities.start_batch(requests)
    args.id = found.id
    if not (args.watch and screen.json):
        _tell(found, screen)
    screen.hint(f"the answers: agenthost model batch watch {args.model} {found.id}")
    return await _watch(args, door, screen) if args.watch else 0


async def _list(args: Namespace, door: Door, screen: Screen) -> int:
    async with door.host() as host:
        found = await (await host.api.abilities(args.model)).batches()
    if screen.json:
        screen.object(found)
    else:
        rows = [[one.id, one.state, _done(one), _time(one.created), one.reason] for one in found]
        screen.table(["batch", "state", "answered", "made", "note"], rows)
    return 0


async def _watch(args: Namespace, door: Door, screen: Screen) -> int:
    """Looks again and again. The host is let go between, so that a home without a running one stays free for others."""
    wait, told = _FIRST, ""
    while True:
        try:
            async with door.host() as host:
                abilities = await host.api.abilities(args.model)
                found = await abilities.batch(args.id)
        except Temporary as error:
            screen.hint(f"{error.message} It is looked at again.")
            wait = max(wait, min(error.delay or 0.0, _MOST))
        else:
            if found.state not in _OPEN:
                return await _ended(found, args, screen, abilities.card)
            if (now := f"{found.state}: {_done(found)}") != told:
                told = now
                screen.hint(f"{found.id} {now}")
        await asyncio.sleep(wait)
        wait = min(_MOST, wait * 2)


async def _ended(batch: Batch, args: Namespace, screen: Screen, card: ModelCard) -> int:
    """Print or write the answers. 1 where the batch or any request of it failed."""
    if batch.state in _OPEN:
        raise BadInput(
            f"the batch {batch.id} has no answers yet ({batch.state}, {_done(batch)}); "
            f"wait for them: agenthost model batch watch {args.model} {batch.id}"
        )
    lines = [prompts.result(name, answer) for name, answer in sorted(batch.answers.items(), key=_by_name)]
    await _write(args.out, b"".join(msgspec.json.encode(line) + b"\n" for line in lines), screen)
    failed = sum(answer.failure is not None for answer in batch.answers.values())
    used = [one.answer.usage for one in batch.answers.values() if one.answer is not None]
    tokens = f"{sum(each.input for each in used):,} tokens in, {sum(each.output for each in used):,} out"
    tokens += _money(card, used, "at most ")  # a batch costs less than the same calls one by one
    why = f" ({batch.reason})" if batch.reason else ""
    screen.hint(f"{batch.id} {batch.state}{why}: {len(lines) - failed:,} answered, {failed:,} failed; {tokens}")
    return 1 if failed or batch.state != "ended" else 0


def _by_name(entry: tuple[str, object]) -> tuple[int, str]:
    """Names that we gave are numbers, which come in their order."""
    return (int(entry[0]), "") if entry[0].isdecimal() and len(entry[0]) < 10 else (10**10, entry[0])


def _tell(batch: Batch, screen: Screen) -> None:
    if screen.json:
        screen.object(msgspec.structs.replace(batch, answers={}))
        return
    why = f" ({batch.reason})" if batch.reason else ""
    screen.say(f"{batch.id} {batch.state}{why}: {_done(batch)}")


def _done(batch: Batch) -> str:
    failed = f", {batch.failed:,} failed" if batch.failed else ""
    return f"{batch.done:,} of {batch.total:,}{failed}" if batch.total else "not begun"


# --- files and vectors ---------------------------------------------------------------------------


async def _files(args: Namespace, door: Door, screen: Screen) -> int:
    content = await asyncio.to_thread(_read, args.file) if args.action == "put" else b""
    async with door.host() as host:
        abilities = await host.api.abilities(args.model)
        if args.action == "get":
            await _write(args.out, await abilities.get_file(args.id), screen)
            return 0
        if args.action == "delete":
            await abilities.delete_file(args.id)
            found: list[ProviderFile] = []
        elif args.action == "put":
            found = [await abilities.put_file(Path(args.file).name, content, args.purpose)]
        else:
            found = await abilities.files()
    if args.action == "delete":
        if screen.json:
            screen.object({"deleted": args.id})
        screen.say(f"{args.id} is deleted")
    elif screen.json:
        screen.object(found if args.action == "list" else found[0])
    else:
        rows = [[one.id, one.name, f"{one.size:,}", one.purpose, _time(one.created)] for one in found]
        screen.table(["file", "name", "bytes", "purpose", "made"], rows)
    return 0


async def _embed(args: Namespace, door: Door, screen: Screen) -> int:
    texts = [line for line in (await asyncio.to_thread(_text, args.file)).splitlines() if line.strip()]
    if not texts:
        raise BadInput(f"{args.file} holds no line of text; give one with a text a line")
    lines: list[bytes] = []
    used = 0
    async with door.host() as host:
        abilities: Abilities = await host.api.abilities(args.model)
        for at in range(0, len(texts), _TEXTS):
            some = texts[at : at + _TEXTS]
            found = await abilities.embed(some)
            used += found.usage.input
            pairs = zip(some, found.vectors, strict=True)
            lines += [msgspec.json.encode({"text": text, "vector": vector}) + b"\n" for text, vector in pairs]
            if len(texts) > _TEXTS:
                screen.hint(f"{len(lines):,} of {len(texts):,} lines")
    await _write(args.out, b"".join(lines), screen)
    card = abilities.card
    screen.hint(f"{len(lines):,} vectors by {card.name}; {used:,} tokens{_money(card, [Usage(used)])}")
    return 0


def _money(card: ModelCard, used: Sequence[Usage], most: str = "") -> str:
    """What so many calls cost, where the price is known and isn't nothing."""
    costs = [cost_of(card, each) for each in used]
    known = sum(cost for cost in costs if cost is not None)
    return f", {most}{known:.4f} USD" if known and None not in costs else ""


def _text(file: str) -> str:
    try:
        return _read(file).decode()
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text in UTF-8; give a text with a line each") from None


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadInput(f"{file} can't be read ({error.strerror}); give a file that is there") from None


async def _write(out: str, content: bytes, screen: Screen) -> None:
    if not out:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        await asyncio.to_thread(Path(out).write_bytes, content)
    except OSError as error:
        raise AgentHostError(f"{out} can't be written ({error.strerror}); nothing is lost, fetch it again") from None
    if screen.json:
        screen.object({"written": out, "bytes": len(content)})
    screen.say(f"wrote {out} ({len(content):,} bytes)", "green")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M") if at else ""
