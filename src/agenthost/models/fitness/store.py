"""What probes found, a file a model, in a folder of the home."""

import asyncio
import os
from pathlib import Path
from urllib.parse import quote

import msgspec

from agenthost.core.errors import BadInput
from agenthost.core.ids import digest
from agenthost.core.models import Fitness

_LONGEST = 120


class FitnessFiles:
    """Keeps `NAME.json` in `folder`, the name escaped as in a URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, name: str) -> Fitness | None:
        """What was found last. Raises BadInput where the file was spoilt."""
        return await asyncio.to_thread(self._read, name)

    async def put(self, name: str, fitness: Fitness) -> None:
        """Keep what was found, in the place of what was kept before."""
        await asyncio.to_thread(self._write, name, fitness)

    def _path(self, name: str) -> Path:
        escaped = quote(name, safe="").replace(".", "%2E")
        if len(escaped) > _LONGEST:
            escaped = escaped[: _LONGEST - 17] + "-" + digest(name.encode())[-16:]
        return self._folder / f"{escaped}.json"

    def _read(self, name: str) -> Fitness | None:
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Fitness)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise BadInput(
                f"what a probe found of the model '{name}' can't be read ({error}); remove {path}, or probe it again: "
                f"agenthost model probe {name}"
            ) from None

    def _write(self, name: str, fitness: Fitness) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        fresh = path.with_suffix(f".{os.getpid()}.new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(fitness)))
        fresh.replace(path)
