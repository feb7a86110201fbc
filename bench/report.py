"""The table that people read, and what was wanted beside what came out."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench import control, footprint, growth, lasting, local, placing, routing, sandbox, serving, soak, throughput
from bench.boxes import BOXES
from bench.records import Results
from bench.setting import LIMIT, OURS, SUBJECTS
from bench.throughput import case

_BUSY, _SLOW = case(64, 0), case(64, 200)


@dataclass(frozen=True)
class Wanted:
    """A figure with a bound: at least, or at most."""

    text: str
    suite: str
    subject: str
    metric: str
    bound: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Whether a value is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound


WANTED = (
    Wanted("durable runs/s, times langgraph + SQLite", "runs", OURS, f"times langgraph + SQLite, {_BUSY}", 10, True),
    Wanted("durable runs/s, of the journalled bare loop", "runs", OURS, f"of the journalled bare loop, {_BUSY}", 0.5, True),
    Wanted("% of the ideal at 64 with 200 ms", "runs", OURS, f"of the ideal, {_SLOW}", 95, True),
    Wanted("agenthost --help, times python -c pass", "start", OURS, "--help, times python -c pass", 6, False),
    Wanted("a sandboxed Python run, times a bare one", "sandbox", sandbox.SUBJECT, sandbox.WARM + sandbox.TIMES_PLAIN, 1.2, False),
    Wanted("print(1) in a warm Docker container, ms", "sandbox", sandbox.DOCKER, sandbox.WARM, 15, False),
    Wanted("the same in gVisor, times Docker's", "sandbox", sandbox.GVISOR, sandbox.WARM + sandbox.TIMES_DOCKER, 3, False),
    *(
        Wanted(f"8 at once by one at a time, {one.name}", "sandbox", one.subject, sandbox.EIGHT_BY_ONE, 1, True)
        for one in BOXES
    ),
    *(Wanted(f"left of many sandboxes, {one.name}", "soak", one.subject, soak.LEFT, 0, False) for one in BOXES),
    *(Wanted(f"ended otherwise than they should, {one.name}", "soak", one.subject, soak.WRONG, 0, False) for one in BOXES),
    Wanted("CPU of a step at event 5,000, times one at event 10", "growth", OURS, "CPU a round, late by early", 1.15, False),
    Wanted("runs/s beside many tasks, of those in an empty home", "growth", OURS, "runs, many tasks by none", 0.85, True),
    Wanted("durable runs over HTTP, times AgentOS", serving.SUITE, OURS, "runs, times AgentOS", 10, True),
    Wanted("durable runs over HTTP, of the bare loop", serving.SUITE, OURS, "runs, of the bare loop", 0.2, True),
    Wanted("added time to the first token, ms", serving.SUITE, OURS, "added time to first token", 3, False),
    Wanted("tokens relayed a core, of the bare relay", serving.SUITE, OURS, "tokens relayed, of the bare relay", 0.5, True),
    Wanted(f"{serving.WAITING:,} waiting runs, MB", serving.SUITE, OURS, f"{serving.WAITING} waiting runs", 50, False),
    Wanted("idle, times an empty FastAPI app", serving.SUITE, OURS, "idle, times empty FastAPI", 1.3, False),
    Wanted("start to the first 200, times AgentOS", serving.SUITE, OURS, "start, times AgentOS", 0.25, False),
    Wanted("a message routed among 10,000 tasks, p50, ms", routing.SUITE, OURS, routing.WHOLE, 5, False),
    Wanted("a message through a host, until a model is asked, p50, ms", routing.SUITE, OURS, placing.ASKED, 5, False),
    *(
        Wanted(f"a cancel, until all is gone, worst, {box.name}, ms", control.SUITE, box.subject, control.GONE + control.WORST, 2000, False)
        for box in BOXES
    ),
    Wanted("growth from hour 6 to hour 24, MB", lasting.SUITE, OURS, lasting.GROWTH, 3, False),
)  # fmt: skip


def show(console: Console, results: Results) -> None:
    """Print everything that was measured."""
    suites = {record.suite for record in results.records}
    if throughput.SUITE in suites:
        console.print(_runs(results))
    if footprint.SUITE in suites:
        console.print(_rest(results, footprint.SUITE, "Starting"))
    if sandbox.SUITE in suites:
        console.print(_rest(results, sandbox.SUITE, "Sandboxes"))
    if soak.SUITE in suites:
        console.print(_rest(results, soak.SUITE, f"{soak.A_MINUTE} sandboxes a minute"))
    if local.SUITE in suites:
        console.print(_rest(results, local.SUITE, "Local models, random weights"))
    if growth.SUITE in suites:
        console.print(_rest(results, growth.SUITE, "Growing"))
    if routing.SUITE in suites:
        console.print(_rest(results, routing.SUITE, "A message's task"))
    if control.SUITE in suites:
        console.print(_rest(results, control.SUITE, "Cancel, pause, reply"))
    if serving.SUITE in suites:
        console.print(_rest(results, serving.SUITE, "Over HTTP"))
    if lasting.SUITE in suites:
        console.print(_rest(results, lasting.SUITE, "Left running"))
    if (wanted := _wanted(results)).row_count:
        console.print(wanted)
    reasons = {(record.subject, record.why) for record in results.records if record.value is None}
    for subject, why in sorted(reasons):
        console.print(f"[yellow]not measured[/]: {subject}: {why}", highlight=False)


def number(value: float | None) -> str:
    """A figure in as many digits as it deserves."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _runs(results: Results) -> Table:
    columns = ["a run: two model calls, one tool call", "keeps", "runs/s\n64, 0 ms", "× limit", "runs/s\n1, 0 ms"]
    columns += ["runs/s\n64, 200 ms", "% of\nideal", "ms a run\n1, 200 ms", "CPU ms\na run", "peak\nMB"]
    table = _table("Runs", columns)
    limit = results.value("runs", LIMIT, f"runs, {_BUSY}")
    measured = {record.subject for record in results.records if record.suite == throughput.SUITE}
    for subject in SUBJECTS:
        if subject.name not in measured:
            continue

        def value(metric: str, name: str = subject.name) -> float | None:
            return results.value("runs", name, metric)

        busy = value(f"runs, {_BUSY}")
        table.add_row(
            subject.name,
            subject.keeps,
            number(busy),
            number(busy / limit) if busy and limit else "",
            number(value(f"runs, {case(1, 0)}")),
            number(value(f"runs, {_SLOW}")),
            number(value(f"of the ideal, {_SLOW}")),
            number(value(f"median time, {case(1, 200)}")),
            number(value(f"CPU a run, {_BUSY}")),
            number(value("peak memory")),
            style="bold green" if subject.name == OURS else None,
        )
    return table


def _rest(results: Results, suite: str, title: str) -> Table:
    table = _table(title, ["subject", "figure", "value", "unit"])
    table.columns[1].justify = table.columns[3].justify = "left"
    for record in results.records:
        if record.suite == suite:
            table.add_row(record.subject, record.metric, number(record.value), record.unit)
    return table


def _wanted(results: Results) -> Table:
    table = _table("Wanted", ["figure", "wanted", "measured", ""])
    measured = {(record.suite, record.subject) for record in results.records}
    for wanted in WANTED:
        if (wanted.suite, wanted.subject) not in measured:
            continue
        value = results.value(wanted.suite, wanted.subject, wanted.metric)
        sign = "≥" if wanted.at_least else "≤"
        verdict = "[dim]-[/]" if value is None else "[green]yes[/]" if wanted.holds(value) else "[red]no[/]"
        table.add_row(wanted.text, f"{sign} {wanted.bound:g}", number(value), verdict)
    return table
