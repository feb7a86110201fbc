"""A host that is left running: many tasks that wait for a person, many open streams, and a day's work compressed."""

import sys
import time
from pathlib import Path
from typing import Any

from bench.processes import Worker
from bench.serving import OURS, Served, ours, post
from bench.setting import Setting

SUITE = "day"
HOURS = 24
STREAMS = 1000
GROWTH = f"growth from hour 6 to hour {HOURS}"


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    place = setting.folder / "day"
    place.mkdir(parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{setting.model.port}"
    caller = Worker("bench.subjects.caller:Caller", Path(sys.executable), setting.model.urls, place, pinned=False)
    try:
        with ours(setting, {"0": f"{base}/l0/v1", "stream": f"{base}/s200/v1"}, place) as host:
            _waiting(setting, host, caller)
            _day(setting, host, caller)
    finally:
        caller.close()


def _waiting(setting: Setting, host: Served, caller: Worker) -> None:
    """Tasks that wait for an answer, and streams of some of them."""
    tasks = min(setting.scale.tasks, 10_000)
    asking = post("/api/v1/tasks", '{"name": "asker", "text": "ask me"}', "application/json", _bearer(host))
    warm = {"port": host.port, "request": asking, "wanted": '"id"', "concurrent": 16}
    caller.order(call="count", **{"with": warm | {"count": 100}})
    time.sleep(1)
    before = host.memory()
    setting.tell(f"{tasks} tasks that wait for a person")
    caller.order(call="count", **{"with": warm | {"count": tasks}})
    _settled(host)
    asked = host.memory()
    setting.results.add(SUITE, OURS, f"{tasks} tasks that wait for a person", asked - before, "MB")
    streams = STREAMS if setting.scale.patient else 50
    setting.tell(f"{streams} open streams")
    found = caller.order(call="get", **{"with": {"port": host.port, "request": _get("/api/v1/tasks?limit=1", host)}})
    task = found["body"].partition('"id":"')[2].partition('"')[0]
    request = _get(f"/api/v1/tasks/{task}/events", host)
    caller.order(call="hold", **{"with": {"port": host.port, "request": request, "count": streams}})
    _settled(host)
    setting.results.add(SUITE, OURS, f"{streams} open streams", host.memory() - asked, "MB")
    caller.order(call="let_go")
    _settled(host)
    setting.results.add(SUITE, OURS, "left of the streams when they have gone", host.memory() - asked, "MB")


def _day(setting: Setting, host: Served, caller: Worker) -> None:
    """Each hour so many runs, some streamed; what the process has in memory at the end of each."""
    runs = 400 if setting.scale.patient else 20
    seen: list[float] = []
    asked: dict[str, Any] = {"port": host.port, "wanted": "is 5 .", "concurrent": 8, "request": host.ask("0")}
    streamed = {"port": host.port, "request": host.stream("stream"), "mark": host.mark, "concurrent": 4, "times": 5}
    for hour in range(HOURS):
        setting.tell(f"a day's work: hour {hour + 1} of {HOURS}")
        caller.order(call="count", **{"with": asked | {"count": runs}})
        caller.order(call="streams", **{"with": streamed})
        seen.append(host.memory())
    _settled(host)
    add = setting.results.add
    add(SUITE, OURS, f"{HOURS * (runs + 20)} runs in {HOURS} compressed hours, memory after hour 6", seen[5], "MB")
    add(SUITE, OURS, "memory after hour 24", seen[-1], "MB")
    add(SUITE, OURS, GROWTH, seen[-1] - seen[5], "MB")


def _settled(host: Served) -> None:
    """Until it uses no more CPU than one that idles."""
    for _ in range(60):
        before = host.cpu()
        time.sleep(0.5)
        if host.cpu() - before < 0.03:
            return


def _bearer(host: Served) -> str:
    return f"Authorization: Bearer {host.token}"


def _get(path: str, host: Served) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{_bearer(host)}\r\n\r\n"
