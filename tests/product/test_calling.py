"""An agent with the workspace's tools does its work through models that call no tools, over the real wire: by output
held to a grammar, and by fences; what they write badly is told to them and mended."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import Done, Product

AGENT = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: writer}
spec:
  instructions: Write what is wanted into a file.
  tools: [write_file, read_file, list_files]
"""


def grammar(*calls: tuple[str, Any]) -> str:
    return json.dumps({"calls": [{"name": name, "arguments": arguments} for name, arguments in calls]})


def fenced(*calls: tuple[str, Any]) -> str:
    fences = [f"```tool\n{json.dumps({'name': name, 'arguments': arguments})}\n```" for name, arguments in calls]
    return "I go on.\n" + "\n".join(fences)


WRITTEN = {"grammar": grammar, "fenced": fenced}


def rules(calling: str) -> list[dict[str, Any]]:
    """A model that first forgets an argument, then writes badly, then gets it right, looks, and says so."""
    write = WRITTEN[calling]
    right = {"path": "note.txt", "content": 'it\'s "done"\n{yes}\n'}
    broken = write(("write_file", right))
    broken = broken[: broken.index("{yes}")]
    said = "The note is written."
    return [
        {"when": {"turn": 0}, "reply": {"text": write(("write_file", {"path": "note.txt"}))}},
        {"when": {"turn": 1, "says": "don't fit"}, "reply": {"text": broken, "stop": "length"}},
        {"when": {"turn": 2, "says": "cut at its limit"}, "reply": {"text": write(("write_file", right), ("list_files", {}))}},
        {"when": {"turn": 3, "says": ["note.txt", "Result of the call of list_files"]}, "reply": {"text": write(("Read-File", {"path": "note.txt"}))}},
        {"when": {"turn": 4, "says": "{yes}"}, "reply": {"text": json.dumps({"answer": said}) if calling == "grammar" else said}},
    ]  # fmt: skip


def played(product: Product, calling: str) -> tuple[Done, list[dict[str, Any]]]:
    file: Path = product.write("calling.yaml", json.dumps({"rules": rules(calling)}))
    with OpenAIServer(file, product.folder / "record") as server:
        product.without("AGENTHOST_MODEL")
        product.settings(
            '[models]\ndefault = "small"\n'
            f'[models.providers.acme]\nbase-url = "{server.url}"\n'
            f'[models.names.small]\nmodel = "acme:m"\ncard = {{tools = false, calling = "{calling}"}}\n'
        )
        product.apply(AGENT)
        done = product.run("run", "writer", "Write a note.", "--json")
        return done, [msgspec.json.decode(body) for body in server.bodies()]


@pytest.mark.parametrize("calling", ["grammar", "fenced"])
def test_an_agent_works_with_files_through_a_model_that_calls_no_tools(product: Product, calling: str) -> None:
    done, bodies = played(product, calling)
    assert done.code == 0, done
    summary = done.objects()[-1]
    assert (summary["state"], summary["outcome"]) == ("completed", "done")
    out = product.folder / "out"
    assert product.run("tasks", "artifacts", summary["task"], "--out", str(out)).code == 0
    assert (out / "note.txt").read_text() == 'it\'s "done"\n{yes}\n'

    # Nothing of the provider's own mechanism is on the wire.
    assert len(bodies) == 5
    assert not any("tools" in body for body in bodies)
    assert {message["role"] for body in bodies for message in body["messages"]} == {"system", "user", "assistant"}
    assert all(("response_format" in body) == (calling == "grammar") for body in bodies)
    assert all("- write_file:" in body["messages"][0]["content"] for body in bodies)

    # What was wrong was said, and nothing of it was done: one file was written, once.
    answered = [line for line in done.objects() if line.get("kind") == "answered" and line["answer"].get("changes")]
    assert len(answered) == 1
    finished = [line for line in done.objects() if line.get("kind") == "finished"]
    assert finished[-1]["parts"][0]["text"] == "The note is written."
    assert "same" in product.run("tasks", "replay", summary["task"]).out
