"""YAML texts to manifests: every mistake with file, line, column, key, what was expected and the nearest name.

`load` reads files into manifests; `check` says whether what was read can run beside what is there
already. Nothing is half applied: whoever applies does so only where `problems` is empty.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args, get_origin

from msgspec import Struct
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agenthost.core.errors import nearest
from agenthost.core.expressions import describe
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.common import API_VERSION
from agenthost.core.manifests.schedule import Schedule
from agenthost.core.manifests.workflow import Workflow
from agenthost.manifests import graph, schedules
from agenthost.manifests.problems import Finding, Key, Problem, Source
from agenthost.manifests.read import Document, read

Manifest = Agent | Workflow | Schedule

KINDS: dict[str, type[Agent] | type[Workflow] | type[Schedule]] = {
    "Agent": Agent,
    "Workflow": Workflow,
    "Schedule": Schedule,
}


class Loaded(Struct, frozen=True):
    """A manifest and where its parts stand in its file."""

    manifest: Manifest
    source: Source

    @property
    def id(self) -> tuple[str, str, str]:
        """Kind, namespace and name: what makes a manifest itself."""
        metadata = self.manifest.metadata
        return self.manifest.kind, metadata.namespace, metadata.name


def load(files: Mapping[str, str]) -> tuple[list[Loaded], list[Problem]]:
    """The manifests in files (file name to text), and every mistake in them, sorted.

    What is returned beside problems is only good for looking further, not for applying.
    """
    found: dict[tuple[str, str, str], Loaded] = {}
    problems: list[Problem] = []
    for file, text in files.items():
        documents, mistakes = read(file, text)
        problems += mistakes
        if not documents and not mistakes:
            problems.append(Problem(file, 1, 1, "", "holds no manifest; it begins with apiVersion and kind"))
        for document in documents:
            manifest, mistakes = _manifest(document)
            problems += mistakes
            if manifest is None:
                continue
            loaded = Loaded(manifest, document.source)
            if loaded.id in found:
                problems.append(_twice(loaded, found[loaded.id]))
            else:
                found[loaded.id] = loaded
    return list(found.values()), sorted(problems)


def check(
    loaded: Sequence[Loaded],
    existing: Sequence[Manifest] = (),
    tools: Sequence[str] | None = None,
    now: float | None = None,
) -> list[Problem]:
    """What keeps the manifests just read from running, beside those that exist already.

    `tools`: the names that a manifest may give as tools; None where they are not known, and then
    tools are not checked. A manifest just read takes the place of an existing one. `now`: schedules that are new, or say
    something else, must be due after that.
    """
    problems: list[Problem] = []
    for one in loaded:
        namespace = one.manifest.metadata.namespace
        near = [m for m in (*existing, *(other.manifest for other in loaded)) if m.metadata.namespace == namespace]
        agents = {m.metadata.name: m for m in near if isinstance(m, Agent)}
        workflows = {m.metadata.name: m for m in near if isinstance(m, Workflow)}
        if isinstance(one.manifest, Agent):
            findings = graph.agent_problems(one.manifest, agents, tools)
        elif isinstance(one.manifest, Schedule):
            known = any(isinstance(m, Schedule) and _is(m, one.manifest) for m in existing)
            findings = schedules.time_findings(one.manifest.spec, None if known else now)
            findings += schedules.run_findings(one.manifest.spec, agents, workflows)
        else:
            findings = graph.problems(one.manifest, agents, workflows, tools)
        problems += [one.source.problem(finding) for finding in findings]
    return sorted(problems)


def _is(one: Schedule, other: Schedule) -> bool:
    return one.metadata == other.metadata and schedules.same(one, other)


def validate(
    files: Mapping[str, str],
    existing: Sequence[Manifest] = (),
    tools: Sequence[str] | None = None,
    now: float | None = None,
) -> tuple[list[Manifest], list[Problem]]:
    """`load` and `check` in one: the manifests to apply, none where there is any problem."""
    loaded, problems = load(files)
    if not problems:
        problems = check(loaded, existing, tools, now)
    return ([] if problems else [one.manifest for one in loaded]), problems


def validate_body(
    body: Any, existing: Sequence[Manifest] = (), now: float | None = None
) -> tuple[Manifest | None, list[Problem]]:
    """`validate` for one manifest that was no text; the manifest, None where there is any problem."""
    source = Source("", {}, ())
    try:
        manifest, problems = _manifest(Document(body, source))
    except RecursionError:
        return None, [source.problem(Finding((), "is nested too deeply"))]
    if manifest is not None:
        problems += check([Loaded(manifest, source)], existing, None, now)
    return (None if problems else manifest), problems


def _twice(loaded: Loaded, first: Loaded) -> Problem:
    kind, namespace, name = loaded.id
    line = first.source.problem(Finding(("metadata", "name"), "")).line
    where = f"{first.source.file}:{line}"
    return loaded.source.problem(
        Finding(("metadata", "name"), f"{kind} '{name}' (namespace {namespace}) stands twice; the first is at {where}")
    )


def _manifest(document: Document) -> tuple[Manifest | None, list[Problem]]:
    value, source = document.value, document.source
    if not isinstance(value, dict):
        message = f"expected a manifest (apiVersion, kind, metadata, spec), found {describe(value)}"
        return None, [source.problem(Finding((), message))]
    body = cast("dict[str, Any]", value)
    problem = _header(body, source)
    if problem:
        return None, [problem]
    model = KINDS[body["kind"]]
    try:
        return model.model_validate_json(json.dumps(body), strict=True), []
    except ValidationError as error:
        return None, [_problem(model, detail, source) for detail in error.errors(include_url=False)]


def _header(body: dict[str, Any], source: Source) -> Problem | None:
    kind, version = body.get("kind"), body.get("apiVersion")
    if "apiVersion" not in body:
        return source.problem(Finding((), f"apiVersion is missing; add 'apiVersion: {API_VERSION}'"))
    if version != API_VERSION:
        return source.problem(Finding(("apiVersion",), f"expected {API_VERSION}, found '{version}'"))
    if "kind" not in body:
        return source.problem(Finding((), "kind is missing; it is one of " + ", ".join(KINDS)))
    if not isinstance(kind, str) or kind not in KINDS:
        return source.problem(Finding(("kind",), f"there is no kind '{kind}'. {_nearest(str(kind), list(KINDS))}"))
    return None


def _nearest(name: str, known: list[str]) -> str:
    folded = {word.lower(): word for word in known}
    if name.lower() in folded:
        return f"Did you mean '{folded[name.lower()]}'?"
    return nearest(name, known)


def _problem(model: type[BaseModel], detail: ErrorDetails, source: Source) -> Problem:
    key: Key = tuple(detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        fields = _fields(model, key[:-1])
        message = f"there is no such key here. {_nearest(str(key[-1]), sorted(fields))}"
        return source.problem(Finding(key, message), at_key=True)
    if kind == "missing":
        meaning = _fields(model, key[:-1]).get(str(key[-1]), "")
        message = f"'{key[-1]}' is missing" + (f": {meaning}" if meaning else "")
        problem = source.problem(Finding(key[:-1], message), at_key=True)
        return Problem(problem.file, problem.line, problem.column, problem.key, message)
    return source.problem(Finding(key, _message(kind, detail)))


_TYPES = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _message(kind: str, detail: ErrorDetails) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    if kind == "literal_error":
        known = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        if len(known) == 1:
            return f"expected {known[0]}, found {_shown(value)}"
        return f"expected one of {', '.join(known)}, found {_shown(value)}. {_nearest(str(value), known)}"
    if kind in _TYPES:
        return f"expected {_TYPES[kind]}, found {_shown(value)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {context[name]}, found {_shown(value)}"
    if kind == "string_pattern_mismatch":
        underscore = "_" in str(context["pattern"])
        which = "underscore, beginning with a letter, at most 40" if underscore else "hyphen, at most 63"
        return f"expected a name of a-z, 0-9 and {which} characters, found {_shown(value)}"
    if kind == "value_error":
        said = detail["msg"].removeprefix("Value error, ")
        return said if isinstance(value, dict | list | tuple) else f"{said}, found {_shown(value)}"
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long, found {len(str(value))}"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, found {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}...'"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"the number {value}"
    return describe(value)


def _fields(model: type[BaseModel], key: Key) -> dict[str, str]:
    """The keys that may stand at `key`, as people write them, and what each means."""
    annotation: Any = model
    for step in key:
        annotation = _below(annotation, step)
    target = _model(annotation)
    if target is None:
        return {}
    return {field.alias or name: field.description or "" for name, field in target.model_fields.items()}


def _below(annotation: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return annotation
    if get_origin(annotation) is dict:
        return get_args(annotation)[1]
    target = _model(annotation)
    if target is not None:
        for name, field in target.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
    return None


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation such as `Model | None`, `tuple[Model, ...]` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model(inner)
        if found is not None:
            return found
    return None
