"""What is asked of a provider beside answers: in the ledger of whoever asks, within their budgets, as the provider counted it."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agenthost.core.access import RIGHTS, Caller
from agenthost.core.budgets import Limits, Spend, day_account
from agenthost.core.errors import AgentHostError, BudgetRefused, Temporary
from agenthost.core.keeping import UsageFilter
from agenthost.core.models import Fitness, ModelRequest, Turn
from agenthost.core.offers import Drawing, Speech
from agenthost.core.parts import FilePart, TextPart
from agenthost.core.ports import Abilities, LedgerEntry
from agenthost.host.host import Host, open_host
from agenthost.host.settings import load
from agenthost.models.playbook import Fail, as_playbook
from agenthost.testing.openai_server.offers import Offers
from agenthost.testing.openai_server.service import Service, serving
from tests.control.provider import Handler

ROOT = Path(__file__).parents[2]
SETTINGS = """
[models]
default = "vectors"
[models.providers.fake]
base-url = "URL"
[models.names.vectors]
model = "fake:vectors"
card = {input_price = 1.0, output_price = 2.0, image_price = 0.5, character_price = 15.0}
[models.names.ears]
model = "fake:transcribe"
card = {input_price = 6.0, output_price = 10.0, window = 1000, max_output = 100}
[models.names.unpriced]
model = "fake:unpriced"
"""
KILLS = 2


class Counting:
    """What the provider counted: the tokens of each answer that it gave."""

    def __init__(self) -> None:
        self.answered: list[int] = []
        self.goes_on, self.waits = asyncio.Event(), asyncio.Event()
        self.goes_on.set()
        self.troubles: dict[str, list[Fail]] = {"embeddings": []}
        self.url = ""

    @web.middleware
    async def hold(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.goes_on.is_set():
            self.waits.set()
            await self.goes_on.wait()
        return await handler(request)

    def twist(self, path: str, body: dict[str, Any]) -> Any:
        usage = body.get("usage", {})
        if usage:
            self.answered.append(
                usage.get("prompt_tokens", 0) + usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
            )
        return body


@asynccontextmanager
async def counting() -> AsyncGenerator[Counting]:
    provider = Counting()
    offers = Offers(troubles=provider.troubles, twist=provider.twist)
    service = Service(as_playbook({"rules": [{"reply": {"text": "You said {{said}}"}}]}), offers=offers)
    application = service.application()
    application.middlewares.append(provider.hold)
    async with serving(application) as url:
        provider.url = f"{url}/v1"
        yield provider


@asynccontextmanager
async def opened(home: Path, provider: Counting, budgets: str = "") -> AsyncGenerator[Host]:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "agenthost.toml").write_text(SETTINGS.replace("URL", provider.url) + budgets)
    host = await open_host(load(home))
    try:
        yield host
    finally:
        await host.close()


async def booked(host: Host) -> list[LedgerEntry]:
    return await host.engine.services.parts.store.ledger("")


async def spent_by(host: Host, subject: str) -> Spend:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return await host.engine.services.parts.store.spent(day_account(day, subject))


async def used(abilities: Abilities, ears: Abilities, picture: FilePart) -> bytes:
    await abilities.embed(["one two", "three"])
    await abilities.moderate([TextPart("kind words"), picture])
    drawn = await abilities.draw(Drawing("a small house"))
    sound = await abilities.speak(Speech("hello there", format="wav"))
    await ears.transcribe(sound.content, "audio/wav")
    return drawn.content


async def test_every_kind_of_call_is_counted_as_the_provider_counts_it(tmp_path: Path) -> None:
    async with counting() as provider, opened(tmp_path / "home", provider) as host:
        await host.budgets.of(Caller(), host).set("person/ann", Limits(tokens=10**9, cost=1000.0))
        picture = await host.put_file("a.png", b"\x89PNG\r\n\x1a\n", "image/png")
        await used(await host.abilities("vectors", "ann"), await host.abilities("ears", "ann"), picture)
        ledger = await booked(host)
        assert [(entry.person, entry.agent, entry.settled) for entry in ledger] == [("ann", "", True)] * 5
        embedded, judged, drawn, spoken, heard = [entry.spent or Spend() for entry in ledger]
        assert provider.answered == [embedded.tokens, drawn.tokens, heard.tokens] == [3, 3 + 272, 14 + 5]
        assert all(entry.spent and entry.spent.tokens <= entry.worst.tokens for entry in ledger)
        assert all(entry.spent and entry.spent.cost <= entry.worst.cost for entry in ledger)
        assert embedded.cost == pytest.approx(3e-6) and heard.cost == pytest.approx((14 * 6 + 5 * 10) / 1e6)
        assert drawn.cost == pytest.approx((3 + 272 * 2) / 1e6) and spoken.cost == pytest.approx(11 * 15 / 1e6)
        # Nobody counts what moderation takes: it stands as it was thought.
        assert judged == ledger[1].worst
        together = await spent_by(host, "person/default/ann")
        assert together.tokens == sum((entry.spent or Spend()).tokens for entry in ledger)
        (line,) = await host.usage(UsageFilter(by=("person",), since=time.time() - 3600))
        assert (line.person, line.calls, line.open, line.tokens) == ("ann", 5, 0, together.tokens)


@pytest.mark.parametrize("subject", ["person/ann", "person", "namespace/default", "host"])
async def test_a_day_that_has_no_room_refuses_before_anything_is_sent(tmp_path: Path, subject: str) -> None:
    async with counting() as provider, opened(tmp_path / "home", provider, "[budgets]\nreached = 'ask'\n") as host:
        await host.budgets.of(Caller(), host).set(subject, Limits(tokens=40, cost=0.001))
        picture = await host.put_file("a.png", b"\x89PNG\r\n\x1a\n", "image/png")
        abilities = await host.abilities("vectors", "ann")
        await abilities.embed(["one two"])
        for refused in (
            abilities.embed(["w " * 40]),
            abilities.moderate([TextPart("w " * 40), picture]),
            abilities.draw(Drawing("a house")),
            abilities.speak(Speech("hello " * 100)),
            (await host.abilities("ears", "ann")).transcribe(b"RIFF", "audio/wav"),
            abilities.start_batch({"1": ModelRequest("m", "", (Turn("user", (TextPart("hi"),)),))}),
        ):
            with pytest.raises(BudgetRefused, match="has no room for this call") as error:
                await refused
            assert "reached" not in error.value.details
        assert provider.answered == [2]
        with pytest.raises(BudgetRefused, match="the price of 'unpriced' is not known"):
            await (await host.abilities("unpriced", "ann")).embed(["a"])
        assert [entry.spent for entry in await booked(host)] == [Spend(0, 2, 2e-6)]


async def test_what_a_provider_refused_at_once_costs_nothing_and_what_was_cut_stands_at_its_worst(
    tmp_path: Path,
) -> None:
    async with counting() as provider, opened(tmp_path / "home", provider) as host:
        abilities = await host.abilities("vectors", "ann")
        provider.troubles["embeddings"] = [Fail("auth"), Fail("cut"), Fail("overloaded")]
        for _ in range(3):
            with pytest.raises(AgentHostError):
                await abilities.embed(["one two"])
        await abilities.embed(["one two"])
        provider.goes_on.clear()
        async with asyncio.TaskGroup() as group:
            left = group.create_task(abilities.embed(["three words more"]))
            await provider.waits.wait()
            left.cancel()
        provider.goes_on.set()
        ledger = await booked(host)
        told = [(entry.settled, entry.spent.tokens if entry.spent else None) for entry in ledger]
        assert told == [(True, 0), (False, None), (True, 0), (True, 2), (False, None)]


async def test_a_batch_is_one_line_from_its_beginning_to_whoever_looks_after_its_end(tmp_path: Path) -> None:
    async with counting() as provider:
        request = ModelRequest("m", "", (Turn("user", (TextPart("hello"),)),), max_output=50)
        async with opened(tmp_path / "home", provider) as host:
            began = await (await host.abilities("vectors", "ann")).start_batch({"1": request, "2": request})
            (entry,) = await booked(host)
            assert (entry.settled, entry.worst.turns) == (False, 2) and entry.worst.tokens > 100
        async with opened(tmp_path / "home", provider) as host:
            abilities = await host.abilities("vectors")
            while (found := await abilities.batch(began.id)).state != "ended":
                pass
            counted = sum(one.answer.usage.total for one in found.answers.values() if one.answer)
            for _ in range(2):
                assert (await abilities.batch(began.id)).state == "ended"
                (entry,) = await booked(host)
                assert entry.settled and entry.person == "ann" and entry.spent
                assert (entry.spent.turns, entry.spent.tokens) == (2, counted) and counted > 0


@pytest.mark.parametrize(("most", "size"), [(2**63 - 1, 1), (-(2**62), -(2**62)), (5, -(2**62))])
async def test_numbers_of_the_callers_own_neither_break_the_ledger_nor_make_room_in_a_budget(
    tmp_path: Path, most: int, size: int
) -> None:
    file = FilePart("sha256:" + "0" * 64, "text/plain", size)
    async with counting() as provider, opened(tmp_path / "home", provider) as host:
        await host.budgets.of(Caller(), host).set("person/ann", Limits(tokens=10**6))
        abilities = await host.abilities("vectors", "ann")
        request = ModelRequest("m", "", (Turn("user", (TextPart("hello"), file)),), max_output=most)
        with pytest.raises(AgentHostError):
            await abilities.start_batch({"1": request, "2": request})
        with pytest.raises(AgentHostError):
            await abilities.moderate([file])
        assert all(entry.worst.tokens >= 0 for entry in await booked(host))
        assert (await spent_by(host, "person/default/ann")).tokens >= 0


async def test_a_probe_is_in_the_ledger_of_whoever_probes(tmp_path: Path) -> None:
    async with counting() as provider, opened(tmp_path / "home", provider) as host:
        reception = await host.reception()
        boss = reception.api(Caller("ann", "operator", RIGHTS["operator"], via="key:1"))
        found = [item async for item in boss.probe("vectors", quick=True)]
        assert isinstance(found[-1], Fitness)
        ledger = await booked(host)
        assert len(ledger) > 3 and {entry.person for entry in ledger} == {"ann"}
        assert all(entry.spent and 0 < entry.spent.tokens <= entry.worst.tokens for entry in ledger)
        await host.budgets.of(Caller(), host).set("person/ann", Limits(turns=len(ledger) + 1))
        with pytest.raises(BudgetRefused, match="today's budget of the person 'ann'"):
            _ = [item async for item in boss.probe("vectors", quick=True)]
        assert len(await booked(host)) == len(ledger) + 1


async def test_calls_go_with_the_person_and_when_they_are_old_and_their_sums_stay(tmp_path: Path) -> None:
    async with counting() as provider, opened(tmp_path / "home", provider) as host:
        provider.troubles["embeddings"] = [Fail("cut")]
        for person in ("ann", "ann", "bob"):
            try:
                await (await host.abilities("vectors", person)).embed(["one two"])
            except Temporary:
                pass
        erasure = host._adapters.erasure  # pyright: ignore[reportPrivateUsage]
        wanted = UsageFilter(by=("person",))
        cut = (await booked(host))[0].worst.tokens
        await erasure.forget_person("default", "ann")
        assert [entry.person for entry in await booked(host)] == ["bob"]
        lines = {line.person: (line.calls, line.tokens, line.open) for line in await host.usage(wanted)}
        assert lines == {"": (2, 2 + cut, 1), "bob": (1, 2, 0)}
        assert await erasure.trim_calls(time.time() + 1) == 1
        assert await booked(host) == []
        assert {line.person: (line.calls, line.tokens, line.open) for line in await host.usage(wanted)} == lines


async def started(home: Path, first: int) -> asyncio.subprocess.Process:
    with (home / "worker.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.control.vectors", str(home), str(first), cwd=ROOT, stdout=log, stderr=log
        )


async def test_kills_leave_what_was_cut_unsettled_and_all_else_as_the_provider_counted(tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or time.time())
    print(f"CRASH_SEED={seed}")
    draw = random.Random(seed)
    home = tmp_path / "home"
    limit = 15_000
    async with counting() as provider:
        async with opened(home, provider) as host:
            await host.budgets.of(Caller(), host).set("person/ann", Limits(tokens=limit))
        first, code = 1, None
        for kill in range(KILLS + 1):
            worker = await started(home, first)
            while not (home / f"started-{worker.pid}").exists():
                assert worker.returncode is None, (home / "worker.log").read_text()[-3000:]
                await asyncio.sleep(0.01)
            if kill < KILLS:
                before = len(provider.answered)
                while len(provider.answered) < before + 4 and worker.returncode is None:
                    await asyncio.sleep(draw.uniform(0.0, 0.003))
                worker.kill()
            code = await worker.wait()
            first = max(provider.answered, default=0) + 10
        assert code == 0, (home / "worker.log").read_text()[-3000:]
        async with opened(home, provider) as host:
            ledger = await booked(host)
            spent = await spent_by(host, "person/default/ann")
    # Each text has its own number of tokens: that tells which line of the ledger is which answer.
    settled = [entry.spent.tokens for entry in ledger if entry.spent is not None and entry.spent.tokens]
    open_ones = [entry for entry in ledger if not entry.settled]
    answered = set(provider.answered)
    assert len(answered) == len(provider.answered) and len(set(settled)) == len(settled)
    assert set(settled) <= answered and len(answered - set(settled)) <= len(open_ones)
    worst = {entry.worst.tokens for entry in open_ones}
    assert all(2 * tokens + 8 in worst for tokens in answered - set(settled)), "an answer isn't in the ledger"
    assert open_ones, "no kill met a call"
    assert spent.tokens == sum(settled) + sum(entry.worst.tokens for entry in open_ones) <= limit
