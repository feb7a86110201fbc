"""`agenthost model pull` and `model remove`: models of this machine come and go."""

import asyncio
import os
import time
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from agenthost.cli.connect import Door
from agenthost.cli.options import Words
from agenthost.cli.screen import Screen
from agenthost.models.llamacpp import fetching, pull
from agenthost.models.llamacpp.gguf import in_words

_EVERY = 0.5  # seconds between two lines of progress in JSON
_STEPS = 10  # lines of progress in a pipe


def words(words: Words) -> None:
    """The two words and their options."""
    fetch = words.add(
        "pull",
        "fetch a model (GGUF) for llama.cpp on this machine, all parts of a split one; a fetch that was cut goes on where it was",
        "model pull https://example.org/qwen3-4b-q4_k_m.gguf --name qwen3\nmodel pull hf:OWNER/REPO/FILE.gguf --sha256 HASH",
    )
    fetch.add_argument("url", metavar="URL", help="the address of the file, or hf:OWNER/REPO/FILE.gguf")
    fetch.add_argument(
        "--sha256",
        metavar="HASH",
        action="append",
        default=[],
        help="what the file's SHA-256 must be; of a split model once for each part, in their order",
    )
    fetch.add_argument(
        "--name", metavar="NAME", default="", help="what it is called here: llamacpp:NAME (the file's name)"
    )
    away = words.add("remove", "remove a model of this machine", "model remove qwen3")
    away.add_argument("name", metavar="NAME", help="the model's name, as `model list` shows it")


def folder_of(home: Path) -> Path:
    """Where models are, as the settings of a home say."""
    from agenthost.host.settings import load

    named = load(home=home).models.llamacpp.folder
    return Path(named).expanduser() if named else home / "models"


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    folder = await asyncio.to_thread(folder_of, door.home)
    if args.word == "remove":
        freed = await asyncio.to_thread(pull.remove, folder, args.name)
        if screen.json:
            screen.object({"removed": args.name, "bytes": freed})
        screen.say(f"{args.name} is gone, {in_words(freed)} are free")
        return 0
    bar = _bar(screen) if screen.live else None
    telling = _Bar(bar) if bar is not None else _Lines(screen)
    with bar or nullcontext():
        found = await pull.pull(args.url, folder, telling.tell, os.environ, args.sha256, args.name)
    if screen.json:
        screen.object(found)
    about = f"{len(found.parts)} parts" if found.parts else f"sha256 {found.sha256}"
    screen.say(f"llamacpp:{found.name} is here: {in_words(found.size)}, {about}", "green")
    for number, each in enumerate(found.parts, 1):
        screen.say(f"part {number}: sha256 {each}")
    screen.hint(f"try it: AGENTHOST_MODEL=llamacpp:{found.name} agenthost run NAME; or set it in agenthost.toml")
    return 0


def _bar(screen: Screen) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=screen.console)


class _Bar:
    """Draws in a terminal."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks = {"": bar.add_task("connecting", total=None)}

    def tell(self, progress: fetching.Progress) -> None:
        """Called from a thread too; rich's Progress has a lock of its own."""
        task = self._tasks.setdefault(progress.doing, self._tasks[""])
        self._bar.update(task, description=_doing(progress), completed=progress.done, total=progress.total or None)


class _Lines:
    """Tells in a pipe: a line every tenth; in JSON an object every half a second."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._told = 0.0
        self._step = ("", 0)

    def tell(self, progress: fetching.Progress) -> None:
        """A line, where it is time for one."""
        now = time.monotonic()
        whole = progress.total and progress.done >= progress.total
        if self._screen.json:
            if whole or now - self._told >= _EVERY:
                self._told = now
                self._screen.object(progress)
            return
        step = (
            _doing(progress),
            progress.done * _STEPS // progress.total if progress.total else progress.done // 10**8,
        )
        if step != self._step:
            self._step = step
            of = f" of {in_words(progress.total)}" if progress.total else ""
            self._screen.say(f"{_doing(progress)}: {in_words(progress.done)}{of}")


def _doing(progress: fetching.Progress) -> str:
    return progress.doing + (f" part {progress.part} of {progress.parts}" if progress.parts > 1 else "")
