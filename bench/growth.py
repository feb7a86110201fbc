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
    for what, metric in ((_steps, "time a round, late by early"), (_tasks, "runs, many tasks by none")):
        try:
            what(setting)
        except NotMeasured as reason:
            setting.results.missing(SUITE, OURS, metric, "x", str(reason))


def _steps(setting: Setting) -> None:
    """One task with constant context (a small window, summed up again and again), from event 10 to 5,000."""
    rounds = setting.scale.rounds
    setting.tell(f"one task of {rounds:,} rounds")
    worker = setting.worker(setting.subject(OURS), "long")
    try:
        seen = worker.order(call="long", **{"with": {"rounds": rounds}})
    finally:
        worker.close()
    times, events = seen["times_ms"], seen["events"]
    piece = min(PIECE, len(times) // 2)
    early_at = FIRST // EVENTS_A_ROUND
    late_at = max(piece, min(len(times) - piece, next((n for n, at in enumerate(events) if at >= LAST), len(times))))
    early, late = times[early_at : early_at + piece], times[late_at - piece : late_at]
    add = setting.results.add
    add(SUITE, OURS, "events of the long task", events[-1], "")
    add(SUITE, OURS, f"time a round from event {FIRST}", median(early), "ms")
    add(SUITE, OURS, f"time a round to event {LAST:,}", median(late), "ms")
    add(SUITE, OURS, "time a round, late by early", median(late) / median(early), "x")


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
