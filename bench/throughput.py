"""Runs a second, CPU and memory: every subject against the same model server, one after the other in each repetition."""

from collections import defaultdict
from typing import Any

from bench.processes import NotMeasured, Worker
from bench.records import median, pairwise
from bench.setting import FLOOR, LANGGRAPH, OURS, Setting, Subject
from bench.worker import MODEL_CALLS

SUITE = "runs"
CASES = ((64, 0), (1, 0), (64, 200), (1, 200))
"""(concurrent, the model's latency in ms), the one that matters most first."""

Seen = dict[str, list[dict[str, Any]]]


def case(concurrent: int, latency: int) -> str:
    """A case as metrics name it."""
    return f"{concurrent} at once, {latency} ms"


def ideal(concurrent: int, latency: int) -> float:
    """Runs a second if nothing but the model took time."""
    return concurrent / (MODEL_CALLS * latency / 1000)


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    workers = _start(setting)
    try:
        for concurrent, latency in CASES:
            _case(setting, workers, concurrent, latency)
    finally:
        for worker in workers.values():
            worker.close()


def _start(setting: Setting) -> dict[str, Worker]:
    workers: dict[str, Worker] = {}
    for subject in setting.subjects:
        setting.tell(f"starting {subject.name}")
        try:
            workers[subject.name] = setting.worker(subject)
        except NotMeasured as reason:
            setting.results.missing(SUITE, subject.name, "runs", "1/s", str(reason))
    return workers


def _case(setting: Setting, workers: dict[str, Worker], concurrent: int, latency: int) -> None:
    scale = setting.scale
    repetitions = scale.repetitions if not latency else max(1, scale.repetitions * 3 // 5)
    seconds = max(scale.seconds, 2.0 if scale.patient else 0.5) if latency else scale.seconds
    seen: Seen = defaultdict(list)
    for repetition in range(-1, repetitions):
        for name in list(workers):
            setting.tell(f"{case(concurrent, latency)}: {name}, {repetition + 1} of {repetitions}")
            warm_up = repetition < 0
            length = min(0.5, seconds) if warm_up else seconds
            try:
                found = workers[name].order(concurrent=concurrent, seconds=length, latency=latency)
            except NotMeasured as reason:
                setting.results.missing(SUITE, name, f"runs, {case(concurrent, latency)}", "1/s", str(reason))
                workers.pop(name).close()
                seen.pop(name, None)
                continue
            if not warm_up:
                seen[name].append(found)
    for subject in setting.subjects:
        if subject.name in seen:
            _keep(setting, subject, seen, concurrent, latency)


def _keep(setting: Setting, subject: Subject, seen: Seen, concurrent: int, latency: int) -> None:
    results, which, name = setting.results, case(concurrent, latency), subject.name
    found = seen[name]
    rates = [one["rate"] for one in found]
    results.add(SUITE, name, f"runs, {which}", median(rates), "1/s")
    results.add(SUITE, name, f"median time, {which}", median([one["median_ms"] for one in found]), "ms")
    results.add(SUITE, name, f"CPU a run, {which}", median([one["cpu_ms"] for one in found]), "ms")
    if latency:
        results.add(SUITE, name, f"of the ideal, {which}", median(rates) / ideal(concurrent, latency) * 100, "%")
    if (concurrent, latency) == CASES[0]:
        results.add(SUITE, name, "peak memory", max(one["rss_mb"] for one in found), "MB")
    if name == OURS:
        for other, metric in ((LANGGRAPH, "times langgraph + SQLite"), (FLOOR, "of the journalled bare loop")):
            if other in seen:
                ratio = pairwise(rates, [one["rate"] for one in seen[other]])
                results.add(SUITE, name, f"{metric}, {which}", ratio, "x")
