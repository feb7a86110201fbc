"""Whether a step costs the same late in a long task, and beside many tasks."""

from bench.processes import NotMeasured, Worker
from bench.records import median, pairwise
from bench.setting import OURS, Setting

SUITE = "growth"
EVENTS_A_ROUND = 4
"""Asked and answered, of a model call and of a tool call."""

FIRST, LAST = 10, 5000
PIECE = 120
"""Rounds that are compared at either end."""


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    for what, metric in ((_steps, "CPU a round, late by early"), (_tasks, "runs, many tasks by none")):
        try:
            what(setting)
        except NotMeasured as reason:
            setting.results.missing(SUITE, OURS, metric, "x", str(reason))


def _steps(setting: Setting) -> None:
    """Tasks with constant context (a small window, summed up again and again): the last rounds to event 5,000 of
    a long one, and right after it, so that the machine is the same, the first ones of another."""
    rounds = setting.scale.rounds
    skipped = FIRST // EVENTS_A_ROUND
    piece = min(PIECE, rounds // 2)
    late: list[tuple[float, float]] = []
    early: list[tuple[float, float]] = []
    worker = setting.worker(setting.subject(OURS), "long")
    try:
        for number in range(setting.scale.long_tasks):
            setting.tell(f"a task of {rounds:,} rounds, {number + 1} of {setting.scale.long_tasks}")
            long = worker.order(call="long", **{"with": {"rounds": rounds}})
            last = next((at for at, event in enumerate(long["events"]) if event >= LAST), len(long["times_ms"]))
            late.append(_medians(long, max(0, last - piece), last))
            fresh = worker.order(call="long", **{"with": {"rounds": skipped + piece + 1}})
            early.append(_medians(fresh, skipped, skipped + piece))
    finally:
        worker.close()
    add = setting.results.add
    add(SUITE, OURS, "events of the long task", long["events"][-1], "")
    for index, (what, unit) in enumerate((("time", "ms"), ("CPU", "ms"))):
        before, after = [one[index] for one in early], [one[index] for one in late]
        add(SUITE, OURS, f"{what} a round from event {FIRST}", median(before), unit)
        add(SUITE, OURS, f"{what} a round to event {LAST:,}", median(after), unit)
        add(SUITE, OURS, f"{what} a round, late by early", pairwise(after, before), "x")


def _medians(seen: dict[str, list[float]], start: int, end: int) -> tuple[float, float]:
    """The median time and CPU of some rounds."""
    return median(seen["times_ms"][start:end]), median(seen["cpu_ms"][start:end])


def _tasks(setting: Setting) -> None:
    """Runs a second beside many finished tasks with their journals, and in an empty home."""
    count = setting.scale.tasks
    empty = setting.worker(setting.subject(OURS), "empty")
    workers = [empty]
    try:
        full = setting.worker(setting.subject(OURS), "full")
        workers.append(full)
        setting.tell(f"filling a database with {count:,} tasks")
        made = full.order(call="fill", **{"with": {"count": count}})
        rates: dict[Worker, list[float]] = {empty: [], full: []}
        for repetition in range(-1, setting.scale.repetitions):
            for worker in workers:
                setting.tell(f"runs beside {count:,} tasks, {repetition + 1} of {setting.scale.repetitions}")
                found = worker.order(concurrent=64, seconds=setting.scale.seconds, latency=0)
                if repetition >= 0:
                    rates[worker].append(found["rate"])
    finally:
        for worker in workers:
            worker.close()
    add = setting.results.add
    add(SUITE, OURS, "database with many tasks", made["megabytes"], "MB")
    add(SUITE, OURS, "runs, none in the database", median(rates[empty]), "1/s")
    add(SUITE, OURS, f"runs, {count:,} in the database", median(rates[full]), "1/s")
    add(SUITE, OURS, "runs, many tasks by none", pairwise(rates[full], rates[empty]), "x")
