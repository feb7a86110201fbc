"""Pictures made at run time for a probe: letters, digits and colours as pixels, written as PNG.

Format: PNG, W3C 3rd edition: 8-bit RGB, no filters.
"""

import struct
import zlib
from random import Random

from msgspec import Struct

Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {
    "red": (220, 20, 20),
    "green": (20, 150, 40),
    "blue": (30, 60, 220),
    "yellow": (250, 220, 30),
    "black": (0, 0, 0),
}
WHITE: Colour = (255, 255, 255)
INK: Colour = (0, 0, 0)
DOT = 10
"""Pixels of one dot of a letter; a letter has 5 by 7 dots and one between it and the next."""
WIDTH, HEIGHT = 5, 7

_ROWS = """
A 0E1111 1F111111  C 0E1110 1010110E  D 1E1111 1111111E  E 1F1010 1E10101F  F 1F1010 1E101010  H 111111 1F111111
K 111214 18141211  L 101010 1010101F  M 111B15 15111111  N 111915 13111111  P 1E1111 1E101010  R 1E1111 1E141211
T 1F0404 04040404  U 111111 1111110E  V 111111 11110A04  X 11110A 040A1111  2 0E1101 0608101F  3 0E1101 0601110E
4 02060A 121F0202  5 1F101E 0101110E  6 060810 1E11110E  7 1F0102 04080808  9 0E1111 0F01020C
"""


def _glyphs() -> dict[str, tuple[int, ...]]:
    words = _ROWS.split()
    found: dict[str, tuple[int, ...]] = {}
    for at in range(0, len(words), 3):
        found[words[at]] = tuple(bytes.fromhex(words[at + 1] + words[at + 2]))
    return found


GLYPHS = _glyphs()
"""Letters and digits that nobody takes for another: rows of dots, the highest of 5 bits on the left."""


class Puzzle(Struct, frozen=True):
    """A picture, what is asked of it, and the answer: words that must come in this order."""

    png: bytes
    question: str
    answer: tuple[str, ...]


def puzzles(random: Random) -> list[Puzzle]:
    """A number, a word and a row of colours."""
    number = "".join(random.choices("2345679", k=4))
    consonants, vowels = "CDFHKLMNPRTVX", "AEU"
    word = "".join(random.choice(vowels if at % 2 else consonants) for at in range(5))
    colours = random.sample(list(COLOURS), 3)
    return [
        Puzzle(written(number), "Which number is in the picture? Answer with its digits alone.", (number,)),
        Puzzle(
            written(word), "Which word is in the picture? It has no meaning. Answer with its letters alone.", (word,)
        ),
        Puzzle(squares(colours), "Which colours do the three squares have, from left to right?", tuple(colours)),
    ]


def written(text: str) -> bytes:
    """A picture of letters and digits in black on white."""
    columns = [False]
    rows: list[list[bool]] = [[] for _ in range(HEIGHT)]
    for letter in text:
        for row, bits in zip(rows, GLYPHS[letter], strict=True):
            row += [bool(bits >> (WIDTH - 1 - at) & 1) for at in range(WIDTH)] + columns
    rim = [[False] * len(rows[0])]
    dots = [[False, *row, False] for row in (*rim, *rows, *rim)]
    return png([[INK if dot else WHITE for dot in row for _ in range(DOT)] for row in dots for _ in range(DOT)])


def squares(colours: list[str], side: int = 60) -> bytes:
    """A picture of coloured squares beside each other on white."""
    gap = [WHITE] * (side // 3)
    row = [pixel for colour in colours for pixel in (*gap, *[COLOURS[colour]] * side)] + gap
    rim = [[WHITE] * len(row)] * (side // 3)
    return png([*rim, *[row] * side, *rim])


def png(rows: list[list[Colour]]) -> bytes:
    """Rows of pixels as a PNG."""
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
    data = b"".join(b"\0" + b"".join(bytes(pixel) for pixel in row) for row in rows)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(data)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
