"""Finds calls in text by the marks that models put around them: tags, special tokens, fences, names of tools.

One pass from the front: what stands in somebody else's code fence, in inline code or in a quotation (`>`) is passed
over. Readers never look at one place more than a bounded number of times, so that a megabyte takes a moment.
"""

import re
from typing import NamedTuple

from agenthost.models.dialects import loose, thinking
from agenthost.models.dialects.names import Offered
from agenthost.models.dialects.tags import children, glm, invoked
from agenthost.models.dialects.wishes import MOST_CALLS, Span, Wish, broken, wishes

_MOST_FAILURES = 8
"""Marks that lead nowhere, after which an answer is taken for words: each may cost a pass over all of it."""

CALL_FENCES = frozenset(
    {"tool", "tools", "tool_call", "tool_calls", "toolcall", "tool_code", "tool_use", "function_call", "function"}
)
# Wherever two parts of a pattern could share a run of the same characters, the first keeps what it took (`++`): else a
# megabyte of spaces would be parted in every way.
_FENCE = re.compile(r"^[ ]{0,3}(?P<ticks>`{3,}+|~{3,}+)[ \t]*+(?P<info>[\w+.-]*+)[^\n`]*+(?:\n|\Z)", re.MULTILINE)
_FENCE_END = re.compile(r"^[ ]{0,3}(?P<ticks>`{3,}+|~{3,}+)[ \t]*+$", re.MULTILINE)

# Marks whose body is JSON, calls as Python writes them, or a name and then JSON; with what closes them.
_BODIES = {
    r"<tool_calls?>": "</tool_call",
    r"<toolcall>": "</toolcall>",
    r"<function_calls?>": "</function_call",
    r"<tool_use>": "</tool_use>",
    r"<tools?>": "</tool",
    r"<tool_code>": "</tool_code>",
    r"<\|/?tool_calls?\|>": "<|/tool_call",
    r"<\|tool_calls?_start\|>": "<|tool_call",
    r"<\|tool_call_begin\|>": "<|tool_call_end|>",
    r"<｜tool▁call▁begin｜>": "<｜tool▁call▁end｜>",
    r"<\|python_tag\|>": "<|eom_id|>",
    r"<\|action_start\|>": "<|action_end|>",
    r"<\|START_ACTION\|>": "<|END_ACTION|>",
    r"\[TOOL_CALLS?\]": "[/TOOL_CALL",
    r"functools(?=\s*\[)": "",
}
_MARKS = list(_BODIES)
_OPEN = re.compile(
    "|".join(f"(?P<b{number}>{mark})" for number, mark in enumerate(_MARKS))
    + r"|<function(?:=|\s+name=)\"?(?P<function>[\w.:/\\-]{1,128})\"?\s*/?>?"
    + r"|<(?:\w{1,16}:)?invoke\s+name=[\"'](?P<invoke>[^\"'\n]{1,128})[\"']\s*>"
    + r"|(?:<\|channel\|>|<\|start\|>)[^<\n]{0,64}?to=(?:functions\.)?(?P<harmony>[\w.-]{1,128})[^\n]{0,80}?<\|message\|>"
    + r"|^[ \t]*Action:[ \t]*(?P<react>[\w.-]{1,128})[ \t]*\r?\n+[ \t]*Action[ _]Input:"
    + r"|^[ \t]*(?P<think><think>|<thinking>|<thought>|<seed:think>|\[THINK\]|◁think▷)"
    + r"|^[ \t]*<(?P<own>[A-Za-z][\w.-]{0,127})>",
    re.MULTILINE | re.IGNORECASE,
)
_LEADING = re.compile(
    r"(?:\s++|<\|plugin\|>|<\|constrain\|>|(?:function)?<｜tool▁sep｜>|\[(?:CALL_ID|TOOL_CALL_ID)\]\w*|json\s*(?=\n)|"
    r"```\w*[ \t]*\n)*",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:functions?\.)?(?P<name>[A-Za-z_][\w.:/\\-]{0,127}?)(?::\d{1,4})?[ \t]*+"
    r"(?:\[CALL_ID\]\w*+)?(?:\[ARGS\]|<\|tool_call_argument_begin\|>|<｜tool▁sep｜>)?\s*+(?:```\w*+[ \t]*+\n\s*+)?(?=[{(<])"
)
_PYTHON = re.compile(r"(?P<print>print\s*\(\s*)?(?P<name>[A-Za-z_](?:[\w.]|\\_){0,127})\s*\(")
_AFTER_CALL = re.compile(r"(?:[\s;,]++|```(?=\s|\Z|<)|\|\|)*")


class Fence(NamedTuple):
    """A code fence that isn't one for calls."""

    start: int
    body: int
    body_end: int
    end: int
    info: str


class Marks:
    """What one pass over a text has found."""

    def __init__(self, text: str, offered: Offered) -> None:
        self._text = text
        self._offered = offered
        self._failures = 0
        self.spans: list[Span] = []
        self.fences: list[Fence] = []
        self._scan()

    def _scan(self) -> None:
        at, text = 0, self._text
        mark = _OPEN.search(text)
        fence = _FENCE.search(text)
        while (mark or fence) and len(self.spans) < MOST_CALLS and self._failures < _MOST_FAILURES:
            if fence and (mark is None or fence.start() <= mark.start()):
                at = self._fenced(fence)
            elif mark:
                at = self._marked(mark)
            if mark and mark.start() < at:
                mark = _OPEN.search(text, at)
            if fence and fence.start() < at:
                fence = _FENCE.search(text, at)

    def _fenced(self, found: re.Match[str]) -> int:
        text, info = self._text, found["info"].lower()
        if info in CALL_FENCES:
            span = self._body(found.start(), found.end(), found["ticks"])
            if span is not None:
                end = _fence_end(text, found["ticks"], span.end, span.end + 200)
                over = end.end() if end and not text[span.end : end.start()].strip() else span.end
                self.spans.append(span._replace(end=over, fence=True))
                return max(over, found.end())
            self._failures += 1
        end = _fence_end(text, found["ticks"], found.end(), len(text))
        body_end, over = (end.start(), end.end()) if end else (len(text), len(text))
        self.fences.append(Fence(found.start(), found.end(), body_end, over, info))
        return max(over, found.end())

    def _marked(self, found: re.Match[str]) -> int:
        if found["think"]:
            end = self._thought(found)
            return end if end else found.end()
        if _quoted(self._text, found.start(), self.spans[-1].end if self.spans else 0):
            return found.end()
        span = self._read(found)
        if span is None or not span.wishes:
            # A tag of the page's own (<p>) is no failure: it wasn't read.
            self._failures += 0 if found["own"] and found["own"] not in self._offered.tools else 1
            return found.end()
        self.spans.append(span)
        return max(_after(self._text, span.end), found.end())

    def _thought(self, found: re.Match[str]) -> int:
        """The end of a block of thinking: calls in it are only thought of."""
        opened = thinking.OPEN.match(self._text, found.start("think"))
        end = thinking.end_of(self._text, opened) if opened else None
        if end is None:
            self._failures += 1
        return end.end() if end else 0

    def _read(self, found: re.Match[str]) -> Span | None:
        start, end = found.start(), found.end()
        if found["own"]:
            name = self._offered.known(found["own"]) if found["own"] in self._offered.tools else None
            return None if name is None else children(self._text, start, end, found["own"])
        if found["function"]:
            return invoked(self._text, start, end, found["function"], "function")
        if found["invoke"]:
            return invoked(self._text, start, end, found["invoke"], "invoke")
        if found["harmony"] or found["react"]:
            return self._json_after(start, end, found["harmony"] or found["react"])
        number = next(number for number in range(len(_MARKS)) if found[f"b{number}"] is not None)
        return self._body(start, end, _BODIES[_MARKS[number]])

    def _json_after(self, start: int, at: int, name: str) -> Span | None:
        """Arguments alone, after a name."""
        text = self._text
        at = _skip(text, at)
        try:
            value, end = loose.read(text, at)
        except loose.Cut:
            return Span(start, len(text), [Wish(name, text[at:].rstrip() or "{", broken=True)])
        except loose.Strange:
            return None
        return Span(start, end, [Wish(name, value)])

    def _body(self, start: int, at: int, closer: str) -> Span | None:
        text = self._text
        at = _skip(text, at)
        close = text.find(closer, at) if closer else -1
        named = _NAMED.match(text, at)
        if text.startswith("<", at):
            return self._nested(start, at, close)
        if named and not text.startswith("(", named.end()):
            if text.startswith("<", named.end()):
                return glm(text, start, named, close)
            return self._json_after(start, named.end(), named["name"])
        found: list[Wish] = []
        end = at
        while at < len(text) and len(found) < MOST_CALLS:
            piece = self._value(at, close)
            if piece is None:
                break
            found += piece.wishes
            at, end = _after(text, piece.end), piece.end
            if piece.wishes[-1].broken or (closer and text.startswith(closer, at)):
                break
        return Span(start, end, found) if found else None

    def _value(self, at: int, close: int) -> Span | None:
        """One JSON value, or calls as Python writes them."""
        text = self._text
        listed = re.compile(r"\[\s*(?=[A-Za-z_][\w.]*\s*\()").match(text, at)
        if listed or _PYTHON.match(text, at):
            return python_calls(text, listed.end() if listed else at, bool(listed), at)
        if text[at] not in "{[":
            return None
        for closed in (False, True):
            whole = text if not closed else text[:close]
            try:
                value, end = loose.read(whole, at, closed)
            except (loose.Cut, loose.Strange):
                if close > at and not closed:
                    continue
                return self._broken(at, close)
            inner = wishes(value, self._offered)
            return Span(at, end, inner) if inner else None
        return None

    def _broken(self, at: int, close: int) -> Span | None:
        end = close if close > at else len(self._text)
        wish = broken(self._text, at, end, self._offered)
        return Span(at, end, [wish]) if wish else None

    def _nested(self, start: int, at: int, close: int) -> Span | None:
        """A tag in a tag: `<tool_call><function=...>`, `<tool_use><name>...`."""
        text = self._text
        inner = _OPEN.match(text, at)
        if inner and (inner["function"] or inner["invoke"]):
            found = self._read(inner)
            return found._replace(start=start) if found else None
        end = close if close > 0 else len(text)
        said = children(text, start, at, "", end)
        if said is None:
            return None
        made = wishes(said.wishes[0].arguments, self._offered)
        return Span(start, end, made) if made else None


def python_calls(text: str, at: int, listed: bool, start: int) -> Span | None:
    """Calls as Python writes them, `name(key="value")`, one or, in brackets, several. Whatever isn't plain is none."""
    found: list[Wish] = []
    while call := _PYTHON.match(text, at):
        name = call["name"].removesuffix(".call")
        try:
            named, placed, at = loose.arguments(text, call.end())
        except loose.Cut:
            return Span(start, len(text), [*found, Wish(name, text[call.end() :].rstrip() or "{", broken=True)])
        except loose.Strange:
            return None
        if call["print"]:
            at = loose.space(text, at)
            if not text.startswith(")", at):
                return None
            at += 1
        found.append(Wish(name, {"": placed} | named if placed else named))
        if not listed or len(found) >= MOST_CALLS:
            break
        at = loose.space(text, at)
        if text.startswith(",", at):
            at = loose.space(text, at + 1)
        if text.startswith("]", at):
            return Span(start, at + 1, found)
    return Span(start, at, found) if found and not listed else None


def _fence_end(text: str, ticks: str, at: int, end: int) -> re.Match[str] | None:
    """The line that closes a fence: of its own characters, and not fewer of them."""
    for found in _FENCE_END.finditer(text, at, end):
        if found["ticks"].startswith(ticks):
            return found
    return None


def _skip(text: str, at: int) -> int:
    found = _LEADING.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int) -> int:
    found = _AFTER_CALL.match(text, at)
    return found.end() if found else at


def _quoted(text: str, at: int, since: int) -> bool:
    """Whether a place is in inline code, in a quotation, or in the middle of a sentence in quotes."""
    line = text[max(text.rfind("\n", 0, at) + 1, at - 500, since) : at]
    return (
        line.lstrip().startswith(">")
        or line.replace("```", "").count("`") % 2 == 1
        or line.rstrip(" ").endswith(('"', "'", "“", "‘", "«"))
    )
