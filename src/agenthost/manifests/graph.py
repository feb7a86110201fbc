"""Whether a manifest can run: what no single key shows, because it lies between keys and manifests.

Pure: names and models in, findings with their keys out. `load.check` gives them file and line.

Rules for steps. A step without `needs` needs the one listed before it. `needs` is a graph without
cycles; work goes back only by `onFail.goto`, to a step that comes before, at most `max` times. When
step S goes back to step G, G and everything between G and S is done again, and so is whatever else
needs G. A step with `foreach` fails as a whole when one of its items fails, and goes back as a
whole: `onFail` sees its `result` with `items`, but no `item`. Going back to a step with `foreach`
does all its items again with the same `feedback`. Where loops lie inside each other their bounds
multiply; the product may be at most MAX_ROUNDS.
"""

import fnmatch
from collections.abc import Collection, Mapping

from agenthost.core.budgets import Limits
from agenthost.core.errors import nearest
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.workflow import InputSpec, Step, Workflow, needs_of
from agenthost.manifests import completing, names
from agenthost.manifests.problems import Finding, Key, is_name, unknown

MAX_ROUNDS = 10_000

_KINDS = ("role", "command", "serve", "check", "tool", "workflow")

DELEGATE = "delegate:"


def problems(
    workflow: Workflow,
    agents: Mapping[str, Agent],
    workflows: Mapping[str, Workflow],
    tools: Collection[str] | None,
) -> list[Finding]:
    """What keeps a workflow from running beside these agents, workflows and tools, of its namespace.

    `tools` None: not known here, and not checked.
    """
    found: list[Finding] = []
    _inputs(workflow, found)
    _roles(workflow, agents, found)
    for index, step in enumerate(workflow.spec.steps):
        key: Key = ("spec", "steps", index)
        _kind(step, key, found)
        _links(step, key, workflow, found)
        _uses(step, key, workflow, workflows, tools, found)
    _guards(workflow, found)
    if workflow.spec.budget.day.limits() != Limits():
        message = "calls count for the day of the agent that makes them: set it as spec.budget.day of the roles' agents"
        found.append(Finding(("spec", "budget", "day"), message))
    ids = [step.id for step in workflow.spec.steps]
    _twice(ids, ("spec", "steps"), "step", found)
    if len(set(ids)) < len(ids):
        # Until each id is one step's, what is said of them would mislead.
        return found
    cycle = find_cycle(needs_of(workflow.spec.steps))
    if cycle:
        index = ids.index(cycle[0])
        way = " -> ".join(cycle)
        found.append(
            Finding(
                ("spec", "steps", index, "needs"),
                f"steps need each other in a circle ({way}); take one need out, and use onFail.goto to go back",
            )
        )
    else:
        _gotos(workflow, found)
    found += names.workflow_findings(workflow)
    _recursion(workflow, workflows, found)
    return found


def agent_problems(agent: Agent, agents: Mapping[str, Agent], tools: Collection[str] | None) -> list[Finding]:
    """What keeps an agent from running. Agents may delegate to each other in a circle: the depth is
    bounded when they run."""
    found: list[Finding] = []
    spec = agent.spec
    _tools(spec.tools, ("spec", "tools"), agents, tools, found)
    _twice([stage.id for stage in spec.stages], ("spec", "stages"), "stage", found)
    stages = [stage.id for stage in spec.stages]
    for index, stage in enumerate(spec.stages):
        key: Key = ("spec", "stages", index)
        _tools(stage.tools or (), (*key, "tools"), agents, tools, found)
        if stage.next and stage.next not in stages:
            found.append(Finding((*key, "next"), unknown("stage", stage.next, stages)))
    if spec.plugins:
        found.append(Finding(("spec", "plugins"), "plugins can't be installed in this version; leave 'plugins' out"))
    found += completing.findings(spec.completion)
    return found + names.agent_findings(agent)


def find_cycle(needs: Mapping[str, Collection[str]]) -> list[str]:
    """One circle in a graph, its first member at both ends; empty where there is none."""
    done: set[str] = set()
    for start in needs:
        if start in done:
            continue
        way: list[str] = [start]
        iterators = [iter(needs[start])]
        while way:
            name = next(iterators[-1], None)
            if name is None:
                done.add(way.pop())
                iterators.pop()
            elif name in way:
                return [*way[way.index(name) :], name]
            elif name in needs and name not in done:
                way.append(name)
                iterators.append(iter(needs[name]))
    return []


def _twice(ids: list[str], key: Key, noun: str, found: list[Finding]) -> None:
    for index, id in enumerate(ids):
        if id in ids[:index]:
            found.append(Finding((*key, index, "id"), f"the {noun} '{id}' stands twice; give one another id"))


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}


def _inputs(workflow: Workflow, found: list[Finding]) -> None:
    for name, spec in workflow.spec.input.items():
        key: Key = ("spec", "input", name)
        if not is_name(name):
            message = "an input's name is letters, digits and underscore, so that expressions can say input.NAME"
            found.append(Finding(key, message))
        if spec.accept and spec.type != "file":
            found.append(Finding((*key, "accept"), f"is for files, and the type is '{spec.type}'"))
        if spec.default is not None and not _fits(spec):
            wanted = "no default: a file must be given" if spec.type == "file" else f"a default of type {spec.type}"
            found.append(Finding((*key, "default"), f"expected {wanted}"))


def _fits(spec: InputSpec) -> bool:
    if spec.type == "file" or (isinstance(spec.default, bool) and spec.type != "boolean"):
        return False
    return isinstance(spec.default, _TYPES[spec.type])


def _roles(workflow: Workflow, agents: Mapping[str, Agent], found: list[Finding]) -> None:
    for name, role in workflow.spec.roles.items():
        key: Key = ("spec", "roles", name)
        if role.agent not in agents:
            found.append(Finding((*key, "agent"), unknown("agent", role.agent, agents)))
        if role.minReplicas > role.replicas:
            message = f"must be at most replicas ({role.replicas}), found {role.minReplicas}"
            found.append(Finding((*key, "minReplicas"), message))


def _kind(step: Step, key: Key, found: list[Finding]) -> None:
    kinds = [kind for kind in _KINDS if getattr(step, kind) is not None]
    if len(kinds) != 1:
        has = " and ".join(kinds) or "none"
        found.append(Finding(key, f"a step has exactly one of {', '.join(_KINDS)}; '{step.id}' has {has}"))
        return
    kind = kinds[0]
    if kind == "role" and not step.prompt and not step.files:
        found.append(Finding(key, f"the step '{step.id}' has a role but no prompt; say what the role is to do"))
    if kind in ("command", "serve") and not (step.line or "").strip():
        found.append(Finding((*key, kind), "must not be empty"))
    if kind == "serve" and step.probe is None:
        found.append(Finding(key, f"the step '{step.id}' serves but has no 'probe'; say what the server must answer"))
    if step.check is not None:
        found += completing.step_findings(step.check, (*key, "check"))
    fits = {"prompt": ("role",), "files": ("role",), "expect": ("command", "serve"), "with": ("tool", "workflow")}
    fits["probe"] = ("serve",)
    given = {name: getattr(step, "with_" if name == "with" else name) for name in fits}
    for name, owners in fits.items():
        if given[name] and kind not in owners:
            found.append(Finding((*key, name), f"is for steps with {' or '.join(owners)}; this step has a {kind}"))


def _links(step: Step, key: Key, workflow: Workflow, found: list[Finding]) -> None:
    known = [other.id for other in workflow.spec.steps]
    for index, name in enumerate(step.needs or ()):
        where = (*key, "needs", index)
        if name not in known:
            found.append(Finding(where, unknown("step", name, [other for other in known if other != step.id])))
        elif name in (step.needs or ())[:index]:
            found.append(Finding(where, f"'{name}' stands twice"))
    if step.role is not None and step.role not in workflow.spec.roles:
        roles = sorted(workflow.spec.roles)
        hint = nearest(step.role, roles) if roles else "Add it under spec.roles."
        found.append(Finding((*key, "role"), f"there is no role '{step.role}'. {hint}"))


def _gotos(workflow: Workflow, found: list[Finding]) -> None:
    before = names.before(workflow.spec.steps)
    rounds = dict.fromkeys(before, 1)
    for index, step in enumerate(workflow.spec.steps):
        if step.onFail is None:
            continue
        key: Key = ("spec", "steps", index, "onFail", "goto")
        goto, earlier = step.onFail.goto, before[step.id]
        if goto not in before:
            found.append(Finding(key, unknown("step", goto, earlier & set(before) or before)))
        elif goto == step.id:
            found.append(Finding(key, "a step can't go back to itself; use 'retry' to try it again"))
        elif goto not in earlier:
            which = ", ".join(sorted(earlier)) or "none: this step needs nothing"
            found.append(Finding(key, f"'{goto}' doesn't come before '{step.id}'; what comes before it: {which}"))
        else:
            for name in before:
                if name in (goto, step.id) or (name in earlier and goto in before[name]):
                    rounds[name] *= step.onFail.max + 1
            if max(rounds.values()) > MAX_ROUNDS:
                message = f"loops inside each other could go round more than {MAX_ROUNDS:,} times; lower a max"
                found.append(Finding((*key[:-1], "max"), message))
                return


def _uses(
    step: Step,
    key: Key,
    workflow: Workflow,
    workflows: Mapping[str, Workflow],
    tools: Collection[str] | None,
    found: list[Finding],
) -> None:
    if step.tool is not None and tools is not None and step.tool not in tools:
        found.append(Finding((*key, "tool"), unknown("tool", step.tool, tools)))
    if step.workflow is None:
        return
    name = step.workflow
    known = {**workflows, workflow.metadata.name: workflow}
    if name not in known:
        others = [other for other in known if other != workflow.metadata.name]
        found.append(Finding((*key, "workflow"), unknown("workflow", name, others)))
        return
    inputs = known[name].spec.input
    for given in step.with_:
        if given not in inputs:
            message = f"the workflow '{name}' has no input '{given}'. {nearest(given, sorted(inputs))}"
            found.append(Finding((*key, "with", given), message))
    for wanted, spec in inputs.items():
        if spec.required and spec.default is None and wanted not in step.with_:
            found.append(Finding(key, f"the workflow '{name}' must be given its input '{wanted}' under 'with'"))


def _guards(workflow: Workflow, found: list[Finding]) -> None:
    names = [step.tool for step in workflow.spec.steps if step.tool is not None]
    for index, pattern in enumerate(workflow.spec.approvals.tools):
        if not fnmatch.filter(names, pattern):
            known = nearest(pattern, names) if names else "Of other steps say it by `approve` on the step."
            message = f"no step calls a tool '{pattern}'. {known}"
            found.append(Finding(("spec", "approvals", "tools", index), message))


def _recursion(workflow: Workflow, workflows: Mapping[str, Workflow], found: list[Finding]) -> None:
    own = workflow.metadata.name
    known = {**workflows, own: workflow}
    for index, step in enumerate(workflow.spec.steps):
        if step.workflow is None:
            continue
        way = _way(step.workflow, own, known)
        if way:
            message = f"the workflow reaches itself ({' -> '.join([own, *way])}) and would never end"
            found.append(Finding(("spec", "steps", index, "workflow"), message))


def _way(start: str, goal: str, known: Mapping[str, Workflow]) -> list[str]:
    """The way from one workflow to another by their steps, both ends included; empty where there is none."""
    came: dict[str, str] = {start: ""}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        if name == goal:
            way: list[str] = []
            while name:
                way.insert(0, name)
                name = came[name]
            return way
        below = known[name].spec.steps if name in known else ()
        for step in below:
            if step.workflow is not None and step.workflow not in came:
                came[step.workflow] = name
                waiting.append(step.workflow)
    return []


def _tools(
    entries: Collection[str],
    key: Key,
    agents: Mapping[str, Agent],
    tools: Collection[str] | None,
    found: list[Finding],
) -> None:
    for index, entry in enumerate(entries):
        if entry.startswith(DELEGATE):
            name = entry.removeprefix(DELEGATE)
            if name not in agents:
                found.append(Finding((*key, index), unknown("agent", name, agents)))
        elif tools is not None and entry not in tools:
            known = [*tools, *(f"{DELEGATE}{name}" for name in agents)]
            found.append(Finding((*key, index), unknown("tool", entry, known)))
