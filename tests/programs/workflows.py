"""Workflows for tests, and playbooks of them."""

from typing import Any

from agenthost.core.definitions import Bundle, PinnedAgent, PinnedModel, PinnedTool
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.workflow import Workflow
from agenthost.core.parts import text_message
from agenthost.core.tasks import TaskSpec
from agenthost.programs.workflow import WorkflowProgram
from agenthost.programs.workflow.state import WorkflowState
from agenthost.testing.playbook import Playbook

CHECK_SCHEMA = {"type": "object", "properties": {"pass": {"type": "boolean"}, "reasons": {"type": "array"}}}


def agent(name: str, output: dict[str, Any] | None = None) -> PinnedAgent:
    """A pinned agent."""
    manifest = Agent.model_validate(
        {"metadata": {"name": name}, "spec": {"output": output} if output is not None else {}}
    )
    return PinnedAgent(manifest=manifest, model=PinnedModel(name="m", window=1000, max_output=100))


def bundle(steps: list[dict[str, Any]], **spec: Any) -> Bundle:
    """A bundle with the workflow `flow`, roles `coder` and `checker`, and four tools."""
    roles = {"coder": {"agent": "coder", "replicas": 2}, "checker": {"agent": "checker"}}
    manifest = {"metadata": {"name": "flow"}, "spec": {"roles": roles, "steps": steps, **spec}}
    tools = [
        PinnedTool(name="look", description="", read_only=True),
        PinnedTool(name="put", description="", idempotent=True),
        PinnedTool(name="run", description="", idempotent=True, sandbox=True),
        PinnedTool(name="send", description=""),
        PinnedTool(name="pay", description="", approval=True),
    ]
    return Bundle(
        agents={"coder": agent("coder"), "checker": agent("checker", CHECK_SCHEMA)},
        workflows={"flow": Workflow.model_validate(manifest)},
        tools={tool.name: tool for tool in tools},
    )


def play(steps: list[dict[str, Any]], inputs: dict[str, Any] | None = None, **spec: Any) -> Playbook[WorkflowState]:
    """A playbook of a workflow that has just begun."""
    task = TaskSpec("t1", "workflow", "flow", "sha256:0", text_message("person", "do it"), inputs or {}, "the title")
    return Playbook(WorkflowProgram(bundle(steps, **spec)), task)
