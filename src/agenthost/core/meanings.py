"""Vectors of what texts mean, as an embedding model makes them, small enough to keep one for each task: eight bits a number, of which only
the direction counts."""

import math
from array import array
from collections.abc import Iterable, Sequence

from msgspec import Struct

LEVELS = 127


class Meant(Struct, frozen=True):
    """What a task was about when it was looked at last: the hash of the text that was embedded, and its vector as `packed` makes it."""

    text: str
    vector: bytes


def packed(vector: Sequence[float]) -> bytes:
    """A vector in a byte a number. Numbers that are none count as nothing."""
    known = [value if math.isfinite(value) else 0.0 for value in vector]
    most = max(map(abs, known), default=0.0) or 1.0
    return array("b", [round(value / most * LEVELS) for value in known]).tobytes()


def cosine(one: bytes, other: bytes) -> float:
    """The cosine of the angle between two packed vectors, from -1 to 1; 0 where one is nothing, or they are of different models' sizes."""
    if len(one) != len(other):
        return 0.0
    a, b = array("b", one), array("b", other)
    size = math.sqrt(_product(a, a) * _product(b, b))
    return _product(a, b) / size if size else 0.0


def _product(one: Iterable[int], other: Iterable[int]) -> int:
    return sum(a * b for a, b in zip(one, other, strict=True))


def signs(vector: bytes) -> bytes:
    """The signs of a packed vector's numbers, one bit each: what is alike in most of them is near."""
    bits = 0
    for value in vector:
        bits = bits << 1 | (value < 128)
    return bits.to_bytes((len(vector) + 7) // 8, "big")


def apart(one: bytes, other: bytes) -> int:
    """In how many signs two vectors differ."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
