"""What the parsers of all verbs share."""

import argparse
import sys
from typing import Any, NoReturn

from agenthost.cli.verbs import GLOBALS, VERBS


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line that names the way out."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Parse; words and options may come in any order where no word has a parser of its own."""
        if self._subparsers is None:
            return self.parse_intermixed_args(args, namespace)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}\nSee `{self.prog} --help`.\n")
        raise SystemExit(2)


def make(verb: str, examples: str) -> Parser:
    """The parser of a verb, with examples under its help."""
    lines = _examples(examples)
    parser = Parser(
        prog=f"agenthost {verb}",
        description=VERBS[verb][1][:1].upper() + VERBS[verb][1][1:] + ".",
        epilog=f"examples:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    common(parser)
    return parser


def _examples(text: str) -> str:
    # An example that does more than name a verb (a pipe, a variable) is written out.
    lines = text.strip().splitlines()
    return "\n".join(f"  {line}" if "agenthost" in line else f"  agenthost {line}" for line in lines)


def common(parser: argparse.ArgumentParser) -> None:
    """The options that every verb takes."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="JSON instead of words")
    choices: dict[str, list[str] | None] = {
        "--log-format": ["text", "json"],
        "--log-level": ["debug", "info", "warning", "error"],
    }
    for option, (value, text) in GLOBALS.items():
        given: dict[str, Any] = {"choices": choices.get(option)} if choices.get(option) else {}
        group.add_argument(option, metavar=value, default=argparse.SUPPRESS, help=text, **given)


class Words:
    """The words that come after a verb."""

    def __init__(self, parser: Parser, dest: str = "word") -> None:
        self._group = parser.add_subparsers(dest=dest, metavar="WORD", required=True, parser_class=Parser)

    def add(self, name: str, text: str, examples: str) -> Parser:
        """A word, its line of help and examples of its use."""
        lines = _examples(examples)
        parser = self._group.add_parser(
            name,
            help=text,
            description=text[:1].upper() + text[1:] + ".",
            epilog=f"examples:\n{lines}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        common(parser)
        return parser
