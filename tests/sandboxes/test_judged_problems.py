"""The code interpreter's check: every verdict is right in bubblewrap; and the file is in HumanEval's format."""

import json
from pathlib import Path

from agenthost.testing.problems import PROBLEMS, ProblemsSuite, load, solutions
from agenthost.testing.problems.judge import INSIDE


class TestBubblewrap(ProblemsSuite):
    pass


def test_the_problems_are_in_the_format_and_their_own_solutions_right() -> None:
    lines = [json.loads(line) for line in PROBLEMS.read_text().splitlines()]
    assert len(lines) >= 30
    for line in lines:
        assert list(line) == ["task_id", "prompt", "canonical_solution", "test", "entry_point"]
        space: dict[str, object] = {}
        exec(f"{line['prompt']}{line['canonical_solution']}\n{line['test']}\ncheck({line['entry_point']})\n", space)
    assert len({problem.task_id for problem in load(PROBLEMS)}) == len(lines)


def test_there_are_wrong_crashing_hanging_and_hostile_solutions() -> None:
    known = {problem.task_id for problem in load(PROBLEMS)}
    all = solutions()
    assert {solution.task_id for solution in all} == known
    assert sum("passed" not in solution.verdicts for solution in all) >= 50
    assert {"wrong", "crashed", "time", "memory", "disk", "output"} <= {word for each in all for word in each.verdicts}


def test_what_runs_inside_needs_python_alone(tmp_path: Path) -> None:
    assert "agenthost" not in INSIDE.read_text()
