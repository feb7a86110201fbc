"""The kind Agent."""

from typing import Any, Literal

from pydantic import Field, model_validator

from agenthost.core.manifests.asking import Approvals, Questions
from agenthost.core.manifests.checks import Check
from agenthost.core.manifests.common import (
    API_VERSION,
    STEP_ID,
    Budget,
    Metadata,
    Part,
    SandboxSpec,
)
from agenthost.core.manifests.trust import TrustSpec


class PluginUse(Part):
    """A plugin that the agent uses."""

    name: str = Field(description="publisher/plugin.")
    version: str = Field("*", description="Which versions will do, such as ^1.2.")


class Supervisor(Part):
    """Who judges whether the criteria are met, by what the host saw and not by what the agent says."""

    model: str = Field("", description="A configured name, or provider:model; the agent's own if not given.")
    instructions: str = Field("", description="What it is told beside the criteria: what to be strict about.")
    budget: Budget = Field(
        default_factory=lambda: Budget.model_validate({}),
        description="What one judgement may spend; the task's counts too.",
    )


class Completion(Part):
    """When the agent's work counts as done."""

    rule: Literal[
        "quiet",
        "agent",
        "checks",
        "supervisor",
        "checks+supervisor",
        "agent+checks",
        "agent+supervisor",
        "agent+checks+supervisor",
    ] = Field(
        "quiet",
        description="quiet: an answer without calls. agent: it calls `finish`. checks: every check passes. supervisor: "
        "another model judges the criteria by what the host journalled. Several, joined by +: all of them, in that order.",
    )
    checks: tuple[Check, ...] = Field((), description="For a rule with checks.")
    criteria: tuple[str, ...] = Field(
        (), description="What the work must fulfil, told to the agent; the supervisor judges each."
    )
    supervisor: Supervisor = Field(
        default_factory=lambda: Supervisor.model_validate({}), description="For a rule with supervisor."
    )
    maxRounds: int = Field(5, ge=1, le=100, description="How often unfinished work goes back to the agent.")

    @property
    def needs(self) -> frozenset[str]:
        """What the rule is made of."""
        return frozenset(self.rule.split("+"))


class Stage(Part):
    """A stage swaps instructions and tools until an expression says to move on."""

    id: str = Field(pattern=STEP_ID, description="Unique in the agent: a-z, 0-9 and underscore.")
    instructions: str = Field("", description="Added to the agent's instructions while in this stage.")
    tools: tuple[str, ...] | None = Field(None, description="The tools of this stage; the agent's otherwise.")
    next: str = Field("", description="The stage after this one; the next in the list otherwise.")
    when: str = Field(
        "", description="Move on when this expression is true, of: turns, calls, text, files. Never, if empty."
    )


REMOTE = "a2a:"
"""What the name of a model begins with that is an agent elsewhere: `a2a:SECRET@URL`."""
REMOTE_TOOLS = ("ask", "keep_files")
"""What an agent elsewhere can do here: ask a person, and have its files kept."""
_OURS = ("model", "fallbacks", "tools", "plugins", "stages", "script")


class Remote(Part):
    """An agent elsewhere, which speaks A2A."""

    url: str = Field(
        pattern=r"^https?://[^\s@]+$", description="Its address, or that of its card, such as https://host/a2a/coder."
    )
    token: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,128}$", description="The secret that is its bearer token, if any."
    )


class AgentSpec(Part):
    """A model with instructions, tools, a sandbox, a rule of completion and a budget."""

    description: str = Field("", max_length=1024, description="What it is for: shown to people and to other agents.")
    runtime: Literal["loop", "a2a"] = Field(
        "loop", description="Who runs it: this host, or (a2a) another agent by the protocol A2A."
    )
    a2a: Remote | None = Field(None, description="With runtime a2a: where the other agent is.")
    model: str = Field("default", min_length=1, description="A configured name, or provider:model.")
    fallbacks: tuple[str, ...] = Field((), description="Models to use while the first can't be had.")
    instructions: str = Field("", description="What the model is told first.")
    tools: tuple[str, ...] = Field((), description="Tools: workspace, a tool's name, delegate:AGENT, ask.")
    plugins: tuple[PluginUse, ...] = Field((), description="Plugins it uses: none yet, they come in a later version.")
    stages: tuple[Stage, ...] = Field((), description="A small state machine.")
    script: str = Field(
        "", description="Functions in the embedded language: instructions(task), stage(task), on_message(message)."
    )
    sandbox: SandboxSpec = Field(
        default_factory=lambda: SandboxSpec.model_validate({}), description="What code it runs may use."
    )
    output: dict[str, Any] | None = Field(None, description="JSON Schema of a structured result.")
    completion: Completion = Field(
        default_factory=lambda: Completion.model_validate({}), description="When the work is done."
    )
    budget: Budget = Field(default_factory=lambda: Budget.model_validate({}), description="What one task may spend.")
    approvals: Approvals = Field(
        default_factory=lambda: Approvals.model_validate({}), description="When a person must agree before a call."
    )
    questions: Questions = Field(
        default_factory=lambda: Questions.model_validate({}), description="How it asks people (the tool `ask`)."
    )
    trust: TrustSpec = Field(
        default_factory=lambda: TrustSpec.model_validate({}),
        description="What is trusted, and what untrusted content may decide.",
    )
    maxOutputTokens: int = Field(4096, ge=16, le=1_000_000, description="Most tokens of one answer.")
    temperature: float | None = Field(
        None, ge=0, le=2, description="How freely the model chooses its words; the model's own if not given."
    )
    reasoning: Literal["", "none", "minimal", "low", "medium", "high"] = Field(
        "", description="How hard a reasoning model thinks before it answers; the model's own way if not given."
    )

    @model_validator(mode="after")
    def _remote(self) -> "AgentSpec":
        if (self.runtime == "a2a") != (self.a2a is not None):
            raise ValueError("'runtime: a2a' and 'a2a' go together: who runs it, and where that is")
        if self.runtime == "a2a" and (given := [key for key in _OURS if key in self.model_fields_set]):
            raise ValueError(f"an agent elsewhere has its own {', '.join(given)}; leave that out with 'runtime: a2a'")
        return self

    @property
    def toolset(self) -> tuple[str, ...]:
        """The entries of its tools."""
        return REMOTE_TOOLS if self.a2a is not None else self.tools

    def called(self, default: str) -> str:
        """The model that answers; `default` is what a task says that `default` is for it."""
        if self.a2a is not None:
            return f"{REMOTE}{self.a2a.token}@{self.a2a.url}"
        return default if self.model == "default" and default else self.model


class Agent(Part):
    """An agent."""

    apiVersion: Literal["agenthost.dev/v1alpha1"] = Field(API_VERSION, description="The version of this form.")
    kind: Literal["Agent"] = Field("Agent", description="What this manifest describes.")
    metadata: Metadata = Field(description="Its name.")
    spec: AgentSpec = Field(default_factory=lambda: AgentSpec.model_validate({}), description="What it is.")
