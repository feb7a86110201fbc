"""What an agent's program keeps of its journal for proving that the work is done: what was seen, and what changed when."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.ids import digest
from agenthost.programs.checking.receipts import MOST, Receipt

_CODE = re.compile(r"\.(py|js|ts|tsx|jsx|mjs|sh|c|h|cpp|hpp|cc|rs|go|java|kt|rb|php|pl|lua|r|sql)$", re.I)
_CACHES = frozenset(("__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"))


class Proof(Struct):
    """What is kept for proving that the work is done. Nothing of it where the rule needs no proof.

    `baseline` are the files as they were when the task began, without `cut` more. `touched` is the event at which its tools, and agents below
    it, last changed a path; `sources` the same, without what a command makes again (`makers`: path to the hash of the line
    that made it, and for code `made` of what it made). `written` are paths that a tool which runs no code wrote. `acts` counts calls that may have changed
    something beyond the files. `results` is what the checks of this round saw, for scripts; `again` that its commands are run
    a second time; `undone` what the agent wrote, as it was before the round's commands. `state` is the fingerprint
    of the last round that wasn't enough.
    """

    baseline: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    cut: int = 0
    touched: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    sources: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    makers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    made: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    written: dict[str, str | None] = msgspec.field(default_factory=dict[str, str | None])
    acts: int = 0
    receipts: list[Receipt] = msgspec.field(default_factory=list[Receipt])
    results: list[dict[str, Any]] = msgspec.field(default_factory=list[dict[str, Any]])
    again: bool = False
    undone: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    state: str = ""
    questions: int = 0

    def add(self, found: Receipt) -> None:
        """Keep a receipt, of looks at all files the last; where there are too many, of the older ones only what people said
        and agents below did."""
        if found.kind == "look":
            self.receipts = [one for one in self.receipts if one.kind != "look"]
        self.receipts.append(found)
        if len(self.receipts) > MOST:
            old, new = self.receipts[:-MOST], self.receipts[-MOST:]
            self.receipts = [one for one in old if one.kind in ("person", "child")][-20:] + new

    def changed(self, changes: Mapping[str, str | None], seq: int, line: str) -> None:
        """Note which files are other than they were after event `seq`. What a command (`line`) makes anew, or makes again in
        the same words, changes nothing that was shown before, unless it is code that is other; what it does to other files does."""
        maker = digest(line.encode(errors="replace")) if line else ""
        for path, name in changes.items():
            known = path in self.baseline or path in self.touched
            if not line:
                self.sources[path] = seq
                self.makers.pop(path, None)
                self.written[path] = name
            elif _cache(path) or not known or (self.makers.get(path) == maker and self.made.get(path, name) == name):
                self.makers[path] = maker
                if _CODE.search(path):
                    self.made[path] = name
            else:
                self.sources[path] = seq
                self.makers.pop(path, None)
            self.touched[path] = seq

    def same(self, files: Mapping[str, str | None], phase: str, key: str) -> bool:
        """Whether a round ends as the one before it: the same files of the agent's, nothing else done, the same missing."""
        mine = {path: files.get(path) for path in sorted(self.touched)}
        before, self.state = self.state, digest(msgspec.json.encode([mine, self.acts, phase, key]))
        return before == self.state


def _cache(path: str) -> bool:
    return path.endswith(".pyc") or not _CACHES.isdisjoint(path.split("/"))
