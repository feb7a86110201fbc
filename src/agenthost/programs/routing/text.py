"""Words of any language, brought to one form: what people write on a phone and what an agent wrote as a title.

Words are cut to their first letters, which stands for a stemmer in languages that inflect at the end. Chinese, Japanese and
Thai, which put no spaces, are taken in pieces of two or three characters.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

MESSAGE_TERMS, TOPIC_TERMS = 24, 60
"""How many terms of a message are looked for, and by how many a task is found."""

STEM = 5
"""Letters of a word that count."""

_MARKS = re.compile("[\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u0640]")
_GAPS = re.compile("[^\\w#\U0001f44d\U0001f44e\u2705\u274c\u0900-\u0963\u0966-\u0dff\u0e00-\u0e7f]+|_+")
"""What parts words. Vowel signs of Indian scripts and of Thai are no letters to `re`; a thumb is a word."""
DENSE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")
"""Writing without spaces: Chinese, Japanese, Thai."""
_PLAIN = str.maketrans({chr(code): " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "#")})
_ARABIC = re.compile("^(?:[\u0648\u0641\u0628\u0643\u0644]?\u0627\u0644|\u0644\u0644|\u0647\u0627\u0644)(?=..)")


_JAMO = re.compile("[\u1100-\u11ff]")
"""Letters of Korean syllables that were taken apart."""

_SHORT = 120
"""Letters of a text in which drawn-out ones are looked for: people draw them out, titles don't."""

_LONG = re.compile(r"([^\W\d])\1{2,}(\w?)")
"""A letter that is drawn out: `sooo`, `seeeen`."""


@lru_cache(512)
def plain(text: str) -> str:
    """`text` in small letters without accents and punctuation, with one space between words and at both ends."""
    if len(text) <= _SHORT:
        text = _LONG.sub(lambda long: long[1] * (2 if long[2] else 1) + long[2], text)
    if text.isascii():
        return f" {' '.join(text.lower().translate(_PLAIN).split())} "
    return f" {_GAPS.sub(' ', bare(text)).strip()} "


def bare(text: str) -> str:
    """`text` in small letters without accents, with its punctuation."""
    if text.isascii():
        return text.lower()
    # Marks are taken off where they are ornament or habit; Japanese and Thai can't be read without theirs.
    folded = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", folded) if _JAMO.search(folded) else folded


STOP = frozenset(
    plain(
        "about after again also and are back been before bitte but can could das dass dem den der des did die does doch dont een eine einen einer ein el ella "
        "entre est fait for from für gibt had has have heb het how ich ihr ihre into ist its just kann können la las les let like los mais make mal "
        "mehr mein meine mich mir mit more nach nicht noch not now oder one only otra our out para per pero please por pour qué que quel quelle "
        "sehr sein should sich sie sind some the that their them then there they this too una und une uns unser use van von vor was were what "
        "when where which wie will with would you your zum zur это что как для или нет надо мне если еще bir için çok ile ama och att det som "
        "com não uma mas dos das nie jest dla czy tak jak się che non del della con sono per voor niet zijn ook maar dan wel"
    ).split()
)
"""Words that say nothing of what a text is about."""


def words(text: str) -> list[str]:
    """The words of `text` in plain form, whole."""
    return plain(text).split()


def _pieces(run: str) -> Iterable[str]:
    size = 3 if "\u0e00" <= run[0] <= "\u0e7f" else 2
    if len(run) <= size:
        return (run,)
    pieces = (run[at : at + size] for at in range(len(run) - size + 1))
    # Two letters of hiragana are most often grammar.
    return (piece for piece in pieces if not all("\u3040" <= letter <= "\u309f" for letter in piece))


def stem(word: str) -> str:
    """The first letters of a word in plain form, without an Arabic article."""
    if "\u0600" <= word[0] <= "\u06ff":
        return _ARABIC.sub("", word)[:4]
    return word[:STEM]


def terms(text: str, most: int = MESSAGE_TERMS) -> tuple[str, ...]:
    """What a text can be found by, at most `most` and each once, in the order of the text: stems of its words, and pieces of writing without spaces."""
    found: dict[str, None] = {}
    for word in plain(text).split():
        if len(found) >= most:
            break
        for run in DENSE.findall(word):
            found.update(dict.fromkeys(_pieces(run)))
        for rest in DENSE.sub(" ", word).split():
            if (len(rest) > 2 or rest.isdecimal()) and rest not in STOP:
                found[stem(rest)] = None
    return tuple(found)[:most]


def sought(term: str) -> str:
    """What stands in a text in plain form that has a term."""
    if DENSE.match(term) or "\u0600" <= term[0] <= "\u06ff":
        return term
    return f" {term}" if len(term) >= STEM else f" {term} "
