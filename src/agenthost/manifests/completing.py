"""Whether a rule of completion has what it needs, and its checks can show anything."""

from agenthost.core.budgets import Limits
from agenthost.core.manifests.agent import Completion
from agenthost.core.manifests.checks import Check
from agenthost.core.shell import hides_exit
from agenthost.manifests.problems import Finding, Key

_KEY: Key = ("spec", "completion")


def findings(completion: Completion) -> list[Finding]:
    """What keeps a completion from proving anything."""
    found: list[Finding] = []
    needs = completion.needs
    if "checks" in needs and not completion.checks:
        found.append(Finding(_KEY, f"the rule {completion.rule} needs at least one entry in 'checks'"))
    if "checks" not in needs and completion.checks:
        message = f"checks are only run under 'rule: checks', and the rule is '{completion.rule}'"
        found.append(Finding((*_KEY, "checks"), message))
    if "supervisor" in needs and not completion.criteria:
        found.append(
            Finding(_KEY, f"the rule {completion.rule} needs at least one entry in 'criteria', for it to judge")
        )
    if "supervisor" not in needs and "supervisor" in completion.model_fields_set:
        message = f"nobody judges under 'rule: {completion.rule}'; say 'rule: supervisor' or 'rule: checks+supervisor'"
        found.append(Finding((*_KEY, "supervisor"), message))
    if completion.supervisor.budget.day.limits() != Limits():
        message = "a judge's calls count for the day of the agent: set it as spec.budget.day"
        found.append(Finding((*_KEY, "supervisor", "budget", "day"), message))
    for index, check in enumerate(completion.checks):
        key: Key = (*_KEY, "checks", index)
        wrong = [number for number in check.proves if not 1 <= number <= len(completion.criteria)]
        if wrong:
            message = f"there is no criterion {wrong[0]}; there are {len(completion.criteria)}, counted from 1"
            found.append(Finding((*key, "proves"), message))
        found += _hidden(check, key)
    return found


def step_findings(check: Check, key: Key) -> list[Finding]:
    """What keeps a workflow's step from being this check."""
    instead = {
        "serve": "the step's own 'serve' and 'probe'",
        "untouched": "it in an agent",
        "script": "the step's 'passes'",
    }
    if check.kind in instead:
        return [Finding((*key, check.kind), f"is for an agent's completion; in a step use {instead[check.kind]}")]
    if check.proves:
        return [Finding((*key, "proves"), "a workflow has no criteria; leave it out")]
    return _hidden(check, key)


def _hidden(check: Check, key: Key) -> list[Finding]:
    """A command that ends well whatever happens shows nothing by that."""
    expect = check.expect
    by_code = expect.exitCode == 0 and expect.stdout is None and expect.stderr is None and check.report is None
    if check.run is None or not by_code or not hides_exit(check.run):
        return []
    message = (
        "its exit code is 0 whatever happens, so it shows nothing; leave `|| true` and the filter at the end out, or "
        "say in 'expect' what it must print"
    )
    return [Finding((*key, "run"), message)]
