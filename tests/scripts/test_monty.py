import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pydantic_monty
import pytest

from agenthost.core.errors import Permanent, Temporary
from agenthost.core.events import Value
from agenthost.core.expressions import BUILTINS, MODULES
from agenthost.core.ports import Evaluation
from agenthost.scripts.later import LaterScripts
from agenthost.scripts.monty import MontyScripts
from agenthost.testing.scripts import ScriptsSuite


@pytest.fixture
async def scripts() -> AsyncIterator[MontyScripts]:
    scripts = MontyScripts(processes=1)
    yield scripts
    await scripts.close()


class TestMonty(ScriptsSuite):
    pass


class TestMadeWhenNeeded(ScriptsSuite):
    @pytest.fixture
    async def scripts(self) -> AsyncIterator[LaterScripts]:
        scripts = LaterScripts()
        yield scripts
        await scripts.close()

    async def test_nothing_is_evaluated_after_close(self) -> None:
        scripts = LaterScripts()
        await scripts.close()
        with pytest.raises(Temporary, match="stopping"):
            await scripts.evaluate(Evaluation({"v": "1"}, {}))


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

        def __init__(self, pool: pydantic_monty.Monty) -> None:
            self.pool = pool

        def checkout(self, **settings: Any) -> Any:
            return Killed(self.pool.checkout(**settings))

    class Killed:
        def __init__(self, session: Any) -> None:
            self.session = session

        def __enter__(self) -> Any:
            entered = self.session.__enter__()
            pids.append(entered.worker_pid)
            os.kill(entered.worker_pid, signal.SIGKILL)
            return entered

        def __exit__(self, *error: Any) -> None:
            self.session.__exit__(*error)

    def killing() -> Any:
        return Killing(ready())

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


def test_a_process_that_ends_right_after_its_last_script_ends_well() -> None:
    program = """
import asyncio
from agenthost.core.errors import Permanent
from agenthost.core.ports import Evaluation
from agenthost.scripts.monty import MontyScripts

async def main():
    scripts = MontyScripts()
    for source in ["1 / 0", "nothing", "1 + 1"] * 5:
        try:
            await scripts.evaluate(Evaluation({"v": source}, {}))
        except Permanent:
            pass
    await scripts.close()

asyncio.run(main())
"""
    for _ in range(5):
        assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ask()", "'question' is missing: ask"),
        ("ask('a', [], 'b')", "too many arguments: ask"),
        ("ask('a', question='b')", "'question' is given twice: ask"),
        ("make_artifact('a', text=b'x')", "make_artifact's text is a bytes"),
        ("log(text={1: 2})", "log's text has the key 1"),
        ("call_tool(['x'] and 'a', **{'b': {1}}) and nothing()", "no function 'nothing'"),
    ],
)
async def test_a_call_of_the_host_that_does_not_fit_says_how_it_goes(
    scripts: MontyScripts, call: str, message: str
) -> None:
    evaluation = Evaluation({}, {}, f"def f():\n    return {call}", "f", ({"value": 1},))
    with pytest.raises(Permanent, match=message):
        await scripts.evaluate(evaluation)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("f'{m.a.n}{m.name.upper()!r:>{m.a.n}}'", "4'AB'"),
        ("f'{f\"<{m.name}>\"}{[x.n for x in [m.a]]}{m.name!s}'", "<ab>[4]ab"),
        ("f'{dict(k=m.a.n)[\"k\"]:.2f}'", "4.00"),
        ("f'{m.name=}'", "m.name='ab'"),
        ("f'{m.name}' 'x' f'{len(m.name)}'", "abx2"),
    ],
)
async def test_attributes_inside_f_strings(scripts: MontyScripts, expression: str, value: str) -> None:
    names = {"m": {"name": "ab", "a": {"n": 4}}}
    assert await scripts.evaluate(Evaluation({"v": expression}, names)) == Value({"v": value})


async def test_every_function_and_module_that_is_promised_is_there(scripts: MontyScripts) -> None:
    source = "\n".join(f"import {name}" for name in MODULES)
    source += "\ndef f():\n    return [bool(x) for x in [" + ", ".join(sorted(BUILTINS)) + "]]"
    answer = await scripts.evaluate(Evaluation({}, {}, source, "f"))
    assert answer == Value({"result": [True] * len(BUILTINS)})


async def test_values_that_hold_themselves_or_go_too_deep_are_refused(scripts: MontyScripts) -> None:
    source = "def f():\n    x = []\n    for _ in range(150):\n        x = [x]\n    return x"
    with pytest.raises(Permanent, match="nested too deeply"):
        await scripts.evaluate(Evaluation({}, {}, source, "f"))


async def test_sets_come_out_in_one_order(scripts: MontyScripts) -> None:
    answer = await scripts.evaluate(Evaluation({"v": "{'b', 'a', 'c'}"}, {}))
    assert answer == Value({"v": ["a", "b", "c"]})


async def test_an_expression_may_call_the_script_s_functions(scripts: MontyScripts) -> None:
    answer = await scripts.evaluate(Evaluation({"v": "double(n)"}, {"n": 2}, "def double(x):\n    return x * 2"))
    assert answer == Value({"v": 4})


@pytest.mark.parametrize(
    ("source", "value"),
    [("range(3)", [0, 1, 2]), ("{'a': 1}.items()", [["a", 1]]), ("{'a': 1}.keys()", ["a"]), ("'range'", "range")],
)
async def test_what_is_a_list_in_all_but_type_comes_out_as_a_list(source: str, value: object) -> None:
    scripts = MontyScripts()
    try:
        found = await scripts.evaluate(Evaluation({"it": source}, {}))
    finally:
        await scripts.close()

    assert isinstance(found, Value)
    assert found.values == {"it": value}
