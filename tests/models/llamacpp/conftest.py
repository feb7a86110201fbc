"""Local models in a test's own loop: a folder with a tiny one, and children that end with the test."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.machines import Machine
from agenthost.models.catalog import Catalog
from agenthost.models.settings import LlamaCppSettings, LocalSettings, ModelSettings, NameSettings
from agenthost.testing.gguf import TinyModel, write_model, write_projector


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: `tiny`, and `blind`, which has no projector."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "tiny.gguf", TinyModel(context=2048))
    write_projector(folder / "mmproj-tiny.gguf")
    write_model(folder / "blind.gguf", TinyModel(context=2048, seed=7))
    return folder


@pytest.fixture
def pictures() -> dict[str, bytes]:
    """Pictures by digest; a test puts in what it shows."""
    return {}


Open = Callable[..., Catalog]


@pytest.fixture
async def catalog(models: Path, pictures: dict[str, bytes]) -> AsyncIterator[Open]:
    """Opens a catalog over that folder; `tiny` and `blind` are set as the keywords say."""
    async with AsyncExitStack() as stack:

        async def read(digest: str) -> bytes:
            return pictures[digest]

        async def secret(name: str) -> str | None:
            return None

        def opened(
            command: str = "xllamacpp",
            environ: dict[str, str] | None = None,
            machine: Machine | None = None,
            names: dict[str, NameSettings] | None = None,
            **settings: Any,
        ) -> Catalog:
            local = {name: LocalSettings(**({"threads": 1, "slots": 1} | settings)) for name in ("tiny", "blind")}
            made = Catalog(
                ModelSettings(local=local, names=names or {}, llamacpp=LlamaCppSettings(command=command)),
                read,
                environ or {},
                secret,
                folder=models,
                machine=machine,
            )
            stack.push_async_callback(made.close)
            return made

        yield opened
