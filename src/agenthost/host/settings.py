"""What a person sets: agenthost.toml under the home, and the environment above it."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from platformdirs import user_data_path

from agenthost.core.errors import BadInput
from agenthost.core.media import FileLimits
from agenthost.models.settings import ModelSettings

FILE = "agenthost.toml"


class WorkSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """How patient the host is, `[work]`. Times in seconds.

    `attempts`: calls of one model before its next fallback. `backoff` and `backoff_most`: the first and
    the largest bound of the wait between them. `tasks`: root tasks that run at once; the rest waits.
    """

    attempts: int = 6
    backoff: float = 0.5
    backoff_most: float = 30.0
    tasks: int = 1000


class SandboxSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Where code runs, `[sandbox]`. `kind`: `bubblewrap`."""

    kind: str = "bubblewrap"


class Settings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Everything that can be set. `tools`: trusted Python tools, name to `module:attribute`."""

    home: str = ""
    models: ModelSettings = msgspec.field(default_factory=ModelSettings)
    work: WorkSettings = WorkSettings()
    sandbox: SandboxSettings = SandboxSettings()
    files: FileLimits = FileLimits()
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
    return msgspec.structs.replace(settings, home=str(folder), models=msgspec.structs.replace(models, default=default))


def _read(file: Path) -> Settings:
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} can't be read: {error}") from error
    try:
        return msgspec.convert(tomllib.loads(text), Settings)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{file} has a setting that can't be used: {error}") from error
