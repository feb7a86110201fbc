"""What a task came to: verdict, output, artifacts, what it cost."""

import json
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from agenthost.cli.connect import Reached
from agenthost.cli.render.story import WIDEST, Barred, Glyphs
from agenthost.cli.render.view import View
from agenthost.cli.render.words import clean, count, duration, model_name, money, size
from agenthost.cli.screen import Screen
from agenthost.core.api import Artifact, HostApi, TaskDetail
from agenthost.core.errors import HostUnreachable
from agenthost.core.lifecycle import FINAL
from agenthost.core.parts import DataPart, FilePart, Part, TextPart
from agenthost.core.ports import LedgerEntry

UNUSABLE = ("bad-input", "not-found", "unavailable", "scripted-unreadable")
"""Codes of failures that the person mends by giving something else: exit code 2."""


def exit_code(detail: TaskDetail, code: str = "") -> int:
    """0 done, 4 waits for a person, 2 where the verdict's `code` says that the input can't be used, else 1."""
    row = detail.row
    if row.outcome == "needs-person" or row.state in ("input-required", "auth-required"):
        return 4
    if row.state == "completed" and row.outcome in ("", "done"):
        return 0
    return 2 if code in UNUSABLE else 1


class Line(msgspec.Struct):
    """What one agent used of one model. `priced`: its price is known, so that `cost` says something."""

    agent: str
    model: str
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    unsettled: int = 0
    priced: bool = True

    @property
    def shown_cost(self) -> str:
        """The cost for people."""
        if not self.priced:
            return "price unknown"
        return money(self.cost) + (" at most" if self.unsettled else "")


def usage(entries: list[LedgerEntry]) -> list[Line]:
    """The ledger by agent and model. An attempt whose answer was never seen counts at its worst case."""
    lines: dict[tuple[str, str], Line] = {}
    for entry in entries:
        line = lines.setdefault((entry.agent, entry.model), Line(entry.agent, model_name(entry.model)))
        spent = entry.spent if entry.settled and entry.spent is not None else entry.worst
        line.calls += 1
        line.tokens += spent.tokens
        line.cost += spent.cost
        line.unsettled += 0 if entry.settled else 1
        line.priced = line.priced and entry.priced
    return list(lines.values())


def part_text(part: Part) -> str:
    """A part in words."""
    match part:
        case TextPart():
            return part.text
        case DataPart():
            return part.data if isinstance(part.data, str) else json.dumps(part.data, ensure_ascii=False, indent=2)
        case FilePart():
            return f"{part.name or part.digest} ({part.media_type}, {size(part.size)})"


async def summarise(host: Reached, screen: Screen, view: View) -> int:
    """Tell how the followed task ended; the exit code."""
    try:
        return await _summarise(host.api, screen, view)
    except HostUnreachable:
        # It may have ended together with its command, as soon as the task had.
        if not await host.renew():
            raise
    return await _summarise(host.api, screen, view)


async def _summarise(api: HostApi, screen: Screen, view: View) -> int:
    detail = await api.task(view.root)
    artifacts = await api.artifacts(view.root)
    if view.changes:
        # Of a workspace that was there before, only what the task made or changed.
        artifacts = [artifact for artifact in artifacts if artifact.path in view.changes]
    lines = usage(await api.ledger(view.root))
    code = exit_code(detail, view.top.code)
    if screen.json:
        screen.object(as_object(detail, artifacts, lines, view, code))
    elif screen.live:
        _draw(screen, detail, artifacts, lines, view)
    else:
        _plain(screen, detail, artifacts, lines, view)
    return code


def as_object(
    detail: TaskDetail, artifacts: list[Artifact], lines: list[Line], view: View, code: int
) -> dict[str, Any]:
    """The last line of `--json`."""
    return {
        "task": detail.row.id,
        "kind": "summary",
        "state": detail.row.state,
        "outcome": detail.row.outcome,
        "reason": detail.row.reason,
        "output": view.top.parts,
        "artifacts": artifacts,
        "usage": lines,
        "spent": detail.spent,
        "trace": detail.trace,
        "exit": code,
    }


def _plain(screen: Screen, detail: TaskDetail, artifacts: list[Artifact], lines: list[Line], view: View) -> None:
    row = detail.row
    screen.say(f"{row.outcome or row.state}" + (f": {row.reason}" if row.reason else ""))
    for part in view.top.parts:
        screen.say(part_text(part))
    for artifact in artifacts:
        screen.say(f"artifact {artifact.path}{f' ({size(artifact.size)})' if artifact.size else ''}")
    for line in lines:
        screen.say(f"used {line.agent} {line.model}: {line.calls} calls, {line.tokens} tokens, {line.shown_cost}")
    for command in view.top.uncertain:
        screen.say(f"may have happened all the same: {command}")
    screen.say(f"task {row.id}" + _trace(detail, " trace "))


def _draw(screen: Screen, detail: TaskDetail, artifacts: list[Artifact], lines: list[Line], view: View) -> None:
    row, top, console = detail.row, view.top, screen.console
    glyphs = Glyphs(console)
    good = exit_code(detail) == 0
    style = "bold green" if good else "bold red" if row.state in FINAL else "bold yellow"
    took = f"  {duration(top.ended - top.began)}" if top.ended and top.began else ""
    console.print()
    console.rule(
        style="green" if good else "red" if row.state in FINAL else "yellow",
        characters="─" if glyphs.bar == "│" else "-",
    )
    head = Text(f"{glyphs.done if good else glyphs.failed} {row.outcome or row.state}", style).append(took, "dim")
    console.print(head)
    if row.reason:
        console.print(Text(f"  {clean(row.reason)}"), width=min(console.width, WIDEST))
    words = "\n".join(part_text(part) for part in top.parts).strip()
    if words and top.kind == "workflow":
        console.print(Barred(Text(clean(words)), glyphs.bar, "green" if good else "red"))
    for command in top.uncertain:
        console.print(Text(f"  {glyphs.ask} may have happened all the same: {clean(command)}", "yellow"))
    if artifacts:
        console.print(_artifacts(artifacts))
    if lines:
        console.print(_costs(lines))
    told = Text("\n  task    ", "dim").append(row.id, "cyan")
    if _trace(detail):
        told.append("\n  trace   ", "dim").append(detail.trace, "cyan")
    if artifacts:
        told.append(f"\n  files   agenthost tasks artifacts {row.id} --out DIR", "dim")
    console.print(told.append(f"\n  replay  agenthost tasks replay {row.id}", "dim"))


def _trace(detail: TaskDetail, before: str = "") -> str:
    return before + detail.trace if detail.trace and detail.trace != detail.row.id else ""


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim", pad_edge=False, show_edge=False)
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at > 1 else "left", no_wrap=True, overflow="ellipsis")
    return table


def _artifacts(artifacts: list[Artifact]) -> Table:
    table = _table("\n  files", "\nsize" if any(artifact.size for artifact in artifacts) else "")
    for artifact in artifacts[:30]:
        table.add_row(Text(f"  {clean(artifact.path)}", "cyan"), size(artifact.size) if artifact.size else "")
    if len(artifacts) > 30:
        table.add_row(f"  and {len(artifacts) - 30} more", "")
    return table


def _costs(lines: list[Line]) -> Table:
    table = _table("\n  agent", "\nmodel", "\ncalls", "\ntokens", "\ncost")
    for line in lines:
        calls, tokens = str(line.calls), count(line.tokens)
        table.add_row(f"  {clean(line.agent)}", clean(line.model), calls, tokens, line.shown_cost)
    if len(lines) > 1:
        total = [str(sum(line.calls for line in lines)), count(sum(line.tokens for line in lines))]
        known = sum(line.cost for line in lines if line.priced)
        cost = money(known) if all(line.priced for line in lines) else f"{money(known)} and unknown"
        table.add_row("  total", "", *total, cost, style="bold")
    return table
