"""`agenthost model list|pull|remove`: which models can be used, why others can't, and those of this machine."""

from argparse import Namespace

from agenthost.cli import pulling
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.render.words import count
from agenthost.cli.screen import Screen
from agenthost.core.api import ModelLine


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "model list\nmodel list --json")
    words = Words(made)
    listing = words.add("list", "the models, whether they can be used, what they cost", "model list")
    listing.add_argument("--names", action="store_true", help="names only, for completion")
    pulling.words(words)
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    if args.word in ("pull", "remove"):
        return await pulling.run(args, door, screen)
    async with door.host() as host:
        models = await host.api.models()
    if args.names:
        for model in models:
            screen.line(model.name)
    elif screen.json:
        screen.object(models)
    else:
        screen.table(
            ["model", "usable", "window", "images", "$/M in", "$/M out", "note"], [_row(each) for each in models]
        )
        if not any(model.usable for model in models):
            screen.hint("no model can be used: set OPENAI_API_KEY, or AGENTHOST_MODEL; `agenthost doctor` says more")
    return 0


def _row(model: ModelLine) -> list[str]:
    usable, images = ("yes" if model.usable else "no"), ("yes" if model.images else "no")
    window = count(model.window) if model.window else ""
    return [model.name, usable, window, images, _price(model.input_price), _price(model.output_price), model.note]


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:g}"
