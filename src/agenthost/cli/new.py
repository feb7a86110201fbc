"""`agenthost new agent|workflow NAME`, and `agenthost agent new NAME`: the beginning of a manifest."""

from argparse import Namespace

from agenthost.cli import paths
from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.manifests.new import new


def parser(verb: str) -> Parser:
    """The kind and the name, in either order of words."""
    if verb == "agent":
        made = make(verb, "agent new coder")
        named = Words(made).add("new", "write the beginning of an agent", "agent new coder")
        named.set_defaults(kind="agent")
    else:
        made = named = make(verb, "new agent coder\nnew workflow sketch-to-code --out flows/sketch.yaml")
        named.add_argument(
            "kind", metavar="KIND", choices=["agent", "workflow", "schedule"], help="agent, workflow or schedule"
        )
    named.add_argument("name", metavar="NAME", help="a-z, 0-9 and hyphen")
    named.add_argument("--out", metavar="FILE", help="where to write (NAME.yaml); - prints it")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Writes a file that isn't there yet."""
    text = new(args.kind, args.name)
    target = args.out or f"{args.name}.yaml"
    if target == "-":
        screen.line(text.rstrip("\n"))
        return 0
    paths.write(target, text.encode(), new=True)
    if screen.json:
        screen.object({"kind": args.kind, "name": args.name, "file": target})
    else:
        screen.line(target)
        given = '"hello"' if args.kind == "agent" else '--input goal="print the first ten primes"'
        screen.hint(f"edit it, then: agenthost apply -f {target} && agenthost run {args.name} {given}")
    return 0
