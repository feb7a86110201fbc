"""Calls written as XML-like tags: arguments in tags of their own, with the text inside them taken as it stands.

A tag that isn't closed was cut, and then what it holds isn't known.
"""

import re
from typing import Any

from agenthost.models.dialects import loose
from agenthost.models.dialects.wishes import Span, Wish

_PARAMETER = re.compile(
    r"\s*<(?:\w{1,16}:)?(?:parameter|argument|param|arg)(?:=|\s+name=)[\"']?(?P<key>[\w.-]{1,128})[\"']?[^>\n]{0,80}>"
)
_PARAMETER_END = re.compile(r"</(?:\w{1,16}:)?(?:parameter|argument|param|arg)>")
_CALL_END = {
    "function": re.compile(r"\s*</function>"),
    "invoke": re.compile(r"\s*</(?:\w{1,16}:)?invoke>"),
}
_CHILD = re.compile(r"\s*<(?P<key>[A-Za-z_][\w.-]{0,127})>")
_GLM = re.compile(r"\s*<arg_key>(?P<key>[^<]{1,128})</arg_key>\s*<arg_value>")


def invoked(text: str, start: int, at: int, name: str, kind: str) -> Span | None:
    """`<function=NAME>` or `<invoke name="NAME">`: parameters in tags, or JSON. `at` is behind the opening tag."""
    ending = _CALL_END[kind]
    given: dict[str, Any] = {}
    after = loose.space(text, at)
    if text.startswith("{", after):
        return _json(text, start, after, name, ending)
    while key := _PARAMETER.match(text, at):
        end = _PARAMETER_END.search(text, key.end())
        if end is None:
            return _cut(text, start, after, name)
        given[key["key"]] = _inner(text, key.end(), end.start())
        at = end.end()
    over = ending.match(text, at)
    if over:
        return Span(start, over.end(), [Wish(name, given)])
    return _cut(text, start, after, name) if given and not text[at:].strip() else None


def _json(text: str, start: int, at: int, name: str, ending: re.Pattern[str]) -> Span | None:
    for closed in (False, True):
        close = ending.search(text, at) if closed else None
        if closed and close is None:
            return _cut(text, start, at, name)
        try:
            value, end = loose.read(text[: close.start()] if close else text, at, closed)
        except loose.Cut:
            continue
        except loose.Strange:
            return None
        over = ending.match(text, end)
        return Span(start, over.end() if over else end, [Wish(name, value)])
    return None


def children(text: str, start: int, at: int, name: str, limit: int | None = None) -> Span | None:
    """`<NAME><key>value</key>...</NAME>`, or with JSON inside. With a `limit` there is no closing tag of its own."""
    given: dict[str, Any] = {}
    begin = at
    after = loose.space(text, at)
    closing = f"</{name}>"
    if limit is None and text.startswith("{", after):
        return _json(text, start, after, name, re.compile(rf"\s*{re.escape(closing)}"))
    while key := _CHILD.match(text, at):
        end = text.find(f"</{key['key']}>", key.end(), limit)
        if end < 0:
            return _cut(text, start, begin, name) if limit is None and given else None
        given[key["key"]] = _inner(text, key.end(), end)
        at = end + len(key["key"]) + 3
    at = loose.space(text, at)
    if limit is not None:
        return Span(start, limit, [Wish(name, given)]) if given and at >= limit else None
    return Span(start, at + len(closing), [Wish(name, given)]) if text.startswith(closing, at) else None


def glm(text: str, start: int, named: re.Match[str], close: int) -> Span | None:
    """GLM's: the name, then `<arg_key>` and `<arg_value>` in turn."""
    at, given = named.end(), dict[str, Any]()
    while key := _GLM.match(text, at):
        end = text.find("</arg_value>", key.end())
        if end < 0:
            return _cut(text, start, named.end(), named["name"])
        given[key["key"].strip()] = _inner(text, key.end(), end)
        at = end + len("</arg_value>")
    if not given:
        return None
    over = loose.space(text, at)
    if over < len(text) and over != close:
        return None
    return _cut(text, start, named.end(), named["name"]) if close < 0 else Span(start, at, [Wish(named["name"], given)])


def _cut(text: str, start: int, at: int, name: str) -> Span:
    return Span(start, len(text), [Wish(name, text[at:].rstrip() or "{", broken=True)])


def _inner(text: str, start: int, end: int) -> str:
    """What a tag holds, without the line breaks after the opening tag and before the closing one."""
    return text[start:end].removeprefix("\n").removesuffix("\n")
