"""Day budgets of several people, under load, retries and kill -9: never gone beyond, and equal to what the provider counted."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from agenthost.core.budgets import Spend, day_account
from agenthost.core.lifecycle import FINAL
from agenthost.core.ports import Filter, LedgerEntry
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from tests.control.provider import Provider, provided
from tests.control.worker import ORDERS, PEOPLE

ROOT = Path(__file__).parents[2]
KILLS = 6
LIMITS = {"ann": 900, "bob": 1_600, "eve": 10**9}
"""Tokens in a day: too few for all, for some, and for nothing to be refused."""

SETTINGS = """
[models]
default = "priced"
[models.providers.fake]
base-url = "URL"
[work]
backoff = 0.05
attempts = 8
[tools]
look = "tests.control.runs:look"
[budgets]
host = {cost = 50.0}
people = {ann = {tokens = ANN}, bob = {tokens = BOB}, eve = {tokens = EVE, turns = 1000}}
[models.names.priced]
model = "fake:m"
card = {input_price = 1.0, output_price = 2.0}
"""
PLAYBOOK = """
name: clerks
rules:
  - {when: {says: busy, turn: 0}, fail: {kind: overloaded, times: 2}, reply: {calls: [{tool: look, arguments: {}}]}}
  - {when: {says: cut, turn: 0}, fail: {kind: cut, after: 2, times: 2}, reply: {text: "This was cut off and said again, whole."}}
  - {when: {turn: 0}, reply: {calls: [{tool: look, arguments: {}}]}}
  - {when: {turn: 1}, reply: {calls: [{tool: look, arguments: {}}]}}
  - {reply: {text: "It is done, as was wanted."}}
"""


async def started(home: Path) -> asyncio.subprocess.Process:
    with (home / "worker.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.control.worker", str(home), cwd=ROOT, stdout=log, stderr=log
        )


async def ends_or_is_killed(home: Path, seconds: float) -> int | None:
    """Its exit code; None where it was killed so long after it had begun to work."""
    worker = await started(home)
    try:
        while not (home / f"started-{worker.pid}").exists() and worker.returncode is None:
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(worker.wait(), seconds)
    except TimeoutError:
        return None
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


def counts(entry: LedgerEntry) -> Spend:
    return entry.spent if entry.spent is not None else entry.worst


async def check(host: Host, provider: Provider, day: str) -> str:
    rows = await host.tasks(Filter(limit=1000))
    assert len(rows) == ORDERS * len(PEOPLE)
    assert all(row.state in FINAL and not row.hold for row in rows), rows
    ledger = {
        f"{entry.task}/{entry.command}/{entry.attempt}": entry for row in rows for entry in await host.ledger(row.id)
    }
    answered, used, provided_to = provider.answered, dict[str, int](), Counter[str]()
    assert set(provider.asked) <= set(ledger), "a call was made that wasn't reserved"
    for key, usage in answered.items():
        entry = ledger[key]
        provided_to[entry.person] += usage.total
        # To the token where the answer was committed; else at its worst, which is no less.
        assert counts(entry).tokens == usage.total if entry.settled else entry.worst.tokens >= usage.total, key
    for key, entry in ledger.items():
        if key not in answered:
            assert not entry.settled or entry.spent == Spend(), f"{key} is settled, and nobody answered it"
    for person in PEOPLE:
        used[person] = sum(counts(entry).tokens for entry in ledger.values() if entry.person == person)
        account = await host.engine.services.parts.store.spent(day_account(day, f"person/default/{person}"))
        assert account.tokens == used[person], f"the account of {person} isn't the sum of the ledger"
        assert provided_to[person] <= used[person] <= LIMITS[person], person
    refused = Counter(row.person for row in rows if row.state == "failed")
    assert all("today's budget of the person" in row.reason for row in rows if row.state == "failed"), rows
    assert refused["ann"] and refused["bob"] and not refused["eve"], refused
    cut = sum(not entry.settled for entry in ledger.values())
    assert cut
    return (
        f"{len(ledger)} attempts, {len(answered)} answered, {cut} unsettled; used {used} of {LIMITS}; refused {refused}"
    )


async def test_no_call_is_beyond_a_days_budget_and_the_ledger_is_what_the_provider_counted(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or time.time())
    print(f"CRASH_SEED={seed}")
    draw = random.Random(seed)
    home, playbook = tmp_path / "home", tmp_path / "playbook.yaml"
    home.mkdir(mode=0o700)
    playbook.write_text(PLAYBOOK)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    async with provided(playbook, 0.03, 0.002) as provider:
        settings = SETTINGS.replace("URL", provider.url)
        for person, limit in LIMITS.items():
            settings = settings.replace(person.upper(), str(limit))
        (home / "agenthost.toml").write_text(settings)
        killed = 0
        for _ in range(KILLS):
            killed += await ends_or_is_killed(home, draw.uniform(0.02, 0.5)) is None
        code = await ends_or_is_killed(home, 100)
        assert code == 0, (home / "worker.log").read_text()[-4000:]
        host = await open_host(load(home))
        try:
            if time.strftime("%Y-%m-%d", time.gmtime()) == day:  # a day that ended meanwhile gave everybody more
                print(await check(host, provider, day), f"; killed {killed} times")
        finally:
            await host.close()
