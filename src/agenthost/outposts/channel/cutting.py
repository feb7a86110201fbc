"""A text in pieces that a channel takes: cut between paragraphs, else lines, sentences, words. Pure."""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from agenthost.outposts.channel.port import Limits, Mark

_CUTS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, the best first: a cut lies at the end of a match."""

_LEAST = 0.3
"""A better cut isn't taken where less than this part of a piece would be used."""


def size(text: str, limits: Limits) -> int:
    """How long a text is in a channel's units."""
    if limits.units == "characters" or text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, marks: Sequence[Mark], limits: Limits) -> list[tuple[str, tuple[Mark, ...]]]:
    """The pieces, in order, each with its marks; none of blanks alone. Marks over a cut go on in the next piece; those of code aren't cut
    where a piece can hold them whole."""
    ends = _ends(text, limits)
    pieces: list[tuple[str, tuple[Mark, ...]]] = []
    begin = 0
    while begin < len(text):
        end = _end(text, begin, ends, [mark for mark in marks if mark.kind == "pre"], limits.text)
        body = text[begin:end]
        stripped = body.strip("\n") if begin or end < len(text) else body
        if stripped.strip():
            lead = body.index(stripped)
            start = ends[begin + lead]
            pieces.append((stripped, _within(marks, start, start + size(stripped, limits))))
        begin = end
    return pieces


def _ends(text: str, limits: Limits) -> list[int]:
    """For each character the units before it, and at last all."""
    found, at = [0] * (len(text) + 1), 0
    wide = limits.units == "utf-16"
    for index, letter in enumerate(text):
        found[index] = at
        at += 2 if wide and letter > "\uffff" else 1
    found[-1] = at
    return found


def _end(text: str, begin: int, ends: list[int], codes: list[Mark], most: int) -> int:
    """Where a piece that begins there ends."""
    if ends[-1] - ends[begin] <= most:
        return len(text)
    last = begin + 1
    while last < len(text) and ends[last + 1] - ends[begin] <= most:
        last += 1
    for code in codes:
        # A code that began within and doesn't end there goes whole into the next piece.
        first, over = _at(ends, code.start), _at(ends, code.start + code.length)
        if begin < first < last < over and ends[over] - ends[first] <= most and text[begin:first].strip():
            return first
    least = begin + int((last - begin) * _LEAST)
    for pattern in _CUTS:
        found = max((hit.end() for hit in pattern.finditer(text, begin, last) if hit.end() > least), default=0)
        if found:
            return found
    return last


def _at(ends: list[int], units: int) -> int:
    """The character at so many units."""
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if ends[middle] < units:
            low = middle + 1
        else:
            high = middle
    return low


def _within(marks: Sequence[Mark], start: int, end: int) -> tuple[Mark, ...]:
    found: list[Mark] = []
    for mark in marks:
        first, last = max(mark.start, start), min(mark.start + mark.length, end)
        if first < last:
            found.append(replace(mark, start=first - start, length=last - first))
    return tuple(found)
