"""Whether words can be the answer to a question: they name one of its options, say yes or no where that is asked, or are a number
or a day where one is asked for."""

import re

from agenthost.core.routing import TopicQuestion
from agenthost.programs.routing import lexicon
from agenthost.programs.routing.targets import length
from agenthost.programs.routing.text import DENSE, plain, stem

MOST_WORDS = 12
"""A longer message is hardly an answer."""

_ALONE = re.compile(r"\s*[#(]?(\d{1,2})(?:\s*[.):,;!-]+(?:\s+\S+){0,8}|\s*)$")
"""A number as a choice: alone, or parted from what is said to it."""

_FIRST_ALONE = re.compile(r"\s*\w+\s*[^\w\s]")
_COUNTED_UP = re.compile(r"(?<!\S)\(?(\d)[.):]?\s+(\S.*?)(?=[\s,;]+\(?\d[.):]?\s|[.?]?\s*$)")
"""What a question counts up: a number and what it stands for."""

_COUNT = re.compile(r"\s*(?:\D{0,12}\s)?\d+[.,]?\d*\s*(?:[^\d\s]+\s*){0,3}(?:[,.;!].*)?$", re.DOTALL)
"""A number with little around it."""


def fits(question: TopicQuestion, text: str) -> bool:
    """Whether `text` is what `question` asks for."""
    if asks(text) or not text.strip():
        return False
    return bool(chosen(question, text)) or yes_or_no(question, text) or of_its_kind(question, text)


def little(text: str) -> bool:
    """Whether a text is so short, and asks nothing, that beside the question that it replies to it is the answer."""
    return "?" not in text and not asks(text) and 0 < length(text) <= 6


def asks(text: str) -> bool:
    """Whether somebody asks with it."""
    return text.rstrip(' \n"»”)').endswith(("?", "？", "؟"))


def number(text: str) -> int:
    """The number that is chosen with a text, from 1, in figures or as an ordinal (`the second one`); 0 where none is."""
    alone = _ALONE.match(text)
    return int(alone[1]) if alone is not None else lexicon.ordinal(plain(text))


def chosen(question: TopicQuestion, text: str) -> int:
    """The option that a text names, from 1; 0 where it names none, or more than one."""
    said, options = plain(text), [plain(option) for option in offered(question)]
    if said in options:
        return options.index(said) + 1
    if length(text) > MOST_WORDS:
        return 0
    # An option is named at the beginning, or by little else.
    head = said if length(text) <= 5 else f" {' '.join(said.split()[:4])} "
    whole = [at for at, option in enumerate(options, 1) if _has(head, option)]
    if whole:
        return whole[0] if len(whole) == 1 else 0
    counted = number(text)
    if 0 < counted <= len(options):
        return counted
    return _by_word(options, said) if length(text) <= 6 else 0


def yes_or_no(question: TopicQuestion, text: str) -> bool:
    """Whether a text says yes or no to a question that offers nothing else, or nothing at all."""
    said = plain(text)
    denies = lexicon.begins(lexicon.NO, said)
    if not denies and not lexicon.begins(lexicon.YES, said):
        return False
    # "No" is also "not" in some languages, and "ok" begins whatever comes next.
    most = MOST_WORDS if first_alone(text) else 2 if denies else 4
    return length(text) <= most and not lexicon.says(lexicon.WANT, said) and takes_yes_or_no(question)


def first_alone(text: str) -> bool:
    """Whether the first word is parted from what comes after it."""
    return _FIRST_ALONE.match(text) is not None


def takes_yes_or_no(question: TopicQuestion) -> bool:
    """Whether yes or no can be an answer to it."""
    options = [plain(option) for option in question.options]
    return not options or any(
        lexicon.begins(lexicon.YES, option) or lexicon.begins(lexicon.NO, option) for option in options
    )


def of_its_kind(question: TopicQuestion, text: str) -> bool:
    """Whether a text is a number or a day, and the question asks for one."""
    asked, said = plain(question.text), plain(text)
    if question.options or length(text) > MOST_WORDS:
        return False
    if lexicon.says(lexicon.WHEN, asked):
        return any(letter.isdecimal() for letter in said) or lexicon.says(lexicon.MONTHS, said)
    return lexicon.says(lexicon.HOW_MANY, asked) and _COUNT.match(text) is not None


def offered(question: TopicQuestion) -> tuple[str, ...]:
    """Its options; where these are but numbers, or there are none, what its text counts up (`1 before 2 after`)."""
    if any(not option.strip().isdecimal() for option in question.options):
        return question.options
    found = [(int(number), words) for number, words in _COUNTED_UP.findall(question.text)]
    numbers = [number for number, _ in found]
    if len(found) < 2 or numbers != list(range(1, len(found) + 1)):
        return question.options
    return tuple(words for _, words in found)


def _has(head: str, option: str) -> bool:
    bare = option.strip()
    if not bare or bare.isdecimal() or lexicon.is_one(lexicon.YES, option) or lexicon.is_one(lexicon.NO, option):
        return False
    return (bare if DENSE.search(option) else option) in head


def _by_word(options: list[str], said: str) -> int:
    """The option of which alone the text has a word, or the beginning of one, or a number, or a letter that stands for a word."""
    mine = set(said.split())
    mine |= {str(number) for number in map(lexicon.counted, mine) if number}
    found = [
        at for at, option in enumerate(options, 1) if any(_same(word, its) for word in mine for its in _parts(option))
    ]
    return found[0] if len(found) == 1 else 0


def _parts(option: str) -> set[str]:
    parts = set(option.split())
    numbers = {str(number) for number in map(lexicon.counted, parts) if number}
    return {word for word in parts if len(word) > 2 or word.isdecimal()} | numbers | set(_letters(option))


def _letters(text: str) -> list[str]:
    return [letter for letter in text if "\u4e00" <= letter <= "\u9fff"]


def _same(said: str, its: str) -> bool:
    """Whether a word that was said is one of an option's, or differs by its ending."""
    if said == its:
        return True
    if said[0].isdecimal() or its[0].isdecimal():
        return False
    if len(its) == 1:
        return its in _letters(said)
    if len(said) < 3 or len(its) < 3:
        return False
    return stem(said) == stem(its) or its.startswith(said) or (said.startswith(its) and len(said) - len(its) < 3)
