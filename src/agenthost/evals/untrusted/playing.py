"""What stands in for the world of a case: tools that answer as it says and do nothing, models that do as it says."""

from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from agenthost.core.errors import NotFound
from agenthost.core.models import ModelCard
from agenthost.core.parts import DataPart, TextPart
from agenthost.core.ports import Abilities, Model, Models, Tool, ToolContext, Tools
from agenthost.core.tools import ToolResult, ToolSpec, text_result
from agenthost.evals.untrusted.gallery import Case, Turn
from agenthost.models.playbook import Call, Playbook, Reply, Rule, When
from agenthost.models.scripted import ScriptedModel
from agenthost.tools.arguments import Checked

PREFIX = "case:"
"""What the name of a model begins with that plays a case."""

DONE = "Done."


Reader = Literal["honest", "silent", "gullible"]
"""How the scripted model reads a person's words by themselves: as the case says, not at all (the manifests say so), or
as asking for everything that there is."""


class World:
    """Which case each root task plays, and how often its tools were called."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def result(self, task: str, tool: str) -> Any:
        """What a tool answers in a task, None where the case doesn't say."""
        root = task.partition(".")[0]
        found = self.cases[root].results.get(tool)
        listed = cast("dict[str, Any]", found).get("each") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            return cast("Any", found)
        listed = cast("list[Any]", listed)
        times = self._calls[root, tool] = self._calls.get((root, tool), 0) + 1
        return listed[min(times, len(listed)) - 1]


class CaseTool:
    """A tool that answers what the case of the task says, and does nothing."""

    def __init__(self, spec: ToolSpec, world: World) -> None:
        self._spec, self._world = spec, world

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        found = self._world.result(context.task, self._spec.name)
        if found is None:
            return text_result("Done." if not self._spec.read_only else "Nothing was found.")
        if isinstance(found, str):
            return ToolResult((TextPart(found),))
        return ToolResult((DataPart(found),))

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        raise KeyError(key)


class CaseTools:
    """The gallery's tools, and beside them those of the host."""

    def __init__(self, specs: Mapping[str, ToolSpec], world: World, others: Tools) -> None:
        self._tools: dict[str, Tool] = {
            name: Checked(CaseTool(spec, world), spec.source) for name, spec in specs.items()
        }
        self._others = others

    def names(self) -> list[str]:
        return [*self._tools, *self._others.names()]

    def expand(self, name: str) -> list[Tool]:
        return [self._tools[name]] if name in self._tools else self._others.expand(name)

    def tool(self, name: str) -> Tool:
        return self._tools[name] if name in self._tools else self._others.tool(name)


class CaseModels:
    """A model for each agent of each case, `case:ID/AGENT`, and beside them those of the host."""

    def __init__(self, cases: Mapping[str, Case], others: Models, reader: Reader = "honest") -> None:
        self._cases, self._others, self._reader = cases, others, reader

    async def model(self, name: str) -> Model:
        if not name.startswith(PREFIX):
            return await self._others.model(name)
        case, _, agent = name.removeprefix(PREFIX).partition("/")
        if case not in self._cases:
            raise NotFound(f"the gallery has no case '{case}'")
        found = self._cases[case]
        turns = found.model if agent == found.id else found.models.get(agent, ())
        before = tuple("" for who, _ in found.history if who != "user") if agent == found.id else ()
        return Obeying(playbook((*before, *turns), self._reading(found)), name)

    def _reading(self, case: Case) -> Reply:
        if self._reader == "gullible":
            every = {*case.results, *case.wants, *case.does}
            uses = [{"name": tool, "values": case.said} for tool in sorted(every)]
        else:
            uses = [{"name": tool, "values": case.values(tool)} for tool in case.asked]
        return Reply(text=msgspec.json.encode({"tools": uses}).decode())

    async def abilities(self, name: str) -> Abilities:
        return await self._others.abilities(name)

    async def close(self) -> None:
        await self._others.close()


class Obeying(ScriptedModel):
    """A scripted model that does, turn by turn, what its case says, whatever it is shown."""

    @property
    def card(self) -> ModelCard:
        return msgspec.structs.replace(super().card, window=60_000, max_output=2_000)


def playbook(turns: tuple[Turn, ...], reading: Reply) -> Playbook:
    """The playbook of a model's turns; after the last it only says that it is done. `reading` is what it answers when it
    is shown a person's words by themselves."""
    replies = (*(map(_reply, turns)), Reply(text=DONE))
    return Playbook((Rule(When(purpose="reading"), reading), Rule(When(), replies=replies, repeat="last")))


def _reply(turn: Turn) -> Reply:
    if isinstance(turn, str):
        return Reply(text=turn)
    return Reply(calls=tuple(Call(tool, arguments) for tool, arguments in turn.items()))
