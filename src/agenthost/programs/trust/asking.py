"""The doubts about a call as a person reads them: what was read, what of the call came from there."""

from collections.abc import Sequence
from typing import Any

from agenthost.programs.trust.rule import Doubt

SHOWN = 120
"""Characters of a value that are shown; the whole stands in the call's arguments."""

MOST = 6
"""Doubts and sources that are named."""


def reason(doubts: Sequence[Doubt], sources: Sequence[str]) -> str:
    """Why a call is asked for, or refused."""
    read = ", ".join(sources[:MOST]) + (f" and {len(sources) - MOST} more" if len(sources) > MOST else "")
    lines = [f"This was decided after reading what a stranger can have written: {read}."]
    lines += [_line(doubt) for doubt in doubts[:MOST]]
    if len(doubts) > MOST:
        lines.append(f"- and {len(doubts) - MOST} more values")
    return "\n".join(lines)


def _line(doubt: Doubt) -> str:
    if not doubt.argument:
        return f"- that it is called at all: {doubt.origin}"
    return f"- {doubt.argument} = {_short(doubt.value)}: {doubt.origin}"


def _short(value: Any) -> str:
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
