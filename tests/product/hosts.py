"""A real host with agents for the suite of HostApi: a home with manifests and a playbook."""

from pathlib import Path

PLAYBOOK = """
name: conformance
rules:
  - when: {agent: quick}
    reply: {text: "You said: {{said}}", delay: 0.01}
  - when: {agent: asking, turn: 0}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which colour?"}}]}
  - when: {agent: asking}
    reply: {text: "It is {{said}} then."}
  - when: {agent: slow}
    reply: {text: "one two three four five six seven eight nine ten", delay: 0.05, pause: 600}
"""

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: quick}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asking}
spec: {tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: slow}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: family}
spec:
  roles: {worker: {agent: quick, replicas: 2}}
  steps:
    - {id: first, role: worker, prompt: "first"}
    - {id: second, role: worker, needs: [first], prompt: "{{ steps.first.text }}"}
"""


def make_home(home: Path, playbook: str = PLAYBOOK, manifests: str = MANIFESTS, more: str = "") -> Path:
    """A home whose default model plays `playbook` and whose manifests folder has `manifests`."""
    (home / "manifests").mkdir(parents=True)
    (home / "manifests" / "agents.yaml").write_text(manifests)
    (home / "playbook.yaml").write_text(playbook)
    (home / "agenthost.toml").write_text(f'[models]\ndefault = "scripted:{home}/playbook.yaml"\n{more}')
    return home
