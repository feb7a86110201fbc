"""The process of one subject: `python -m bench.worker SUBJECT`. Orders come as JSON lines, answers go back so.

The first order says where things are; each other one is a piece of load, `{"concurrent": 64,
"seconds": 1.5, "latency": 0}`. Only the standard library is used here, for peers' environments have no more.
"""

import asyncio
import contextlib
import importlib
import json
import os
import resource
import sys
import time
from typing import Any, Protocol

from bench.loops import run

MODEL_CALLS = 2
"""Of a run; one after the other."""


class Subject(Protocol):
    """What is measured. A run is two model calls and one tool call."""

    async def open(self, urls: dict[int, str], folder: str) -> None:
        """Get ready. `urls`: base URLs of the fake model by latency in ms. `folder`: an own one, on a real disk."""
        ...

    async def run(self, latency: int, number: int) -> str:
        """One run; what the model said in the end."""
        ...

    async def close(self) -> None: ...


def peak_memory() -> float:
    """The most memory that this process had at once, in MB. (`ru_maxrss` would count the parent's from before exec.)"""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1024


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def load(subject: Subject, concurrent: int, seconds: float, latency: int) -> dict[str, float]:
    """Keep so many runs going for so long, and let them end; what came of it.

    Where the model takes time, the callers begin spread over the time of one run and not all at one
    instant, and the rate is the sum of theirs: neither beginning nor end counts as idle.
    """
    began, cpu = time.perf_counter(), _cpu()
    until = began + seconds
    times: list[float] = []
    rates: list[float] = []

    async def caller(number: int) -> None:
        if latency:
            await asyncio.sleep(MODEL_CALLS * latency / 1000 * number / concurrent)
        own: list[float] = []
        first = time.perf_counter()
        while (start := time.perf_counter()) < until or not own:
            said = await subject.run(latency, number)
            if not said.rstrip().endswith("is 5 ."):
                raise RuntimeError(f"a run ended with the wrong answer: {said!r}")
            own.append(time.perf_counter() - start)
        times.extend(own)
        rates.append(len(own) / (time.perf_counter() - first))

    await asyncio.gather(*(caller(number) for number in range(concurrent)))
    elapsed = time.perf_counter() - began
    times.sort()
    return {
        "runs": len(times),
        "rate": sum(rates) if latency else len(times) / elapsed,
        "cpu_ms": (_cpu() - cpu) / len(times) * 1000,
        "median_ms": times[len(times) // 2] * 1000,
        "rss_mb": peak_memory(),
    }


async def serve(name: str) -> None:
    """Obey orders until there are no more."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the answers

    def tell(value: Any) -> None:
        out.write(json.dumps(value) + "\n")

    module, _, attribute = name.partition(":")
    subject: Subject = getattr(importlib.import_module(module), attribute or "Subject")()
    first = json.loads(await orders.readline())
    if first.get("cpus"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, first["cpus"])
    await subject.open({int(ms): url for ms, url in first["urls"].items()}, first["folder"])
    tell({"ready": True})
    try:
        while line := await orders.readline():
            order = json.loads(line)
            if "call" in order:
                tell(await getattr(subject, order["call"])(**order.get("with", {})))
            else:
                tell(await load(subject, order["concurrent"], order["seconds"], order["latency"]))
    finally:
        await subject.close()


if __name__ == "__main__":
    run(serve(sys.argv[1]))
