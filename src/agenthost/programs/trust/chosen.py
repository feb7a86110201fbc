"""What in the results of tools counts although a stranger may have written them: links that stand there, and records
that the person's words single out by what the service itself says of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Struct

from agenthost.core.models import Turn
from agenthost.core.tools import ToolCall
from agenthost.programs.trust.words import EMAIL, Words, fold, split_url, urls, word_set

MOST_LINKS = 24
"""How many links to hosts that nobody named are followed in one task without a question. Which of many links is
followed tells whoever made them a few bits; that is what is left of it."""

LEAST_PIECE = 6
"""Characters of a piece of a call's arguments that make a link out of its result an echo."""

MOST_CARRIED = 512
"""Characters of a link's path and query: what is longer is asked for."""

_CLOSING = word_set("the and for with from mail com org net inbox info")


class Result(Struct, frozen=True):
    """A tool's result in the exchange: its turn, its call's arguments, whether that was made before anything
    untrusted was read, and all that the model told to tools up to then."""

    turn: Turn
    arguments: dict[str, Any]
    clean: bool
    told: str


def results(turns: Sequence[Turn], clean: int) -> list[Result]:
    """The results of an exchange. `clean`: how many turns there were before the first that a stranger can have written."""
    calls: dict[str, tuple[ToolCall, int]] = {}
    found: list[Result] = []
    told = ""
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            calls = {call.id: (call, index) for call in turn.calls}
            told += "".join(call.arguments for call in turn.calls) if index >= clean else ""
        elif turn.role == "tool" and turn.call_id in calls and not turn.error:
            call, made = calls[turn.call_id]
            try:
                arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
            except msgspec.DecodeError:
                arguments = {}
            found.append(Result(turn, arguments, made < clean, told))
    return found


def links(found: Sequence[Result], reads: Callable[[str], bool], url: str, words: Words) -> bool:
    """Whether a URL stands as it is in what a tool that only reads found, and isn't the model's own come back."""
    for result in found:
        if reads(result.turn.name) and url in urls(result.turn.text) and not _echo(url, result.told, words):
            return True
    return False


def _echo(url: str, told: str, words: Words) -> bool:
    """Whether a piece of what a link carries was told to a tool before it was found. The person's own words and the
    addresses that calls went to don't count: these were judged themselves."""
    parts = split_url(url)
    carried = fold(f"{parts.path}?{parts.query}#{parts.fragment}") if parts is not None else ""
    if parts is None or len(carried) > MOST_CARRIED:
        return True
    told = fold(told)
    for gone in urls(told):
        told = told.replace(gone, " ")
    told = " ".join(word for word in told.split() if word.strip("\"'{}[]:,.") not in words.tokens)
    return any(carried[at : at + LEAST_PIECE] in told for at in range(len(carried) - LEAST_PIECE + 1))


def vouched(found: Sequence[Result], trusted: Callable[[str], bool], words: Words, value: str) -> bool:
    """Whether a value stands in the result of a tool that is trusted for it, which was asked in the person's words."""
    for result in found:
        if not trusted(result.turn.name) or not (result.clean or _said(result.arguments, words)):
            continue
        told = msgspec.json.encode(result.arguments).decode().lower()
        if value.lower() not in told and Words([result.turn.text]).phrase(value):
            return True
    return False


def singled_out(
    found: Sequence[Result],
    keys: Mapping[str, tuple[str, ...]],
    words: Words,
    value: Any,
    meant: Words | None = None,
    exact: bool = False,
) -> bool:
    """Whether a value is a key of the one record that the person means: the only one that a call of theirs found, or
    the only one of it whose keys have a name that they said. `meant`: their words for this call alone, where these are
    known; where they have an address, a record of somebody whom the person didn't name isn't meant. `exact`: an address that stands before another as a name
    names nobody, and of several records that have an address which the person said each is meant."""
    for result in found:
        fields = keys.get(result.turn.name, ())
        if not fields or not (result.clean or _said(result.arguments, words)):
            continue
        rows = _records(result.turn)
        if meant is not None and meant.addresses:
            rows = [row for row in rows if not _foreign(row, fields, words)]
        ours = rows if len(rows) == 1 else [row for row in rows if _named(row, fields, words, exact)]
        theirs = [row for row in rows if exact and _senders(row, fields) & words.addresses]
        if any(_same(row.get(field), value) for row in theirs for field in fields):
            return True
        if len(ours) == 1 and any(_same(ours[0].get(field), value) for field in fields):
            return True
    return False


def _said(arguments: dict[str, Any], words: Words) -> bool:
    """Whether a query is the person's own: with a word, and with nothing that they didn't say."""
    values = arguments.values()
    known = all(words.phrase(str(value)) for value in values if value is not None)
    return known and any(isinstance(value, str) and value.strip() for value in values)


def _records(turn: Turn) -> list[dict[str, Any]]:
    try:
        value = msgspec.json.decode(turn.text)
    except msgspec.DecodeError:
        return []
    if isinstance(value, dict):
        whole = cast("dict[str, Any]", value)
        lists = [cast("list[Any]", inner) for inner in whole.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else [whole]
    rows = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]


def _senders(row: dict[str, Any], fields: tuple[str, ...]) -> set[str]:
    """The addresses in a record's keys, and not the names before them."""
    told = [str(row.get(field)).rpartition("<")[2].strip("<> ").lower() for field in fields]
    return {address for address in told if EMAIL.fullmatch(address)}


def _foreign(row: dict[str, Any], fields: tuple[str, ...], words: Words) -> bool:
    """Whether a record is of somebody whom the words don't name, by address or by name."""
    senders = _senders(row, fields)
    return bool(senders) and not senders & words.addresses and not _named(row, fields, words, True)


def _named(row: dict[str, Any], fields: tuple[str, ...], words: Words, exact: bool = False) -> bool:
    for field in fields:
        value = row.get(field)
        if not isinstance(value, str | int) or isinstance(value, bool):
            continue
        text = str(value)
        text = text[text.rfind("<") :] if exact and "@" in text.partition("<")[0] and "<" in text else text
        if words.phrase(text):
            return True
        # Of an address its name counts and not its host, which many share.
        plain = fold(text).replace("<", " ").replace(">", " ")
        names = [token.partition("@")[0] for token in plain.split()]
        pieces = {piece for name in names for piece in name.replace("_", ".").replace("-", ".").split(".")}
        if any(len(piece) > 2 and piece in words.tokens and piece not in _CLOSING for piece in pieces):
            return True
    return False


def _same(found: Any, value: Any) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return value.lower() in (found.lower(), *found.lower().replace("<", " ").replace(">", " ").split())
    return found is not None and str(found) == str(value)
