"""`agenthost eval`: what it prints and its exit code."""

import json
from typing import Any

from tests.cli.fakes import FakeHost
from tests.cli.recorded import question


async def test_the_rules_figures_are_printed_without_a_model(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(question()), "eval", "routing", "--wrong") == 0
    out = capsys.readouterr().out
    lines = [line.split("\t") for line in out.splitlines()]
    assert ["all", "all rules"] in [line[:2] for line in lines]
    assert ["beside", "the only waiting task, blindly"] in [line[:2] for line in lines]
    assert "precision 0.9" in out and "one model call each" in out


async def test_the_rules_alone_as_json(run: Any, capsys: Any) -> None:
    assert await run(FakeHost(question()), "eval", "routing", "--rules-only", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passes"] and told["total"]["precision"] >= 0.98
    assert {"only-waiting", "reply", "which"} <= set(told["rules"])
    assert set(told["halves"]) == {"held", "written"} and "model" not in told
    assert all(set(one) == {"message", "rule", "decision", "label", "text"} for one in told["wrong"])
