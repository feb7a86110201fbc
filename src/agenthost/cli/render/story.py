"""For a terminal: what happened, as it scrolls by. Each moment becomes a rich renderable."""

import json
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from agenthost.cli.render import plain
from agenthost.cli.render.moments import (
    Asks,
    Began,
    Called,
    Ended,
    Failed,
    Heard,
    Moment,
    Note,
    Ran,
    Retried,
    Said,
    Told,
    WentBack,
    Wrote,
)
from agenthost.cli.render.view import View
from agenthost.cli.render.words import arguments, bounded, clean, duration, one_line, plural, size
from agenthost.core.diffs import file_diff

CODE_LINES = 60
TEXT_LINES = 40
OUTPUT_LINES = 12
LISTING = 40
"""Lines of output from which on it is a listing, of which a few lines show enough."""
WIDEST = 120
"""Nothing is drawn wider: long lines are hard to read."""


class Glyphs:
    """The signs, and their plain twins where the terminal can't show them."""

    def __init__(self, console: Console) -> None:
        fancy = console.encoding.lower().startswith("utf")
        self.dot, self.bar, self.done, self.failed, self.back, self.tool, self.ask, self.skip, self.told = (
            ("●", "│", "✓", "✗", "↩", "→", "?", "…", "←") if fancy else ("*", "|", "+", "x", "<", ">", "?", "...", "<")
        )
        self.point = "·" if fancy else "-"
        self.spinner = "dots" if fancy else "line"


class Barred:
    """A renderable behind a bar on its left, so that what belongs together is seen together."""

    def __init__(self, inner: RenderableType, bar: str, style: str = "dim") -> None:
        self._inner = inner
        self._bar = bar
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, WIDEST) - 4
        style = console.get_style(self._style)
        for line in console.render_lines(self._inner, options.update(width=max(width, 20)), pad=False):
            yield Segment(f"  {self._bar} ", style)
            yield from line
            yield Segment.line()


def cut(line: str, width: int) -> str:
    """A line of at most `width` cells, with an ellipsis where it was longer."""
    return line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"


class Story:
    """Tells moments to a console of a width.

    Remembers whom it told of last, to name each once, and what was written, to tell of a second time what changed.
    """

    def __init__(self, view: View, console: Console) -> None:
        self._view = view
        self._console = console
        self._glyphs = Glyphs(console)
        self._last = ""
        self._written: dict[tuple[str, str], str] = {}
        self.width = min(console.width, WIDEST)

    def tell(self, moment: Moment) -> RenderableType | None:
        """What to print for a moment; None where there is nothing to show."""
        pieces = list(self._pieces(moment))
        if not pieces:
            return None
        if self._last != moment.task and not isinstance(moment, WentBack):
            pieces.insert(0, self._header(moment.task))
            self._last = moment.task
        return Group(*pieces)

    def _header(self, task: str) -> RenderableType:
        look = self._view.look(task)
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("\n" + self._glyphs.dot + " ", "cyan")
        text.append(clean(look.label).replace("·", self._glyphs.point), "bold")
        if look.attempt > 1:
            bound = f" of {look.most}" if look.most else ""
            text.append(f"  attempt {look.attempt}{bound}", "yellow")
        return text

    def _pieces(self, moment: Moment) -> Iterator[RenderableType]:
        match moment:
            case Began():
                yield from self._began(moment)
            case Said():
                yield from self._said(moment)
            case Called():
                yield from self._called(moment)
            case Wrote():
                yield from self._wrote(moment)
            case Ran():
                yield from self._ran(moment)
            case WentBack():
                self._last = ""
                yield Text(f"\n{self._glyphs.back} goes back to {moment.role} ({plain.attempt(moment)})", "bold yellow")
            case Ended():
                yield from self._ended(moment)
            case _:
                yield from self._short(moment)

    def _short(self, moment: Moment) -> Iterator[RenderableType]:
        glyphs = self._glyphs
        match moment:
            case Retried():
                after = f" in {duration(moment.delay)}" if moment.delay else ""
                told = f"{moment.what} failed for now; attempt {moment.attempt}{after}: {moment.failure.message}"
                yield self._line(glyphs.back, told, "yellow")
            case Failed():
                yield self._line(glyphs.failed, f"{moment.what} failed", "red")
                yield self._block(moment.failure.message, TEXT_LINES, "red")
            case Asks():
                yield Text(f"  {glyphs.ask} ", "bold yellow").append(clean(cut(moment.ask.question, 2000)), "bold")
            case Heard():
                yield self._line(glyphs.tool, f"{moment.by}: {moment.text}", "cyan")
            case Told():
                yield self._line(glyphs.tool, f"{moment.sender}: {moment.text}", "cyan")
            case Note():
                yield self._line(glyphs.point, moment.text, "dim")
            case _:
                return

    def _line(self, sign: str, text: str, style: str) -> Text:
        return Text(f"  {sign} {one_line(text, self.width - 4)}", style)

    def _block(self, text: str, most: int, style: str, tail: bool = False, wrap: bool = True) -> RenderableType:
        lines, left = bounded(text, most, tail)
        body = Text("\n".join(lines if wrap else [cut(line, self.width - 4) for line in lines]), style)
        more = Text(f"{self._glyphs.skip} {plural(left, 'more line')}" + (" before" if tail else ""), "dim italic")
        pieces = ([more, body] if tail else [body, more]) if left else [body]
        return Barred(Group(*pieces), self._glyphs.bar)

    def _began(self, moment: Began) -> Iterator[RenderableType]:
        for file in moment.files:
            name = file.name or file.digest[:19]
            yield self._line(self._glyphs.tool, f"{name}  {file.media_type}, {size(file.size)}", "dim")
        if not moment.text.strip():
            return
        if moment.task == self._view.root:
            yield self._block(moment.text, 6, "dim")
        else:
            yield self._line(self._glyphs.told, moment.text, "dim italic")

    def _said(self, moment: Said) -> Iterator[RenderableType]:
        if moment.text.strip():
            fields = _fields(moment.text)
            yield Barred(fields, self._glyphs.bar) if fields else self._block(moment.text, TEXT_LINES, "default")
        point = f" {self._glyphs.point} "
        told = point.join([moment.model, duration(moment.seconds), plain.spent(moment)])
        if moment.stop in ("length", "refusal"):
            told += "  (cut at the longest answer allowed)" if moment.stop == "length" else "  (refused)"
        yield self._line(self._glyphs.point, told, "dim")

    def _called(self, moment: Called) -> Iterator[RenderableType]:
        style = "red" if moment.error else "cyan"
        head = Text(f"  {self._glyphs.failed if moment.error else self._glyphs.tool} ", style)
        head.append(clean(moment.tool), style)
        head.append("  " + arguments(moment.arguments, max(self.width - len(moment.tool) - 7, 10)), "dim")
        yield head
        if moment.text.strip():
            yield self._block(moment.text, 8 if moment.error else 4, "red" if moment.error else "dim", wrap=False)

    def _wrote(self, moment: Wrote) -> Iterator[RenderableType]:
        place = (self._view.look(moment.task).workspace, moment.path)
        before = self._written.get(place)
        self._written[place] = moment.content
        head = Text(f"  {self._glyphs.tool} wrote ", "cyan").append(clean(moment.path), "bold cyan")
        if before is not None and before != moment.content:
            changed = file_diff(moment.path, before.encode(), moment.content.encode()).splitlines()[2:]
            if len(changed) < len(moment.content.splitlines()):
                yield self._changed(head, changed)
                return
        lines, left = bounded(moment.content, CODE_LINES)
        yield head.append(f"  {plural(len(lines) + left, 'line')}", "dim")
        code = "\n".join(lines)
        syntax = Syntax(code, Syntax.guess_lexer(moment.path, code), theme="ansi_dark", background_color="default")
        # Cut after it is coloured: half a string would colour what follows.
        coloured = syntax.highlight(code).split("\n")
        for line in coloured:
            line.truncate(self.width - 4, overflow="ellipsis")
        pieces: list[RenderableType] = [Text("\n").join(coloured)]
        if left:
            pieces.append(Text(f"{self._glyphs.skip} {plural(left, 'more line')}", "dim italic"))
        yield Barred(Group(*pieces), self._glyphs.bar)

    def _changed(self, head: Text, changed: list[str]) -> RenderableType:
        """A file that was written before: what is new and what is gone."""
        count = {sign: sum(line.startswith(sign) for line in changed) for sign in "+-"}
        head.append(f"  {plural(count['+'], 'line')} new, {count['-']} gone", "dim")
        styles = {"+": "green", "-": "red", "@": "cyan"}
        body = Text()
        for line in changed[:CODE_LINES]:
            body.append(cut(clean(line), self.width - 4) + "\n", styles.get(line[:1], "dim"))
        if len(changed) > CODE_LINES:
            body.append(f"{self._glyphs.skip} {plural(len(changed) - CODE_LINES, 'more line')}", "dim italic")
        body.rstrip()
        return Group(head, Barred(body, self._glyphs.bar))

    def _ran(self, moment: Ran) -> Iterator[RenderableType]:
        result = moment.result
        bad = result.exit_code != 0
        head = Text("  ").append(f"{moment.step}  " if moment.step else "", "bold")
        yield head.append(f"$ {one_line(moment.command, self.width - 8 - len(moment.step))}", "bold magenta")
        if result.stdout.strip():
            most = 3 if not bad and result.stdout.count("\n") >= LISTING else OUTPUT_LINES
            yield self._block(result.stdout, most, "default" if most > 3 else "dim", tail=bad, wrap=False)
        if result.stderr.strip():
            yield self._block(result.stderr, OUTPUT_LINES, "red" if bad else "dim", tail=True, wrap=False)
        told = f"exit {result.exit_code}  {duration(result.duration)}"
        told += f"  ended by the {result.limit} limit" if result.limit else ""
        told += f"  {size(result.cut)} of output left out" if result.cut else ""
        yield self._line(self._glyphs.failed if bad else self._glyphs.done, told, "red" if bad else "green")

    def _ended(self, moment: Ended) -> Iterator[RenderableType]:
        look = self._view.look(moment.task)
        if moment.task == self._view.root:
            return
        good = look.outcome == "done"
        sign, style = (self._glyphs.done, "green") if good else (self._glyphs.failed, "red")
        took = f" in {duration(look.ended - look.began)}" if look.began else ""
        because = f": {look.reason}" if look.reason else ""
        yield self._line(sign, f"{look.outcome}{took}{because}", style)


def _fields(text: str) -> RenderableType | None:
    """A structured answer as its fields, where the words are one JSON object."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    body = Text()
    for key, item in value.items():
        if item in ("", [], {}, None):
            continue
        body.append(clean(key), "cyan").append("  ")
        if isinstance(item, list) and all(isinstance(entry, str) for entry in item):  # pyright: ignore[reportUnknownVariableType]
            lines, left = bounded("\n" + "\n".join(f"- {entry}" for entry in item), TEXT_LINES)  # pyright: ignore[reportUnknownVariableType]
            lines.insert(0, "")
        else:
            shown = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, indent=1)
            lines, left = bounded(shown, TEXT_LINES)
        style = Style(color={True: "green", False: "red"}[item], bold=True) if isinstance(item, bool) else "default"
        body.append("\n  ".join(lines) + (f"\n  … {plural(left, 'more line')}" if left else ""), style)
        body.append("\n")
    body.rstrip()
    return body
