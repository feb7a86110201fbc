"""What a person sets: agenthost.toml under the home, and the environment above it."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct
from platformdirs import user_data_path

from agenthost.core.channels import TelegramSettings
from agenthost.core.errors import BadInput, nearest
from agenthost.core.manifests.asking import read_answerers
from agenthost.core.media import FileLimits
from agenthost.core.questions import Asking
from agenthost.host.budgets.settings import BudgetSettings, DayLimits
from agenthost.host.entry.settings import AccessSettings, OidcSettings
from agenthost.machine.shares import MachineSettings
from agenthost.models.settings import LlamaCppSettings, LocalSettings, ModelSettings, NameSettings, ProviderSettings
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.functions.settings import FunctionsSettings
from agenthost.telemetry.settings import TelemetrySettings

FILE = "agenthost.toml"

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class WorkSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How patient the host is, `[work]`. Times in seconds.

    `attempts`: calls of one model before its next fallback. `backoff` and `backoff_most`: the first and
    the largest bound of the wait between them. `tasks`: root tasks that run at once; the rest waits. `grace`: how long
    calls that are under way when the host stops may take to end.
    """

    attempts: Positive = 6
    backoff: Seconds = 0.5
    backoff_most: Seconds = 30.0
    tasks: Positive = 1000
    grace: Seconds = 10.0


class AskingSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How people are asked where a manifest says nothing, `[asking]`; what holds when a task begins holds to its end.

    `approvals` and `questions`: seconds until a question that nobody answers ends by its default (0: never): an approval
    is refused then, and an agent told that nobody answered. `by`: who may answer (`requester`, `owner`, `role:operator`,
    people's ids); empty: whoever may work on the task.
    """

    approvals: Seconds = 604_800.0
    questions: Seconds = 604_800.0
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        read_answerers(self.by)

    def asking(self) -> Asking:
        """What is pinned with a task."""
        return Asking(self.approvals, self.questions, self.by)


class GvisorSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """gVisor by its own command, `[sandbox.gvisor]`.

    `command`: runsc's name or path. `platform`: how it runs the code, `systrap` or `kvm`. `rootfs`: a folder
    with a root file system (of an unpacked image, say) in place of the machine's own system.
    """

    command: str = "runsc"
    platform: str = "systrap"
    rootfs: str = ""


class SandboxSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Where code runs, `[sandbox]`. `kind`: the name of one sandbox for what demands none, or `auto`: the strongest that
    is here."""

    kind: str = "auto"
    docker: DockerSettings = DockerSettings()
    gvisor: GvisorSettings = GvisorSettings()
    functions: FunctionsSettings = FunctionsSettings()


class NetworkSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """What sandboxes that have hosts granted may reach, `[network]`. `private`: hosts with their ports (`git.lan:443`)
    that may have an address which isn't public; a manifest has to grant them all the same. They count too for what the
    host itself reaches (remote agents, push notifications); for that alone an address (`127.0.0.1:8080`) may stand."""

    private: tuple[str, ...] = ()


class HttpSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """The port that `agenthost up` serves, `[http]`.

    `host` and `port`: the address that is listened on. `hosts`: names (without port) that this host is reached by,
    besides those of loopback. `origins`: pages elsewhere that may use it from a browser. `certificate` and `key`: PEM
    files, for TLS. `public`: it may listen beyond loopback, where everybody who has a token is served. `proxies`:
    addresses and networks of proxies that are believed who is behind them (`X-Forwarded-For`, `X-Forwarded-Proto`).

    `upload`: bytes that a file may have that is given with its type. Of one person that isn't the owner, 0 for no bound:
    `rate`: requests a second, of which ten seconds' worth may come at once; `requests` that are answered at once;
    `streams` that are open at once. These four may be changed while the host runs.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8484
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    public: bool = False
    proxies: tuple[str, ...] = ()
    upload: Annotated[int, msgspec.Meta(ge=1)] = 1024 * 1024 * 1024
    rate: Annotated[float, msgspec.Meta(ge=0)] = 100.0
    requests: Annotated[int, msgspec.Meta(ge=0)] = 100
    streams: Annotated[int, msgspec.Meta(ge=0)] = 1000


class WebhookSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How patient calls out are, `[webhooks]`. Times in seconds.

    `attempts`: tries of one delivery before it is given up. `backoff` and `backoff_most`: the first and the largest wait
    between two; it grows by four. `timeout`: how long one try may take.
    """

    attempts: Positive = 10
    backoff: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    backoff_most: Annotated[float, msgspec.Meta(gt=0)] = 21_600.0
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 20.0


Days = Annotated[float, msgspec.Meta(ge=0)]


class RetentionSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How long things are kept, `[retention]`, in days; 0 is for ever.

    `tasks`: tasks that ended, with their journals and files. `given`: files that were given, where no task uses them.
    `workspaces`: folders that a host which died left behind; what is in them is kept with the task. `audit`: lines of the
    audit log. `every`: seconds between two looks.
    """

    tasks: Days = 0.0
    given: Days = 0.0
    workspaces: Days = 1.0
    audit: Days = 0.0
    every: Annotated[float, msgspec.Meta(ge=1)] = 600.0


class McpSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """MCP at `/mcp`, `[mcp]`. `tools`: which agents and workflows are tools, by name or pattern. `patience`: seconds after
    which a call that goes on says so, before its client gives up (0: never). `servers`: MCP servers of the owner's own that are served at the same door: trusted
    Python, name to `module:attribute` of an `MCPServer` of the package `mcp`."""

    enabled: bool = True
    tools: tuple[str, ...] = ("*",)
    patience: Seconds = 50.0
    servers: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class A2ASettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Agents for other agents, `[a2a]`.

    `enabled`: whether they are served. `agent`: the agent or workflow at `/a2a`; empty: `default`, `assistant`, or the first
    by name. `url`: where the host is reached from outside, such as `https://agents.example.com`; empty: as a request says.
    `grpc-port`: the port of gRPC, 0 for none; `grpc-host`: its address. `grpc-url`: how cards name it, empty for that.
    """

    enabled: bool = True
    agent: str = ""
    url: str = ""
    grpc_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    grpc_host: str = "127.0.0.1"
    grpc_url: str = ""


class RoutingSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How messages of conversations find their task, `[routing]`.

    `model`: the small model that is asked where no rule is sure; empty: nobody but the person. `agent`: who takes what is
    new where a message names nobody. `embeddings`: the model by whose vectors tasks are found and ranked where no rule is sure; empty: by
    words alone.
    """

    model: str = "default"
    agent: str = ""
    embeddings: str = ""


class Settings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Everything that can be set. `tools`: trusted Python tools, name to `module:attribute`."""

    home: str = ""
    models: ModelSettings = msgspec.field(default_factory=ModelSettings)
    work: WorkSettings = WorkSettings()
    asking: AskingSettings = AskingSettings()
    sandbox: SandboxSettings = SandboxSettings()
    machine: MachineSettings = MachineSettings()
    network: NetworkSettings = NetworkSettings()
    http: HttpSettings = HttpSettings()
    webhooks: WebhookSettings = WebhookSettings()
    routing: RoutingSettings = RoutingSettings()
    retention: RetentionSettings = RetentionSettings()
    access: AccessSettings = AccessSettings()
    oidc: dict[str, OidcSettings] = msgspec.field(default_factory=dict[str, OidcSettings])
    mcp: McpSettings = msgspec.field(default_factory=McpSettings)
    telemetry: TelemetrySettings = TelemetrySettings()
    files: FileLimits = FileLimits()
    budgets: BudgetSettings = msgspec.field(default_factory=BudgetSettings)
    a2a: A2ASettings = A2ASettings()
    telegram: TelegramSettings = msgspec.field(default_factory=TelegramSettings)
    tools: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def folder(self) -> Path:
        """The home as a path."""
        return Path(self.home)


def default_home(environ: Mapping[str, str]) -> Path:
    """`AGENTHOST_HOME`, or the platform's folder for a user's data."""
    named = environ.get("AGENTHOST_HOME")
    return Path(named).expanduser().absolute() if named else user_data_path("agenthost")


def load(home: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a home. Raises BadInput, naming the file and the key, where they can't be read."""
    environ = os.environ if environ is None else environ
    folder = home.expanduser().absolute() if home is not None else default_home(environ)
    settings = _read(folder / FILE)
    models = settings.models
    default = environ.get("AGENTHOST_MODEL") or models.default
    kind = environ.get("AGENTHOST_SANDBOX") or settings.sandbox.kind
    http = settings.http
    if text := environ.get("AGENTHOST_PORT"):
        if not text.isdigit() or int(text) > 65535:
            raise BadInput(f"AGENTHOST_PORT is no port: '{text}'. Give a number from 0 to 65535")
        http = msgspec.structs.replace(http, port=int(text))
    return msgspec.structs.replace(
        settings,
        home=str(folder),
        models=msgspec.structs.replace(models, default=default),
        sandbox=msgspec.structs.replace(settings.sandbox, kind=kind),
        http=http,
    )


def _read(file: Path) -> Settings:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} can't be read: {error}") from error
    try:
        values = tomllib.loads(text)
        if "home" in values:
            raise BadInput(f"{file} can't say where the home is; set AGENTHOST_HOME, or give --home")
        return msgspec.convert(values, Settings)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{file} has a setting that can't be used: {_place(str(error))}") from error


_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`(?: - at `\$\.?(.*)`)?")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
_WRONG = re.compile(r"(.+) - at `\$\.?(.*)`")


def _place(message: str) -> str:
    """msgspec's message as a person reads it: the key first, and the nearest known where it is unknown."""
    if found := _UNKNOWN.fullmatch(message):
        name, place = found[1], found[2] or ""
        return f"[{place}] has no key '{name}'. {nearest(name, _keys(place))}" if place else _unknown(name)
    for name, words in _WORDS.items():
        message = message.replace(f"`{name}`", words)
    found = _WRONG.fullmatch(message)
    return f"{found[2]}: {found[1][:1].lower()}{found[1][1:]}" if found else message


def _unknown(name: str) -> str:
    return f"there is no table or key '{name}'. {nearest(name, _keys(''))}"


def _keys(place: str) -> list[str]:
    """The keys of the table at a place such as `work` or `models.providers[...]`."""
    table: type[Struct] = {
        "": Settings,
        "work": WorkSettings,
        "asking": AskingSettings,
        "sandbox": SandboxSettings,
        "sandbox.functions": FunctionsSettings,
        "sandbox.gvisor": GvisorSettings,
        "sandbox.docker": DockerSettings,
        "machine": MachineSettings,
        "network": NetworkSettings,
        "http": HttpSettings,
        "webhooks": WebhookSettings,
        "routing": RoutingSettings,
        "retention": RetentionSettings,
        "access": AccessSettings,
        "oidc[...]": OidcSettings,
        "a2a": A2ASettings,
        "mcp": McpSettings,
        "telegram": TelegramSettings,
        "telemetry": TelemetrySettings,
        "files": FileLimits,
        "budgets": BudgetSettings,
        "budgets.host": DayLimits,
        "budgets.namespace": DayLimits,
        "budgets.person": DayLimits,
        "budgets.agent": DayLimits,
        "budgets.people[...]": DayLimits,
        "budgets.agents[...]": DayLimits,
        "models": ModelSettings,
        "models.providers[...]": ProviderSettings,
        "models.names[...]": NameSettings,
        "models.local[...]": LocalSettings,
        "models.llamacpp": LlamaCppSettings,
    }.get(place, Settings)
    return [field for field in table.__struct_encode_fields__ if field != "home"]
