"""The cases and the tools that they have, read from their files.

A case says what the person says, what agent there is, what tools answer, and what the model does turn by turn. An
attack says where it hides and what it wants to be called; an ordinary task says what has to be called in the end.
"""

import base64
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import yaml
from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.tools import ToolSpec
from agenthost.programs.trust.words import Words, readings

FOLDER = Path(__file__).parent
Kind = Literal["attack", "ordinary"]
Does = dict[str, dict[str, Any]]
"""Tools by name, each with some of its arguments; `$run` is a command of a workflow."""

Turn = str | Does
"""What a model says, or the tools that it calls."""


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """A file that comes with the task, as text or in base 64."""

    name: str
    text: str = ""
    base64: str = ""
    type: str = ""

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.base64) if self.base64 else self.text.encode()


class Case(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One case. `agent` is the spec of the agent that gets the work, `agents` are others by name, `workflow` is the spec
    of one that gets it instead. `model` is what the agent's model does, `models` what the others' do. `results` are
    what tools answer, a list where they answer one after another. `history` is what was said before (role, text).
    `wants` is what the attack is after, `does` what an ordinary task is about; `hides` says where an attack stands.
    `asks` are the tools that the person's words ask for, as an honest reader of these alone would say; where it isn't
    told, those that an ordinary task is about, and all that an attack wants. `means` are the values that such a reader would give with a tool."""

    id: str
    says: str
    kind: Kind = "attack"
    hides: str = ""
    agent: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    agents: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict[str, dict[str, Any]])
    workflow: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    model: tuple[Turn, ...] = ()
    models: dict[str, tuple[Turn, ...]] = msgspec.field(default_factory=dict[str, tuple[Turn, ...]])
    results: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    inputs: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    title: str = ""
    files: tuple[File, ...] = ()
    workspace: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    history: tuple[tuple[str, str], ...] = ()
    answers: tuple[str, ...] = ()
    asks: tuple[str, ...] | None = None
    means: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    wants: Does = msgspec.field(default_factory=dict[str, dict[str, Any]])
    does: Does = msgspec.field(default_factory=dict[str, dict[str, Any]])

    @property
    def asked(self) -> tuple[str, ...]:
        """The tools that the person's words ask for."""
        return tuple({**self.does, **self.wants}) if self.asks is None else self.asks

    @property
    def said(self) -> tuple[str, ...]:
        """All that the person says."""
        return (self.says, *map(str, self.inputs.values()), *self.answers)

    def values(self, tool: str) -> tuple[str, ...]:
        """What the person's words say for a tool: as the case tells, of an ordinary task what it is called with of what
        they said, and of an attack all that they said, as a reader that tells nothing apart."""
        if tool in self.means or self.kind == "attack":
            return self.means.get(tool, self.said)
        turns = (*self.model, *(turn for turns in self.models.values() for turn in turns))
        calls = (self.does.get(tool, {}), *(turn.get(tool, {}) for turn in turns if isinstance(turn, dict)))
        said = Words(self.said)
        found = dict.fromkeys(value for call in calls for value in _texts(call))
        return tuple(
            value for value in found if said.phrase(value) or said.each(value) or readings(value) & said.numbers
        )


def _texts(value: Any) -> list[str]:
    """All texts and numbers in a value."""
    if isinstance(value, dict):
        return [text for inner in cast("dict[str, Any]", value).values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in cast("list[Any]", value) for text in _texts(inner)]
    return [] if isinstance(value, bool) or value is None else [str(value)]


class Gallery(Struct, frozen=True):
    """All cases, and the tools that they may name."""

    cases: tuple[Case, ...]
    tools: dict[str, ToolSpec]

    def of(self, kind: Kind) -> list[Case]:
        """The cases of one kind."""
        return [case for case in self.cases if case.kind == kind]


@cache
def gallery(folder: Path = FOLDER) -> Gallery:
    """Read a gallery. Raises BadInput, naming the file, where something in it can't be."""
    tools = {name: _tool(name, spec) for name, spec in _read(folder / "tools.yaml").items()}
    cases: list[Case] = []
    for kind in ("attack", "ordinary"):
        for path in sorted((folder / {"attack": "attacks", "ordinary": "ordinary"}[kind]).glob("*.yaml")):
            cases += [_case(path, kind, given) for given in _read(path)]
    ids = [case.id for case in cases]
    twice = {id for id in ids if ids.count(id) > 1}
    if twice:
        raise BadInput(f"{folder}: several cases are called {', '.join(sorted(twice))}; give each an id of its own")
    named = [name for case in cases for name in (case.id, *case.agents)]
    if len(named) > len({*named}):
        raise BadInput(f"{folder}: several cases have an agent of the same name; give each a name of its own")
    return Gallery(tuple(cases), tools)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is no YAML: {error}") from error


def _case(path: Path, kind: str, given: Any) -> Case:
    try:
        case = msgspec.convert({**given, "kind": kind}, Case)
    except msgspec.ValidationError as error:
        raise BadInput(f"{path}, the case {given.get('id', given)}: {error}") from error
    if bool(case.wants) != (kind == "attack") or bool(case.does) != (kind == "ordinary"):
        raise BadInput(f"{path}, the case {case.id}: an attack has `wants`, an ordinary task has `does`")
    if kind == "attack" and not case.hides:
        raise BadInput(f"{path}, the case {case.id}: say in `hides` where the attack stands")
    return case


def _tool(name: str, spec: dict[str, Any]) -> ToolSpec:
    given = dict(spec)
    arguments: dict[str, Any] = given.pop("arguments", {})
    optional: list[str] = given.pop("optional", [])
    properties = {key: {"type": told} if isinstance(told, str) else told for key, told in arguments.items()}
    required = [key for key in arguments if key not in optional]
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    parameters |= given.pop("schema", {})
    return msgspec.convert({"name": name, "parameters": parameters, **given}, ToolSpec)
