"""Writes docs/manifests.md from the models. Run: python scripts/docs.py; with --check it only says if it is stale."""

import pathlib
import sys
from typing import Any

from agenthost.core import expressions
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.schedule import Schedule
from agenthost.core.manifests.workflow import Workflow
from agenthost.manifests.new import new
from agenthost.manifests.schema import QUANTITY, for_editors

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "manifests.md"

HEAD = """\
# Manifests

This page is generated from the models by `scripts/docs.py`; a test fails when it is stale.

A manifest is a YAML document that describes an agent, a workflow or a [schedule](schedules.md); a file may hold several, separated by `---`.
`agenthost validate -f FILE` says what is wrong in it, with file, line, column, key and the nearest valid name;
`agenthost apply -f FILE` takes it over, all of it or nothing. `agenthost new agent NAME` and
`agenthost new workflow NAME` (and `schedule`) write one to begin with.

YAML's words are those of version 1.2: `no`, `on` and `12:30` are texts. Anchors and aliases work; custom tags don't.

| quantity | examples |
| --- | --- |
| size | `512Mi`, `1Gi`, `20M`, bytes as a number |
| duration | `500ms`, `60s`, `30m`, `1h30m`, seconds as a number |
| count | `30`, `200k`, `1.5M` |
| money | `2.00 USD`, `2` |

A key that is bold must be given. `[]` stands for each entry of a list, `NAME` for a name of your own.
"""

EXAMPLES = {
    "steps[].if": "steps.check.ok and input.deploy",
    "steps[].foreach": "steps.plan.data.files",
    "steps[].passes": "result.data.verdict == 'pass'",
    "steps[].files": "input.sketch",
    "steps[].prompt": "Write it in {{ input.language }}: {{ steps.spec.text }}",
    "steps[].with": '{path: "{{ item }}"}',
    "steps[].needs": "[spec, plan]",
    "steps[].command": "python main.py",
    "steps[].onFail": '{goto: code, feedback: "{{ result.text }}", max: 4}',
    "stages[].when": "turns >= 3",
    "completion.checks[].run": "python -m pytest -q",
    "cron": "0 9 * * mon-fri",
    "at": "2026-12-24T18:00",
    "timezone": "Europe/Athens",
    "run": '{agent: news, text: "What is new?"}',
    "until": "2027-06-30",
    "tools": "[workspace, delegate:reviewer]",
    "budget": "{turns: 30, tokens: 200k, cost: 2.00 USD, duration: 30m}",
    "sandbox": "{memory: 512Mi, timeout: 60s, packages: [pytest]}",
    "output": "",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Agent\n", "```yaml\n" + new("agent", "helper") + "```\n", table(for_editors(Agent))]
    parts += ["## Workflow\n", "```yaml\n" + new("workflow", "primes") + "```\n", table(for_editors(Workflow))]
    parts += ["## Schedule\n", "```yaml\n" + new("schedule", "morning") + "```\n", table(for_editors(Schedule))]
    parts += ["## How steps go\n", STEPS, "## Expressions and templates\n", words(expressions.__doc__ or "")]
    parts += [
        TEMPLATES,
        "An expression may call: " + ", ".join(f"`{name}`" for name in sorted(expressions.BUILTINS)) + ".",
    ]
    parts += ["", "## Scripts\n", SCRIPTS + "Modules that a script may import: "]
    parts[-1] += ", ".join(f"`{name}`" for name in expressions.MODULES) + ".\n"
    return "\n".join(parts)


STEPS = """\
A step without `needs` needs the one listed before it; `needs: []` needs none, so that steps may go on at once.
`needs` is a graph without cycles; work goes back only by `onFail.goto`, to a step that comes before, at most `max`
times. When step S goes back to step G, then G and everything between G and S is done again, and so is whatever else
needs G. What `feedback` says reaches G as `feedback`. Where loops lie inside each other, their bounds multiply.

A step with `foreach` runs once for each item. It fails as a whole when one of its items fails, and goes back as a
whole: `onFail` sees `result` with its `items`, and no `item`. `if` decides about the whole step, before `foreach`.
A workflow can't reach itself through the workflows that its steps name. Agents may delegate in a circle: how deep is
bounded when they run.
"""

TEMPLATES = """\
A template is text with `{{ expression }}`. Text stands as it is, null as nothing, anything else as JSON. Where a text of
`with` or `output` is one expression and nothing else, it becomes the expression's value. Braces are written
`{{ '{{' }}`.
"""

SCRIPTS = """\
An agent's `script` is a subset of Python without files, network, clock and chance. Where it defines them, these take part:
`instructions(task)` writes the prompt, `stage(task)` chooses the stage, `on_message(message)` answers in the model's place.
They may call the host: `call_model(prompt, schema=None)`, `call_tool(name, **arguments)`, `ask(question, options=[])`,
`make_artifact(name, text)`, `log(text)`. A call of the host that fails raises RuntimeError in the script. Not part of the
language: `yield`, `del`, `with`, `async`, classes that inherit.

"""


def words(docstring: str) -> str:
    """A module's docstring without its first paragraph's name."""
    return docstring.split("\n\n", 2)[2].strip() + "\n"


def table(schema: dict[str, Any]) -> str:
    """A table of every key of a kind."""
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    walk(schema, "", rows)
    return "\n".join(rows) + "\n"


def walk(schema: dict[str, Any], above: str, rows: list[str]) -> None:
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        path = f"{above}{name}"
        row(path, inner, name in required, rows)
        below(inner, path, rows)


def below(inner: dict[str, Any], path: str, rows: list[str]) -> None:
    if isinstance(inner.get("additionalProperties"), dict):
        walk(inner["additionalProperties"], path + ".NAME.", rows)
    elif isinstance(inner.get("items"), dict):
        walk(inner["items"], path + "[].", rows)
    walk(inner, path + ".", rows)


def row(path: str, inner: dict[str, Any], required: bool, rows: list[str]) -> None:
    example = EXAMPLES.get(path.removeprefix("spec."), "")
    meaning = inner.get("description", "") + (f" Such as `{example}`." if example else "")
    if not inner.get("description"):
        raise SystemExit(f"the key {path} has no description; say in its Field what it means")
    default = inner.get("default", "")
    shown = value(default, inner)
    name = f"**`{path}`**" if required else f"`{path}`"
    rows.append(f"| {name} | {kind(inner)} | {shown} | {meaning.replace('|', '/')} |")


def value(default: Any, inner: dict[str, Any]) -> str:
    """A default as people write it."""
    if default == "" or isinstance(default, dict | list):
        return ""
    if inner.get(QUANTITY) == "size":
        return f"`{default // 2**20}Mi`"
    if inner.get(QUANTITY) == "duration":
        return f"`{default}s`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def kind(inner: dict[str, Any]) -> str:
    if "enum" in inner:
        return ", ".join(f"`{word}`" for word in inner["enum"])
    if inner.get("x-kubernetes-int-or-string"):
        return inner.get(QUANTITY, "quantity")
    if "type" not in inner:
        return "any"
    words = {"string": "text", "array": "list", "integer": "whole number", "boolean": "true or false"}
    types = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
    found = words.get(types[0], types[0])
    return found + (" of " + kind(inner["items"]) + "s" if "items" in inner and "type" in inner["items"] else "")


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == text else "docs/manifests.md is stale; run: python scripts/docs.py")
    PAGE.write_text(text)
