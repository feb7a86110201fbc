"""Takes thinking out of an answer's words: blocks that a model marks and its server didn't take out.

A block counts where it begins the answer or stands on a line of its own; a closing mark alone ends thinking that
began before the answer did. A block that is never closed is thinking where the answer was cut at its limit; else it
holds all that the model said, and is kept as words.
"""

import re
from itertools import islice

MOST = 64
"""Blocks that are looked at in one answer."""

OPEN = re.compile(
    r"(?:<(?P<tag>think|thinking|thought|seed:think)>|(?P<think>\[THINK\])|(?P<kimi>◁think▷))",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    r"^[ \t]*(?:</(?:think|thinking|thought|seed:think)>|\[/THINK\]|◁/think▷)"
    r"|(?:</(?:think|thinking|thought|seed:think)>|\[/THINK\]|◁/think▷)(?=[ \t]*(?:\n|\Z))",
    re.IGNORECASE | re.MULTILINE,
)


def closing(found: re.Match[str]) -> str:
    """The mark that closes what `OPEN` found."""
    if found["think"]:
        return "[/THINK]"
    return "◁/think▷" if found["kimi"] else f"</{found['tag']}>"


def wanted(instructions: str) -> bool:
    """Whether the model was told to write such blocks: then they are part of its answer."""
    return OPEN.search(instructions) is not None


def parted(text: str, cut: bool) -> tuple[str, str]:
    """The words without thinking, and the thinking. `cut`: the answer was cut at its limit."""
    thoughts: list[str] = []
    kept: list[str] = []
    at = 0
    for found in islice(OPEN.finditer(text), MOST):
        if found.start() < at or not _alone(text, found.start(), at):
            continue
        end = re.compile(re.escape(closing(found)), re.IGNORECASE).search(text, found.end())
        if end is None:
            kept.append(text[at : found.start()])
            rest = text[found.end() :]
            if cut:
                thoughts.append(rest)
            else:
                kept.append(rest)
            at = len(text)
            break
        kept.append(text[at : found.start()])
        thoughts.append(text[found.end() : end.start()])
        at = end.end()
    kept.append(text[at:])
    words = "".join(kept)
    if not thoughts and len(kept) == 1:
        words, before = _orphan(words)
        thoughts += before
    if words == text:
        return text, ""
    return words.lstrip("\n") if thoughts else words.strip(), "\n".join(each.strip() for each in thoughts)


def _orphan(text: str) -> tuple[str, list[str]]:
    """A closing mark without a beginning: all before it was thinking."""
    for found in islice(reversed(list(_CLOSE.finditer(text))), 3):
        before = text[: found.start()]
        if before.count("```") % 2 == 0 and before.rpartition("\n")[2].count("`") % 2 == 0:
            return text[found.end() :], [before]
    return text, []


def _alone(text: str, start: int, at: int) -> bool:
    """Whether a block begins the answer, or a line outside of code."""
    before = text[at:start]
    if not before.strip():
        return True
    return not before.rpartition("\n")[2].strip() and before.count("```") % 2 == 0
