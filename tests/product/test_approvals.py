"""An approval three levels below, asked by a REST order, the host killed, answered from two other channels at once: the work goes on,
and what was approved happens exactly once."""

import json
import signal
import threading
import time
from typing import Any

import msgspec
import pytest

from tests.product.product import PATIENCE, Product
from tests.product.test_service_life import Up, up

TOOL = """
import os

from agenthost.core.tools import ToolSpec, text_result


class Wire:
    spec = ToolSpec("wire", "Wire money.", {"type": "object", "properties": {"to": {"type": "string"}}}, approval=True)

    async def call(self, arguments, context):
        with open(os.environ["EFFECTS"], "a") as file:
            file.write(arguments["to"] + "\\n")
        return text_result("wired")

    async def check(self, key, arguments):
        return None


wire = Wire()
"""
AGENTS = "".join(
    f"""---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec: {{description: "{name} of it", tools: ["{tool}"]}}
"""
    for name, tool in (
        ("chief", "delegate:lead"),
        ("lead", "delegate:clerk"),
        ("clerk", "delegate:teller"),
        ("teller", "wire"),
    )
)
PLAYS = """
rules:
  - when: {agent: chief, turn: 0}
    reply: {calls: [{tool: delegate_to_lead, arguments: {task: "see to it"}}]}
  - when: {agent: lead, turn: 0}
    reply: {calls: [{tool: delegate_to_clerk, arguments: {task: "see to it"}}]}
  - when: {agent: clerk, turn: 0}
    reply: {calls: [{tool: delegate_to_teller, arguments: {task: "see to it"}}]}
  - when: {agent: teller, turn: 0}
    reply: {calls: [{tool: wire, arguments: {to: "bob"}}]}
  - reply: {text: "it is done"}
"""


@pytest.fixture
def bank(product: Product) -> Product:
    """A home with four agents, each of which delegates to the next, and a tool that the last needs an approval for."""
    product.plays.write_text(PLAYS)
    product.write("bank.py", TOOL)
    product.env |= {"PYTHONPATH": str(product.folder), "EFFECTS": str(product.folder / "effects")}
    product.settings('[tools]\nwire = "bank:wire"\n')
    product.write("home/manifests/all.yaml", AGENTS)
    return product


def a2a(task: str, text: str) -> Any:
    parts = [{"kind": "text", "text": text}]
    message = {"kind": "message", "role": "user", "messageId": "m1", "taskId": task, "parts": parts}
    configuration = {"blocking": False}
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "message/send",
        "params": {"message": message, "configuration": configuration},
    }


def asked(host: Up, task: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := host.ask("GET", f"/api/v1/tasks/{task}")[2]["questions"]):
        assert time.monotonic() < deadline, "it never asked"
        time.sleep(0.05)
    (question,) = found
    return question


def test_an_approval_far_below_outlives_a_kill_and_is_given_once_from_another_channel(bank: Product) -> None:
    with up(bank) as host:
        row = host.ask("POST", "/api/v1/tasks", {"name": "chief", "text": "pay bob"})[2]
        task, before = row["id"], asked(host, row["id"])
        assert before["task"].count(".") == 3, "three levels below"
        assert (before["ask"]["tool"], before["ask"]["arguments"]) == ("wire", {"to": "bob"})
        below = before["task"]
        lines, reading = host.follow(task)
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        reading.join()
        told = [json.loads(line[5:]) for line in lines if line.startswith("data:") and '"asked"' in line]
        assert below in {each["task"] for each in told}, "the root's stream shows it"

    assert not (bank.folder / "effects").exists()
    with up(bank) as host:
        assert asked(host, task) == before, "the same question, with the same time of its asking"
        lines, reading = host.follow(task)
        said: dict[str, Any] = {}
        ways = {
            "a2a": lambda: host.ask("POST", "/a2a/chief", a2a(task, "approve"))[2],
            "rest": lambda: host.ask("POST", f"/api/v1/tasks/{below}/approvals", {"text": "approve"})[::2],
            "cli": lambda: bank.run("tasks", "approve", task),
        }
        answering = [threading.Thread(target=lambda way=way: said.update({way: ways[way]()})) for way in ways]
        for thread in answering:
            thread.start()
        for thread in answering:
            thread.join()
        reading.join()
        row = host.ask("GET", f"/api/v1/tasks/{task}")[2]["row"]
        assert (row["state"], row["outcome"]) == ("completed", "done")

        journal = host.ask("GET", f"/api/v1/tasks/{below}/journal")[2]
        answers = [each["event"] for each in journal if each["event"]["type"] == "answered"]
        (answer,) = [each["answer"] for each in answers if each.get("answer", {}).get("type") == "reply"]
        assert answer["text"] == "approve"
        winner = answer["via"]
        assert winner in ways
        if winner != "rest":
            status, problem = said["rest"]
            assert status == 409 and problem["code"] == "conflict"
            assert f"over {winner}" in problem["detail"] and problem["details"]["via"] == winner
        if winner != "cli":
            assert said["cli"].code == 2 and f"over {winner}" in said["cli"].err
        shown = [line for line in lines if line.startswith("data:") and '"reply"' in line]
        assert len(shown) == 1 and f'"via":"{winner}"' in shown[0], "followers are told who answered"
        late = host.ask("POST", f"/api/v1/tasks/{task}/approvals", {"text": "deny"})
        assert late[0] == 409 and f"'approve', by owner over {winner}" in late[2]["detail"]
        assert all(each["agrees"] for each in host.ask("POST", f"/api/v1/tasks/{task}/replay")[2])
    assert (bank.folder / "effects").read_text() == "bob\n", "exactly once"


def test_an_approval_is_given_for_good_listed_and_taken_back_by_the_command(bank: Product) -> None:
    assert bank.run("run", "teller", "pay").code == 4
    done = bank.run("tasks", "approve", "last", "--always", "--note", "the rent")
    assert done.code == 0, done
    assert bank.run("tasks", "follow", "last").code == 0
    (grant,) = msgspec.json.decode(bank.run("grants", "list", "--json").out)
    assert (grant["tool"], grant["note"], grant["via"]) == ("wire", "the rent", "cli")
    assert bank.run("run", "teller", "pay").code == 0
    shown = bank.run("grants", "show", grant["id"])
    assert "the rent" in shown.out and 'to = "bob"' in shown.out
    assert bank.run("grants", "remove", grant["id"]).code == 0
    assert bank.run("run", "teller", "pay").code == 4
    assert "wire" in bank.run("tasks", "questions").out
    assert (bank.folder / "effects").read_text() == "bob\nbob\n"
