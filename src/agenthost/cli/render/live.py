"""For a terminal: what goes on now, a few lines below the story, drawn anew several times a second."""

import textwrap

from rich.console import Console, Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from agenthost.cli.render.story import WIDEST, Glyphs, cut
from agenthost.cli.render.view import Look, View, describe
from agenthost.cli.render.words import bounded, count, duration, money, one_line
from agenthost.core.commands import Ask, CallModel, StartChild

STREAMED_LINES = 6
MOST_TASKS = 8


class Frames:
    """Draws the view as it is now."""

    def __init__(self, view: View, console: Console) -> None:
        self._view = view
        self._glyphs = Glyphs(console)
        self._spinner = Spinner(self._glyphs.spinner, style="cyan")
        self._width = min(console.width, WIDEST)

    def frame(self, now: float) -> RenderableType:
        """The streamed words of one task, a line for each task at work, and the totals. `now`: seconds since the epoch."""
        active = self._view.active()
        pieces: list[RenderableType] = [Text("")]
        for look in active:
            if look.words:
                pieces.append(self._words(look))
                break
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=self._width // 3)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        table.width = self._width
        for look in active[:MOST_TASKS]:
            sign = Text(self._glyphs.ask, "bold yellow") if look.state == "asking" else self._spinner
            table.add_row(sign, self._name(look), Text(self._doing(look), "dim"), self._elapsed(look, now))
        if len(self._view.tasks) > 1:
            table.add_row("", *self._totals(now, len(active) - MOST_TASKS))
        return Group(*pieces, table)

    def _words(self, look: Look) -> RenderableType:
        lines, _ = bounded(look.words[-4000:], STREAMED_LINES, tail=True)
        wrapped = [piece for line in lines for piece in textwrap.wrap(line, self._width - 4) or [""]]
        bar = f"  {self._glyphs.bar} "
        return Text("\n".join(bar + cut(line, self._width - 4) for line in wrapped[-STREAMED_LINES:]), "dim")

    def _name(self, look: Look) -> Text:
        name = Text(one_line(look.label, 60), "bold")
        return name.append(f" #{look.attempt}", "yellow") if look.attempt > 1 else name

    def _doing(self, look: Look) -> str:
        opened = [doing for doing in look.doing.values() if not isinstance(doing.command, StartChild)]
        if not opened:
            return "waits for its turn" if look.state == "waiting" else "thinks"
        doing = opened[-1]
        if isinstance(doing.command, Ask):
            return "waits for your answer"
        if isinstance(doing.command, CallModel):
            verb = f"calls {look.calling}" if look.calling else "answers" if look.words else "thinks"
            words = f"{look.model or doing.command.model}  {verb}"
        else:
            words = one_line(describe(doing.command), self._width)
        more = f"  (+{len(opened) - 1})" if len(opened) > 1 else ""
        if look.usage.total:
            more += f"  {count(look.usage.total)} tokens"
        return words + (f"  attempt {doing.attempt}" if doing.attempt > 1 else "") + more

    def _elapsed(self, look: Look, now: float) -> Text:
        return Text(duration(now - look.began) if look.began else "", "dim")

    def _totals(self, now: float, hidden: int) -> tuple[Text, Text, Text]:
        usage, cost, unpriced = self._view.totals()
        spent = f"{count(usage.total)} tokens"
        if cost:
            spent += f"  {money(cost)}" + ("+" if unpriced else "")
        if hidden > 0:
            spent += f"  and {hidden} more at work"
        top = self._view.top
        return (
            Text(f"{top.name}", "dim"),
            Text(spent, "dim"),
            Text(duration(now - top.began) if top.began else "", "dim"),
        )
