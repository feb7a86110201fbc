"""Takes thinking out of an answer's words: blocks that a model marks and its server didn't take out.

A block counts where it begins the answer or a line outside of code and calls; a closing mark alone ends thinking that
began before the answer did. A block at the beginning that is never closed is thinking where the answer was cut at its
limit; else it holds all that the model said, and is kept as words.
"""

import re
from itertools import islice

MOST = 64
"""Blocks that are looked at in one answer."""

OPEN = re.compile(
    r"(?:<(?P<tag>think|thinking|thought|seed:think)>|(?P<think>\[THINK\])|(?P<kimi>◁think▷))", re.IGNORECASE
)
_CLOSE = r"(?:</(?:think|thinking|thought|seed:think)>|\[/THINK\]|◁/think▷)"
_ORPHAN = re.compile(rf"^[ \t]*{_CLOSE}|{_CLOSE}(?=[ \t]*(?:\n|\Z))", re.IGNORECASE | re.MULTILINE)
_LEADING = "\ufeff \t\r\n"


def wanted(instructions: str) -> bool:
    """Whether the model was told to write such blocks: then they are part of its answer."""
    return OPEN.search(instructions) is not None


def closing(found: re.Match[str]) -> str:
    """The mark that closes what `OPEN` found."""
    if found["think"]:
        return "[/THINK]"
    return "◁/think▷" if found["kimi"] else f"</{found['tag']}>"


def end_of(text: str, found: re.Match[str]) -> re.Match[str] | None:
    """The closing mark of a block."""
    return re.compile(re.escape(closing(found)), re.IGNORECASE).search(text, found.end())


def without_beginning(text: str, cut: bool) -> str:
    """The text without the blocks that it begins with. `cut`: the answer was cut at its limit."""
    for _ in range(MOST):
        at = len(text) - len(text.lstrip(_LEADING))
        found = OPEN.match(text, at)
        if found is None:
            break
        end = end_of(text, found)
        if end is None:
            return "" if cut else text[found.end() :].strip()
        text = text[end.end() :].lstrip("\n")
    return text


def orphan(text: str) -> re.Match[str] | None:
    """A closing mark without a beginning, outside of code: all before it was thinking."""
    if not _marked(text):
        return None
    for found in islice(reversed(list(_ORPHAN.finditer(text))), 3):
        before = text[: found.start()]
        if before.count("```") % 2 == 0 and before.rpartition("\n")[2].count("`") % 2 == 0:
            return None if OPEN.search(before) else found
    return None


def without_blocks(text: str) -> str:
    """The text without closed blocks that stand on lines of their own, outside of code."""
    if not _marked(text):
        return text
    kept: list[str] = []
    at = 0
    for found in islice(OPEN.finditer(text), MOST):
        end = end_of(text, found) if found.start() >= at and begins_line(text, found.start()) else None
        if end is not None and text[: found.start()].count("```") % 2 == 0:
            kept.append(text[at : found.start()])
            at = end.end()
    return "".join([*kept, text[at:]]).strip() if kept else text


def _marked(text: str) -> bool:
    """Whether there may be a mark: every one begins so. Most answers have none, and regular expressions take long to find out."""
    return "<" in text or "[" in text or "◁" in text


def begins_line(text: str, at: int) -> bool:
    """Whether nothing but white space stands before a place in its line."""
    return not text[max(0, text.rfind("\n", 0, at)) : at].strip()
