"""The manifests of a host: applied, listed, looked up live by the engine, and pinned for a task."""

import asyncio
import fnmatch
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from agenthost.core.access import OWNER
from agenthost.core.api import Applied, ManifestProblem
from agenthost.core.budgets import Limits, less
from agenthost.core.definitions import RULES, Bundle, PinnedAgent, PinnedModel, PinnedTool
from agenthost.core.errors import BadInput, Conflict, Forbidden, NewerVersion, NotFound, Stale, Unusable, nearest
from agenthost.core.ids import digest
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.common import Budget
from agenthost.core.manifests.schedule import Schedule
from agenthost.core.manifests.workflow import Workflow
from agenthost.core.models import ModelCard
from agenthost.core.ports import Models, Program, Store, Tools
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.core.tools import ToolSpec
from agenthost.host.budgets.allowances import Allowances
from agenthost.manifests.load import Manifest, validate
from agenthost.manifests.problems import Problem
from agenthost.programs.agent import AgentProgram
from agenthost.programs.agent.words import delegate_tool
from agenthost.programs.routing.program import RoutingProgram
from agenthost.programs.supervisor.program import SupervisorProgram
from agenthost.programs.workflow import WorkflowProgram
from agenthost.tools.arguments import described

REMEMBERED = 256
"""Bundles that are kept in memory; the rest is read from the store when a task needs it."""

_DELEGATE = "delegate:"
NAMESPACE = "default"
"""The namespace of a personal host."""

_RUN = frozenset({"workspace", "run"})
"""The entries that stand for a tool which runs code."""

_KINDS: dict[str, type[Agent] | type[Workflow] | type[Schedule]] = {
    "agent": Agent,
    "workflow": Workflow,
    "schedule": Schedule,
}


def kind_of(manifest: Manifest) -> str:
    """`agent`, `workflow` or `schedule`."""
    return manifest.kind.lower()


class Library:
    """The manifests of one host; fulfils core.ports.Programs."""

    def __init__(self, store: Store, models: Models, tools: Tools) -> None:
        self._store = store
        self._models = models
        self._tools = tools
        self._live: dict[tuple[str, str, str], Manifest] = {}
        self._programs: dict[str, dict[str, Program[Any]]] = {}
        self._bundles: dict[str, Bundle] = {}
        self._pinned: dict[tuple[str, str, str, str], str] = {}
        self._code: dict[tuple[str, str], frozenset[SandboxPolicy]] = {}
        self._changes = 0
        self.allowances = Allowances()
        self._changing = asyncio.Lock()
        self._checking = asyncio.Lock()
        self.heard: Callable[[], Awaitable[None]] = _nobody
        """Told after every change of what is kept."""

    async def open(self) -> list[str]:
        """Read the manifests that are kept; those that can't be read are left out, and a line says so for each."""
        unread: list[str] = []
        for kind, model in _KINDS.items():
            for name, body in (await self._store.manifests(kind, NAMESPACE)).items():
                try:
                    self._live[kind, NAMESPACE, name] = model.model_validate_json(body)
                except ValidationError as error:
                    unread.append(
                        f"the {kind} '{name}' that is kept can't be read ({_first(error)}); it was probably written by a "
                        "newer AgentHost: upgrade this one, or apply the manifest again"
                    )
        return unread

    # --- manifests --------------------------------------------------------------------------------

    async def apply(
        self, texts: Mapping[str, str], now: float, dry_run: bool = False, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take manifests: all of them or, where there is any problem, none."""
        # One who only has some checked holds up nobody's change.
        async with self._checking if dry_run else self._changing:
            return await self._apply(texts, now, dry_run, by)

    async def put(
        self, kind: str, name: str, text: str, now: float, expected: str | None, by: str = OWNER
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        """Take the one manifest of that kind and name. `expected` as in `core.api.HostApi.put_manifest`; raises Stale."""
        self._check_kind(kind)
        async with self._changing:
            found, problems = await self._validated({name: text}, now)
            if not problems:
                named = [(kind_of(each), each.metadata.name) for each in found]
                if named != [(kind, name)]:
                    raise Conflict(
                        f"this path is of the {kind} '{name}', and the manifest is another's; give that one alone"
                    )
                self._need_version(kind, name, expected)
            return await self._apply({name: text}, now, False, by)

    async def _validated(self, texts: Mapping[str, str], now: float) -> tuple[list[Manifest], list[Problem]]:
        """Manifests read, beside the loop: half a megabyte takes more than a second."""
        return await asyncio.to_thread(validate, texts, self.every(), self.tool_names(), now)

    def _need_version(self, kind: str, name: str, expected: str | None) -> None:
        if expected is None:
            return
        found = self._live.get((kind, NAMESPACE, name))
        now = version_of(_written(found)) if found is not None else ""
        if expected != now and not (expected == "*" and now):
            raise Stale(
                f"the {kind} '{name}' {'has another version by now' if now else 'is gone'}; read it again, and change that"
                if expected
                else f"there is a {kind} '{name}' already; change that with If-Match, or choose another name"
            )

    def manifest(self, kind: str, name: str) -> dict[str, Any]:
        """One manifest. Raises NotFound with the nearest known."""
        self._check_kind(kind)
        return _written(self._find(kind, name, NAMESPACE))

    async def _apply(
        self, texts: Mapping[str, str], now: float, dry_run: bool, by: str
    ) -> tuple[list[Applied], list[ManifestProblem]]:
        manifests, problems = await self._validated(texts, now)
        if problems:
            return [], [
                ManifestProblem(problem.file, problem.line, problem.column, problem.key, problem.message)
                for problem in problems
            ]
        done: list[Applied] = []
        new: dict[tuple[str, str, str], Manifest] = {}
        for manifest in (_signed(each, by) for each in manifests):
            key = (kind_of(manifest), manifest.metadata.namespace, manifest.metadata.name)
            if key[1] != NAMESPACE:
                raise BadInput(
                    f"the {key[0]} '{key[2]}' has metadata.namespace '{key[1]}', and this host has only '{NAMESPACE}'; "
                    "leave it out"
                )
            before = self._live.get(key)
            outcome = "created" if before is None else "unchanged" if before == manifest else "changed"
            done.append(Applied(key[0], key[2], outcome))
            if outcome != "unchanged":
                new[key] = manifest
        if new and not dry_run:
            bodies = [
                (kind, name, space, manifest.model_dump_json(by_alias=True, exclude_defaults=True).encode())
                for (kind, space, name), manifest in new.items()
            ]
            await self._store.put_manifests(bodies, now)
            self._live |= new
            self._changed()
        if not dry_run:
            # Also where nothing is new: who couldn't take it the last time hears it again.
            await self.heard()
        return done, []

    def unguarded(self) -> list[str]:
        """The manifests by which untrusted content decides without a question: `agent/NAME`, `workflow/NAME`."""
        agents = [(key, found) for key, found in sorted(self._live.items()) if isinstance(found, Agent | Workflow)]
        return [f"{kind}/{name}" for (kind, _, name), found in agents if found.spec.trust.mode == "off"]

    def manifests(self, kind: str, namespace: str = "default") -> dict[str, dict[str, Any]]:
        """The manifests of a kind by name, as they would be written."""
        self._check_kind(kind)
        return {
            name: _written(manifest)
            for (of, space, name), manifest in sorted(self._live.items())
            if (of, space) == (kind, namespace)
        }

    async def delete(self, kind: str, name: str, namespace: str = "default", expected: str | None = None) -> None:
        """Remove a manifest; what runs goes on with what it began with. Refused where another one needs it."""
        self._check_kind(kind)
        async with self._changing:
            self._find(kind, name, namespace)
            self._need_version(kind, name, expected)
            await self._delete(kind, name, namespace)

    async def _delete(self, kind: str, name: str, namespace: str) -> None:
        self._find(kind, name, namespace)
        rest = [manifest for key, manifest in self._live.items() if key != (kind, namespace, name)]
        users = [
            f"{kind_of(manifest)} '{manifest.metadata.name}'"
            for manifest in rest
            if (kind, name) in _references(manifest) and manifest.metadata.namespace == namespace
        ]
        if users:
            raise Conflict(f"the {kind} '{name}' is used by {', '.join(users)}; change or delete that first")
        await self._store.delete_manifest(kind, name, namespace)
        del self._live[kind, namespace, name]
        self._changed()
        await self.heard()

    def _changed(self) -> None:
        """What was found out from the manifests as they were may no longer hold."""
        self._changes += 1
        self._pinned.clear()
        self._code.clear()

    def every(self) -> list[Manifest]:
        """All of them, of every kind."""
        return list(self._live.values())

    def tool_names(self) -> list[str]:
        """The names that a manifest may give as tools."""
        return [*self._tools.names(), "ask"]

    def kind(self, name: str, namespace: str = "default") -> str:
        """Whether a name is an agent's or a workflow's. Raises NotFound with the nearest known."""
        for kind in ("workflow", "agent"):
            if (kind, namespace, name) in self._live:
                return kind
        known = [key[2] for key in self._live if key[0] != "schedule" and key[1] == namespace]
        raise NotFound(
            f"there is no agent or workflow '{name}'. {nearest(name, known)} "
            "`agenthost get agent` lists them; `agenthost apply -f FILE` adds one"
        )

    def is_remote(self, name: str, namespace: str = "default") -> bool:
        """Whether it is an agent elsewhere."""
        found = self._live.get(("agent", namespace, name))
        return isinstance(found, Agent) and found.spec.a2a is not None

    def code(self, name: str, namespace: str = "default") -> frozenset[SandboxPolicy]:
        """The policies under which this agent or workflow, and anything that it can reach, runs code; none where it doesn't."""
        known = self._code.get((name, namespace))
        if known is None:
            known = self._code[name, namespace] = self._reaches_code(name, namespace)
        return known

    def _reaches_code(self, name: str, namespace: str) -> frozenset[SandboxPolicy]:
        policies: set[SandboxPolicy] = set()
        seen: set[tuple[str, str]] = set()
        waiting = [(self.kind(name, namespace), name)]
        while waiting:
            reference = waiting.pop()
            found = self._live.get((reference[0], namespace, reference[1]))
            if found is None or isinstance(found, Schedule) or reference in seen:
                continue
            seen.add(reference)
            if isinstance(found, Workflow):
                if any(step.line or (step.check and step.check.run) or step.tool in _RUN for step in found.spec.steps):
                    policies.add(found.spec.sandbox.policy())
            elif any(check.kind in ("run", "serve") for check in found.spec.completion.checks) or _RUN & {
                *found.spec.tools,
                *(tool for stage in found.spec.stages for tool in stage.tools or ()),
            }:
                policies.add(found.spec.sandbox.policy())
            waiting += _references(found)
        return frozenset(policies)

    def workflow(self, name: str, namespace: str = "default") -> Workflow:
        """A workflow by name."""
        found = self._find("workflow", name, namespace)
        assert isinstance(found, Workflow)
        return found

    def _find(self, kind: str, name: str, namespace: str) -> Manifest:
        found = self._live.get((kind, namespace, name))
        if found is None:
            known = [key[2] for key in self._live if key[:2] == (kind, namespace)]
            raise NotFound(f"there is no {kind} '{name}'. {nearest(name, known)}")
        return found

    def _check_kind(self, kind: str) -> None:
        if kind not in _KINDS:
            raise NotFound(f"there is no kind '{kind}'. {nearest(kind, list(_KINDS))}")

    # --- pinning ----------------------------------------------------------------------------------

    async def pin(self, kind: str, name: str, model: str, namespace: str = "default") -> str:
        """Keep everything that a task of this agent or workflow can reach as one bundle; its content hash."""
        key = (kind, name, model, namespace)
        known = self._pinned.get(key)
        if known is not None:
            return known
        changes = self._changes
        bundle = (await self._reach(kind, name, model, namespace)).bundle()
        name_of, body = bundle.encode()
        if name_of not in self._bundles:
            await self._store.put_definition(name_of, body)
            self._remember(name_of, bundle)
        if len(self._pinned) >= REMEMBERED:
            self._pinned.clear()
        if self._changes == changes:
            self._pinned[key] = name_of
        return name_of

    async def _reach(self, kind: str, name: str, model: str, namespace: str) -> "_Reached":
        """All that a manifest can reach, as it is now. Raises NotFound and Unavailable."""
        manifests: dict[tuple[str, str], Agent | Workflow] = {}
        cards: dict[str, ModelCard] = {}
        judges: dict[str, ModelCard] = {}
        specs: dict[tuple[str, str], tuple[ToolSpec, ...]] = {}
        waiting = [(kind, name)]
        while waiting:
            of, called = waiting.pop()
            if (of, called) in manifests:
                continue
            manifest = self._find(of, called, namespace)
            if isinstance(manifest, Schedule):
                raise Unusable(f"'{called}' is a schedule; what it runs can be started")
            manifests[of, called] = manifest
            waiting += _references(manifest)
            if isinstance(manifest, Agent):
                cards[called] = await self._card(manifest, model)
                completion = manifest.spec.completion
                if "supervisor" in completion.needs and completion.supervisor.model:
                    judges[called] = (await self._models.model(completion.supervisor.model)).card
                for entry in sorted(_entries(manifest)):
                    if entry != "ask" and not entry.startswith(_DELEGATE):
                        specs[called, entry] = tuple(map(described, self._tools.expand(entry)))
                _need_guarded(called, manifest, specs)
            else:
                named = [step.tool for step in manifest.spec.steps if step.tool]
                specs |= {("", tool): (described(self._tools.tool(tool)),) for tool in named}
        return _Reached(manifests, cards, specs, judges)

    async def _card(self, agent: Agent, model: str) -> ModelCard:
        return (await self._models.model(agent.spec.called(model))).card

    # --- what the engine asks (core.ports.Programs) -----------------------------------------------

    async def bundle(self, digest: str) -> Bundle:
        """A bundle by content hash. Raises NotFound."""
        bundle = self._bundles.get(digest)
        if bundle is None:
            body = await self._store.definition(digest)
            if body is None:
                raise NotFound(f"the definitions {digest} that this task was started with are gone")
            try:
                bundle = Bundle.model_validate_json(body)
            except ValidationError as error:
                raise NewerVersion(
                    f"the definitions {digest} that this task was started with can't be read ({_first(error)}); they were "
                    "probably written by a newer AgentHost: upgrade this one to go on with the task"
                ) from error
            self._remember(digest, bundle)
        return bundle

    def _remember(self, digest: str, bundle: Bundle) -> None:
        while len(self._bundles) >= REMEMBERED:
            oldest = next(iter(self._bundles))
            del self._bundles[oldest]
            self._programs.pop(oldest, None)
        self._bundles[digest] = bundle

    async def program(self, spec: TaskSpec) -> Program[Any]:
        """The program of a task's pinned definitions."""
        if spec.kind == "routing":
            return RoutingProgram()
        programs = self._programs.get(spec.bundle)
        if programs is None:
            bundle = await self.bundle(spec.bundle)
            made: dict[str, Program[Any]] = {
                "agent": AgentProgram(bundle),
                "workflow": WorkflowProgram(bundle),
                "supervisor": SupervisorProgram(bundle),
            }
            programs = made
            self._programs[spec.bundle] = programs
        return programs[spec.kind]

    async def policy(self, spec: TaskSpec) -> SandboxPolicy:
        """The sandbox policy of a task."""
        if spec.kind == "routing":
            return SandboxPolicy()
        bundle = await self.bundle(spec.bundle)
        found = bundle.workflows[spec.name] if spec.kind == "workflow" else bundle.agents[spec.name].manifest
        return found.spec.sandbox.policy()

    def replicas(self, namespace: str, role: str) -> int:
        """How many runs of a role may go on at once, as the workflow says now; 1 where it is gone."""
        workflow, _, name = role.partition("/")
        found = self._live.get(("workflow", namespace, workflow))
        if isinstance(found, Workflow) and name in found.spec.roles:
            return found.spec.roles[name].replicas
        return 1

    def limits(self, scope: Scope) -> Limits:
        """A budget as its manifest says now."""
        budget = self._budget(scope)
        return scope.limits if budget is None else budget.limits()

    def _budget(self, scope: Scope) -> Budget | None:
        namespace, _, named = scope.source.partition("/")
        kind, _, name = named.partition("/")
        found = self._live.get(("agent" if kind == "supervisor" else kind, namespace, name))
        if found is None or isinstance(found, Schedule):
            return None
        own = found.spec.completion.supervisor.budget if kind == "supervisor" and isinstance(found, Agent) else None
        return own or found.spec.budget

    def scopes(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        """Every budget that counts for a task's call, as it is now."""
        return (*map(self._scope, spec.scopes), *self.days(spec, now))

    def days(self, spec: TaskSpec, now: float) -> tuple[Scope, ...]:
        """The budgets of a day that count for a task."""
        of_agent = spec.kind in ("agent", "supervisor")
        found = self._live.get(("agent", spec.namespace, spec.name)) if of_agent else None
        day = found.spec.budget.day.limits() if isinstance(found, Agent) else Limits()
        days = self.allowances.today(spec, day, now)
        if spec.kind == "routing":
            # Nobody knows of this task who could be asked: the message's person is, which task it is for.
            days = tuple(msgspec.structs.replace(scope, reached="end") for scope in days)
        return days

    def _scope(self, scope: Scope) -> Scope:
        budget = self._budget(scope)
        reached = budget.reached if budget is not None else scope.reached
        # What was spent before the account began is off the budget first: it is raised by what its account says.
        left = less(self.limits(scope), scope.before)
        return Scope(scope.task, self.allowances.of(scope.task, left), scope.source, reached)

    def daily(self) -> dict[str, Limits]:
        """What manifests say of their agents' days, by subject."""
        found = [manifest for manifest in self._live.values() if isinstance(manifest, Agent)]
        days = {
            f"agent/{each.metadata.namespace}/{each.metadata.name}": each.spec.budget.day.limits() for each in found
        }
        return {subject: limits for subject, limits in days.items() if limits != Limits()}


async def _nobody() -> None:
    """Nobody is told."""


def _signed(manifest: Manifest, by: str) -> Manifest:
    """A schedule with as whom it runs: who applied it. Raises Forbidden where they may not say somebody else."""
    if not isinstance(manifest, Schedule):
        return manifest
    named = manifest.spec.person or by
    if named != by and by != OWNER:
        raise Forbidden(
            f"the schedule '{manifest.metadata.name}' is to run as '{named}', and only the owner may say so; leave 'person' "
            "out, and it runs as you"
        )
    return manifest.model_copy(update={"spec": manifest.spec.model_copy(update={"person": named})})


class _Reached(Struct):
    """What a task would be started with: manifests, each agent's model card, the specs of each entry of its tools
    (of a workflow's steps under the agent `""`), the cards of supervisors' own models by agent."""

    manifests: dict[tuple[str, str], Agent | Workflow]
    cards: dict[str, ModelCard]
    specs: dict[tuple[str, str], tuple[ToolSpec, ...]]
    judges: dict[str, ModelCard]

    def bundle(self) -> Bundle:
        """It all, pinned."""
        agents: dict[str, PinnedAgent] = {}
        workflows: dict[str, Workflow] = {}
        for (_, name), manifest in self.manifests.items():
            if isinstance(manifest, Agent):
                own = {entry: specs for (agent, entry), specs in self.specs.items() if agent == name}
                tools = {entry: tuple(map(_pinned, specs)) for entry, specs in own.items()}
                model = _pinned_model(self.cards[name])
                judge = _pinned_model(self.judges[name]) if name in self.judges else None
                agents[name] = PinnedAgent(manifest=manifest, tools=tools, model=model, supervisor=judge)
            else:
                workflows[name] = manifest
        steps = {entry: _pinned(specs[0]) for (agent, entry), specs in self.specs.items() if not agent}
        return Bundle(agents=agents, workflows=workflows, tools=steps, rules=RULES)


def _need_guarded(agent: str, manifest: Agent, specs: Mapping[tuple[str, str], tuple[ToolSpec, ...]]) -> None:
    """Raises BadInput where approvals are wanted for a tool that the agent doesn't have: one that is misspelt would
    be called without a word."""
    names = [name for entry in sorted(_entries(manifest)) for name in (entry, *_delegating(entry))]
    names += [spec.name for (of, _), found in specs.items() if of == agent for spec in found]
    for pattern in manifest.spec.approvals.tools:
        if not fnmatch.filter(names, pattern):
            raise BadInput(
                f"the agent '{agent}' wants approvals for the tool '{pattern}', and has no such tool; mend "
                f"spec.approvals.tools. {nearest(pattern, names)}"
            )


def _delegating(entry: str) -> tuple[str, ...]:
    agent = entry.removeprefix(_DELEGATE)
    return (delegate_tool(agent, "").name,) if agent != entry else ()


def version_of(manifest: dict[str, Any]) -> str:
    """What names a manifest's content: the same for the same content."""
    return digest(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())[7:39]


def _written(manifest: Manifest) -> dict[str, Any]:
    """A manifest as it would be written."""
    return {"apiVersion": manifest.apiVersion, "kind": manifest.kind} | manifest.model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )


def _entries(agent: Agent) -> set[str]:
    return set(agent.spec.toolset).union(*(stage.tools or () for stage in agent.spec.stages))


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"


def _references(manifest: Manifest) -> list[tuple[str, str]]:
    """What a manifest names: agents and workflows."""
    if isinstance(manifest, Agent):
        return [
            ("agent", entry.removeprefix(_DELEGATE))
            for entry in sorted(_entries(manifest))
            if entry.startswith(_DELEGATE)
        ]
    if isinstance(manifest, Schedule):
        return [(manifest.spec.run.kind, manifest.spec.run.name)]
    roles = [("agent", role.agent) for role in manifest.spec.roles.values()]
    return roles + [("workflow", step.workflow) for step in manifest.spec.steps if step.workflow]


def _pinned(spec: ToolSpec) -> PinnedTool:
    return PinnedTool.model_validate(msgspec.to_builtins(spec))


def _pinned_model(card: ModelCard) -> PinnedModel:
    fields = msgspec.structs.asdict(card)
    return PinnedModel.model_validate({name: fields[name] for name in PinnedModel.model_fields})
