"""Problems in HumanEval's format, all our own, and a judge that a solution can't fool: a check of a sandbox as a
code interpreter, and of the sandbox against solutions that cheat.

`ProblemsSuite` (fixtures `sandbox` and `workspace`) judges every solution of `solutions()` on a back end, eight at once.
"""

from agenthost.testing.problems.judge import Problem, Verdict, judge, load
from agenthost.testing.problems.suite import PROBLEMS, ProblemsSuite, Solution, solutions

__all__ = ["PROBLEMS", "Problem", "ProblemsSuite", "Solution", "Verdict", "judge", "load", "solutions"]
