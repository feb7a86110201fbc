"""Whether words can be the answer to a question: sure where they name one of its options, or say yes or no where that is asked."""

import re
from typing import Literal

from agenthost.core.routing import TopicQuestion
from agenthost.programs.routing import lexicon
from agenthost.programs.routing.text import plain, stem

Fit = Literal["sure", "maybe", "no"]

MOST_WORDS = 12
"""A longer message is hardly an answer."""

_ALONE = re.compile(r"\s*[#(]?(\d{1,2})(?:\s*[.):,;!-]+(?:\s+\S+){0,8}|\s*)$")
"""A number as a choice: alone, or parted from what is said to it."""


def fit(question: TopicQuestion, text: str) -> Fit:
    """How well `text` can be the answer to `question`."""
    said = plain(text)
    if not said.strip() or asks(text):
        return "no"
    if chosen(question, text) or _yes_or_no(question, said):
        return "sure"
    return "maybe" if len(said.split()) <= MOST_WORDS else "no"


def asks(text: str) -> bool:
    """Whether somebody asks with it."""
    return text.rstrip(' \n"»”)').endswith(("?", "？", "؟"))


def number(text: str) -> int:
    """The number that is chosen with a text, from 1, in figures or as an ordinal (`the second one`); 0 where none is."""
    alone = _ALONE.match(text)
    if alone is not None:
        return int(alone[1])
    return lexicon.ordinal(plain(text))


def chosen(question: TopicQuestion, text: str) -> int:
    """The option that a text names, from 1; 0 where it names none, or more than one."""
    said = plain(text)
    options = [plain(option) for option in question.options]
    exact = [at for at, option in enumerate(options, 1) if option == said]
    if exact:
        return exact[0]
    length = len(said.split())
    if length > MOST_WORDS:
        return 0
    whole = [at for at, option in enumerate(options, 1) if option in said and not option.strip().isdecimal()]
    if whole:
        return whole[0] if len(whole) == 1 else 0
    counted = number(text)
    if 0 < counted <= len(options):
        return counted
    return _by_word(options, said) if length <= 6 else 0


def _by_word(options: list[str], said: str) -> int:
    """The option of which alone the text has a word, or the beginning of one."""
    own = [{stem(word) for word in option.split() if len(word) > 2} for option in options]
    found = [
        at
        for at, mine in enumerate(own, 1)
        if any(stem(word) in mine for word in said.split())
        and not any(stem(word) in other for word in said.split() for other in own if other is not mine)
    ]
    return found[0] if len(found) == 1 else 0


def _yes_or_no(question: TopicQuestion, said: str) -> bool:
    if not lexicon.affirms(said) and not lexicon.denies(said):
        return False
    options = [plain(option) for option in question.options]
    return not options or any(lexicon.affirms(option) or lexicon.denies(option) for option in options)
