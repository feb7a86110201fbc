"""Where a verb writes: words for a person, JSON for a program, errors on stderr. One door to rich's Console."""

import json
import os
import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agenthost.cli.render.words import clean
from agenthost.core.errors import AgentHostError


class Screen:
    """`json` for programs. `live` where a terminal can be drawn on, `asks` where somebody can answer there."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        # A terminal of another encoding shows a question mark, and nothing breaks.
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
        self.console = Console(highlight=False, soft_wrap=False)
        dumb = os.environ.get("TERM", "") in ("dumb", "unknown")
        self.live = not json and self.console.is_terminal and not dumb
        self.asks = not json and sys.stdin.isatty() and sys.stdout.isatty()

    def line(self, text: str = "") -> None:
        """One line as it is, without wrapping or colours."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def say(self, text: str, style: str = "") -> None:
        """Words for a person; nothing in JSON mode."""
        if self.json:
            return
        if self.live:
            self.console.print(Text(clean(text), style))
        else:
            self.line(clean(text))

    def hint(self, text: str) -> None:
        """What can be done next; on stderr, so that a pipe gets results only."""
        if not self.json:
            Console(stderr=True, highlight=False).print(Text(clean(text), "dim"), soft_wrap=True)

    def object(self, value: Any) -> None:
        """A value as one line of JSON."""
        self.line(msgspec.json.encode(value).decode())

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """A table in a terminal; words parted by tabs, without head, in a pipe."""
        if not self.live:
            for row in rows:
                self.line("\t".join(clean(cell).replace("\n", " ") for cell in row))
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for at, column in enumerate(columns):
            last = at == len(columns) - 1
            table.add_column(column, no_wrap=not last, overflow="ellipsis" if not last else "fold")
        for row in rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        self.console.print(table)


def report(error: AgentHostError, as_json: bool) -> None:
    """An error as one line on stderr, red in a terminal; in JSON mode an object on stdout."""
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": error.code, "message": error.message}}) + "\n")
        return
    told = f"agenthost: {clean(error.message)}"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        told = f"\x1b[31m{told}\x1b[0m"
    sys.stderr.write(told + "\n")
