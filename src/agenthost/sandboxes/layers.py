"""Package layers: Python requirements installed by uv, outside and once, read-only in the run."""

import asyncio
import hashlib
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from agenthost.core.errors import BadInput, Permanent, Unavailable
from agenthost.sandboxes.outer import interpreter
from agenthost.sandboxes.runtime import put_in_place, readable


def normal(packages: Sequence[str]) -> tuple[str, ...]:
    """The requirements sorted, each once. Only names with versions: no URL, no path, no option of the installer."""
    from packaging.requirements import InvalidRequirement, Requirement

    found: set[str] = set()
    for package in packages:
        try:
            requirement = Requirement(package)
        except InvalidRequirement as problem:
            raise BadInput(
                f"'{package}' is no Python requirement. Write a name and versions: requests>=2.32,<3."
            ) from problem
        if requirement.url is not None:
            raise BadInput(
                f"'{package}' names an address. Packages come from the configured index: write {requirement.name}."
            )
        found.add(str(requirement))
    return tuple(sorted(found))


class Target(Struct, frozen=True):
    """Another Python than the host's: its version, and its machine and libc by uv's name for both."""

    python: str
    platform: str


def layer_key(packages: Sequence[str], target: Target | None = None) -> str:
    """The name of a layer's folder; the empty text for no packages. `target`: whose Python, else the host's."""
    wanted = normal(packages)
    if not wanted:
        return ""
    here = [platform.python_version(), sysconfig.get_platform(), str(interpreter())]
    words = [*([target.python, target.platform] if target else here), *wanted]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:24]


class Layers:
    """The layers in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}

    def place(self, key: str) -> Path:
        """A layer's folder."""
        return self._folder / key

    async def have(self, packages: Sequence[str], tell: Callable[[str], None], target: Target | None = None) -> str:
        """Install what isn't there, for the host's Python or the target; the layer's key. Raises BadInput, Unavailable
        and Permanent (`packages`)."""
        key = await asyncio.to_thread(layer_key, packages, target) if packages else ""
        if not key or await self._there(key):
            return key
        async with self._locks.setdefault(key, asyncio.Lock()):
            if not await self._there(key):
                wanted = normal(packages)
                tell("installing " + ", ".join(wanted))
                await self._install(key, wanted, target)
                tell("installed " + ", ".join(wanted))
        return key

    async def _there(self, key: str) -> bool:
        return await asyncio.to_thread((self._folder / key).is_dir)

    async def _install(self, key: str, wanted: Sequence[str], target: Target | None) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        made = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=".new-", dir=self._folder))
        try:
            await self._uv(made, wanted, target)
            if target is not None:
                await asyncio.to_thread(_by_name, made / "bin")
            await asyncio.to_thread(readable, made)
            await asyncio.to_thread(put_in_place, made, self._folder / key)
        finally:
            await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)

    async def _uv(self, folder: Path, wanted: Sequence[str], target: Target | None) -> None:
        """Wheels only: what a source package does while it is built would be done on the host."""
        command = await asyncio.to_thread(_command, folder, wanted, target)
        env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT, env=env)
        try:
            said, _ = await process.communicate()
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if process.returncode:
            last = "\n".join(said.decode("utf-8", "replace").strip().splitlines()[-8:])
            names = ", ".join(wanted)
            raise Permanent(
                f"The packages {names} can't be installed for the sandbox. uv says:\n{last}", code="packages"
            )


def _command(folder: Path, wanted: Sequence[str], target: Target | None) -> list[str]:
    command = [_uv(), "pip", "install", "--no-progress", "--only-binary", ":all:", "--link-mode", "copy"]
    command += ["--python", str(interpreter()), "--target", str(folder)]
    if target is None:
        command.append("--compile-bytecode")
    else:
        command += ["--python-version", target.python, "--python-platform", target.platform]
    return [*command, "--", *wanted]


def _by_name(commands: Path) -> None:
    """Have the commands of a layer find their Python by its name: they were made with the path of the host's."""
    here = str(interpreter()).encode()
    for path in commands.iterdir() if commands.is_dir() else ():
        text = path.read_bytes()
        first, _, rest = text.partition(b"\n")
        if first.startswith(b"#!" + here):
            path.write_bytes(b"#!/usr/bin/env python3\n" + rest)
        elif rest.startswith(b"'''exec'"):  # where the path is too long for a first line
            second, _, rest = rest.partition(b"\n")
            path.write_bytes(b"\n".join((first, second.replace(here, b"python3"), rest)))


def _uv() -> str:
    try:
        import uv
    except ImportError:
        found = shutil.which("uv")
        if found is None:
            raise Unavailable(f"uv is missing, and packages need it. Run: {sys.executable} -m pip install uv") from None
        return found
    try:
        return uv.find_uv_bin()
    except FileNotFoundError as problem:
        raise Unavailable(
            f"uv is damaged ({problem}). Run: {sys.executable} -m pip install --force-reinstall uv"
        ) from problem
