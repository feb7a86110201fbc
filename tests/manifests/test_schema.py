import importlib.util
import pathlib
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from agenthost.core.errors import BadInput
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.schedule import Schedule
from agenthost.core.manifests.workflow import Workflow
from agenthost.manifests.load import KINDS, load, validate
from agenthost.manifests.new import new
from agenthost.manifests.schema import for_editors, structural

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))

INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def broken_rules(schema: dict[str, Any], path: str = "") -> list[str]:
    """The rules of structural schemas (Kubernetes, CustomResourceDefinitions) that a schema breaks."""
    rules = {
        "no type": not {"type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"} & set(schema),
        "a $ref": "$ref" in schema or "$defs" in schema,
        "a union": {"oneOf", "allOf", "not"} & set(schema) or schema.get("anyOf", INT_OR_STRING) != INT_OR_STRING,
        "anyOf without int-or-string": "anyOf" in schema and not schema.get("x-kubernetes-int-or-string"),
        "int-or-string with a type": "x-kubernetes-int-or-string" in schema and "type" in schema,
        "a list of types": isinstance(schema.get("type"), list),
        "const": "const" in schema,
        "additionalProperties beside properties": "additionalProperties" in schema and "properties" in schema,
        "additionalProperties false": schema.get("additionalProperties") is False,
        "a number as exclusive bound": {"exclusiveMinimum", "exclusiveMaximum"} & set(schema),
        "items without a schema": schema.get("type") == "array" and "items" not in schema,
        "a key Kubernetes doesn't know": {key for key in schema if key.startswith("x-") and "kubernetes" not in key},
        "a null default": "default" in schema and schema["default"] is None,
    }
    found = [f"{path}: {rule}" for rule, broken in rules.items() if broken]
    for name, inner in schema.get("properties", {}).items():
        found += broken_rules(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += broken_rules(schema[key], f"{path}.{key}")
    return found


@pytest.mark.parametrize("model", KINDS.values())
def test_the_schema_is_structural(model: type[BaseModel]) -> None:
    schema = structural(model)
    assert broken_rules(schema) == []
    jsonschema.Draft4Validator.check_schema(schema)
    assert schema["properties"]["metadata"].keys() == {"type", "properties"}
    assert len(schema["properties"]["spec"]["properties"]) > 5


def test_a_free_union_in_a_model_would_be_noticed() -> None:
    class Loose(BaseModel):
        metadata: int | str

    with pytest.raises(TypeError, match="free union"):
        structural(Loose)


@pytest.mark.parametrize("model", KINDS.values())
def test_the_editors_schema_is_json_schema(model: type[BaseModel]) -> None:
    jsonschema.Draft202012Validator.check_schema(for_editors(model))


def texts() -> dict[str, str]:
    found = {f"new-{kind}.yaml": new(kind, "one") for kind in ("agent", "workflow", "schedule")}
    return found | {str(path.relative_to(ROOT)): path.read_text() for path in EXAMPLES}


def manifests() -> list[tuple[str, dict[str, Any]]]:
    every = [(file, body) for file, text in texts().items() for body in yaml.safe_load_all(text) if body]
    return [(file, body) for file, body in every if str(body.get("apiVersion", "")).startswith("agenthost.dev/")]


@pytest.mark.parametrize(("file", "body"), manifests())
def test_every_example_fits_its_schemas(file: str, body: dict[str, Any]) -> None:
    model = KINDS[body["kind"]]
    jsonschema.Draft202012Validator(for_editors(model)).validate(body)
    jsonschema.Draft4Validator(structural(model)).validate(body)


def test_every_example_is_free_of_problems() -> None:
    files = {file: text for file, text in texts().items() if any(name == file for name, _ in manifests())}
    found, problems = validate(files)
    assert [str(problem) for problem in problems] == []
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({"budget": {"turns": 3, "tokens": "200k"}}, True),
        ({"budget": {"turns": [3]}}, False),
        ({"tols": []}, False),
        ({"maxOutputTokens": 1}, False),
        ({"temperature": None}, True),
        ({"output": {"type": "object", "anything": 1}}, True),
        ({"completion": {"rule": "check"}}, False),
    ],
)
def test_an_editor_is_told_what_the_loader_would_say(spec: dict[str, Any], fits: bool) -> None:
    body = {"apiVersion": "agenthost.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "a"}, "spec": spec}
    assert jsonschema.Draft202012Validator(for_editors(Agent)).is_valid(body) is fits
    assert bool(load({"a.yaml": yaml.safe_dump(body)})[0]) is fits


@pytest.mark.parametrize("kind", ["agent", "workflow", "schedule"])
def test_a_new_manifest_validates_under_any_good_name(kind: str) -> None:
    for name in ("a", "my-own-2", "x" * 56):
        found, problems = validate({"a.yaml": new(kind, name)}, tools=["workspace", "ask"])
        assert [str(problem) for problem in problems] == []
        assert found[-1].metadata.name == name


@pytest.mark.parametrize(("kind", "name"), [("agent", "Big"), ("agent", "a\n"), ("workflow", "x" * 57), ("agent", "")])
def test_a_new_manifest_needs_a_good_name(kind: str, name: str) -> None:
    with pytest.raises(BadInput, match="can't be a name: use a-z"):
        new(kind, name)


def test_only_known_kinds_can_be_begun() -> None:
    with pytest.raises(BadInput, match="it is one of agent, workflow, schedule"):
        new("plugin", "a")


def test_the_manifests_page_is_fresh_and_names_every_key() -> None:
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "manifests.md").read_text()
    assert script.page() == page, "docs/manifests.md is stale; run: python scripts/docs.py"
    for model in (Agent, Workflow, Schedule):
        for field in model.model_fields["spec"].annotation.model_fields:
            assert f"`spec.{field}`" in page
