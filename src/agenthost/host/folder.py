"""The drop-in folder of manifests, `HOME/manifests/`: applied at start and whenever a file there changes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from agenthost.core.api import Applied, ManifestProblem
from agenthost.core.errors import AgentHostError
from agenthost.engine.parts import Log

LOOK = 2.0
"""Seconds between two looks at the folder."""

Apply = Callable[[dict[str, str]], Awaitable[tuple[list[Applied], list[ManifestProblem]]]]


class ManifestFolder:
    """Applies what is in a folder. What can't be used there is logged, once, and hinders nothing else."""

    def __init__(self, folder: Path, apply: Apply, log: Log) -> None:
        self._folder = folder
        self._apply = apply
        self._log = log
        self._seen: dict[str, str] = {}

    async def watch(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK)
            await self.take()

    async def take(self) -> None:
        """Apply the files where any has changed: each with what it needs, without those that have a mistake."""
        texts, unread = await asyncio.to_thread(read_texts, self._folder)
        if texts | unread == self._seen:
            return
        for file, why in unread.items():
            if self._seen.get(file) != why:
                self._log.error("manifest not read", file=file, problem=why)
        try:
            await self._take(texts)
        except AgentHostError as error:
            # It is tried again at the next look: a full disk may have room by then.
            self._log.error("manifests not applied", folder=str(self._folder), problem=error.message)
            return
        self._seen = texts | unread

    async def _take(self, texts: dict[str, str]) -> None:
        while texts:
            done, problems = await self._apply(texts)
            for problem in problems:
                self._log.error(
                    "manifest not applied",
                    file=problem.file,
                    line=problem.line,
                    key=problem.key,
                    problem=problem.message,
                )
            if not problems:
                for applied in done:
                    if applied.outcome != "unchanged":
                        self._log.info(
                            "manifest applied", kind=applied.kind, name=applied.name, outcome=applied.outcome
                        )
                return
            wrong = {problem.file for problem in problems}
            rest = {file: text for file, text in texts.items() if file not in wrong}
            if len(rest) == len(texts):
                return
            texts = rest


def read_texts(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The YAML files right in a folder, path to text, and those that can't be read, path to reason."""
    texts: dict[str, str] = {}
    unread: dict[str, str] = {}
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}, {}
    except OSError as error:
        return {}, {str(folder): error.strerror or str(error)}
    for file in files:
        if file.suffix not in (".yaml", ".yml"):
            continue
        try:
            texts[str(file)] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            unread[str(file)] = "it is not text in UTF-8"
        except OSError as error:
            unread[str(file)] = error.strerror or str(error)
    return texts, unread
