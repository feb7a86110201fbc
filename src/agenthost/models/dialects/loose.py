"""Reads JSON as models write it: single, smart and triple quotes, comments, trailing commas, Python's True and None,
bare keys, raw line breaks in strings. Each value is read in one pass, and what is left open is left open: text that
ends inside a value is `Cut`, text that could mean several things is `Strange`. Nothing is guessed.
"""

import re
from typing import Any

DEEPEST = 64

_SPACE = re.compile(r"(?:[\s\ufeff\u200b-\u200d\u2060]++|//[^\n]*+|#[^\n]*+|/\*.*?\*/)*", re.DOTALL)
_CLOSING = {'"': '"', "'": "'", "`": "`", "“": "”“", "”": "”", "„": "“”", "‘": "’", "«": "»"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_WORD = re.compile(r"[A-Za-z_$](?:[\w$-]|\\_)*")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "_": "_"} | {each: each for each in "\"'\\/`“”‘’"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNTIL = {quotes: re.compile(rf"(?:[^\\{quotes}]++|\\.)*", re.DOTALL) for quotes in {*_CLOSING.values()}}


class Cut(Exception):
    """The text ended inside the value."""


class Strange(Exception):
    """There is no value, or one that can be read in more than one way."""


def space(text: str, at: int) -> int:
    """The place of what comes after white space and comments."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def read(text: str, at: int = 0, closed: bool = False) -> tuple[Any, int]:
    """The value that begins at `at`, and the place after it. `closed`: something else says that nothing was cut at the
    end of the text, so that brackets which are missing there are supplied. Raises Cut or Strange."""
    return _Reader(text, closed).value(at, 0)


def whole(text: str, closed: bool = False) -> Any:
    """The value that `text` consists of. Raises Cut or Strange."""
    value, end = read(text, 0, closed)
    if space(text, end) != len(text):
        raise Strange
    return value


def arguments(text: str, at: int, closed: bool = False) -> tuple[dict[str, Any], list[Any], int]:
    """The arguments of a call as Python writes it, from behind its bracket: by name, by place, and the place after
    the closing bracket. Only plain values. Raises Cut or Strange."""
    reader = _Reader(text, closed)
    named: dict[str, Any] = {}
    placed: list[Any] = []
    at = reader.skip(at)
    while not text.startswith(")", at):
        key = _WORD.match(text, at)
        equals = space(text, key.end()) if key else at
        if key and text.startswith("=", equals) and not text.startswith("==", equals):
            named[key[0].replace("\\_", "_")], at = reader.value(equals + 1, 0)
        else:
            value, at = reader.value(at, 0)
            placed.append(value)
        at = reader.skip(at)
        if text.startswith(",", at):
            at = reader.skip(at + 1)
        elif not text.startswith(")", at):
            raise Strange
    return named, placed, at + 1


class _Reader:
    def __init__(self, text: str, closed: bool) -> None:
        self._text = text
        self._closed = closed

    def skip(self, at: int) -> int:
        at = space(self._text, at)
        if at >= len(self._text):
            raise Cut
        return at

    def value(self, at: int, depth: int) -> tuple[Any, int]:
        if depth > DEEPEST:
            raise Strange
        at = self.skip(at)
        first = self._text[at]
        if first == "{":
            return self._object(at + 1, depth)
        if first == "[":
            return self._array(at + 1, depth)
        if first in _CLOSING:
            return self._string(at)
        return self._scalar(at)

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while True:
            end = self._end(at, "}")
            if end is not None:
                return found, end
            at = self.skip(at)
            if self._text[at] in _CLOSING:
                key, at = self._string(at)
            else:
                word = _WORD.match(self._text, at)
                if word is None:
                    raise Strange
                key, at = word[0].replace("\\_", "_"), word.end()
            at = self.skip(at)
            if self._text[at] != ":":
                raise Strange
            found[key], at = self.value(at + 1, depth + 1)
            at = self._next(at, "}")

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while True:
            end = self._end(at, "]")
            if end is not None:
                return found, end
            value, at = self.value(at, depth + 1)
            found.append(value)
            at = self._next(at, "]")

    def _end(self, at: int, bracket: str) -> int | None:
        """The place after the closing bracket, where it is next."""
        at = space(self._text, at)
        if at >= len(self._text):
            if self._closed:
                return at
            raise Cut
        return at + 1 if self._text[at] == bracket else None

    def _next(self, at: int, bracket: str) -> int:
        """The place after a comma, or of the closing bracket."""
        at = space(self._text, at)
        if at >= len(self._text):
            if self._closed:
                return at
            raise Cut
        if self._text[at] == ",":
            return at + 1
        if self._text[at] != bracket:
            raise Strange
        return at

    def _string(self, at: int) -> tuple[str, int]:
        text, quote = self._text, self._text[at]
        if quote in "\"'" and text.startswith(quote * 3, at):
            end = self._closing(at + 3, quote, quote * 3)
            return _unescaped(text[at + 3 : end]), end + 3
        end = self._closing(at + 1, _CLOSING[quote])
        return _unescaped(text[at + 1 : end]), end + 1

    def _closing(self, at: int, quotes: str, all: str = "") -> int:
        """The place of the closing quote, any of `quotes`, or where `all` of it begins."""
        while True:
            found = _UNTIL[quotes].match(self._text, at)
            end = found.end() if found else len(self._text)
            if end >= len(self._text) or self._text[end] == "\\":  # or a backslash is the last character
                raise Cut
            if self._text.startswith(all, end):
                return end
            at = end + 1

    def _scalar(self, at: int) -> tuple[Any, int]:
        text = self._text
        found = _NUMBER.match(text, at) or _WORD.match(text, at)
        if found is None:
            raise Strange
        if found.end() >= len(text) and not self._closed:
            raise Cut  # it may have gone on
        if text[at].isalpha():
            word = found[0].lower()
            if word not in _WORDS:
                raise Strange
            return _WORDS[word], found.end()
        if text[found.end() : found.end() + 1].isalnum():
            raise Strange
        return _number(found[0]), found.end()


def _number(text: str) -> int | float:
    try:
        if text.lstrip("+-").isdigit():
            return int(text)
        value = float(text)
    except ValueError:
        raise Strange from None
    if value in (float("inf"), float("-inf")):
        raise Strange
    return value


def _unescaped(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_escape, text)
    return characters(text)


def characters(text: str) -> str:
    """Text whose every character can be stored: halves of a character are joined, or are U+FFFD where one is alone."""
    if _SURROGATE.search(text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _escape(found: re.Match[str]) -> str:
    kind = found[1]
    if len(kind) > 1:
        return chr(int(kind[1:], 16))
    # An escape that JSON doesn't know is a backslash that wasn't doubled: "C:\Users", "\d+".
    return _PLAIN.get(kind, found[0])
