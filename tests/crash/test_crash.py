"""Real processes over running workflows, ended with SIGKILL at random moments, again and again.

`make crash` runs at least 200 kills; the ordinary test run makes a few.
"""

import asyncio
import collections
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.core.commands import CallTool
from agenthost.core.events import Answered, Asked, Begun, Claimed, Doubted, Recorded
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import ModelAnswer
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.host.host import open_host
from agenthost.host.settings import load
from agenthost.testing.openai_server.process import OpenAIServer

ORDERS = 3
HERE = Path(__file__).parent
BACKGROUND = """
[models.names.bg]
model = "fake:m"
card = {background = true, input_price = 1.0, output_price = 2.0}
"""


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; the last may be cut by a kill."""
    found: list[dict[str, Any]] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def environment(home: Path) -> dict[str, str]:
    root = HERE.parent.parent
    return os.environ | {
        "AGENTHOST_SANDBOX": "bubblewrap",
        "PYTHONPATH": str(root),
        "CRASH_EFFECTS": str(home / "effects.jsonl"),
    }


def start_worker(home: Path) -> subprocess.Popen[bytes]:
    with (home / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.worker", str(home), str(ORDERS)],
            cwd=HERE.parent.parent,
            env=environment(home),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def await_start(home: Path, worker: subprocess.Popen[bytes]) -> None:
    """Until the worker says that its host is open, or has ended."""
    before = len(lines(home / "starts.jsonl"))
    while len(lines(home / "starts.jsonl")) == before and worker.poll() is None:
        time.sleep(0.005)


def kill_at_random(home: Path, kills: int, draw: random.Random) -> int:
    """Start the worker and kill it, `kills` times, or until the work is done; how often it was killed."""
    for count in range(kills):
        worker = start_worker(home)
        try:
            # Mostly while it works, now and then while it starts.
            if draw.random() < 0.9:
                await_start(home, worker)
            worker.wait(timeout=draw.uniform(0.02, 0.9))
        except subprocess.TimeoutExpired:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
            continue
        assert worker.returncode == 0, (home / "worker.log").read_text()[-4000:]
        return count
    return kills


def finish(home: Path) -> None:
    worker = start_worker(home)
    try:
        assert worker.wait(timeout=120) == 0, (home / "worker.log").read_text()[-4000:]
    finally:
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()


async def look(home: Path, provider: OpenAIServer) -> None:
    host = await open_host(load(home))
    try:
        rows = await host.tasks(Filter(limit=1000))
        assert rows and all(row.state in FINAL for row in rows), [
            (row.id, row.state, row.hold, row.reason) for row in rows
        ]
        assert all(row.state == "completed" for row in rows if not row.parent)
        journals = {row.id: await host.events_of(row.id) for row in rows}
        ledger = [entry for row in rows if not row.parent for entry in await host.ledger(row.id)]
        check_journals(journals, lines(home / "seen.jsonl"))
        check_calls(journals, ledger, provider)
        check_effects(journals, home)
        for row in rows:
            for report in await host.replay(row.id) if not row.parent else ():
                assert report.agrees, report
        print(summary(journals, ledger, home))
    finally:
        await host.close()


def check_journals(journals: dict[str, list[Recorded]], seen: list[dict[str, Any]]) -> None:
    """What was shown to anybody is in the journal, unchanged, at its place."""
    for task, events in journals.items():
        assert [recorded.seq for recorded in events] == list(range(1, len(events) + 1)), task
    for shown in seen:
        recorded = journals[shown["task"]][shown["seq"] - 1]
        assert hashlib.sha256(msgspec.json.encode(recorded.event)).hexdigest() == shown["body"]


def check_calls(journals: dict[str, list[Recorded]], ledger: list[LedgerEntry], provider: OpenAIServer) -> None:
    """No model call whose answer was committed is made again, and the ledger is the provider's own count."""
    answered: dict[str, int] = {}
    attempts: dict[str, list[LedgerEntry]] = collections.defaultdict(list)
    for entry in ledger:
        attempts[f"{entry.task}/{entry.command}"].append(entry)
    given = provider.answers()
    counted = {answer.key: answer.usage.total for answer in given}
    assert len(counted) == len(given), "the provider answered a call twice"
    for task, events in journals.items():
        for recorded in events:
            if isinstance(recorded.event, Answered) and isinstance(recorded.event.answer, ModelAnswer):
                key = f"{task}/{recorded.event.command}"
                answered[key] = answered.get(key, 0) + 1
    assert all(count == 1 for count in answered.values())
    for call, entries in attempts.items():
        entries.sort(key=lambda entry: entry.attempt)
        assert [entry.attempt for entry in entries] == list(range(1, len(entries) + 1)), call
        assert [entry.settled for entry in entries] == [False] * (len(entries) - 1) + [call in answered], call
        for entry in entries:
            told = counted.pop(f"{call}/{entry.attempt}", None)
            if entry.settled:
                assert told is not None and entry.spent is not None and entry.spent.tokens == told, entry
    check_begun(journals)
    assert not counted, f"the provider answered calls that the ledger doesn't know: {counted}"


def check_begun(journals: dict[str, list[Recorded]]) -> None:
    """An answer that is made in the background, and whose handle is in the journal, is never begun again."""
    for events in journals.values():
        begun = collections.Counter(one.event.command for one in events if isinstance(one.event, Begun))
        assert all(count == 1 for count in begun.values()), begun.most_common(3)


def check_effects(journals: dict[str, list[Recorded]], home: Path) -> None:
    """What is not safe to repeat happened once for each call, or again only where a person said so."""
    effects = [effect for effect in lines(home / "effects.jsonl") if effect["tool"] != "look"]
    answers = {answer["key"]: answer["said"] for answer in lines(home / "answers.jsonl")}
    counts = collections.Counter(effect["key"] for effect in effects)
    assert all(count == 1 for count in counts.values()), counts.most_common(3)
    for task, events in journals.items():
        asked = {
            recorded.event.command.id: recorded.event.command
            for recorded in events
            if isinstance(recorded.event, Asked)
            and isinstance(recorded.event.command, CallTool)
            and recorded.event.command.tool in ("pay", "book")
        }
        for id in asked:
            base, _, number = id.partition("~")
            if number:
                before = base if int(number) == 2 else f"{base}~{int(number) - 1}"
                assert answers[f"{task}/{before}"] == "run it again"
                assert counts[f"{task}/{before}"] == 0
        by_call = collections.Counter(id.partition("~")[0] for id in asked)
        for call, tries in by_call.items():
            happened = sum(counts[f"{task}/{id}"] for id in (call, *(f"{call}~{n}" for n in range(2, tries + 1))))
            assert happened == 1, (task, call)


def summary(journals: dict[str, list[Recorded]], ledger: list[LedgerEntry], home: Path) -> str:
    """What was put to the test, for people."""
    events = [recorded for journal in journals.values() for recorded in journal]
    claimed = sum(isinstance(recorded.event, Claimed) for recorded in events) - len(journals)
    doubts = sum(isinstance(recorded.event, Doubted) for recorded in events)
    cut = sum(not entry.settled for entry in ledger)
    starts = [start for start in lines(home / "starts.jsonl") if start["unfinished"]]
    shown = sorted(seen["at"] for seen in lines(home / "seen.jsonl"))
    waits: list[float] = []
    for start in starts:
        after = next((at for at in shown if at > start["at"]), None)
        if after is not None:
            waits.append(after - start["at"])
    waits.sort()
    median = f"{waits[len(waits) // 2]:.2f} s, at most {waits[-1]:.2f} s" if waits else "not measured"
    return (
        f"\n{len(journals)} tasks, {len(events)} events, {claimed} times taken over, {cut} model calls cut, "
        f"{doubts} doubts; from a start to the first step of what was unfinished: median {median}"
    )


@pytest.fixture
def crashes(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--crashes"))


@pytest.mark.parametrize("background", [False, True])
def test_killed_at_any_moment_work_is_neither_lost_nor_done_twice(
    tmp_path: Path, crashes: int, background: bool
) -> None:
    """Rounds of fresh work, each killed until it is done, until there were as many kills as asked for."""
    seed = int(os.environ.get("CRASH_SEED") or time.time())
    print(f"CRASH_SEED={seed}")
    draw = random.Random(seed)
    kills = 0
    round = 0
    while kills < crashes:
        round += 1
        home = tmp_path / f"home{round}"
        home.mkdir(mode=0o700)
        with OpenAIServer(HERE / "playbook.yaml", home / "provider", latency=15, pause=2) as provider:
            (home / "agenthost.toml").write_text(
                f'[models]\ndefault = "{"bg" if background else "fake:m"}"\n'
                f'[models.providers.fake]\nbase-url = "{provider.url}"\nlabels = true\nwire = "responses"\n'
                "[tools]\n" + "".join(f'{name} = "tests.crash.tools:{name}"\n' for name in ("pay", "book", "look"))
            )
            if background:
                with (home / "agenthost.toml").open("a") as settings:
                    settings.write(BACKGROUND)
            kills += kill_at_random(home, min(25, crashes - kills), draw)
            finish(home)
            asyncio.run(look(home, provider))
    print(f"{kills} kills in {round} rounds")
