"""What a person and the manifest said, ready to be looked up: values, numbers, addresses, the verbs of each clause."""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

MOST = 65_536
"""Characters of a person's words that are kept; the newest. What is forgotten is asked for again."""


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(text.split())


_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_NUMBER = re.compile(r"(?<![\w@/.,-])\d[\d.,'\u00a0]*(?![\d@/-])")
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,15}://[^\s<>\"'`|{}\\^)\]]+", re.IGNORECASE)
EMAIL = re.compile(r"[^\s<>\"',;:()\[\]]+@[^\s<>\"',;:()\[\]]+")
_CLAUSE = re.compile(r"[;!?\n]+|\.(?=\s|$)|:(?=\s|$)")
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_QUOTED = re.compile(
    r"^[ \t]*(?:-{2,}\s*(?:forwarded|original|weitergeleitet|ursprüngliche|message transféré|message d'origine|mensaje).*"
    r"|begin forwarded message:.*|on .{4,120} wrote:|am .{4,120} schrieb.{0,120}:|le .{4,120} a écrit\s*:"
    r"|el .{4,120} escribió:)[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBERS = (
    ("one", "ein", "eine", "einen", "un", "une", "uno", "una", "a", "an"),
    ("two", "zwei", "deux", "dos"),
    ("three", "drei", "trois", "tres"),
    ("four", "vier", "quatre", "cuatro"),
    ("five", "fünf", "cinq", "cinco"),
    ("six", "sechs", "seis"),
    ("seven", "sieben", "sept", "siete"),
    ("eight", "acht", "huit", "ocho"),
    ("nine", "neun", "neuf", "nueve"),
    ("ten", "zehn", "dix", "diez"),
    ("eleven", "elf", "onze", "once"),
    ("twelve", "zwölf", "douze", "doce"),
)
_FILE = re.compile(r"\w[^/\\]*\.[a-z0-9]{1,5}")
_MARKS = re.compile(rf"{_TOKEN.pattern}|[,\u00a7]")
_PLAIN = frozenset(("search", "q", "query", "index", "html", "www", "s", "page"))
_TOWARD = word_set("to for with at an nach für mit zu à pour avec a para con")
_AWAY = word_set("from of by von vom aus de d du des del par por desde")
_COUNTS = {word: float(index + 1) for index, names in enumerate(_NUMBERS) for word in names}


def fold(text: str) -> str:
    """A text as it is compared: compatible forms and cases are one, what can't be seen is left out."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def own(text: str) -> tuple[str, bool]:
    """What a person says themselves, without the lines of others that they quote or forward, and whether there are any."""
    found = _QUOTED.search(text)
    said = text[: found.start()] if found else text
    lines = said.split("\n")
    kept = [line for line in lines if not line.lstrip().startswith(">")]
    return "\n".join(kept), found is not None or len(kept) < len(lines)


def readings(number: str) -> set[float]:
    """What a number can mean: 1,200.50 and 1.200,50 are written in different countries."""
    plain = number.strip(".,'").replace("'", "").replace("\u00a0", "")
    found: set[float] = set()
    for text in (plain.replace(",", ""), plain.replace(".", "").replace(",", ".")):
        try:
            found.add(float(text))
        except ValueError:
            continue
    return found


def urls(text: str) -> list[str]:
    """The URLs in a text, without the punctuation of the sentence that they stand in."""
    return [found.rstrip(".,;:!?*") for found in _URL.findall(text)]


class Words:
    """Texts of the person, the manifest or the host, to look values up in."""

    def __init__(self, texts: Iterable[str]) -> None:
        told = "\n".join(texts)
        self._text = fold(told)
        # Values are compared as they are written: forms that look or fold alike are other addresses to the world.
        self._plain = told.lower()
        self._bare = re.sub(r"[\s-]", "", self._plain)
        found = _TOKEN.findall(self._text)
        self.tokens = frozenset((*found, *(token.partition("'")[0].partition("’")[0] for token in found)))
        self.numbers = {value for found in _NUMBER.findall(self._text) for value in readings(found)}
        self.numbers |= {_COUNTS[token] for token in self.tokens & _COUNTS.keys()}
        self.addresses = {found.rstrip(".") for found in EMAIL.findall(self._plain)}
        self._urls = [parts for found in urls(self._plain) if (parts := split_url(found)) is not None]

    def clauses(self) -> list[list[str]]:
        """The words of each clause, in order, with commas; an address or a path is a word that says nothing."""
        plain = re.sub(r"\S+", lambda found: _nameless(found[0]), self._text)
        return [found for clause in _CLAUSE.split(plain) if (found := _MARKS.findall(clause))]

    def phrase(self, value: str, toward: bool = False) -> bool:
        """Whether a value stands in the words, whole: no part of a longer name, address or path. `toward`: somewhere
        else than after `from`, where it says who wrote and not whom to write to."""
        wanted = value.lower().strip()
        if not wanted:
            return True
        if wanted in self._plain:
            edges = rf"(?<![\w@.+/%\\-]){re.escape(wanted)}(?![\w@%/\\+-])(?!\.\w)"
            if any(not toward or self._toward(found.start()) for found in re.finditer(edges, self._plain)):
                return True
        # An IBAN or a number of a telephone is written with blanks and without.
        bare = re.sub(r"[\s-]", "", wanted)
        long = len(bare) >= 10 and bare.isascii() and bare.lstrip("+").isalnum() and sum(map(str.isdigit, bare)) >= 6
        return long and bare in self._bare

    def each(self, value: str) -> bool:
        """Whether a value of plain words is made of the person's own, in whatever order."""
        found = _TOKEN.findall(fold(value))
        return bool(found) and all(token in self.tokens for token in found) and any(len(token) > 3 for token in found)

    def reaches(self, url: str) -> bool:
        """Whether a URL was named as it is, or goes to a host that was named with nothing in it but words that were
        said: anything else can carry out what was read."""
        wanted = split_url(url.lower())
        if wanted is None:
            return False
        if any(_same(named, wanted) for named in self._urls):
            return True
        schemes = {named.scheme for named in self._urls if named.netloc == wanted.netloc}
        schemes |= {"https"} if schemes or self.phrase(wanted.netloc) else set()
        pieces = _TOKEN.findall(unquote(f"{wanted.path} {wanted.query} {wanted.fragment}").replace("_", " "))
        return wanted.scheme in schemes and all(piece in self.tokens or piece in _PLAIN for piece in pieces)

    def _toward(self, start: int) -> bool:
        before = _CLAUSE.split(self._plain[max(0, start - 60) : start])[-1]
        for token in reversed(_TOKEN.findall(before)[-3:]):
            if token in _TOWARD or token in _AWAY:
                return token in _TOWARD
        return True


def _nameless(word: str) -> str:
    """A word as it is, or what stands for it and its punctuation where it is an address or a path."""
    bare = word.rstrip(".,;:!?)")
    name = "@" in bare or "/" in bare or "\\" in bare or _FILE.fullmatch(bare)
    return f"\u00a7{word[len(bare) :]}" if name else word


def split_url(url: str) -> SplitResult | None:
    """A URL's parts; None where it is none, or is written to look like another one (user names, backslashes, ..)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = unquote(unquote(parts.path))
    bad = (
        "@" in parts.netloc
        or not parts.netloc.isascii()
        or "\\" in url
        or ".." in plain.split("/")
        or any(sign <= " " for sign in url)
    )
    return None if bad or not parts.hostname or port == 0 else parts


def _same(named: SplitResult, wanted: SplitResult) -> bool:
    alike = named.netloc == wanted.netloc and named.path.rstrip("/") == wanted.path.rstrip("/")
    return alike and named.query == wanted.query and wanted.scheme in (named.scheme, "https")
