"""Whether a schedule can be run: its times can be read and will come, and what it runs is there and takes what it is given."""

from collections.abc import Mapping

from agenthost.core.errors import BadInput, nearest
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.schedule import Schedule, ScheduleSpec
from agenthost.core.manifests.workflow import Workflow
from agenthost.manifests import timing
from agenthost.manifests.problems import Finding, unknown


def time_findings(spec: ScheduleSpec, now: float | None) -> list[Finding]:
    """What is wrong with its times. `now`: what is due once, or ends, must be after that; None where that doesn't matter."""
    found: list[Finding] = []
    try:
        zone = timing.read_zone(spec.timezone)
    except BadInput as error:
        return [Finding(("spec", "timezone"), error.message)]
    if spec.cron:
        try:
            timing.read_cron(spec.cron)
        except BadInput as error:
            found.append(Finding(("spec", "cron"), error.message))
    for key, text in (("at", spec.at), ("until", spec.until)):
        try:
            moment = timing.read_moment(text, zone) if text else None
        except BadInput as error:
            found.append(Finding(("spec", key), error.message))
            continue
        if moment is not None and now is not None and moment <= now:
            found.append(Finding(("spec", key), f"{timing.shown(moment, zone)} has passed; give a time to come"))
    if not found and spec.until and now is not None and timing.timing(spec).first(now) is None:
        found.append(Finding(("spec", "until"), "ends before it comes due for the first time; give a later one"))
    return found


def run_findings(spec: ScheduleSpec, agents: Mapping[str, Agent], workflows: Mapping[str, Workflow]) -> list[Finding]:
    """What is wrong with what it runs."""
    run = spec.run
    if run.agent is not None:
        if run.agent not in agents:
            hint = " It is a workflow: say workflow." if run.agent in workflows else ""
            return [Finding(("spec", "run", "agent"), unknown("agent", run.agent, agents) + hint)]
        if run.inputs:
            return [
                Finding(("spec", "run", "inputs"), "an agent takes no inputs; say it in the text, or run a workflow")
            ]
        if not run.text.strip() and not run.files:
            return [Finding(("spec", "run"), "'text' is missing: what is said to the agent each time")]
        return []
    workflow = workflows.get(run.name)
    if workflow is None:
        hint = " It is an agent: say agent." if run.name in agents else ""
        return [Finding(("spec", "run", "workflow"), unknown("workflow", run.name, workflows) + hint)]
    wanted = workflow.spec.input
    found = [
        Finding(
            ("spec", "run", "inputs", name),
            f"the workflow '{run.name}' has no input '{name}'. "
            + (nearest(name, list(wanted)) if wanted else "It takes none."),
        )
        for name in run.inputs
        if name not in wanted
    ]
    for name, each in wanted.items():
        needed = each.required and each.default is None and name not in run.inputs
        if needed and not (run.files if each.type == "file" else each.type == "string" and run.text):
            where = "run.files" if each.type == "file" else "run.inputs"
            found.append(
                Finding(("spec", "run"), f"the workflow '{run.name}' needs the input '{name}': give it in {where}")
            )
    return found


def same(one: Schedule, other: Schedule) -> bool:
    """Whether two say the same, whoever applied them."""
    return one.spec.model_copy(update={"person": ""}) == other.spec.model_copy(update={"person": ""})
