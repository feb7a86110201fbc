"""What a person sets about models: providers, names, the table of cards. Read by the host from agenthost.toml."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]

OPENAI = "https://api.openai.com/v1"
LOCAL = {
    "ollama": "http://127.0.0.1:11434/v1",
    "lmstudio": "http://127.0.0.1:1234/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llama-server": "http://127.0.0.1:8080/v1",
}
"""Model servers on this machine, by the addresses that they listen on unless told otherwise."""


class ProviderSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How to reach one provider, `[models.providers.NAME]`. Empty fields take the built-in provider's value.

    `wire`: `chat` (Chat Completions) or `responses`; empty is `responses` for api.openai.com and `chat` elsewhere.
    `api_key_env` names the environment variable (or stored secret) that holds the key. `proxy`: a URL,
    `none`, or empty for HTTPS_PROXY, HTTP_PROXY and NO_PROXY. `ca_file`: PEM certificates trusted beside the system's.
    `connect_timeout`, and `idle_timeout` (for the first byte and between any two), in seconds.
    `output_field`: Chat Completions' field for the most tokens of an answer. `extra` is laid over every
    request's body. `labels` sends agent and purpose along as headers. `playbook`: the file of a scripted provider.
    """

    kind: Literal["openai", "scripted"] = "openai"
    base_url: str = ""
    api_key: str = ""
    api_key_env: str = ""
    wire: Literal["", "chat", "responses"] = ""
    stream: bool = True
    proxy: str = ""
    ca_file: str = ""
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 120.0
    output_field: Literal["", "max_tokens", "max_completion_tokens"] = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    labels: bool = False
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrency: Count | None = None
    playbook: str = ""

    def __repr__(self) -> str:
        """Without the key and the headers, which may hold one."""
        key = "set" if self.api_key else "not set"
        return f"ProviderSettings(kind={self.kind!r}, base_url={self.base_url!r}, api_key={key})"


class Provider(Struct, frozen=True):
    """A provider, resolved: settings complete, `key` found (empty where none is set), and the names of the settings
    that key and address come from, for messages."""

    name: str
    settings: ProviderSettings
    key: str = ""
    key_setting: str = "api-key"
    url_setting: str = "base-url"

    def __repr__(self) -> str:
        """Without the key."""
        return f"Provider({self.name!r}, {self.settings!r})"


class NameSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """A name for a model, `[models.names.NAME]`: what it stands for, fields of its card that are known better
    here, and what is laid over its requests. What to use while it can't be had, an agent's `fallbacks` say."""

    model: str
    card: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class ForSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Which model the tools of the same names use, `[models.for]`: `provider:model` or a configured name."""

    draw: str = ""
    speak: str = ""
    transcribe: str = ""
    moderate: str = ""


class ModelSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Everything about models, `[models]`. `cards_file`: a TOML file in place of the built-in table of cards."""

    default: str = ""
    providers: dict[str, ProviderSettings] = msgspec.field(default_factory=dict[str, ProviderSettings])
    names: dict[str, NameSettings] = msgspec.field(default_factory=dict[str, NameSettings])
    cards_file: str = ""
    tools: ForSettings = msgspec.field(default=ForSettings(), name="for")
