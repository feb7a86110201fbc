"""What a task runs, pinned: every manifest, tool and model card it can reach, in one bundle.

A bundle is kept by content hash and named in the task's first event, so that a task goes on and
replays with what it began with, whatever is edited meanwhile. (`replicas` and budgets are read live.)
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from agenthost.core.ids import digest
from agenthost.core.manifests.agent import Agent
from agenthost.core.manifests.workflow import Workflow


class PinnedTool(BaseModel):
    """A tool's specification as it was when the task began (the fields of core.tools.ToolSpec)."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    name: str
    description: str
    parameters: dict[str, Any] = {}
    read_only: bool = False
    idempotent: bool = False
    approval: bool = False
    workspace: bool = False
    sandbox: bool = False
    targets: tuple[str, ...] | None = None
    keys: tuple[str, ...] = ()
    trusted: bool = False
    source: str = ""


class PinnedModel(BaseModel):
    """The fields of core.models.ModelCard that a program needs to fit a request to the model."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    name: str
    window: int
    max_output: int
    images: bool = True
    tools: bool = True
    structured: bool = True
    image_tokens: int = 1600


class PinnedAgent(BaseModel):
    """An agent, the tools that each entry of its manifest's tool lists stands for, its model, and that of its supervisor
    where that is another one."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    manifest: Agent
    tools: dict[str, tuple[PinnedTool, ...]] = {}
    model: PinnedModel
    supervisor: PinnedModel | None = None


RULES = 2
"""The rules that a task which begins now goes by: since 1, values carry where they came from; since 2, the person's words
are read for what each tool is to be used with."""


class Bundle(BaseModel):
    """Everything that a task and its children may run, by name. `rules`: which of the programs' rules it goes by, so that
    a task goes on and replays as it began."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    agents: dict[str, PinnedAgent] = {}
    workflows: dict[str, Workflow] = {}
    tools: dict[str, PinnedTool] = {}
    rules: int = 0

    def encode(self) -> tuple[str, bytes]:
        """The bundle's content hash and its JSON."""
        body = self.model_dump_json(by_alias=True, exclude_defaults=True).encode()
        return digest(body), body
