import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pydantic_monty
import pytest

from agenthost.core.errors import Permanent, Temporary
from agenthost.core.events import Value
from agenthost.core.ports import Evaluation
from agenthost.scripts.monty import MontyScripts
from agenthost.testing.scripts import ScriptsSuite


@pytest.fixture
async def scripts() -> AsyncIterator[MontyScripts]:
    scripts = MontyScripts(processes=1)
    yield scripts
    await scripts.close()


class TestMonty(ScriptsSuite):
    pass


async def test_a_host_that_runs_no_script_starts_no_worker() -> None:
    scripts = MontyScripts()
    assert scripts.mistakes("1 + 1", True) is None
    await scripts.close()


async def test_after_close_nothing_is_evaluated() -> None:
    scripts = MontyScripts()
    await scripts.evaluate(Evaluation({"v": "1"}, {}))
    await scripts.close()
    with pytest.raises(Temporary, match="stopping"):
        await scripts.evaluate(Evaluation({"v": "1"}, {}))


async def test_a_worker_that_dies_is_temporary_and_replaced(scripts: MontyScripts, monkeypatch: Any) -> None:
    pids: list[int] = []
    ready = scripts._ready

    class Killing:
        """The real pool, whose session's worker is killed as soon as it is checked out."""

        def __init__(self, pool: pydantic_monty.AsyncMonty) -> None:
            self.pool = pool

        def checkout(self, **settings: Any) -> Any:
            return Killed(self.pool.checkout(**settings))

    class Killed:
        def __init__(self, session: Any) -> None:
            self.session = session

        async def __aenter__(self) -> Any:
            entered = await self.session.__aenter__()
            pids.append(entered.worker_pid)
            os.kill(entered.worker_pid, signal.SIGKILL)
            return entered

        async def __aexit__(self, *error: Any) -> None:
            await self.session.__aexit__(*error)

    async def killing() -> Any:
        return Killing(await ready())

    with monkeypatch.context() as patch:
        patch.setattr(scripts, "_ready", killing)
        with pytest.raises(Temporary, match="worker process ended") as caught:
            await scripts.evaluate(Evaluation({"v": "1"}, {}))
    assert caught.value.code == "script-crash"
    assert len(pids) == 1
    assert await scripts.evaluate(Evaluation({"v": "1"}, {})) == Value({"v": 1})


async def test_many_at_once_share_few_workers(scripts: MontyScripts) -> None:
    answers = await asyncio.gather(
        *[scripts.evaluate(Evaluation({"v": "x.n * 2"}, {"x": {"n": n}})) for n in range(50)]
    )
    assert answers == [Value({"v": n * 2}) for n in range(50)]


async def test_a_cancelled_evaluation_leaves_the_pool_usable(scripts: MontyScripts) -> None:
    await scripts.evaluate(Evaluation({"v": "1"}, {}))
    endless = "def f():\n    while True:\n        pass"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await scripts.evaluate(Evaluation({}, {}, endless, "f"))
    assert await scripts.evaluate(Evaluation({"v": "2"}, {})) == Value({"v": 2})


async def test_what_a_script_prints_goes_nowhere(scripts: MontyScripts, capfd: pytest.CaptureFixture[str]) -> None:
    await scripts.evaluate(Evaluation({}, {}, "def f():\n    print('secret')", "f"))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "source",
    [
        "def f(m):\n    m.a.b = 1",
        "def f(m):\n    return m.a.items",
        "def f(m):\n    return f'''{m.a\n    .wrong}'''",
    ],
)
async def test_rewritten_source_fails_with_its_author_s_line(scripts: MontyScripts, source: str) -> None:
    with pytest.raises(Permanent, match="the script, line 2"):
        await scripts.evaluate(Evaluation({}, {"m": {"a": {"c": 1}}}, source, "f"))


async def test_attributes_in_every_place_they_may_stand(scripts: MontyScripts) -> None:
    source = """\
import re
class Point:
    def __init__(self, x):
        self.x = x
def f(m):
    point = Point(m.a.n)
    point.x += m.a.n
    try:
        raise ValueError(m.name)
    except ValueError as error:
        text = str(error)
    match m:
        case {"name": name}:
            text = text + name
    flags = re.compile("A", re.IGNORECASE).search(m.name).group(0)
    pick = lambda item: item.n
    return [point.x, text, flags, pick(m.a), [k for k in m.a.keys()], f"{m.name:>{m.a.n}}" "!",
            {m.name: m.a.n for _ in range(1)}[m.name], m.a.n if m.name else m.nothing]
"""
    message = {"name": "ab", "a": {"n": 4}}
    answer = await scripts.evaluate(Evaluation({}, {"m": message}, source, "f"))
    assert answer == Value({"result": [8, "abab", "a", 4, ["n"], "  ab!", 4, 4]})
