"""The kind Workflow."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from agenthost.core.manifests.asking import Approvals, StepApproval
from agenthost.core.manifests.checks import Check
from agenthost.core.manifests.common import (
    API_VERSION,
    NAME,
    STEP_ID,
    Budget,
    Duration,
    Expect,
    Metadata,
    Part,
    ProbeSpec,
    Retry,
    SandboxSpec,
)
from agenthost.core.manifests.trust import TrustSpec


class InputSpec(Part):
    """One input of a workflow."""

    type: Literal["string", "integer", "number", "boolean", "object", "array", "file"] = Field(
        "string", description="What kind of value it is."
    )
    description: str = Field("", description="What it is for, shown to who starts the workflow.")
    default: Any = Field(None, description="Used when none is given; an input without default must be given.")
    accept: tuple[str, ...] = Field((), description="For files: media types, such as image/png.")
    required: bool = Field(True, description="Whether it must be given when there is no default.")
    trusted: bool = Field(
        False, description="Whether its text is what the person wants, and not material such as a mail or a ticket."
    )


class Role(Part):
    """A name bound to an agent, and how many runs of it may go on at once across all tasks of the host."""

    agent: str = Field(pattern=NAME, description="The agent that plays it.")
    replicas: int = Field(1, ge=1, le=10_000, description="How many at once.")
    minReplicas: int = Field(0, ge=0, description="How many are kept warm; not used on one machine.")


class OnFail(Part):
    """Go back to an earlier step when this one fails, with feedback; `max` returns, then it has failed."""

    goto: str = Field(pattern=STEP_ID, description="The step to go back to.")
    feedback: str = Field("", description="A template: what the earlier step is told.")
    max: int = Field(3, ge=1, le=1000, description="How many returns.")


class Step(Part):
    """One step: an agent by role, a command or a server in the sandbox, a check, a tool, or another workflow."""

    id: str = Field(pattern=STEP_ID, description="Unique in the workflow: a-z, 0-9 and underscore.")
    role: str | None = Field(None, description="The role that does it.")
    prompt: str = Field("", description="A template: what the role is told.")
    files: str | None = Field(None, description="An expression: files to show it.")
    command: str | None = Field(None, description="A shell command (a template) for the sandbox.")
    serve: str | None = Field(None, description="A shell command (a template) for the sandbox that goes on and serves.")
    probe: ProbeSpec | None = Field(None, description="With serve: what the server must answer; then it is ended.")
    check: Check | None = Field(
        None, description="What the host looks at itself: a file, a JSON file, an address, a command's test report."
    )
    tool: str | None = Field(None, description="A tool to call.")
    workflow: str | None = Field(None, pattern=NAME, description="A workflow to run.")
    with_: dict[str, Any] = Field(
        default_factory=dict,
        alias="with",
        description="Arguments of the tool or inputs of the workflow; strings are templates.",
    )
    needs: tuple[str, ...] | None = Field(
        None, description="Steps that come before; the one listed just before it unless said. []: none."
    )
    if_: str = Field("", alias="if", description="An expression; the step is skipped where it is false.")
    foreach: str = Field("", description="An expression that gives a list; the step runs once for each `item`.")
    expect: Expect | None = Field(None, description="What a command must show.")
    passes: str = Field("", description="An expression over `result`; the step fails where it is false.")
    allowFailure: bool = Field(False, description="Go on when it fails.")
    timeout: Duration | None = Field(None, description="Most time, such as 5m.")
    retry: Retry | None = Field(None, description="Try the step again when it fails, before anything else is done.")
    onFail: OnFail | None = Field(None, description="Go back to an earlier step when this one fails.")
    approve: StepApproval | None = Field(None, description="A person must agree before it is done.")

    @property
    def line(self) -> str | None:
        """The shell command of a step that runs one, to its end or as a server."""
        return self.serve if self.command is None else self.command


def needs_of(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """What each step waits for: what it says, or the step listed just before it where it says nothing."""
    needs: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for step in steps:
        needs[step.id] = before if step.needs is None else step.needs
        before = (step.id,)
    return needs


class WorkflowSpec(Part):
    """Roles, how many replicas of each, and steps with their order, conditions and loops."""

    description: str = Field("", max_length=1024, description="What it is for: shown to people and to agents.")
    input: dict[str, InputSpec] = Field(
        default_factory=dict, description="What it must be given, by name; expressions say input.NAME."
    )
    roles: dict[str, Role] = Field(default_factory=dict, description="Who does the steps, by name.")
    steps: tuple[Step, ...] = Field(min_length=1, description="What is done, in the order that `needs` gives.")
    output: Any = Field(None, description="A template, or an object of templates: what comes out.")
    sandbox: SandboxSpec = Field(
        default_factory=lambda: SandboxSpec.model_validate({}), description="For the command steps."
    )
    budget: Budget = Field(
        default_factory=lambda: Budget.model_validate({}), description="What one run may spend, all steps included."
    )
    approvals: Approvals = Field(
        default_factory=lambda: Approvals.model_validate({}),
        description="When a person must agree before a tool's step.",
    )
    trust: TrustSpec = Field(
        default_factory=lambda: TrustSpec.model_validate({}),
        description="What is trusted, and what untrusted content may decide, of the steps that call tools.",
    )


class Workflow(Part):
    """A workflow."""

    apiVersion: Literal["agenthost.dev/v1alpha1"] = Field(API_VERSION, description="The version of this form.")
    kind: Literal["Workflow"] = Field("Workflow", description="What this manifest describes.")
    metadata: Metadata = Field(description="Its name.")
    spec: WorkflowSpec = Field(description="What it is.")
