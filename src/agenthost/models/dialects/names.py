"""Which offered tool a name means: the very name, one written otherwise, or the nearest where there is no doubt."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import cached_property

from agenthost.core.tools import ToolSpec

_NEAR = 0.84
"""How alike a misspelt name must be (difflib's ratio)..."""
_CLEAR = 0.12
"""...and how much more alike than the next tool's."""
_LONGEST = 128
_NUMBERED = re.compile(r":\d+$")  # Kimi counts its calls in their names
_PARTS = re.compile(r"[.:/]|__")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FILLERS = re.compile(r"[\W_]+")


class Offered:
    """The tools of one request, by name."""

    def __init__(self, tools: Iterable[ToolSpec]) -> None:
        self.tools = {tool.name: tool for tool in tools}

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        folded: dict[str, list[str]] = {}
        for name in self.tools:
            folded.setdefault(_fold(name), []).append(name)
        return folded

    def known(self, name: str) -> str | None:
        """The tool that is surely meant: by its name, or by it in another case, with a prefix (`functions.`), with
        hyphens for underscores. None where it is no tool's, or that of several."""
        name = name.replace("\\_", "_").strip().strip("`\"'")
        if name in self.tools:
            return name
        if len(name) > _LONGEST:
            return None
        name = _NUMBERED.sub("", name)
        for candidate in (name, *_tails(name)):
            if candidate in self.tools:
                return candidate
            found = self._folded.get(_fold(candidate), [])
            if len(found) == 1:
                return found[0]
        return None

    def nearest(self, name: str) -> str | None:
        """The tool whose name is nearly this, where no other comes close."""
        wanted = _fold(name)
        if not 4 <= len(wanted) <= _LONGEST:
            return None
        ranked = sorted(((_alike(wanted, folded), folded) for folded in self._folded), reverse=True)
        if not ranked or ranked[0][0] < _NEAR:
            return None
        if len(ranked) > 1 and ranked[0][0] - ranked[1][0] < _CLEAR:
            return None
        found = self._folded[ranked[0][1]]
        return found[0] if len(found) == 1 else None


def _tails(name: str) -> Sequence[str]:
    """What is left of a name without the words before it: `functions.get`, `ns:get`, `mcp__server__get`."""
    pieces = _PARTS.split(name)
    return ["_".join(pieces[-count:]) for count in range(1, len(pieces))] if len(pieces) < 8 else []


def _fold(name: str) -> str:
    return _FILLERS.sub("", _CAMEL.sub("_", name)).lower()


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
