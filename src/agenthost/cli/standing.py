"""How an approval is given for later calls too, in the words of the command."""

from argparse import Namespace

from agenthost.cli.options import Parser
from agenthost.core.errors import BadInput
from agenthost.core.grants import Always


def options_of(parser: Parser) -> None:
    """The options of an approval that is given for good."""
    parser.add_argument(
        "--always", action="store_true", help="for later calls by this agent too, with these arguments; see `grants`"
    )
    parser.add_argument(
        "--like",
        action="append",
        default=[],
        metavar="ARG=PATTERN",
        help="with --always: where this argument is like the pattern (* within a path's step, ** beyond)",
    )
    parser.add_argument(
        "--any", action="append", default=[], metavar="ARG", help="with --always: whatever this argument is"
    )
    parser.add_argument("--anything", action="store_true", help="with --always: whatever the arguments are")
    parser.add_argument(
        "--untrusted", action="store_true", help="with --always: also where the call comes of untrusted content"
    )
    parser.add_argument("--note", default="", help="with --always: why; it is kept with the grant")


def always_of(args: Namespace) -> Always | None:
    """What is given for good, None where it is this call alone. Raises BadInput."""
    if not args.always:
        if args.like or args.any or args.anything or args.untrusted or args.note:
            raise BadInput("--like, --any, --anything, --untrusted and --note say how far --always goes; add --always")
        return None
    like: dict[str, str] = {}
    for given in args.like:
        name, equals, pattern = str(given).partition("=")
        if not name or not equals:
            raise BadInput(f"--like takes ARG=PATTERN, such as --like path='reports/*'; found '{given}'")
        like[name] = pattern
    return Always(like, tuple(args.any), args.anything, args.untrusted, args.note)
