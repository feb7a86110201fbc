"""Writes docs/settings.md from the settings' structs, and the lifecycle in docs/architecture.md from its table.
Run: python scripts/reference.py; with --check it only says what is stale."""

import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from agenthost.core.channels import TelegramSettings
from agenthost.core.lifecycle import FINAL, LIFECYCLE
from agenthost.core.media import FileLimits
from agenthost.core.models import ModelCard
from agenthost.host.budgets.settings import BudgetSettings, DayLimits
from agenthost.host.entry.settings import AccessSettings, OidcSettings
from agenthost.host.settings import (
    A2ASettings,
    AskingSettings,
    GvisorSettings,
    HttpSettings,
    McpSettings,
    NetworkSettings,
    RetentionSettings,
    RoutingSettings,
    SandboxSettings,
    Settings,
    WebhookSettings,
    WorkSettings,
)
from agenthost.machine.shares import MachineSettings
from agenthost.models.settings import (
    ForSettings,
    LlamaCppSettings,
    LocalSettings,
    ModelSettings,
    NameSettings,
    ProviderSettings,
)
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.sandboxes.functions.settings import FunctionsSettings
from agenthost.telemetry.settings import TelemetrySettings

DOCS = pathlib.Path(__file__).parent.parent / "docs"

HEAD = """\
# Settings

This page is generated from the settings' structs by `scripts/reference.py`; a test fails when it is stale.

Everything has a default that works: a host needs no settings. What you set stands in `agenthost.toml` in the home
(`~/.local/share/agenthost` on Linux, or `AGENTHOST_HOME`, or `--home`). A key that doesn't exist, or a value that
can't be used, is refused with its place. `agenthost doctor` says whether what is set works.

```toml
[models]
default = "local:qwen3"             # what an agent with `model: default` gets

[models.providers.local]            # any server that speaks OpenAI's API
base-url = "http://127.0.0.1:9000/v1"
concurrency = 2

[models.names.cheap]                # an agent may say `model: cheap`
model = "openai:gpt-5.4-mini"
card = {input_price = 0.75, output_price = 4.5}

[work]
attempts = 4

[files]
size = 50_000_000
```

## The environment

It is above the file; an option of the command is above both.

| variable | meaning |
| --- | --- |
| `AGENTHOST_HOME` | the home: settings, journal, files, secrets, logs |
| `AGENTHOST_MODEL` | what `default` means: a configured name, or provider:model |
| `AGENTHOST_PORT` | the port that `agenthost up` serves, in the place of `[http] port` |
| `AGENTHOST_SANDBOX` | the sandbox that runs what demands none: `bubblewrap`, `docker`, `gvisor`, `functions`, or `auto`, the strongest here |
| `TELEGRAM_BOT_TOKEN` | the token of the bot for [Telegram](telegram.md), unless `[telegram] token-env` names another variable |
| `AGENTHOST_URL`, `AGENTHOST_TOKEN` | reach a host there, instead of the one of the home |
| `TZ` | the time zone that `agenthost schedules add` and the tool `remind` go by where none is named; else `/etc/localtime`'s |
| `OPENAI_API_KEY`, `OPENAI_BASE_URL` | key and address of the provider `openai`; a stored secret of the same name does too |
| `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | how models are reached, unless the provider's `proxy` says otherwise |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SDK_DISABLED`, `OTEL_*` | where traces go, in OpenTelemetry's own words ([observability](observability.md)); `[telemetry]` is above them |
| `SSL_CERT_FILE` | certificates in place of the system's |
| `AGENTHOST_TEST_GVISOR` | `required`: AgentHost's own tests fail where gVisor is missing, instead of being skipped |
| `DOCKER_HOST`, `XDG_RUNTIME_DIR` | where an engine listens, for the sandbox `docker` |
| `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID` | set by systemd for a service that says when it is ready and alive |
| `XDG_CONFIG_HOME` | where `agenthost service install` puts a user's unit: `systemd/user` in it |
| `NO_COLOR`, `TERM` | with `NO_COLOR`, or `TERM=dumb`, no colours |
"""

TABLES: dict[str, type[msgspec.Struct]] = {
    "": Settings,
    "models": ModelSettings,
    "models.providers.NAME": ProviderSettings,
    "models.for": ForSettings,
    "models.names.NAME": NameSettings,
    "models.names.NAME.card": ModelCard,
    "models.local.NAME": LocalSettings,
    "models.llamacpp": LlamaCppSettings,
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
    "telemetry": TelemetrySettings,
    "access": AccessSettings,
    "oidc.NAME": OidcSettings,
    "mcp": McpSettings,
    "a2a": A2ASettings,
    "telegram": TelegramSettings,
    "files": FileLimits,
    "budgets": BudgetSettings,
    "budgets.host": DayLimits,
    "budgets.namespace": DayLimits,
    "budgets.person": DayLimits,
    "budgets.agent": DayLimits,
    "budgets.people.NAME": DayLimits,
    "budgets.agents.NAME": DayLimits,
}

MEANINGS = {
    "tools": "trusted Python tools of your own: a name, and the `module:attribute` that it stands for",
    "models.default": "what `default` means where `AGENTHOST_MODEL` says nothing",
    "models.cards-file": "a TOML file in place of the built-in table of windows and prices",
    "models.providers.NAME.kind": "`openai`: speaks its API; `pydantic-ai`: another provider, by the extra `agenthost[providers]`; `llamacpp`: runs GGUF files here; `scripted`: plays a file of fixed replies; empty: what the name stands for, else `openai`",
    "models.providers.NAME.provider": "for `pydantic-ai`: which of its providers this is, such as `anthropic`; empty: the name itself",
    "models.providers.NAME.options": "for `pydantic-ai`: further arguments of its provider, such as `region_name` for `bedrock`",
    "models.providers.NAME.prompt-cache-key": "whether requests say which of them begin alike (`prompt_cache_key`), so that more is read from the provider's cache; by itself for api.openai.com only",
    "models.providers.NAME.base-url": "the API's address, up to and with `/v1`",
    "models.providers.NAME.api-key": "the key itself; better is `agenthost secrets set` and `api-key-env`",
    "models.providers.NAME.api-key-env": "the variable or stored secret that holds the key",
    "models.providers.NAME.wire": "`chat` (Chat Completions) or `responses`; empty: `responses` for api.openai.com, else `chat`",
    "models.providers.NAME.stream": "whether answers are streamed",
    "models.providers.NAME.proxy": "a URL, `none`, or empty for the environment's",
    "models.providers.NAME.ca-file": "PEM certificates that are trusted beside the system's",
    "models.providers.NAME.connect-timeout": "seconds for a connection",
    "models.providers.NAME.idle-timeout": "seconds for the first byte, and between any two",
    "models.providers.NAME.output-field": "the field of Chat Completions for the most tokens of an answer; empty: found out",
    "models.providers.NAME.headers": "sent with every request",
    "models.providers.NAME.extra": "laid over the body of every request; for `pydantic-ai`: its model settings, such as `cache = false`",
    "models.providers.NAME.labels": "whether agent and purpose are sent along as headers",
    "models.providers.NAME.requests-per-minute": "the most requests a minute, over all tasks",
    "models.providers.NAME.tokens-per-minute": "the most tokens a minute, over all tasks",
    "models.providers.NAME.concurrency": "the most calls at once, over all tasks",
    "models.providers.NAME.playbook": "the file that a `scripted` provider plays",
    "models.local.NAME.path": "the GGUF file; empty: `NAME.gguf` in the folder of models",
    "models.local.NAME.projector": "the file that lets it see pictures; empty: `mmproj-FILE` beside it, where there is one",
    "models.local.NAME.context": "tokens for one request and its answer; empty: chosen by the memory that is there",
    "models.local.NAME.slots": "requests that are answered at once; empty: chosen by the memory that is there",
    "models.local.NAME.gpu-layers": "layers on the GPU; empty: as many as fit",
    "models.local.NAME.threads": "processor threads; empty: llama.cpp's choice",
    "models.local.NAME.chat-template": "a Jinja file in place of the model's own chat template",
    "models.local.NAME.embeddings": "whether it makes embeddings; empty: found out from the file",
    "models.local.NAME.keep": "seconds that it stays loaded when nobody uses it; empty: as in `[models.llamacpp]`",
    "models.local.NAME.args": "more arguments, for llama-server only",
    "models.llamacpp.command": "the llama-server to run, or `xllamacpp` for the package; empty: llama-server on the PATH, else the package",
    "models.llamacpp.folder": "where models are; empty: `models` in the home",
    "models.llamacpp.keep": "seconds that a model stays loaded when nobody uses it",
    "models.llamacpp.start-timeout": "seconds that loading a model may take",
    "models.for.draw": "the model that the tool `draw` makes pictures with",
    "models.for.speak": "the model that the tool `speak` speaks with",
    "models.for.transcribe": "the model that the tool `transcribe` hears with",
    "models.for.moderate": "the model that the tool `moderate` judges with",
    "models.names.NAME.model": "what the name stands for: provider:model",
    "models.names.NAME.extra": "laid over the body of its requests",
    "models.names.NAME.card.name": "the model's name at its provider; follows from `model`",
    "models.names.NAME.card.window": "tokens that fit into a request and its answer",
    "models.names.NAME.card.max_output": "tokens of its longest answer",
    "models.names.NAME.card.images": "whether it sees pictures",
    "models.names.NAME.card.tools": "whether it calls tools",
    "models.names.NAME.card.structured": "whether it takes a JSON Schema for its answer",
    "models.names.NAME.card.input_price": "USD for a million tokens of input",
    "models.names.NAME.card.output_price": "USD for a million tokens of output",
    "models.names.NAME.card.cached_price": "USD for a million tokens of input that were cached",
    "models.names.NAME.card.cache_write_price": "USD per million tokens written to the provider's cache.",
    "models.names.NAME.card.calling": "How it is made to call tools: `native`, `grammar` or `fenced`.",
    "models.names.NAME.card.background": "Answers are made at the provider in the background, and fetched again after a crash.",
    "models.names.NAME.card.tiers": "dearer prices of long requests: a list of `{above, input_price, output_price, cached_price, cache_write_price}`, `above` in tokens of input",
    "models.names.NAME.card.image_price": "USD at most for one picture that it makes",
    "models.names.NAME.card.minute_price": "USD for a minute of sound that it hears",
    "models.names.NAME.card.character_price": "USD for a million characters that it speaks",
    "models.names.NAME.card.image_tokens": "the most tokens that one picture costs",
    "work.attempts": "calls of one model before its next fallback",
    "work.backoff": "seconds: the first bound of the random wait between them; it doubles",
    "work.backoff-most": "seconds: the largest bound of that wait",
    "work.tasks": "root tasks that run at once; the rest waits",
    "work.grace": "seconds: how long calls that are under way when the host is told to stop may take to end, so that they needn't be made again",
    "sandbox.kind": "what runs code whose manifest demands no other: `auto` (the strongest that is here), or one by name: `bubblewrap`, `docker` (Docker or Podman; needs `agenthost[docker]`), `gvisor`, `functions`",
    "sandbox.functions.url": "the executor function's address (`deploy/functions`); without it there is none",
    "sandbox.functions.secret": "the stored secret, or the variable, that holds the secret shared with the function",
    "sandbox.functions.identity": "where the ID token comes from that Google asks for: `command`, `metadata` (the account of a machine at Google), `none` (a function on this machine)",
    "sandbox.functions.identity-command": "the command that prints the token",
    "sandbox.functions.memory": "MiB of memory that the function was deployed with; its files lie in there, too",
    "sandbox.functions.timeout": "seconds that it was deployed with; at most 3600",
    "sandbox.functions.concurrency": "the most runs at once: the instances that it was deployed with; the rest waits",
    "sandbox.functions.packages": "requirements, as manifests name them, that its image has",
    "machine.memory": "what runs and local models may hold together: a share of the memory that is here (`80%`), or a size (`8Gi`); a share is lowered to what was free at the start, yet never below a quarter, or a GiB",
    "sandbox.gvisor.command": "gVisor's command: a name on the PATH, or a path",
    "sandbox.gvisor.platform": "how gVisor runs the code: `systrap`, or `kvm` where the machine has it",
    "sandbox.gvisor.rootfs": "a folder with a root file system, in place of the machine's own system, read-only; python has to be in it",
    "sandbox.docker.host": "the engine's address; empty: `DOCKER_HOST`, else the usual sockets of Docker and Podman",
    "sandbox.docker.runtime": "`runc`, `crun`, `runsc` (gVisor); empty: the engine's own",
    "sandbox.docker.image": "the default image",
    "sandbox.docker.warm": "containers that wait to be wanted",
    "sandbox.docker.idle": "seconds that a workspace keeps its container without a run",
    "sandbox.docker.most": "containers that workspaces have at once; the one used longest ago goes first",
    "machine.cpu": "the same for processors: a share of the cores (`400%`: each may be given out four times, as most runs wait more than they compute), or a number of them",
    "machine.gpu-memory": "the same for the memory of all GPUs together; a size where it can't be found out",
    "network.private": "hosts with their ports (`git.lan:443`) that granted network may reach though their address is not public; also remote agents and addresses for notifications, for which alone an address (`127.0.0.1:9000`) or any port of this machine (`localhost:*`) may stand",
    "telemetry.metrics-open": "`/metrics` needs no token from this machine; leave it off behind a proxy on this machine that doesn't say that it is one",
    "telemetry.requests": "whether each request is a line in the log",
    "telemetry.endpoint": "an OTLP receiver over HTTP, such as `http://localhost:4318`, for traces and metrics ([observability](observability.md)); empty: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, else none",
    "telemetry.headers": "sent with every export",
    "telemetry.service": "this host's name there; empty: `OTEL_SERVICE_NAME`, else `agenthost`",
    "telemetry.sample": "the share of traces that is exported, from 0 to 1",
    "telemetry.content": "whether what was said goes into spans: prompts, answers, arguments, results",
    "telemetry.propagate": "whether requests to models and notifications carry `traceparent`, where traces are exported",
    "telemetry.interval": "seconds between two exports of metrics",
    "http.host": "the address that is listened on",
    "http.port": "the port; 0 takes any that is free",
    "http.hosts": "names, without port, by which this host is reached besides those of loopback: a request for another name is refused",
    "http.origins": "pages elsewhere (`https://desk.example`) that may use the host from a browser",
    "http.certificate": "a PEM file, for TLS",
    "http.key": "a PEM file, for TLS",
    "http.public": "it may listen beyond loopback, where everybody who has a token is served",
    "asking.approvals": "seconds after which an approval that nobody answers ends by its default, which is `deny` unless the manifest says otherwise ([approvals](approvals.md)); 0 is never",
    "asking.questions": "seconds after which a question that nobody answers ends, and the agent is told so; 0 is never",
    "asking.by": "who may answer where the manifest doesn't say: `requester`, `owner`, `role:operator`, people's ids; empty: whoever may work on the task",
    "routing.model": "the small model that is asked for which task a message is, where no rule is sure; empty: the person is asked at once",
    "routing.agent": "the agent or workflow that takes what is new in a conversation, where the message names none",
    "routing.embeddings": "the embedding model by whose vectors tasks are found and ranked where no rule is sure; empty: by words alone",
    "budgets.zone": "the time zone whose days they are, such as `Europe/Berlin`",
    "budgets.reached": "what becomes of a task that a day's budget has no room for: `end`, or `ask` a person whether it may be raised",
    **{
        f"budgets.{table}.{key}": f"{what} in one day{of}"
        for table, of in {
            "host": ", of all tasks together",
            "namespace": ", of each namespace",
            "person": ", of each person",
            "agent": ", of each agent in all its tasks",
            "people.NAME": ", of one person, in the place of `budgets.person`",
            "agents.NAME": ", of one agent, in the place of `budgets.agent`",
        }.items()
        for key, what in {
            "turns": "model calls",
            "tokens": "tokens in and out",
            "cost": "USD",
            "duration": "seconds of work",
        }.items()
    },
    "webhooks.attempts": "tries of one delivery before it is given up",
    "webhooks.backoff": "seconds between its first two tries; each wait after is four times the one before, of which between half and all is waited",
    "webhooks.backoff-most": "seconds between two tries at most",
    "webhooks.timeout": "seconds that one try may take",
    "retention.tasks": "days for which tasks that ended are kept, with their journals and files; 0 is for ever",
    "retention.given": "days for which files are kept that were given and that no task uses; 0 is for ever",
    "retention.workspaces": "days after which folders go that a host which died left behind; what is in them is kept with the task",
    "retention.audit": "days for which lines of the audit log are kept; 0 is for ever",
    "retention.every": "seconds between two looks at what is too old",
    "http.proxies": "addresses and networks (`10.0.0.0/8`) of proxies that are believed who is behind them (`X-Forwarded-For`) and whether they speak TLS (`X-Forwarded-Proto`); of nobody else these headers count",
    "access.password-least": "characters that a new password has at least",
    "access.session-idle": "seconds after which a browser that didn't come is signed out",
    "access.session-most": "seconds after which a browser is signed out in any case",
    "access.link-lasts": "seconds for which a sign-in link may be used",
    "access.tries": "wrong passwords of one person from one address (an IPv6 /64 counts as one) within `tries-within`, before they have to wait",
    "access.tries-within": "seconds over which wrong passwords are counted",
    "access.address-tries": "wrong passwords and links from one address within that time",
    "access.person-tries": "wrong passwords of one person from everywhere within that time",
    "oidc.NAME.issuer": "the provider's address, exactly as it names itself; the rest is found from there",
    "oidc.NAME.client-id": "what this host is called there",
    "oidc.NAME.client-secret": "the name of the stored secret (`agenthost secrets set`) that this host shows there; empty: none, with PKCE alone",
    "oidc.NAME.scopes": "what is asked for",
    "oidc.NAME.role": "the role of somebody who comes for the first time; none: only who was added with their subject comes in",
    "oidc.NAME.domains": "domains of verified e-mail addresses that may come in; none: all",
    "oidc.NAME.groups": "groups of which one is needed to come in; none: no such demand",
    "oidc.NAME.roles": "a group, and the role that it gives; looked at whenever somebody signs in, the highest counts",
    "oidc.NAME.groups-claim": "the claim in which the groups stand",
    "oidc.NAME.title": "what the sign-in page calls it",
    "oidc.NAME.algorithms": "how ID tokens may be signed",
    "http.upload": "bytes that a file may have that is given with its type",
    "http.rate": "requests a second of one person that isn't the owner, of which ten seconds' worth may come at once; 0 for no bound",
    "http.requests": "requests of one person that isn't the owner that are answered at once; 0 for no bound",
    "http.streams": "streams of one person that isn't the owner that are open at once; 0 for no bound",
    "a2a.enabled": "whether agents are served to other agents over A2A",
    "a2a.agent": "the agent or workflow at `/a2a`; empty: `default`, `assistant`, or the first by name",
    "a2a.url": "where the host is reached from outside, such as `https://agents.example.com`; empty: as a request says",
    "a2a.grpc-port": "the port of gRPC; 0 for none",
    "a2a.grpc-host": "the address that gRPC is served on",
    "a2a.grpc-url": "how agent cards name gRPC's address; empty: by host and port",
    "mcp.enabled": "whether MCP is served at `/mcp`",
    "mcp.tools": "which agents and workflows are tools there: names, or patterns such as `sketch-*`",
    "mcp.patience": "seconds after which a call that still goes on says so and where to go on waiting, before its client gives up (many do after 60); 0: never",
    "mcp.servers": "MCP servers of your own that are served beside the agents: a name, and the `module:attribute` that it stands for",
    "telegram.enabled": "whether `agenthost up` serves Telegram in its own process ([Telegram](telegram.md)); `agenthost telegram serve` does without it",
    "telegram.token-env": "the variable with the bot's token; for `agenthost up` also a stored secret of that name",
    "telegram.name": "the agent or workflow that takes what is new; empty: the host's own choice",
    "telegram.allow": "who may write: ids of people and of groups (negative numbers), `@names`; `*` is everybody",
    "telegram.tokens": "whose messages go to the host with a key of their own: an id or `@name`, and the variable (or stored secret) that holds the key",
    "telegram.refusal": "what a stranger is told, once; `{id}` stands for their id; empty: nothing",
    "telegram.webhook-url": "the public https address that Telegram calls; empty: long poll, for which nothing has to be reachable",
    "telegram.webhook-listen": "the address and port that are listened on for these calls, behind the proxy that speaks TLS",
    "telegram.api-url": "another Bot API server, such as one of your own",
    "telegram.pieces": "messages that one answer may become; a longer one is sent as a file",
    "telegram.every": "seconds between two messages of a chat, at least",
    "telegram.rate": "messages a second in all chats, at most",
    "telegram.group-rate": "messages a minute in a group, at most",
    "telegram.transcribe": "the model (`provider:model`) that writes down voice messages; empty: they are passed on as files alone",
    "telegram.speak": "the model that speaks answers to voice messages; empty: they are only written",
    "telegram.voice": "which voice it speaks with",
    "files.size": "bytes of a given file at most",
    "files.pixels": "pixels of a given picture at most",
    "files.side": "pixels of a picture's longer side at most",
}


def settings() -> str:
    """The whole page of the settings."""
    return HEAD + "".join(_table(place, kind) for place, kind in TABLES.items())


def _table(place: str, kind: type[msgspec.Struct]) -> str:
    rows = list(_rows(place, kind))
    title = f"`[{place}]`" if place else "Outside of any table"
    if place == "":
        title = "`[tools]`"
    return f"\n## {title}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _rows(place: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        path = f"{place}.{field.encode_name}".lstrip(".")
        if path == "home" or any(below.split(".NAME")[0] == path or below == path for below in TABLES):
            continue
        if path not in MEANINGS:
            raise SystemExit(f"the setting {path} has no meaning; say it in scripts/reference.py")
        name = f"`{field.encode_name}`" if path != "tools" else "`NAME`"
        if field.required and path != "models.names.NAME.card.name":
            name = f"**{name}**"
        yield f"| {name} | {_type(inspect.type_info(field.type))} | {_default(field)} | {MEANINGS[path]} |\n"


def _type(kind: Any) -> str:
    words = {
        inspect.StrType: "text",
        inspect.IntType: "whole number",
        inspect.FloatType: "number",
        inspect.BoolType: "true or false",
        inspect.DictType: "table",
        inspect.VarTupleType: "list",
        inspect.AnyType: "any",
        inspect.VarTupleType: "list",
    }
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_type(one) for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values if value)
    return words[type(kind)]


def _default(field: Any) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value is None or value in ("", ()):
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def lifecycle() -> str:
    """The lifecycle as a diagram and a table."""
    moves: dict[tuple[str, str], list[str]] = {}
    for state, after in LIFECYCLE.items():
        for trigger, target in after.items():
            if state != target:
                moves.setdefault((state, target), []).append(trigger)
    arrows = "".join(f"    {_id(a)} --> {_id(b)}: {', '.join(words)}\n" for (a, b), words in moves.items())
    ends = "".join(f"    {_id(state)} --> [*]\n" for state in LIFECYCLE if state in FINAL)
    triggers = list(dict.fromkeys(trigger for after in LIFECYCLE.values() for trigger in after))
    head = "| from | " + " | ".join(triggers) + " |\n| --- |" + " --- |" * len(triggers) + "\n"
    rows = "".join(
        f"| `{state}` | " + " | ".join(after.get(trigger, "") for trigger in triggers) + " |\n"
        for state, after in LIFECYCLE.items()
        if after
    )
    return f"```mermaid\nstateDiagram-v2\n    [*] --> submitted\n{arrows}{ends}```\n\n{head}{rows}"


def _id(state: str) -> str:
    return state.replace("-", "_")


BETWEEN = re.compile(r"(<!-- lifecycle: [^\n]*-->\n)(.*?)(<!-- end of lifecycle -->)", re.DOTALL)


def architecture() -> str:
    """The page of the architecture with the lifecycle as it is."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return BETWEEN.sub(lambda found: f"{found[1]}\n{lifecycle()}\n{found[3]}", page)


PAGES = {"settings.md": settings, "architecture.md": architecture}


def stale() -> list[str]:
    """The pages that are not as they would be written now."""
    return [name for name, page in PAGES.items() if _read(name) != page()]


def _read(name: str) -> str:
    file = DOCS / name
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale())}; run: python scripts/reference.py" if stale() else 0)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
