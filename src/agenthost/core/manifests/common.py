"""What the kinds of manifests share: metadata, quantities, sandbox, budget, retry."""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from agenthost.core.budgets import Limits
from agenthost.core.commands import Probe
from agenthost.core.hosts import MOST_HOSTS, read_host
from agenthost.core.sandboxes import SandboxPolicy

API_VERSION = "agenthost.dev/v1alpha1"

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
STEP_ID = r"^[a-z][a-z0-9_]{0,39}$"

_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def read_size(value: Any) -> Any:
    """Bytes of `512Mi`, `1G`, `1024`; anything else is left for pydantic to refuse."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(k|M|G|Ki|Mi|Gi)?", value.strip())
        if match is None:
            raise ValueError("expected a size such as 512Mi or 1Gi")
        return int(Decimal(match[1]) * _SIZES[match[2] or ""])
    return value


def read_duration(value: Any) -> Any:
    """Seconds of `60s`, `30m`, `1h30m`, `45`."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        found = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
        if not found or "".join(number + unit for number, unit in found) != text:
            raise ValueError("expected a duration such as 60s, 30m or 1h30m")
        return sum(float(number) * _SECONDS[unit] for number, unit in found)
    return value


def read_count(value: Any) -> Any:
    """A count of `200k`, `1.5M`, `30`."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM])?", value.strip())
        if match is None:
            raise ValueError("expected a count such as 30 or 200k")
        return int(Decimal(match[1]) * {"": 1, "k": 1000, "M": 1_000_000}[match[2] or ""])
    return value


def read_money(value: Any) -> Any:
    """USD of `2.00 USD` or `2`."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*USD)?", value.strip())
        if match is None:
            raise ValueError("expected an amount such as 2.00 USD (the only currency so far)")
        return float(match[1])
    return value


def _quantity(kind: str) -> WithJsonSchema:
    # Kubernetes takes a number or a text in this form alone; `x-agenthost-quantity` is for our docs.
    either = [{"type": "integer"}, {"type": "string"}]
    return WithJsonSchema({"anyOf": either, "x-kubernetes-int-or-string": True, "x-agenthost-quantity": kind})


Size = Annotated[int, BeforeValidator(read_size), Field(gt=0), _quantity("size")]
Duration = Annotated[float, BeforeValidator(read_duration), Field(gt=0), _quantity("duration")]
Count = Annotated[int, BeforeValidator(read_count), Field(gt=0), _quantity("count")]
Money = Annotated[float, BeforeValidator(read_money), Field(gt=0), _quantity("money")]


class Part(BaseModel):
    """A part of a manifest: unknown keys are mistakes, and nothing changes after reading."""

    # Built when first used: a host that waits for work needs none of them.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


class Metadata(Part):
    """Who a manifest is: its name, unique for its kind in its namespace, and labels of your own."""

    name: str = Field(pattern=NAME, description="Unique for its kind: a-z, 0-9 and hyphen, at most 63 characters.")
    namespace: str = Field("default", pattern=NAME, description="The tenant.")
    labels: dict[str, str] = Field(default_factory=dict, description="Words of your own to find it by.")


def read_entry(value: str) -> str:
    """A host of a sandbox as it was written, once it can be read."""
    read_host(value)
    return value


Host = Annotated[str, AfterValidator(read_entry)]


class SandboxSpec(Part):
    """What code that the agent runs may use."""

    kind: str = Field("", description="The sandbox it must be, such as docker; any that is strong enough otherwise.")
    isolation: Literal["process", "kernel"] = Field(
        "process",
        description="The least that will do: process (namespaces), kernel (a kernel of its own, such as gVisor).",
    )
    image: str = Field("", description="The container image, for sandboxes that have them; the default one otherwise.")
    network: Literal["none", "granted"] = Field("none", description="none, or granted: the hosts listed in `hosts`.")
    hosts: tuple[Host, ...] = Field(
        (),
        max_length=MOST_HOSTS,
        validate_default=True,
        description="With network: granted, what may be reached: api.example.com, *.example.com, host:8443.",
    )
    memory: Size = Field(512 * 2**20, description="Most memory, such as 512Mi.")
    cpu: float = Field(1.0, ge=0.01, le=64, description="Most processor time per second, in cores.")
    timeout: Duration = Field(60.0, description="Most time of one run, such as 60s.")
    processes: int = Field(64, ge=1, le=4096, description="Most processes at once.")
    disk: Size = Field(256 * 2**20, description="Most that one run may write, such as 256Mi.")
    packages: tuple[str, ...] = Field((), description="Python requirements that are there, read-only.")

    @field_validator("hosts")
    @classmethod
    def _granted(cls, hosts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        network = info.data.get("network")
        if network == "granted" and not hosts:
            raise ValueError("network: granted needs the hosts that may be reached, such as hosts: [api.example.com]")
        if network == "none" and hosts:
            raise ValueError("hosts are reached with network: granted alone; set that, or leave them out")
        return hosts

    def policy(self) -> SandboxPolicy:
        """The policy that a sandbox enforces."""
        return SandboxPolicy(
            hosts=self.hosts,
            kind=self.kind,
            isolation=self.isolation,
            image=self.image,
            memory=self.memory,
            cpu=self.cpu,
            timeout=self.timeout,
            processes=self.processes,
            disk=self.disk,
            packages=self.packages,
        )


def read_path(value: str) -> str:
    """What an HTTP server is asked for, as it was written, once it can be asked for."""
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError("a path begins with / and has no blanks, such as /health")
    return value


Path = Annotated[str, AfterValidator(read_path)]


class ProbeSpec(Part):
    """What the host looks for, by HTTP, at a server that runs in the sandbox."""

    port: int = Field(ge=1, le=65535, description="The port on which the server listens, on 127.0.0.1.")
    path: Path = Field("/", description="What is asked for, such as /health.")
    status: int = Field(200, ge=100, le=599, description="The status that it must answer with.")
    body: str = Field("", description="A regular expression that the body must contain.")
    within: Duration = Field(20.0, description="How long it may take until it answers like that, such as 20s.")

    def probe(self) -> Probe:
        """What the host is asked to do."""
        return Probe(self.port, self.path, self.status, self.body, self.within)


class DayBudget(Part):
    """The most that all tasks of this agent may spend together on one day of the host's time zone."""

    turns: Count | None = Field(None, description="Model calls, such as 1k.")
    tokens: Count | None = Field(None, description="Tokens in and out, such as 2M.")
    cost: Money | None = Field(None, description="Money, such as 20 USD.")
    duration: Duration | None = Field(None, description="Time of work, such as 4h.")

    def limits(self) -> Limits:
        return Limits(self.turns, self.tokens, self.cost, self.duration)


class Budget(Part):
    """The most that one task may spend, everything below it included; checked before each model call."""

    turns: Count | None = Field(None, description="Model calls, such as 30.")
    tokens: Count | None = Field(None, description="Tokens in and out, such as 200k.")
    cost: Money | None = Field(None, description="Money, such as 2.00 USD.")
    duration: Duration | None = Field(None, description="Time from the task's start, such as 30m.")
    reached: Literal["end", "ask"] = Field(
        "end", description="What happens where there is no room: the task ends, or a person is asked to raise it."
    )
    day: DayBudget = Field(
        default_factory=lambda: DayBudget.model_validate({}),
        description="For all tasks of this agent together, on one day.",
    )

    def limits(self) -> Limits:
        return Limits(self.turns, self.tokens, self.cost, self.duration)


class Retry(Part):
    """Try a step again that failed: how often, and how long to wait before (doubling each time)."""

    max: int = Field(2, ge=1, le=20, description="How many more times.")
    delay: Duration = Field(1.0, description="Wait before the first, such as 5s; doubles each time.")


class Expect(Part):
    """What a command must show to count as passed."""

    exitCode: int | None = Field(0, description="The exit code; null for any.")
    stdout: str | None = Field(None, description="A regular expression that stdout must contain.")
    stderr: str | None = Field(None, description="A regular expression that stderr must contain.")
