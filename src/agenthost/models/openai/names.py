"""Tools' names on the wire: OpenAI allows letters, digits, `_` and `-`, at most 64 of them."""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

from agenthost.core.tools import ToolSpec

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


@lru_cache(1024)
def wire_name(name: str) -> str:
    """`name` where it is legal, else a legal one that follows from it and is met by no other name."""
    if _LEGAL.fullmatch(name):
        return name
    return f"{_ILLEGAL.sub('_', name)[:55]}_{sha256(name.encode()).hexdigest()[:8]}"


def own_names(tools: Iterable[ToolSpec]) -> dict[str, str]:
    """From the names on the wire back to ours, for the tools whose names differ."""
    return {wire: tool.name for tool in tools if (wire := wire_name(tool.name)) != tool.name}
