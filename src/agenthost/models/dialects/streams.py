"""What followers are told while an answer is made: words as words, thinking as thinking, and no calls as text.

Whatever was told in the end adds up to the answer: where it doesn't, it is taken back and told again.
"""

import re
from collections.abc import Callable

from agenthost.core.models import Delta, ModelAnswer
from agenthost.core.tools import ToolCall
from agenthost.models.dialects import thinking
from agenthost.models.dialects.grammar import AnswerText

Tell = Callable[[Delta], None]

_CALL = re.compile(
    r"<\|?/?tool|<function|<\w{1,16}:function_calls|<(?:\w{1,16}:)?invoke|<｜tool|<\|(?:python_tag|action|channel|START_ACTION)|"
    r"\[TOOL_CALL|functools\[|```[ \t]*(?:tool|function)",
    re.IGNORECASE,
)
_JSON = re.compile(r"\s*(?:```(?:json)?\s*)?[{\[]")
_BEGUN = re.compile(r"[<\[`{]|functools")
_LONGEST = 24
"""Characters that a mark may take before it is known to be one."""
_CALLING = "writing a tool call"


class Plain:
    """Words without the thinking and, where there are `tools`, the calls that leak into them: an answer that begins as
    JSON is held back then."""

    def __init__(self, tell: Tell, tools: bool = True) -> None:
        self._tell = tell
        self._tools = tools
        self._held = ""
        self._thinking = ""
        self._begun = False
        self._stopped = False
        self.told: list[str] = []

    def feed(self, piece: str) -> None:
        """Words that came."""
        if self._stopped:
            return
        self._held += piece
        if not self._begun and not self._held.strip():
            return
        while self._held and not self._stopped:
            if not self._step():
                break

    def _step(self) -> bool:
        """Tell what can be told of what is held; whether something may be left."""
        if self._thinking:
            return self._think()
        if not self._begun:
            opened = thinking.OPEN.match(self._held.lstrip())
            if opened:
                self._thinking = thinking.closing(opened)
                self._held = self._held.lstrip()[opened.end() :]
                return True
            if len(self._held.strip()) < _LONGEST and self._held.lstrip()[:1] in "<[◁`":
                return False
            if self._tools and _JSON.match(self._held):
                self._stop()
                return False
            self._begun = True
        found = _CALL.search(self._held) if self._tools else None
        if found:
            self._say(self._held[: found.start()].rstrip())
            self._stop()
            return False
        keep = min(
            (each.start() for each in _BEGUN.finditer(self._held, max(0, len(self._held) - _LONGEST))), default=-1
        )
        cut = len(self._held[: keep if keep >= 0 else len(self._held)].rstrip())  # a mark takes the space before it
        self._say(self._held[:cut])
        self._held = self._held[cut:]
        return False

    def _think(self) -> bool:
        # Not in lower case: there some characters are two.
        closed = re.search(re.escape(self._thinking), self._held, re.IGNORECASE)
        end = closed.start() if closed else -1
        if end < 0:
            safe = max(0, len(self._held) - len(self._thinking))
            if safe:
                self._tell(Delta(reasoning=self._held[:safe]))
                self._held = self._held[safe:]
            return False
        if end:
            self._tell(Delta(reasoning=self._held[:end]))
        self._held = self._held[end + len(self._thinking) :].lstrip("\n")
        self._thinking = ""
        return True

    def _stop(self) -> None:
        self._stopped = True
        self._tell(Delta(notice=_CALLING))

    def _say(self, text: str) -> None:
        if text:
            self.told.append(text)
            self._tell(Delta(text))


class Answer:
    """The words of `{"answer": "..."}`, as they come."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._words = AnswerText()
        self._noticed = False
        self.told: list[str] = []

    def feed(self, piece: str) -> None:
        words = self._words.feed(piece)
        if words:
            self.told.append(words)
            self._tell(Delta(words))
        elif self._words.over and not self._words.found and not self._noticed:
            self._noticed = True
            self._tell(Delta(notice=_CALLING))


class Telling:
    """Stands between a model and its followers for one answer. `words`: the filter of its words."""

    def __init__(self, tell: Tell, words: Plain | Answer) -> None:
        self._tell = tell
        self._words = words
        self._thoughts: list[str] = []
        self._calls: list[ToolCall] = []
        self._came = False

    @property
    def thought(self) -> str:
        """All that the provider gave as thinking."""
        return "".join(self._thoughts)

    def take(self, delta: Delta) -> None:
        """A piece of the answer as the model's adapter tells it."""
        if delta.reset:
            self._words.told.clear()
            self._calls.clear()
            self._tell(delta)
            return
        if delta.notice:
            self._tell(Delta(notice=delta.notice))
        if delta.reasoning:
            self._thoughts.append(delta.reasoning)
            self._tell(Delta(reasoning=delta.reasoning))
        if delta.text:
            self._came = True
            self._words.feed(delta.text)
        if delta.call is not None:
            self._calls.append(delta.call)

    def finish(self, answer: ModelAnswer) -> None:
        """Tell what is left of the answer, as it is in the end. Nothing where it wasn't streamed."""
        told = "".join(self._words.told)
        if self._came and told != answer.text:
            if answer.text.startswith(told):
                self._tell(Delta(answer.text[len(told) :]))
            else:
                self._tell(Delta(reset=True))
                if answer.text:
                    self._tell(Delta(answer.text))
        if self._came or self._calls or self._thoughts:
            for call in answer.calls:
                self._tell(Delta(call=call))
