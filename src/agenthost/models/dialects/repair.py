"""Mends an answer: calls that came as text, malformed calls, thinking among the words.

When a call in text counts (the provider marked none): it names an offered tool, it isn't quoted (in somebody's code
fence, in inline code, behind `>`), it repeats nothing that a tool's result said, no example is announced before it,
and the answer ends with it. A call without a mark of its own (plain JSON, `name(key="value")`) must besides be the
whole answer, or be JSON on lines of its own with just the arguments that the tool takes. Where a request told the model
to write fences (`told`), such a fence counts wherever it stands.
"""

import html
import re
from typing import Any, cast

import msgspec

from agenthost.core.ids import digest
from agenthost.core.models import ModelAnswer, ModelRequest
from agenthost.core.parts import Part, TextPart
from agenthost.core.tools import ToolCall
from agenthost.models.dialects import loose, thinking
from agenthost.models.dialects.arguments import encoded, fitted, plausible, repaired
from agenthost.models.dialects.harmony import channels
from agenthost.models.dialects.marks import Fence, Marks, python_calls
from agenthost.models.dialects.names import Offered
from agenthost.models.dialects.wishes import MOST_CALLS, Span, Wish, broken, wishes

MOST_TEXT = 4_000_000
"""Characters beyond which an answer is left as it is."""

_MARKED = re.compile(r"[<\[{(◁&]|action", re.IGNORECASE)
"""A sign without which a text holds neither a call, in whatever form, nor thinking: most answers have none, and need no reading."""

_TAIL = re.compile(r"(?:[\s\]})`;.]++|</?[\w:=.-]{1,64}>|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[/\w{1,20}\])*")
_CLOSED = re.compile(
    r"(?:[\s}\]]++|```(?=\s|\Z|<)|</[\w:]{1,64}>|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[/\w{1,20}\])*"
)
_RESULT = re.compile(
    r"<tool_response|<tool_result|<function_result|<\|tool_response|<｜tool▁output|\[TOOL_RESULTS?\]|observation:|"
    r"<\|start_header_id\|>|<\|im_start\|>|<result>|^result of the call of ",
    re.IGNORECASE | re.MULTILINE,
)
_OPENED = re.compile(
    r"(?:```\w{0,20}|<(?:\w{1,16}:)?(?:function_calls|tool_calls|tool_call)>|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>)\Z"
)
_LONGEST_MARK = 48
_EXAMPLE = re.compile(
    r"\b(?:an|for|one|another|a possible) example\b|\bexample (?:call|of|request)\b|\be\.\s?g\.|\bfor instance\b|"
    r"\bwould (?:look|be)\b|\b(?:zum|ein) beispiel\b|\bz\.\s?b\.|\bexemple\b|\bejemplo\b|\besempio\b",
    re.IGNORECASE,
)
_NEAR_BEFORE = 300
_HOLES = re.compile(r"\.\.\.|…|<[A-Za-z][\w -]{0,40}>|\{\{?\w{1,40}\}?\}")
_BLANK = re.compile(r"[\s\ufeff\u200b-\u200d\u2060]+")
_LINE_JSON = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
_MOST_STARTS = 3
_ENTITY = re.compile(r"&(?:quot|#34|#x22|lt|#60);")
_NO_CHARACTER = re.compile(r"&#[0-9]{9,}+;?")
_SHOWN = frozenset(
    {"", "json", "jsonc", "json5", "javascript", "js", "python", "py", "xml", "text", "txt", "plaintext"}
)


def repair(answer: ModelAnswer, request: ModelRequest, told: bool = False, thought: str = "") -> ModelAnswer:
    """The answer as it was meant. `thought`: what the provider gave as the model's thinking; a call that ends it
    counts where nothing else was said."""
    text = loose.characters(answer.text)
    if len(text) > MOST_TEXT or (text == answer.text and not answer.calls and plain(text)):
        return answer
    thought = loose.characters(thought)
    offered = Offered(request.tools)
    thinks = not thinking.wanted(request.instructions)
    if thinks:
        text = _spoken(text, answer.stop == "length", offered)
    words, text_calls = _from_text(text, request, offered, told) if not answer.calls else (text, [])
    if not answer.calls and not text_calls and not words.strip() and thought and len(thought) < MOST_TEXT:
        _, text_calls = _from_text(thought, request, offered, told, marked_only=True)
    if answer.calls:
        words = _without_copies(text, offered)
    if thinks:
        words = thinking.without_blocks(words)
    calls = _unique([_mended(call, offered) for call in answer.calls])
    calls += _identified(text_calls, request)
    if words == answer.text and tuple(calls) == answer.calls:
        return answer
    stop = answer.stop
    if calls and stop == "end":
        stop = "calls"
    return msgspec.structs.replace(answer, parts=_parts(answer.parts, words), calls=tuple(calls), stop=stop)


def plain(text: str) -> bool:
    """Whether a text is words, and nothing but words."""
    return bool(text.strip()) and _MARKED.search(text) is None


def _spoken(text: str, cut: bool, offered: Offered) -> str:
    """The text without the thinking before it."""
    text = thinking.without_beginning(text, cut)
    end = thinking.orphan(text)
    if end is None:
        return text
    inside = any(span.start <= end.start() < span.end for span in Marks(text, offered).spans)
    return text if inside else text[end.end() :].lstrip("\n")


def calls_of(found: list[Wish], request: ModelRequest, offered: Offered) -> tuple[ToolCall, ...]:
    """Calls as a tool's answer has them, of what was read elsewhere."""
    return tuple(_identified(_made(found, offered), request))


Made = tuple[str, str]
"""A tool's name and its arguments as JSON text."""


def _from_text(
    text: str, request: ModelRequest, offered: Offered, told: bool, marked_only: bool = False
) -> tuple[str, list[Made]]:
    if not offered.tools or not text.strip():
        return text, []
    harmony = channels(text, offered)
    if harmony is not None:
        text, spans = harmony
        made = [each for span in spans[:MOST_CALLS] for each in _made(span.wishes, offered)]
        return (text, made) if made or not spans else (text, [])
    given = text
    if _ENTITY.search(text) and not re.search(r"[{<]\s*+[\w\"'/]", text):
        text = _unescaped(text)
    found = Marks(text, offered)
    text, spans = _before_invented(text, found.spans)
    if told and any(span.fence for span in spans):
        spans = [span for span in spans if span.fence]
    elif spans and (_tail(text, spans[-1].end) or _announced(text, spans[0].start)):
        spans = []
    elif not spans and not marked_only:
        span = _unmarked(text, found.fences, offered)
        spans = [span] if span else []
    spans = _own(text, spans, request)
    kept = [(span, _made(span.wishes, offered)) for span in spans]
    made = [each for _, calls in kept for each in calls]
    if not made:
        return given, []
    gone = [span for span, calls in kept if len(calls) == len(span.wishes)]
    return _outside(text, gone, told), made


def _before_invented(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """The text, and the calls in it, up to where the model made up a result of a call by itself: what it did with
    that is no call of anything."""
    for number, span in enumerate(spans):
        over = spans[number + 1].start if number + 1 < len(spans) else len(text)
        invented = _RESULT.search(text, span.end, over)
        if invented:
            return text[: invented.start()], spans[: number + 1]
    return text, spans


def _announced(text: str, at: int) -> bool:
    """Whether the line before says that an example follows."""
    line = text[max(0, at - _NEAR_BEFORE) : at].rstrip().rpartition("\n")[2]
    return line.endswith(":") and _EXAMPLE.search(line) is not None


def _own(text: str, spans: list[Span], request: ModelRequest) -> list[Span]:
    """The spans that repeat nothing of what tools returned, nor, beside other words, of what was said to the model."""
    if not spans:
        return []
    returned = [_squeezed(turn.text) for turn in request.turns if turn.role == "tool"]
    said = [_squeezed(turn.text) for turn in request.turns if turn.role == "user"]
    kept: list[Span] = []
    for span in spans:
        wanted = _squeezed(text[span.start : span.end])
        alone = not (text[: span.start] + text[span.end :]).strip()
        if not any(wanted in each for each in (returned if alone else returned + said)):
            kept.append(span)
    return kept


def _squeezed(text: str) -> str:
    return _BLANK.sub("", _unescaped(text))


def _unescaped(text: str) -> str:
    """The text without HTML's entities. Python reads no number of thousands of digits, which a page may hold."""
    return html.unescape(_NO_CHARACTER.sub("\ufffd", text))


def _unmarked(text: str, fences: list[Fence], offered: Offered) -> Span | None:
    """A call that bears no mark: the whole answer, or JSON that it ends with."""
    start = len(text) - len(text.lstrip("\ufeff\u200b \t\r\n"))
    span = _plain(text, start, offered, whole=True)
    if span is not None:
        return span
    last = fences[-1] if fences else None
    if last and last.info in _SHOWN and not _tail(text, last.end):
        alone = not text[: last.start].strip()
        inner = _plain(text[: last.body_end], loose.space(text, last.body), offered, whole=alone)
        if inner is None and alone:
            marks = Marks(text[last.body : last.body_end], offered)
            if marks.spans and not _tail(text[last.body : last.body_end], marks.spans[-1].end):
                return Span(last.start, last.end, [wish for each in marks.spans for wish in each.wishes])
        if inner is not None and (alone or not _announced(text, last.start)):
            return Span(last.start, last.end, inner.wishes)
        return None
    begin = last.end if last else 0
    for number, found in enumerate(_LINE_JSON.finditer(text, begin)):
        if number >= _MOST_STARTS:
            break
        span = _plain(text, found.end(), offered, whole=False)
        if span is not None:
            return None if _announced(text, span.start) else span
    return None


def _plain(text: str, at: int, offered: Offered, whole: bool) -> Span | None:
    """JSON or Python's calls from `at` to the end. Not `whole`: only what the tools surely take."""
    if at >= len(text):
        return None
    if text[at] not in "[{":
        found = python_calls(text, at, False, at) if whole else None
        spans = [found] if found else []
        while found and len(spans) <= MOST_CALLS and (line := loose.space(text, found.end)) < len(text):
            found = python_calls(text, line, False, line)
            spans += [found] if found else []
        if not spans or _tail(text, spans[-1].end):
            return None
        return _sure(Span(at, spans[-1].end, [wish for each in spans for wish in each.wishes]), offered, True)
    listed = re.compile(r"\[\s*(?=[A-Za-z_][\w.]*\s*\()").match(text, at)
    if listed:
        found = python_calls(text, listed.end(), True, at)
        return _sure(found, offered, True) if found and whole and not _tail(text, found.end) else None
    made: list[Wish] = []
    end = at
    while end < len(text) and text[end] in "[{" and len(made) <= MOST_CALLS:
        try:
            value, end = loose.read(text, end)
        except loose.Strange:
            return None
        except loose.Cut:
            wish = broken(text, end, len(text), offered)
            return Span(at, len(text), [*made, wish]) if wish and (whole or not wish.broken) else None
        inner = wishes(value, offered)
        if inner is None:
            return None
        made += inner
        end = loose.space(text, end)
        if text.startswith(",", end) or text.startswith(";", end):
            end = loose.space(text, end + 1)
    return None if _tail(text, end) else _sure(Span(at, end, made), offered, whole)


def _sure(span: Span, offered: Offered, whole: bool) -> Span | None:
    """The span where every wish surely is a call: its name is known, and its envelope or its arguments say the rest."""
    for wish in span.wishes:
        name = offered.known(wish.name)
        if name is None:
            return None
        if wish.broken or (whole and wish.plain):
            continue
        schema = offered.tools[name].parameters
        arguments = fitted(_placed(wish.arguments, schema), name, schema)
        if arguments is None or not plausible(arguments, schema) or _has_holes(arguments):
            return None
    return span


def _has_holes(arguments: dict[str, Any]) -> bool:
    """Whether an argument only says what would stand there."""
    return any(isinstance(value, str) and _HOLES.fullmatch(value.strip()) for value in arguments.values())


def _tail(text: str, at: int) -> str:
    """What comes after a call besides marks and brackets."""
    found = _TAIL.match(text, at)
    return text[found.end() if found else at :].strip()


def _made(found: list[Wish], offered: Offered) -> list[Made]:
    made: list[Made] = []
    for wish in found:
        name = offered.known(wish.name)
        schema = offered.tools[name].parameters if name else {}
        if name is None:
            name = offered.nearest(wish.name)
            if name is None or wish.broken:
                continue
            schema = offered.tools[name].parameters
            guessed = fitted(_placed(wish.arguments, schema), name, schema)
            if guessed is None or not plausible(guessed, schema):
                continue
        if wish.broken:
            made.append((name, _unreadable(str(wish.arguments))))
            continue
        arguments = fitted(_placed(wish.arguments, schema), name, schema)
        made.append((name, encoded(arguments) if arguments is not None else _unreadable(str(wish.arguments))))
    return list(dict.fromkeys(made))


def _unreadable(text: str) -> str:
    """Text that is no JSON object, so that the model is told: a call that was cut must not be made."""
    try:
        msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
    return "{" + text


def _placed(arguments: Any, schema: dict[str, Any]) -> Any:
    """Arguments that Python's way of writing gave by place: one may be meant for a tool's only property."""
    if not isinstance(arguments, dict) or "" not in arguments:
        return cast(Any, arguments)
    given = dict(cast(dict[str, Any], arguments))
    placed = cast(list[Any], given.pop(""))
    names = list(cast(dict[str, Any], schema.get("properties") or {}))
    if len(placed) == 1 and len(names) == 1 and not given:
        return {names[0]: placed[0]}
    if len(placed) == 1 and isinstance(placed[0], dict) and not given:
        return cast(Any, placed[0])
    return "?"


def _outside(text: str, spans: list[Span], told: bool) -> str:
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces.append(text[at : _opening(text, at, span.start)])
        closed = _CLOSED.match(text, span.end)
        at = closed.end() if closed else span.end
    rest = text[at:]
    if told:
        pieces.append(rest)
    elif not spans:
        return text
    trimmed = (piece.strip("\ufeff\u200b \t\r\n") for piece in pieces)
    return "\n".join(piece for piece in trimmed if piece)


def _opening(text: str, start: int, end: int) -> int:
    """Where the marks begin that open what follows at `end`, not before `start`."""
    while True:
        while end > start and text[end - 1].isspace():
            end -= 1
        mark = _OPENED.search(text, max(start, end - _LONGEST_MARK), end)
        if mark is None:
            return end
        end = mark.start()


def _without_copies(text: str, offered: Offered) -> str:
    """The words beside calls that the provider marked: a copy of them in the text is no part of the answer."""
    if not offered.tools or not text.strip():
        return text
    spans = Marks(text, offered).spans
    if not spans:
        return text
    known = [span for span in spans if all(offered.known(wish.name) is not None for wish in span.wishes)]
    return _outside(text, known, told=True) if len(known) == len(spans) and not _tail(text, spans[-1].end) else text


def _mended(call: ToolCall, offered: Offered) -> ToolCall:
    """A call that the provider marked, with the tool's own name and arguments that can be read."""
    name = offered.known(call.name) or _nearest(call, offered) or call.name
    tool = offered.tools.get(name)
    arguments = repaired(call.arguments, name, tool.parameters if tool else {})
    if name == call.name and arguments == call.arguments:
        return call
    return ToolCall(call.id, name, arguments)


def _nearest(call: ToolCall, offered: Offered) -> str | None:
    """The tool of the nearest name, where it takes just these arguments."""
    name = offered.nearest(call.name)
    if name is None:
        return None
    schema = offered.tools[name].parameters
    arguments = fitted(call.arguments, name, schema)
    return name if arguments is not None and plausible(arguments, schema) else None


def _unique(calls: list[ToolCall]) -> list[ToolCall]:
    seen: set[Made] = set()
    kept: list[ToolCall] = []
    for call in calls:
        if (call.name, call.arguments) not in seen:
            seen.add((call.name, call.arguments))
            kept.append(call)
    return kept


def _identified(made: list[Made], request: ModelRequest) -> list[ToolCall]:
    """Calls with ids that follow from the request, so that they are stable and no two are alike."""
    turns = sum(turn.role == "assistant" for turn in request.turns)
    said = request.key or (request.turns[-1].text[:2000] if request.turns else "")
    return [
        ToolCall(
            f"call_{digest(f'{said}|{turns}|{number}|{name}|{arguments}'.encode(errors='replace'))[-16:]}",
            name,
            arguments,
        )
        for number, (name, arguments) in enumerate(dict.fromkeys(made))
    ]


def _parts(parts: tuple[Part, ...], words: str) -> tuple[Part, ...]:
    """The parts with these words in the place of theirs."""
    others = tuple(part for part in parts if not isinstance(part, TextPart))
    return (TextPart(words), *others) if words else others
