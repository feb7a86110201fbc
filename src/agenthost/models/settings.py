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
    `prompt_cache_key`: whether requests say which of them begin alike; None is for api.openai.com alone.
    `output_field`: Chat Completions' field for the most tokens of an answer. `extra` is laid over every
    request's body. `labels` sends agent and purpose along as headers. `playbook`: the file of a scripted provider.
    For the kind `pydantic-ai`: `provider` is which of its providers this is (the table's own name if empty), `options` are
    further arguments of that provider (`region_name` for bedrock), and `extra` are pydantic-ai's model settings.
    """

    kind: Literal["", "llamacpp", "openai", "pydantic-ai", "scripted"] = ""
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
    prompt_cache_key: bool | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    labels: bool = False
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrency: Count | None = None
    playbook: str = ""
    provider: str = ""
    options: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def __repr__(self) -> str:
        """Without the key and the headers, which may hold one."""
        key = "set" if self.api_key else "not set"
        return f"ProviderSettings(kind={self.kind!r}, base_url={self.base_url!r}, api_key={key})"


class Provider(Struct, frozen=True):
    """A provider, resolved: settings complete, `key` found (empty where none is set), and the names of the settings
    that key and address come from, for messages. `trace`: the share of traces that is kept, where requests carry theirs."""

    name: str
    settings: ProviderSettings
    key: str = ""
    key_setting: str = "api-key"
    url_setting: str = "base-url"
    trace: float | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"Provider({self.name!r}, {self.settings!r})"


class NameSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """A name for a model, `[models.names.NAME]`: what it stands for, fields of its card that are known better
    here, and what is laid over its requests. What to use while it can't be had, an agent's `fallbacks` say."""

    model: str
    card: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    extra: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class LocalSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """A GGUF file that llama.cpp runs here, `[models.local.NAME]`, called `llamacpp:NAME`.

    `path` and `projector` (which lets it see pictures) are files; without `path` it is `NAME.gguf` in the folder of
    models. What is None is chosen by the memory and the processors that there are: `context` in tokens for each
    request, `slots` (requests at once), `gpu_layers`, `threads`. `chat_template`: a Jinja file in place of the model's own.
    `embeddings`: None is found out from the file. `keep`: seconds that it stays loaded when nobody uses it. `args`: more
    arguments, for llama-server only.
    """

    path: str = ""
    projector: str = ""
    context: Annotated[int, Meta(ge=256)] | None = None
    slots: Count | None = None
    gpu_layers: Annotated[int, Meta(ge=0)] | None = None
    threads: Count | None = None
    chat_template: str = ""
    embeddings: bool | None = None
    keep: Annotated[float, Meta(ge=0)] | None = None
    args: tuple[str, ...] = ()


class LlamaCppSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """llama.cpp on this machine, `[models.llamacpp]`.

    `command`: the llama-server to run, or `xllamacpp` for the Python package; empty is llama-server on the PATH, else
    the package. `folder`: where models are; empty is `models` in the home. `keep`: as in LocalSettings. `start_timeout`:
    seconds that loading a model may take.
    """

    command: str = ""
    folder: str = ""
    keep: Annotated[float, Meta(ge=0)] = 300.0
    start_timeout: Seconds = 600.0


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
    local: dict[str, LocalSettings] = msgspec.field(default_factory=dict[str, LocalSettings])
    llamacpp: LlamaCppSettings = LlamaCppSettings()
    cards_file: str = ""
    tools: ForSettings = msgspec.field(default=ForSettings(), name="for")
