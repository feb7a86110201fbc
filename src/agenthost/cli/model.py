"""`agenthost model`: which models can be used, what they really do, what else their providers do, those of this machine."""

from argparse import Namespace
from contextlib import aclosing
from datetime import datetime
from typing import Any, cast

from agenthost.cli import batches, pulling
from agenthost.cli.connect import Door, Reached
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.render.words import count
from agenthost.cli.screen import Screen
from agenthost.core.api import ModelDetail, ModelLine
from agenthost.core.models import Fitness, ModelCard


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "model list\nmodel probe default --quick\nmodel show default")
    words = Words(made)
    listing = words.add(
        "list",
        "the models, whether they can be used, what they cost; with a provider, all that it says it has",
        "model list\nmodel list ollama\nmodel list anthropic",
    )
    listing.add_argument("provider", metavar="PROVIDER", nargs="?", default="", help="a provider, which is asked then")
    listing.add_argument("--names", action="store_true", help="names only, for completion")
    show = words.add("show", "a model's card, and what a probe found", "model show ollama:qwen3")
    show.add_argument("name", metavar="NAME", help="a configured name, or provider:model")
    probe = words.add(
        "probe",
        "find out what a model really does, and go by it from then on (calls the model)",
        "model probe default\nmodel probe ollama:qwen3 --quick\nmodel probe openai:gpt-5.4-mini --context 100000",
    )
    probe.add_argument("name", metavar="NAME", help="a configured name, or provider:model")
    probe.add_argument("--quick", action="store_true", help="ask less: fewer tokens, a coarser result")
    probe.add_argument(
        "--context", type=int, default=0, metavar="TOKENS", help="the longest text that is tried (32768; quick: 8192)"
    )
    batches.words(words)
    pulling.words(words)
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    if args.word in ("pull", "remove"):
        return await pulling.run(args, door, screen)
    if args.word in ("batch", "files", "embed"):
        return await batches.run(args, door, screen)
    async with door.host() as host:
        if args.word == "show":
            _show(await host.api.model(args.name), screen)
            return 0
        if args.word == "probe":
            return await _probe(args, host, screen)
        models = await host.api.models(args.provider)
    if args.names:
        for model in models:
            screen.line(model.name)
    elif screen.json:
        screen.object(models)
    else:
        screen.table(
            ["model", "usable", "window", "images", "calls", "probed", "$/M in", "$/M out", "note"],
            [_row(each) for each in models],
        )
        if not any(model.usable for model in models):
            screen.hint("no model can be used: set OPENAI_API_KEY, or AGENTHOST_MODEL; `agenthost doctor` says more")
    return 0


async def _probe(args: Namespace, host: Reached, screen: Screen) -> int:
    found: Fitness | None = None
    async with aclosing(cast(Any, host.api.probe(args.name, args.quick, args.context))) as items:
        async for item in items:
            if isinstance(item, Fitness):
                found = item
            else:
                screen.say(item)
    if found is None:
        return 1
    if screen.json:
        screen.object(found)
    else:
        screen.say("")
        _table(_found(found), screen)
        screen.hint(f"kept; agents go by it from now on. See: agenthost model show {args.name}")
    return 0


def _show(model: ModelDetail, screen: Screen) -> None:
    if screen.json:
        screen.object(model)
        return
    names = " -> ".join((model.name, *model.stands_for))
    _table([("model", names), *_card(model.card, model.claimed)], screen)
    if model.fitness is None:
        screen.hint(f"never probed; what it claims is believed. To find out: agenthost model probe {model.name}")
    else:
        screen.say("")
        _table([("probed", _day(model.fitness.at)), *_found(model.fitness)], screen)


def _table(rows: list[tuple[str, str]], screen: Screen) -> None:
    wide = max(len(head) for head, _ in rows)
    for head, text in rows:
        screen.say(f"{head:<{wide}}  {text}")


def _card(card: ModelCard, claimed: ModelCard) -> list[tuple[str, str]]:
    """What the loop goes by; where the claim was another, that too."""
    rows: list[tuple[str, str]] = []
    for head, field in (
        ("tools", "tools"),
        ("calls", "calling"),
        ("images", "images"),
        ("schema", "structured"),
        ("window", "window"),
        ("answer", "max_output"),
    ):
        own, said = getattr(card, field), getattr(claimed, field)
        rows.append((head, _said(own) if own == said else f"{_said(own)} (claimed: {_said(said)})"))
    rows.append(
        (
            "price",
            f"{_price(card.input_price) or '?'} in, {_price(card.output_price) or '?'} out, USD per million tokens",
        )
    )
    return rows


def _found(found: Fitness) -> list[tuple[str, str]]:
    several = f", several at once: {_yes(found.parallel)}" if found.native else ""
    text = " (as text, which is read)" if found.leaked else ""
    window = f"{found.window:,} tokens" if found.window else "not known"
    if found.window_cut:
        window += f"; at {found.window_cut:,} something is missing"
    speed = f"{_speed(found.prompt_speed)} in, {_speed(found.output_speed)} out"
    if found.first_token:
        speed += f", first token after {found.first_token:.2f} s"
    rows = [
        ("native calls", _yes(found.native) + several + text),
        ("JSON schema", _yes(found.schema)),
        ("calls in fences", _yes(found.fenced)),
        ("sees pictures", _yes(found.images)),
        ("really reads", window),
        ("speed", speed),
        ("calls go by", found.calling),
    ]
    return rows + [("note", note) for note in found.notes]


def _row(model: ModelLine) -> list[str]:
    usable, images = ("yes" if model.usable else "no"), ("yes" if model.images else "no")
    window = count(model.window) if model.window else ""
    probed = _day(model.probed) if model.probed else ""
    prices = _price(model.input_price), _price(model.output_price)
    return [model.name, usable, window, images, model.calling, probed, *prices, model.note]


def _speed(speed: float) -> str:
    return f"{speed:,.0f} tokens/s" if speed else "not known"


def _yes(found: bool | None) -> str:
    return "not tried" if found is None else "yes" if found else "no"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return _yes(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d")


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:g}"
