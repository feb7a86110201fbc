"""`agenthost eval untrusted`: the table, what went wrong, the exit code."""

import json
from typing import Any

import pytest

from agenthost.core.errors import BadInput
from tests.cli.fakes import FakeHost
from tests.cli.recorded import question


async def test_cases_are_played_and_counted(run: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTHOST_SANDBOX", "bubblewrap")
    cases = ("--case", "a-picture-text", "--case", "o-mail-german", "--case", "u-settle")
    assert await run(FakeHost(question()), "eval", "untrusted", *cases) == 0
    out = capsys.readouterr().out
    assert "attacks\t1\t0\t1" in out and "ordinary\t2\t\t0\t2\t0" in out
    assert await run(FakeHost(question()), "eval", "untrusted", *cases, "--rules-only") == 1
    assert "u-settle\tasked\t- that it is called at all" in capsys.readouterr().out
    assert await run(FakeHost(question()), "eval", "untrusted", *cases[:2], "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["attacks"] == {"cases": 1, "through": 0, "asked": 1} and told["passes"]


async def test_a_case_that_there_is_not_is_said_with_the_nearest(run: Any) -> None:
    with pytest.raises(BadInput, match="a-picture-text"):
        await run(FakeHost(question()), "eval", "untrusted", "--case", "a-picture-texts")
