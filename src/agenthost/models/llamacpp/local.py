"""The models of this machine by name, and their children: what the catalog asks for `llamacpp:NAME`."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.errors import AgentHostError, BadInput, NotFound, nearest
from agenthost.core.machines import Machine
from agenthost.core.models import ModelCard
from agenthost.models.llamacpp import backend as backends
from agenthost.models.llamacpp.abilities import LocalAbilities
from agenthost.models.llamacpp.backend import About, Stamp, Start
from agenthost.models.llamacpp.gguf import Header, in_words, read_header
from agenthost.models.llamacpp.model import LocalModel, card_of
from agenthost.models.llamacpp.parts import SUFFIX, first_part, split_of
from agenthost.models.llamacpp.plan import make_plan
from agenthost.models.llamacpp.server import Server
from agenthost.models.openai.content import Read
from agenthost.models.settings import LocalSettings, ModelSettings

Adjust = Callable[[ModelCard], ModelCard]


class Seen(Struct, frozen=True):
    """A local model as it is listed: its card and what to say of it, or why it can't be used. `pid`: of its child, 0 while none runs."""

    name: str
    card: ModelCard | None
    note: str
    pid: int = 0


class LocalModels:
    """Finds GGUF files and runs them. For one event loop; `close` ends every child."""

    def __init__(
        self,
        settings: ModelSettings,
        folder: Path,
        read: Read,
        environ: Mapping[str, str],
        machine: Machine | None = None,
    ) -> None:
        self._settings = settings
        self.folder = Path(settings.llamacpp.folder).expanduser() if settings.llamacpp.folder else folder
        self._read = read
        self._environ = environ
        self._machine = machine
        self._servers: dict[str, Server] = {}
        self._about: About | None = None
        self._making = asyncio.Lock()

    async def model(self, name: str, adjust: Adjust, extra: Mapping[str, Any]) -> LocalModel:
        """The model `name`: a configured name, a file of the folder, or a path. Raises NotFound, BadInput, Unavailable."""
        server = await self._server(name)
        return LocalModel(server, adjust(card_of(server.start)), extra, self._read)

    async def abilities(self, name: str, adjust: Adjust) -> LocalAbilities:
        """What else that model does. Raises as `model` does."""
        server = await self._server(name)
        return LocalAbilities(server, adjust(card_of(server.start)))

    async def about(self) -> tuple[backends.Backend, About]:
        """The llama.cpp that is here, and what it says of itself. Raises Unavailable."""
        backend = await asyncio.to_thread(backends.find, self._settings.llamacpp.command, self._environ)
        if self._about is None:
            self._about = await backends.about(backend, self._environ)
        return backend, self._about

    async def look(self) -> None:
        """See whether files were replaced, of models that don't run just now. What is wrong with one, its next call says."""
        for server in self.servers():
            if server.running is None:
                with suppress(AgentHostError):
                    await server.look()

    async def seen(self) -> list[Seen]:
        """All that can be named, each with what there is to say of it."""
        return [await self._see(name) for name in await asyncio.to_thread(self._names)]

    def servers(self) -> list[Server]:
        """Those that were named so far, whether their children run or not."""
        return list(self._servers.values())

    async def close(self) -> None:
        """End every child."""
        servers, self._servers = list(self._servers.values()), {}
        await asyncio.gather(*(server.close() for server in servers))

    def _names(self) -> list[str]:
        """Configured names, and the models of the folder: no projectors, and of a split model its name without the parts."""
        found = set(self._settings.local)
        paths = {str(_expanded(one.path)) for one in self._settings.local.values() if one.path}
        files = sorted(self.folder.glob(f"*{SUFFIX}")) if self.folder.is_dir() else []
        for file in files:
            split = split_of(file.name)
            if (split and split.number > 1) or file.name.startswith("mmproj-") or str(file) in paths:
                continue
            found.add(split.name if split and first_part(self.folder, split.name) == file else file.stem)
        return sorted(found)

    async def _see(self, name: str) -> Seen:
        try:
            server = await self._server(name)
        except AgentHostError as error:
            return Seen(name, None, error.message)
        start = server.start
        plan = start.plan
        slots = f"{plan.slots} slots" if plan.slots > 1 else "one slot"
        words = [in_words(start.header.size), start.header.quantisation, slots, plan.cut]
        running = server.running
        if running is not None:
            words.append(f"runs as process {running.child.pid}")
        if server.waiting:
            words.append(f"{server.waiting} wait")
        pid = running.child.pid if running is not None else 0
        return Seen(name, card_of(start), ", ".join(word for word in words if word), pid)

    async def _server(self, name: str) -> Server:
        async with self._making:
            settings = self._settings.local.get(name, LocalSettings())
            path, _ = await asyncio.to_thread(self._files, name, settings)
            key = f"{path}\0{name if name in self._settings.local else ''}"
            server = self._servers.get(key)
            if server is None:
                server = self._servers[key] = await self._make(name, settings)
            elif server.running is None:
                await server.look()
            return server

    async def _make(self, name: str, settings: LocalSettings) -> Server:
        given = self._settings.llamacpp
        backend = await asyncio.to_thread(backends.find, given.command, self._environ)
        if settings.args and backend.kind == "xllamacpp":
            raise BadInput(f"args in [models.local.{name}] need llama-server; the package xllamacpp takes none")
        start = await self._start(name, settings)

        async def renew(known: Start) -> Start:
            files = await asyncio.to_thread(self._files, name, settings)
            same = await asyncio.to_thread(_stamp, *files) == known.stamp and files == (known.path, known.projector)
            return known if same else await self._start(name, settings)

        keep = given.keep if settings.keep is None else settings.keep
        return Server(backend, start, keep, given.start_timeout, self._machine, self._environ, renew)

    async def _start(self, name: str, settings: LocalSettings) -> Start:
        """All that a child of that model is started with, by its files as they are now."""
        path, projector = await asyncio.to_thread(self._files, name, settings)
        stamp = await asyncio.to_thread(_stamp, path, projector)
        header = await asyncio.to_thread(read_header, path)
        if header.projector:
            raise BadInput(f"{path} is a projector, no model: name it as the projector of one, in [models.local.NAME]")
        size = 0
        if projector is not None:
            seen: Header = await asyncio.to_thread(read_header, projector)
            if not seen.projector:
                raise BadInput(f"{projector} is no projector; llama.cpp's are called mmproj")
            size = seen.size
        facts = self._machine.facts() if self._machine is not None else None
        # What the machine has counts only where this llama.cpp can use it.
        gpus = (await self.about())[1].gpus if facts is None or facts.gpus else ()
        # Under the name that people know it by here: many files say the same of themselves.
        called = replace(header, name=path.stem if _is_path(name) else name)
        plan = make_plan(called, settings, facts.memory if facts else _memory(), gpus, size)
        if settings.chat_template:
            settings = replace(settings, chat_template=str(_expanded(settings.chat_template)))
        return Start(path.stem if _is_path(name) else name, path, header, plan, settings, projector, stamp)

    def _files(self, name: str, settings: LocalSettings) -> tuple[Path, Path | None]:
        """The model's file and its projector's: the one that is named, or `mmproj-NAME.gguf` beside it."""
        path = self._path(name, settings)
        if settings.projector:
            projector = self._beside(settings.projector)
            if not projector.is_file():
                raise NotFound(f"the projector of [models.local.{name}], {projector}, is not there")
            return path, projector
        split = split_of(path.name)
        names = [path.name, f"{split.name}{SUFFIX}"] if split else [path.name]
        beside = [path.with_name(f"mmproj-{each}") for each in names]
        return path, next((each for each in beside if each.is_file()), None)

    def _path(self, name: str, settings: LocalSettings) -> Path:
        if settings.path:
            path = self._beside(settings.path)
            if not path.is_file():
                raise NotFound(f"the path of [models.local.{name}], {path}, is not there")
            return path
        if _is_path(name):
            path = _expanded(name)
            if not path.is_file():
                raise NotFound(f"there is no file {path}; `agenthost model pull URL` fetches a model")
            return path
        for file in (self.folder / name, self.folder / f"{name}{SUFFIX}"):
            if file.is_file() and file.suffix == SUFFIX:
                return file
        if part := first_part(self.folder, name):
            return part
        known = nearest(name, self._names()) if self._names() else "`agenthost model pull URL` fetches one."
        raise NotFound(f"there is no local model '{name}' in {self.folder}. {known}")

    def _beside(self, path: str) -> Path:
        """A path of the settings; a bare name is one of the folder of models."""
        return self.folder / path if os.sep not in path else _expanded(path)


def _stamp(path: Path, projector: Path | None) -> Stamp:
    split = split_of(path.name)
    files = [path.with_name(file) for file in split.files] if split else [path]
    return tuple(_stamp_of(file) for file in (*files, *([projector] if projector else [])))


def _stamp_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_path(name: str) -> bool:
    return os.sep in name


def _expanded(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _memory() -> int:
    """The machine's memory in bytes, where nobody keeps account of it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
