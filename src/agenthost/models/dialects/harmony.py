"""Harmony, the format of gpt-oss: an answer in channels (analysis, commentary, final), where a server left its marks in.

Source: OpenAI's "Harmony response format".
"""

import re

from agenthost.models.dialects import loose
from agenthost.models.dialects.names import Offered
from agenthost.models.dialects.wishes import Span, Wish

_HEAD = re.compile(
    r"(?:<\|start\|>(?P<role>[^<]{0,120}))?<\|channel\|>(?P<channel>\w{1,40})(?P<more>[^<\n]{0,200})"
    r"(?:<\|constrain\|>\s*\w{1,40})?\s*<\|message\|>"
)
_END = re.compile(r"<\|(?:end|call|return|start)\|>")
_TO = re.compile(r"to=(?:functions\.)?([\w.-]{1,128})")


def channels(text: str, offered: Offered) -> tuple[str, list[Span]] | None:
    """The words and the calls of an answer with marks of channels; None where it has none."""
    first = _HEAD.search(text)
    if first is None or text[: first.start()].strip():
        return None
    words: list[str] = []
    spans: list[Span] = []
    at = first.start()
    while head := _HEAD.search(text, at):
        end = _END.search(text, head.end())
        body = text[head.end() : end.start() if end else len(text)]
        to = _TO.search((head["role"] or "") + " " + head["more"])
        if to:
            spans.append(Span(head.start(), head.end() + len(body), [_wish(to[1], body)]))
        elif head["channel"] != "analysis":
            words.append(body.strip())
        at = head.end() + len(body)
        if end is None:
            break
    return "\n".join(word for word in words if word), spans


def _wish(name: str, body: str) -> Wish:
    try:
        return Wish(name, loose.whole(body.strip() or "{}"))
    except (loose.Cut, loose.Strange):
        return Wish(name, body.strip(), broken=True)
