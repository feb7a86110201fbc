"""The kind Schedule."""

from typing import Any, Literal

from pydantic import Field, model_validator

from agenthost.core.manifests.common import API_VERSION, NAME, Duration, Metadata, Part
from agenthost.core.parts import FilePart


class ScheduledFile(Part):
    """A file that was given to the host before."""

    digest: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$", description="Its content hash, as the host said when it was given."
    )
    name: str = Field("", max_length=255, description="Its name.")
    mediaType: str = Field("application/octet-stream", description="Its media type, such as image/png.")
    size: int = Field(0, ge=0, description="Its size in bytes.")

    def part(self) -> FilePart:
        """The file as a message has it."""
        return FilePart(self.digest, self.mediaType, self.size, self.name)


class ScheduledRun(Part):
    """What is started each time: an agent or a workflow, and what it is given."""

    agent: str | None = Field(None, pattern=NAME, description="The agent that is run; this or workflow.")
    workflow: str | None = Field(None, pattern=NAME, description="The workflow that is run; this or agent.")
    text: str = Field("", max_length=100_000, description="What is said to it.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="A workflow's inputs, by name.")
    files: tuple[ScheduledFile, ...] = Field((), description="Files that go with it, given to the host before.")

    @model_validator(mode="after")
    def _one(self) -> "ScheduledRun":
        if (self.agent is None) == (self.workflow is None):
            raise ValueError("a schedule runs either an 'agent' or a 'workflow'")
        return self

    @property
    def kind(self) -> str:
        """`agent` or `workflow`."""
        return "agent" if self.agent is not None else "workflow"

    @property
    def name(self) -> str:
        """Of the agent or the workflow."""
        return self.agent or self.workflow or ""


class ScheduleSpec(Part):
    """When something is run, as whom, and what happens where it can't be or still goes on."""

    description: str = Field("", max_length=1024, description="What it is for, shown to people.")
    cron: str = Field(
        "",
        max_length=200,
        description="When, again and again: minute, hour, day of the month, month, day of the week; or @daily and its like.",
    )
    at: str = Field(
        "", max_length=60, description="When, once: date and time, by its own offset or else in the time zone."
    )
    timezone: str = Field("UTC", max_length=60, description="The time zone of cron, at and until, by its IANA name.")
    run: ScheduledRun = Field(description="What is started each time.")
    missed: Literal["skip", "once", "all"] = Field(
        "once",
        description="Times at which no host worked: skip them, run once for all of them, or run all (the newest mostMissed).",
    )
    mostMissed: int = Field(10, ge=1, le=1000, description="With missed: all, how many of them are run at most.")
    grace: Duration = Field(60.0, description="How late it may begin and isn't missed yet, such as 60s.")
    overlap: Literal["skip", "queue", "allow", "replace"] = Field(
        "skip",
        description="While the run before goes on: skip this one, queue it, allow both, or replace the one before, which is cancelled.",
    )
    until: str = Field(
        "", max_length=60, description="The last moment at which it may come due; for ever if not given."
    )
    count: int | None = Field(
        None, ge=1, description="How often it comes due, missed times left out; for ever if not given."
    )
    conversation: str = Field("", max_length=200, description="The conversation that its tasks belong to.")
    paused: bool = Field(False, description="Whether it is kept, and not due.")
    person: str = Field(
        "",
        max_length=200,
        description="As whom it runs: who applied it. Only the owner may name somebody else.",
    )

    @model_validator(mode="after")
    def _one(self) -> "ScheduleSpec":
        if bool(self.cron) == bool(self.at):
            raise ValueError("a schedule has either 'cron', for again and again, or 'at', for once")
        if self.at and (self.until or self.count is not None):
            raise ValueError("'until' and 'count' bound a 'cron'; with 'at' it runs once")
        return self


class Schedule(Part):
    """A schedule."""

    apiVersion: Literal["agenthost.dev/v1alpha1"] = Field(API_VERSION, description="The version of this form.")
    kind: Literal["Schedule"] = Field("Schedule", description="What this manifest describes.")
    metadata: Metadata = Field(description="Its name.")
    spec: ScheduleSpec = Field(description="What it is.")
