"""A completion that can't prove anything is a mistake, with what to do."""

from typing import Any

import pytest

from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.workflow import Workflow
from agenthost.manifests.graph import agent_problems, problems


def said(**completion: Any) -> list[str]:
    agent = Agent.model_validate({"metadata": {"name": "a"}, "spec": {"completion": completion}})
    return [f"{'.'.join(map(str, found.key))}: {found.message}" for found in agent_problems(agent, {}, None)]


@pytest.mark.parametrize(
    ("completion", "told"),
    [
        ({"rule": "supervisor"}, "needs at least one entry in 'criteria'"),
        ({"rule": "agent+checks"}, "the rule agent+checks needs at least one entry in 'checks'"),
        (
            {"rule": "checks", "checks": [{"run": "a"}], "supervisor": {"model": "m"}},
            "nobody judges under 'rule: checks'",
        ),
        ({"rule": "checks", "criteria": ["c"], "checks": [{"run": "a", "proves": [2]}]}, "there is no criterion 2"),
        ({"rule": "checks", "checks": [{"run": "pytest || true"}]}, "its exit code is 0 whatever happens"),
        ({"rule": "checks", "checks": [{"run": "pytest | tee log"}]}, "its exit code is 0 whatever happens"),
        ({"rule": "checks", "checks": [{"file": {"path": "a", "pattern": "("}}]}, "checks.0.file.pattern"),
        ({"rule": "checks", "checks": [{"http": {"url": "https://a.b/", "body": "["}}]}, "checks.0.http.body"),
        ({"rule": "checks", "checks": [{"json": {"path": "a", "schema": {"type": "objekt"}}}]}, "is not JSON Schema"),
        ({"rule": "checks", "checks": [{"script": "chekcs[0].ok"}]}, "there is no 'chekcs' here"),
        ({"rule": "checks", "checks": [{"script": "def chek(seen):\n    return True"}]}, "defines none of check(seen)"),
    ],
)
def test_what_proves_nothing_is_named(completion: dict[str, Any], told: str) -> None:
    found = said(**completion)
    assert len(found) == 1
    assert told in found[0]


def test_what_proves_something_is_taken() -> None:
    hidden = {"run": "pytest | tee log", "expect": {"stdout": "passed"}}
    report = {"run": "pytest || true", "report": {"path": "r.xml"}}
    script = {"script": "def check(seen):\n    return seen.checks[0].ok"}
    assert (
        said(rule="checks+supervisor", criteria=["c"], checks=[hidden, report, script, {"run": "a", "proves": [1]}])
        == []
    )


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({"untouched": ["a"]}, "is for an agent's completion"),
        ({"script": "True"}, "in a step use the step's 'passes'"),
        ({"run": "a || true"}, "its exit code is 0 whatever happens"),
        ({"run": "a", "proves": [1]}, "a workflow has no criteria"),
    ],
)
def test_what_is_no_check_of_a_step_is_named(check: dict[str, Any], told: str) -> None:
    flow = Workflow.model_validate({"metadata": {"name": "f"}, "spec": {"steps": [{"id": "a", "check": check}]}})
    found = [one.message for one in problems(flow, {}, {}, None)]
    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", ".", ""])
def test_a_path_stays_in_the_workspace(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path relative to the workspace"):
        Agent.model_validate(
            {"metadata": {"name": "a"}, "spec": {"completion": {"checks": [{"file": {"path": path}}]}}}
        )
