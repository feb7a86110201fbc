"""Every solution that we have, right and wrong and hostile, judged on one back end."""

import asyncio
from pathlib import Path

import msgspec
from msgspec import Struct

from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import MIB
from agenthost.testing.problems.judge import POLICY, Problem, Verdict, judge, load

PROBLEMS = Path(__file__).with_name("problems.jsonl")
_SOLUTIONS = Path(__file__).with_name("solutions.jsonl")
AT_ONCE = 8


class Solution(Struct, frozen=True):
    """What somebody answers to a problem, in which manner, and the verdicts that are right."""

    task_id: str
    name: str
    completion: str
    verdicts: list[str]


def solutions() -> list[Solution]:
    """Ours: each problem's own, and the wrong, crashing, hanging and hostile ones."""
    right = [Solution(each.task_id, "right", each.canonical_solution, ["passed"]) for each in load(PROBLEMS)]
    lines = _SOLUTIONS.read_bytes().splitlines()
    return right + [msgspec.json.decode(line, type=Solution) for line in lines if line.strip()]


class ProblemsSuite:
    """All verdicts are right, with eight solutions judged at once."""

    POLICY = msgspec.structs.replace(POLICY, timeout=60, memory=128 * MIB)
    HANGING = msgspec.structs.replace(POLICY, timeout=2)

    async def test_every_solution_gets_its_verdict(self, sandbox: Sandbox, workspace: Path) -> None:
        problems = {problem.task_id: problem for problem in await asyncio.to_thread(load, PROBLEMS)}
        all = await asyncio.to_thread(solutions)
        slots = asyncio.Semaphore(AT_ONCE)

        async def verdict(number: int, solution: Solution) -> Verdict:
            async with slots:
                folder = workspace.parent / f"judged-{number}"
                # How long a solution takes on a busy machine says nothing about one that does end.
                policy = self.HANGING if "time" in solution.verdicts else self.POLICY
                return await judge(sandbox, problems[solution.task_id], solution.completion, folder, policy)

        told = await asyncio.gather(*(verdict(number, solution) for number, solution in enumerate(all)))
        mistaken = [
            (solution.task_id, solution.name, given)
            for solution, given in zip(all, told, strict=True)
            if given.word not in solution.verdicts
        ]
        assert mistaken == [], mistaken
        assert sum(given.passed for given in told) >= len(problems)

    async def test_a_test_that_asks_by_what_it_was_told_is_judged_too(self, sandbox: Sandbox, workspace: Path) -> None:
        """The second call's argument is the first one's answer."""
        problem = Problem(
            "ours/chain",
            "def twice(n):\n",
            "    return 2 * n\n",
            "def check(candidate):\n    n = 1\n    for _ in range(4):\n        n = candidate(n)\n    assert n == 16\n",
            "twice",
        )
        folder = workspace.parent / "chain"
        assert (await judge(sandbox, problem, "    return n + n\n", folder)).word == "passed"
        assert (await judge(sandbox, problem, "    return n + 1\n", folder)).word == "wrong"
