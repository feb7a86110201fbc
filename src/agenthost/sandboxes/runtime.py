"""The runtime inside: `python`, `python3` and `pytest`, assembled once from what is installed, read-only."""

import asyncio
import compileall
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from agenthost.core.errors import Unavailable
from agenthost.sandboxes.inside.rooms import PACKAGES
from agenthost.sandboxes.outer import CERTIFICATES, HOME, Places, interpreter, keeps_local

LAYOUT = 2
DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
_ASK = "import json, site, sys; print(json.dumps([sys.base_prefix, site.getsitepackages()]))"
_COMMAND = f"""#!{HOME}/bin/python
import sys
from {{module}} import {{attr}}
sys.exit({{attr}}())
"""
_ETC = {
    "passwd": "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/tmp:/bin/sh\n",
    "group": "root:x:0:\nsandbox:x:1000:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "ld.so.cache": "",
}
_ETC_GRANTED = {
    **_ETC,
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "nameserver 127.0.0.1\n",
}


def readable(folder: Path) -> None:
    """Let the sandbox's user read `folder`, whatever the host's umask was."""
    for parent, _, files in os.walk(folder):
        os.chmod(parent, 0o755)
        for name in files:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o111 else 0o644)


def put_in_place(made: Path, wanted: Path) -> None:
    """Rename a finished folder to its name; somebody else's of the same name is as good."""
    try:
        os.rename(made, wanted)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not wanted.is_dir():
            raise


def _copy_distribution(name: str, target: Path) -> None:
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as problem:
        raise Unavailable(
            f"The sandbox's runtime needs {name}, and it isn't installed. Install agenthost again."
        ) from problem
    for file in distribution.files or ():
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        source = Path(str(distribution.locate_file(file)))
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / file)


def _assemble(folder: Path, python: Path) -> None:
    for name in ("bin", "python", "site", "empty", "etc", "etc-granted"):
        (folder / name).mkdir()
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(python)
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="pytest")
    (folder / "bin" / "pytest").write_text(_COMMAND.format(module=entry.module, attr=entry.attr))
    (folder / "bin" / "pytest").chmod(0o755)
    # Ours stand after the run's own packages, so that a run may bring another pytest.
    (folder / "site" / "agenthost.pth").write_text(f"{PACKAGES}\n{HOME}/python\n")
    for name in DISTRIBUTIONS:
        _copy_distribution(name, folder / "python")
    compileall.compile_dir(folder / "python", quiet=2, stripdir=str(folder / "python"), prependdir=f"{HOME}/python")
    for etc, files in (("etc", _ETC), ("etc-granted", _ETC_GRANTED)):
        for name, text in files.items():
            (folder / etc / name).write_text(text)
        (folder / etc / "alternatives").mkdir()
    bundle = Path(f"{folder}/etc-granted{CERTIFICATES.removeprefix('/etc')}")
    bundle.parent.mkdir(parents=True)
    bundle.touch()
    readable(folder)


def _places(cache: Path, workspaces: Path) -> Places:
    cache = cache.resolve()
    python = interpreter()
    answer = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, check=True)
    prefix, site = json.loads(answer.stdout)
    prefix = Path(prefix).resolve()
    versions = [f"{name}={importlib.metadata.version(name)}" for name in DISTRIBUTIONS]
    key = hashlib.sha256("\n".join([str(LAYOUT), str(python), *versions]).encode()).hexdigest()[:24]
    runtime = cache / "runtime" / key
    for folder in (cache / "runtime", cache / "layers", workspaces):
        folder.mkdir(parents=True, exist_ok=True)
    if not runtime.is_dir():
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=cache / "runtime"))
        try:
            _assemble(made, python)
            put_in_place(made, runtime)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    local = keeps_local(prefix)
    there = tuple(path for path in site if Path(path).is_dir() and (local or not path.startswith("/usr/local")))
    return Places(runtime, cache / "layers", workspaces.resolve(), prefix, there)


async def places(cache: Path, workspaces: Path) -> Places:
    """The folders that the sandbox is made from; the runtime is assembled where it isn't there yet."""
    return await asyncio.to_thread(_places, cache, workspaces)
