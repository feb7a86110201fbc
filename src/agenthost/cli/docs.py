"""Writes docs/cli.md from the verb table and the parsers, so that it can't be wrong: `python -m agenthost.cli.docs`."""

import argparse
import importlib
import sys
from collections.abc import Iterator
from typing import cast

from agenthost.cli.options import Parser
from agenthost.cli.verbs import EXITS, GLOBALS, VERBS

HEAD = """# The command line

This page is generated: `python -m agenthost.cli.docs > docs/cli.md`. A test fails when it is stale.

`agenthost VERB ...` talks to the host that runs (through `$AGENTHOST_HOME/host.sock`, or `AGENTHOST_URL` with
`AGENTHOST_TOKEN`). Where none runs, it opens the home itself: `run`, `demo` and `tasks follow` then do the work in the
command's own process, and other verbs read and write without taking up any work.

- In a terminal `run` and `tasks follow` show each step live and ask where a task waits for a person. In a pipe they
  print a line an event; with `--json` an object a line, the event as it was journalled, and a `summary` at the end.
- Ctrl-C stops following. Without a running host that stops the work too: the task is kept and goes on with the next
  `agenthost tasks follow TASK` or `agenthost up`; a second Ctrl-C within a moment cancels it.
- A task is named by its id, by the beginning of it where only one begins so, or by `last`.
- `NO_COLOR` and `TERM=dumb` are honoured. Log lines go to stderr (warnings and worse, see `--log-level`) and to
  `$AGENTHOST_HOME/logs/agenthost.log`.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    yield "## Exit codes\n"
    yield "| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {text} |" for code, text in EXITS)
    yield '\nIn `--json` mode an error is `{"error": {"code", "message"}}`.\n'
    yield "## Options of every verb\n"
    yield from (f"- `{name} {value}`: {text}" for name, (value, text) in GLOBALS.items())
    yield "- `--json`: JSON instead of words\n- `--help`: how the verb is used, with examples\n"
    yield "## Verbs"
    for verb, (module, summary, words) in VERBS.items():
        yield f"\n### `agenthost {verb}`\n\n{summary[:1].upper() + summary[1:]}.\n"
        if module == "completion":
            yield f"- `{'`, `'.join(words)}`: the shell\n\n```sh\nsource <(agenthost completion bash)\n```"
            continue
        parser: Parser = importlib.import_module(f"agenthost.cli.{module}").parser(verb)
        yield from _parser(parser)


def _parser(parser: argparse.ArgumentParser) -> Iterator[str]:
    words = _words(parser)
    yield from _options(parser)
    if not words and parser.epilog:
        yield f"\n```sh\n{_examples(parser.epilog)}\n```"
    for name, word in words.items():
        yield f"\n**`{parser.prog.removeprefix('agenthost ')} {name}`**: {word.description}\n"
        if _words(word):
            yield from _parser(word)
            continue
        yield from _options(word)
        yield f"\n```sh\n{_examples(word.epilog or '')}\n```"


def _words(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        choices: object = action.choices
        if isinstance(choices, dict):
            return cast("dict[str, argparse.ArgumentParser]", choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        own = action.dest not in ("help", "json", "home", "log_format", "log_level")
        if own and not isinstance(action.choices, dict):
            yield f"- `{_name(action)}`: {action.help or action.dest}"


def _name(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"[{metavar}]" if action.nargs == "?" else metavar
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {metavar}")


def _examples(epilog: str) -> str:
    return "\n".join(line.strip() for line in epilog.splitlines()[1:])


if __name__ == "__main__":
    sys.stdout.write(page())
