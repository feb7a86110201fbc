"""The host as a server beside a bare loop, Agno's AgentOS and an empty FastAPI app: each a process on a core of its own.

Runs over HTTP at 64 concurrent, time to the first token, tokens relayed, memory of runs that wait, memory and start of an
idle process.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, NotMeasured, Worker, cores, environment
from bench.records import median, pairwise
from bench.setting import Setting, Subject

SUITE = "http"
BARE, OURS, PEER, EMPTY = "bare loop", "agenthost", "agno AgentOS + SQLite", "empty FastAPI"
TOKENS, FEW = 2000, 16
STREAMS, TIMES = 8, 5
WAITING = 1000
_AGENT = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: adder%s}
spec:
  model: p%s:fake
  instructions: You add numbers with the tool.
  tools: [%s]
"""
_ASKER = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asker}
spec: {model: "scripted:%s", tools: [ask]}
"""
_PLAYS = """
rules:
  - reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
"""


@dataclass
class Served:
    """A process that serves. `ask(kind)`: the request of a run by the model's name, `stream(kind)` of a streamed answer,
    `mark`: what every token of that has in it."""

    name: str
    process: "subprocess.Popen[str]"
    port: int
    started_ms: float
    ask: Callable[[str], str]
    stream: Callable[[str], str]
    token: str = ""
    mark: str = " token"

    def cpu(self) -> float:
        """Seconds of user and system time so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def measure(setting: Setting) -> None:
    """Fill in the suite."""
    place = setting.folder / "http"
    place.mkdir(parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{setting.model.port}"
    urls = {"0": f"{base}/l0/v1", "stream": f"{base}/s{TOKENS}/v1", "wait": f"{base}/l900000/v1"}
    urls["few"] = f"{base}/s{FEW}/v1"
    with contextlib.ExitStack() as stack:
        caller = Worker("bench.subjects.caller:Caller", Path(sys.executable), setting.model.urls, place, pinned=False)
        stack.callback(caller.close)
        if spare := sorted(os.sched_getaffinity(0))[:1]:
            os.sched_setaffinity(caller.pid, spare)
        served = _all(setting, urls, place, stack)
        _runs(setting, served, caller)
        _first_token(setting, served, caller)
        _relayed(setting, served, caller)
        _waiting(setting, served, caller)


def _all(setting: Setting, urls: dict[str, str], place: Path, stack: contextlib.ExitStack) -> dict[str, Served]:
    """Every subject that can be had, started in turns: how long that took, and what it has in memory when idle."""
    makers = {BARE: _bare, OURS: ours}
    if any(subject.peer for subject in setting.subjects):
        makers |= {PEER: _peer, EMPTY: _empty}
    started: dict[str, list[float]] = defaultdict(list)
    idle: dict[str, list[float]] = defaultdict(list)
    rounds = max(1, setting.scale.repetitions)
    for number in range(rounds):
        for name in list(makers):
            setting.tell(f"starting {name}, {number + 1} of {rounds}")
            folder = place / f"{number}-{name.replace(' ', '-')}"
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with makers[name](setting, urls, folder) as one:
                    started[name].append(one.started_ms)
                    time.sleep(0.5)
                    idle[name].append(one.memory())
            except NotMeasured as reason:
                setting.results.missing(SUITE, name, "start to the first 200", "ms", str(reason))
                del makers[name]
    add = setting.results.add
    for name in makers:
        add(SUITE, name, "start to the first 200", median(started[name]), "ms")
        add(SUITE, name, "idle", median(idle[name]), "MB")
    if PEER in makers:
        add(SUITE, OURS, "start, times AgentOS", pairwise(started[OURS], started[PEER]), "x")
    if EMPTY in makers:
        add(SUITE, OURS, "idle, times empty FastAPI", pairwise(idle[OURS], idle[EMPTY]), "x")
    found: dict[str, Served] = {}
    for name in makers:
        if name != EMPTY:
            folder = place / name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            found[name] = stack.enter_context(makers[name](setting, urls, folder))
    return found


def _runs(setting: Setting, served: dict[str, Served], caller: Worker) -> None:
    rates: dict[str, list[float]] = defaultdict(list)
    cpus: dict[str, list[float]] = defaultdict(list)
    for repetition in range(-1, setting.scale.repetitions):
        for name, one in served.items():
            setting.tell(f"runs over HTTP, 64 at once: {name}, {repetition + 1} of {setting.scale.repetitions}")
            asked = {"port": one.port, "request": one.ask("0"), "wanted": "is 5 .", "concurrent": 64}
            before = one.cpu()
            came = caller.order(call="runs", **{"with": asked | {"seconds": setting.scale.seconds}})
            if repetition >= 0:
                rates[name].append(came["rate"])
                cpus[name].append((one.cpu() - before) / came["runs"] * 1000)
    for name in served:
        setting.results.add(SUITE, name, "runs, 64 at once", median(rates[name]), "1/s")
        setting.results.add(SUITE, name, "CPU a run", median(cpus[name]), "ms")
        setting.results.add(SUITE, name, "memory after the runs", served[name].memory(), "MB")
    for other, metric in ((PEER, "runs, times AgentOS"), (BARE, "runs, of the bare loop")):
        if other in served:
            setting.results.add(SUITE, OURS, metric, pairwise(rates[OURS], rates[other]), "x")


def _first_token(setting: Setting, served: dict[str, Served], caller: Worker) -> None:
    """Beside the same request to the model itself: of an answer of a few words, and of one whose thousands come as fast as
    they are taken, so that the first has to wait for what is read with it."""
    for kind, tokens, metric in (
        ("few", FEW, "added time to first token"),
        ("stream", TOKENS, f"added time to first token of {TOKENS} at once"),
    ):
        _first_of(setting, served, caller, kind, tokens, metric)


def _first_of(
    setting: Setting, served: dict[str, Served], caller: Worker, stream: str, tokens: int, metric: str
) -> None:
    firsts: dict[str, list[float]] = defaultdict(list)
    body = json.dumps({"model": "fake", "stream": True, "messages": [{"role": "user", "content": "go"}]})
    direct = post(f"/s{tokens}/v1/chat/completions", body, "application/json")
    for _ in range(setting.scale.repetitions):
        for name, one in served.items():
            setting.tell(f"time to the first token: {name}")
            for kind, port, request, mark in (
                (name, one.port, one.stream(stream), one.mark),
                (f"{name} direct", setting.model.port, direct, " token"),
            ):
                asked = {"port": port, "request": request, "mark": mark, "concurrent": 1, "times": 10}
                firsts[kind].append(caller.order(call="streams", **{"with": asked})["first_ms"])
    for name in served:
        added = [through - alone for through, alone in zip(firsts[name], firsts[f"{name} direct"], strict=True)]
        setting.results.add(SUITE, name, metric, median(added), "ms")


def _relayed(setting: Setting, served: dict[str, Served], caller: Worker) -> None:
    per_core: dict[str, list[float]] = defaultdict(list)
    for _ in range(setting.scale.repetitions):
        for name, one in served.items():
            setting.tell(f"tokens relayed: {name}")
            asked = {"port": one.port, "request": one.stream("stream"), "mark": one.mark}
            before = one.cpu()
            # The clock of a process's CPU ticks a hundred times a second: long enough for that.
            came = caller.order(call="streams", **{"with": asked | {"concurrent": STREAMS, "times": TIMES}})
            # A relay that passes pieces on as they come may put the frame of a chunk into the middle of a mark.
            if came["marks"] < 0.999 * STREAMS * TIMES * TOKENS:
                raise NotMeasured(f"{name} relayed {came['marks']} of {STREAMS * TIMES * TOKENS} tokens")
            per_core[name].append(came["marks"] / max(one.cpu() - before, 0.01))
    for name in served:
        setting.results.add(SUITE, name, "tokens relayed a second of CPU", median(per_core[name]), "1/s")
    if BARE in served:
        ratio = pairwise(per_core[OURS], per_core[BARE])
        setting.results.add(SUITE, OURS, "tokens relayed, of the bare relay", ratio, "x")


def _waiting(setting: Setting, served: dict[str, Served], caller: Worker) -> None:
    count = WAITING if setting.scale.patient else 100
    for name, one in served.items():
        setting.tell(f"{count} runs that wait: {name}")
        before = one.memory()
        caller.order(call="hold", **{"with": {"port": one.port, "request": one.ask("wait"), "count": count}})
        time.sleep(2 if setting.scale.patient else 0.5)
        setting.results.add(SUITE, name, f"{count} waiting runs", one.memory() - before, "MB")
        caller.order(call="let_go")


# --- the subjects ---------------------------------------------------------------------------------


def post(path: str, body: str, kind: str, *headers: str) -> str:
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(head) + "\r\n\r\n" + body


@contextlib.contextmanager
def _process(command: list[str], place: Path, more: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", float]]:
    """A process pinned to the subjects' core, and when it was started. Its output's first line is its to say."""
    began = time.perf_counter()
    with (place / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
            env=environment() | more,
        )  # fmt: skip
    try:
        if cores()[0]:
            os.sched_setaffinity(process.pid, cores()[0])
        yield process, began
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.terminate()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _line(process: "subprocess.Popen[str]", place: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        said = [text for text in (place / "stderr.txt").read_text("utf-8", "replace").splitlines() if text.strip()]
        raise NotMeasured(said[-1][:300] if said else "its process ended without a word")
    return line


def _answers(port: int, path: str, began: float) -> float:
    """Milliseconds until it answered with 200."""
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
            return (time.perf_counter() - began) * 1000
        except OSError:
            if time.perf_counter() - began > 60:
                raise NotMeasured("it never answered") from None
            time.sleep(0.005)


@contextlib.contextmanager
def _simple(
    name: str, command: list[str], place: Path, health: str, ask: Callable[[str], str], stream: Callable[[str], str]
) -> Iterator[Served]:
    with _process(command, place, {}) as (process, began):
        port = int(_line(process, place))
        yield Served(name, process, port, _answers(port, health, began), ask, stream)


def _bare(setting: Setting, urls: dict[str, str], place: Path) -> contextlib.AbstractContextManager[Served]:
    told = {"0": urls["0"], "900000": urls["wait"], "stream": urls["stream"], "few": urls["few"]}
    paths = {"0": "/run/0", "wait": "/run/900000"}
    return _simple(
        BARE,
        [sys.executable, "-m", "bench.served.bare", json.dumps(told)],
        place,
        "/healthz",
        lambda kind: post(paths[kind], "", "text/plain"),
        lambda kind: post(f"/stream/{kind}", "", "text/plain"),
    )


@contextlib.contextmanager
def ours(setting: Setting, urls: dict[str, str], place: Path) -> Iterator[Served]:
    home = place / "home"
    (home / "manifests").mkdir(parents=True)
    lines = ['[tools]\nadd = "bench.tools:ADD"\n[sandbox]\nkind = "bubblewrap"\n[work]\ntasks = 20000\n']
    for name, url in urls.items():
        lines.append(
            f'[models.providers.p{name}]\nbase-url = "{url}"\napi-key = "none"\nwire = "chat"\nstream = true\n'
        )
        tools = "" if name in ("stream", "few") else "add"
        (home / "manifests" / f"{name}.yaml").write_text(_AGENT % (name, name, tools))
    (home / "manifests" / "asker.yaml").write_text(_ASKER % (home / "plays.yaml"))
    (home / "plays.yaml").write_text(_PLAYS)
    (home / "agenthost.toml").write_text("\n".join(lines))
    command = [str(Path(sys.executable).parent / "agenthost"), "up", "--port", "0", "--quiet", "--json", "--no-open"]
    with _process(command, place, {"AGENTHOST_HOME": str(home)}) as (process, began):
        port = int(json.loads(_line(process, place))["url"].rpartition(":")[2])
        ready = _answers(port, "/readyz", began)
        token = (home / "token").read_text().strip()

        def ask(kind: str, stream: bool = False) -> str:
            said = [{"role": "user", "content": "What is 2 + 3?"}]
            body = json.dumps({"model": f"adder{kind}", "stream": stream, "messages": said})
            return post("/v1/chat/completions", body, "application/json", f"Authorization: Bearer {token}")

        # What comes at once from the model is passed on at once, several tokens in one chunk.
        yield Served(OURS, process, port, ready, ask, lambda kind: ask(kind, True), token, " token")


def _peer(setting: Setting, urls: dict[str, str], place: Path) -> contextlib.AbstractContextManager[Served]:
    python = setting.python(Subject(PEER, "", "", "", peer=True))

    def ask(kind: str, stream: str = "false") -> str:
        body = f"message=What+is+2+%2B+3%3F&stream={stream}"
        return post(f"/agents/adder{kind}/runs", body, "application/x-www-form-urlencoded")

    made = _simple(
        PEER,
        [str(python), "-m", "bench.served.agentos", json.dumps(urls), str(place)],
        place,
        "/health",
        ask,
        lambda kind: ask(kind, "true"),
    )
    return _marked(made)


@contextlib.contextmanager
def _marked(made: contextlib.AbstractContextManager[Served]) -> Iterator[Served]:
    with made as served:
        served.mark = "event: RunContent\n"
        yield served


def _empty(setting: Setting, urls: dict[str, str], place: Path) -> contextlib.AbstractContextManager[Served]:
    python = setting.python(Subject(EMPTY, "", "", "", peer=True))
    command = [str(python), "-m", "bench.served.empty"]
    return _simple(EMPTY, command, place, "/healthz", lambda kind: "", lambda kind: "")
