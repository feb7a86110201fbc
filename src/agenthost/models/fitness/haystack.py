"""Long texts with hidden words: five lines at five depths, each with a code word that stands nowhere else."""

from random import Random

from msgspec import Struct

GATES = ("north", "east", "south", "west", "inner")
DEPTHS = (0, 25, 50, 75, 100)
"""Where each gate's line stands, in percent of the text."""

QUESTION = (
    "Five lines of this text tell the code word of a gate: of the north, the east, the south, the west and the inner "
    "gate. Write each gate's name and its code word, a line for each, and nothing else. Write `unknown` for a gate that "
    "the text doesn't tell of."
)
_NOUNS = [
    "bridge",
    "candle",
    "copper",
    "drawer",
    "engine",
    "feather",
    "garden",
    "hammer",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "market",
    "needle",
    "orchard",
    "pencil",
    "quarry",
    "ribbon",
    "saddle",
    "tunnel",
    "valley",
    "window",
    "barrel",
    "basket",
    "cellar",
]
_VERBS = [
    "carried",
    "painted",
    "followed",
    "measured",
    "repaired",
    "covered",
    "counted",
    "crossed",
    "moved",
    "sold",
    "watched",
    "wrapped",
]
_KINDS = ["old", "quiet", "narrow", "heavy", "yellow", "wooden", "broken", "distant", "round", "empty", "warm", "plain"]
_LETTERS = "ACDEFHKLMNPRTUVX234679"


class Haystack(Struct, frozen=True):
    """A text and its code words by gate."""

    text: str
    codes: dict[str, str]

    def missing(self, answer: str) -> tuple[int, ...]:
        """The depths whose word isn't in an answer."""
        said = answer.upper()
        return tuple(depth for gate, depth in zip(GATES, DEPTHS, strict=True) if self.codes[gate] not in said)


def code(random: Random) -> str:
    """A word that nobody can guess."""
    return "".join(random.choices(_LETTERS, k=6))


def haystack(size: int, random: Random) -> Haystack:
    """A text of about `size` characters."""
    codes = {gate: code(random) for gate in GATES}
    lines: list[str] = []
    length = 0
    while length < size - 250:
        line = _line(len(lines) + 1, random)
        lines.append(line)
        length += len(line) + 1
    hidden = [f"The code word of the {gate} gate is {codes[gate]}." for gate in GATES]
    for depth, line in sorted(zip(DEPTHS, hidden, strict=True), reverse=True):
        lines.insert(len(lines) * depth // 100, line)
    return Haystack("\n".join(lines), codes)


def _line(number: int, random: Random) -> str:
    one, other = random.sample(_NOUNS, 2)
    verb, first, second = random.choice(_VERBS), random.choice(_KINDS), random.choice(_KINDS)
    return f"{number}. The {first} {one} was {verb} by the one who had the {second} {other}."
