"""What is pinned for one agent, ready for use. All of it follows from the bundle, so that keeping it
changes no decision."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from agenthost.core import expressions
from agenthost.core.definitions import Bundle, PinnedTool
from agenthost.core.manifests.agent import AgentSpec, Stage
from agenthost.core.manifests.asking import guards
from agenthost.core.manifests.checks import Check
from agenthost.core.schemas import plainly_fits
from agenthost.core.tasks import TaskSpec, Terms
from agenthost.core.tools import ToolSpec
from agenthost.programs.agent import structured, words
from agenthost.programs.agent.context import text_tokens
from agenthost.programs.agent.trimming import tool_tokens, trimmed
from agenthost.programs.checking import checks as checking
from agenthost.programs.trust.rule import effect


class Toolbox(Struct, frozen=True):
    """The tools of one stage by name, what the model is told first, and what both take of its window.

    `agents` says which agent each delegating tool gives work to; `finish` is the tool that ends the work, if any.
    `client` names the tools that are run by whoever gave the work, `effects` those that can do something outside the task.
    """

    tools: dict[str, PinnedTool]
    agents: dict[str, str]
    specs: tuple[ToolSpec, ...]
    instructions: str
    tokens: int
    finish: PinnedTool | None
    client: frozenset[str]
    effects: frozenset[str]


class Definition:
    """An agent's manifest and model, its toolboxes by stage, and its script's functions; `terms` stand beside them."""

    def __init__(self, bundle: Bundle, name: str, terms: Terms | None = None) -> None:
        pinned = bundle.agents[name]
        self._bundle = bundle
        self._pinned = pinned
        self._boxes: dict[str, Toolbox] = {}
        self._validators: dict[tuple[str, str], structured.Validator] = {}
        self.name = name
        self.spec = _agreed(pinned.manifest.spec, terms) if terms else pinned.manifest.spec
        self._client = tuple(map(_client_tool, terms.tools)) if terms else ()
        self.model = pinned.model
        self.functions = frozenset(expressions.functions(self.spec.script)) if self.spec.script else frozenset[str]()
        self.rules = bundle.rules
        completion = self.spec.completion
        self.needs = completion.needs
        self.judged = "supervisor" in self.needs
        self.proved = self.judged or "checks" in self.needs
        made = completion.checks if "checks" in self.needs else ()
        self.order = checking.ordered(made)
        self.runs = frozenset(index for index in self.order if made[index].kind in checking.RUNS)
        self.baseline = self.judged or any(check.untouched is not None for check in made)
        self.proofs = _proofs(made, len(completion.criteria))
        self.network = bool(self.spec.sandbox.hosts)
        self.max_output = min(self.spec.maxOutputTokens, self.model.max_output, self.model.window // 2)

    def model_name(self, task: TaskSpec) -> str:
        """The model that is called for a task."""
        return self.spec.called(task.model)

    def stage(self, id: str) -> Stage | None:
        """A stage by its id."""
        return next((stage for stage in self.spec.stages if stage.id == id), None)

    def after(self, id: str) -> str:
        """The stage that comes after one; itself where it is the last."""
        ids = [stage.id for stage in self.spec.stages]
        found = self.stage(id)
        if found is None or found.next in ids:
            return found.next if found else id
        return ids[min(ids.index(id) + 1, len(ids) - 1)]

    def toolbox(self, stage: str) -> Toolbox:
        """The tools and instructions of a stage."""
        if stage not in self._boxes:
            self._boxes[stage] = self._make(self.stage(stage))
        return self._boxes[stage]

    def argument_problem(self, stage: str, tool: str, arguments: dict[str, Any]) -> str | None:
        """Why arguments don't fit the parameters of a tool of a stage."""
        box = self.toolbox(stage)
        parameters = box.tools[tool].parameters or {"type": "object"}
        if tool in box.client or plainly_fits(parameters, arguments):
            return None
        checker = self._validators.get((stage, tool))
        if checker is None:
            checker = structured.validator(parameters)
            self._validators[stage, tool] = checker
        return structured.problem(checker, arguments)

    def _make(self, stage: Stage | None) -> Toolbox:
        tools: dict[str, PinnedTool] = {}
        agents: dict[str, str] = {}
        for entry in self.spec.toolset if stage is None or stage.tools is None else stage.tools:
            if entry == "ask":
                tools[words.ASK_PERSON.name] = words.ASK_PERSON
            elif entry.startswith("delegate:"):
                agent = entry.removeprefix("delegate:")
                pinned = self._bundle.agents.get(agent)
                tool = words.delegate_tool(agent, pinned.manifest.spec.description if pinned else "")
                tools[tool.name] = self._guarded(entry, tool)
                agents[tool.name] = agent
            else:
                tools.update({tool.name: self._guarded(entry, tool) for tool in self._pinned.tools.get(entry, ())})
        finish = words.finish_tool(self.spec) if "agent" in self.needs else None
        if finish is not None:
            tools[finish.name] = finish
        tools.update({tool.name: tool for tool in self._client})
        reach = words.reach(self.spec.sandbox)
        told = tuple(
            ToolSpec(tool.name, tool.description + (reach if tool.sandbox else ""), tool.parameters)
            for tool in tools.values()
        )
        specs = trimmed(told, self.model.window)
        client = frozenset(tool.name for tool in self._client)
        effects = frozenset(tool.name for tool in tools.values() if effect(tool, self.network)) - client - agents.keys()
        effects -= {words.ASK_PERSON.name, words.FINISH_NAME if finish else ""}
        pieces = (self.spec.instructions, stage.instructions if stage else "", words.closing_instructions(self.spec))
        instructions = "\n\n".join(piece.strip() for piece in pieces if piece.strip())
        tokens = text_tokens(instructions) + tool_tokens(specs)
        return Toolbox(tools, agents, specs, instructions, tokens, finish, client, effects)

    def _guarded(self, entry: str, tool: PinnedTool) -> PinnedTool:
        """A tool, which needs an approval where the manifest says so."""
        wanted = not tool.approval and guards(self.spec.approvals, entry, tool.name)
        return tool.model_copy(update={"approval": True}) if wanted else tool


def _proofs(checks: Sequence[Check], criteria: int) -> dict[str, tuple[int, ...]]:
    """By a criterion's number, as text: the places of the checks that prove it."""
    found = {
        str(number): tuple(i for i, check in enumerate(checks) if number in check.proves)
        for number in range(1, criteria + 1)
    }
    return {number: places for number, places in found.items() if places}


def _agreed(spec: AgentSpec, terms: Terms) -> AgentSpec:
    """A manifest with what the terms add and replace."""
    told = f"{spec.instructions.strip()}\n\n{terms.instructions.strip()}".strip()
    changed: dict[str, Any] = {"instructions": told}
    changed |= {"output": terms.output} if terms.output is not None else {}
    changed |= {"temperature": terms.temperature} if terms.temperature is not None else {}
    changed |= {"maxOutputTokens": terms.max_output} if terms.max_output else {}
    return spec.model_copy(update=changed)


def _client_tool(tool: ToolSpec) -> PinnedTool:
    # Its parameters are told to the model and not checked here: whoever runs it knows them, of whatever draft they are.
    return PinnedTool(name=tool.name, description=tool.description, parameters=tool.parameters)
