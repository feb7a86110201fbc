"""Vectors in a byte a number still say what is near."""

import math
import random

import pytest

from agenthost.core.meanings import apart, cosine, packed, signs


def test_packed_vectors_are_as_near_as_they_were() -> None:
    dice = random.Random(7)
    for _ in range(50):
        one = [dice.gauss(0, 1) for _ in range(384)]
        other = [value + dice.gauss(0, 1) for value in one]
        size = math.sqrt(sum(v * v for v in one) * sum(v * v for v in other))
        exact = sum(a * b for a, b in zip(one, other, strict=True)) / size
        assert cosine(packed(one), packed(other)) == pytest.approx(exact, abs=0.01)


def test_direction_alone_counts_and_nothing_is_near_to_nothing() -> None:
    assert cosine(packed((1.0, 2.0)), packed((10.0, 20.0))) == pytest.approx(1.0)
    assert cosine(packed((1.0, 0.0)), packed((-1.0, 0.0))) == pytest.approx(-1.0)
    assert cosine(packed((0.0, 0.0)), packed((1.0, 0.0))) == 0.0
    assert cosine(packed((1.0,)), packed((1.0, 0.0))) == 0.0
    assert packed((math.nan, math.inf, 1.0)) == packed((0.0, 0.0, 1.0))


def test_signs_tell_in_how_many_numbers_vectors_differ() -> None:
    one, other = packed([1.0, -1.0] * 192), packed([1.0, 1.0] * 192)
    assert len(signs(one)) == 48 and apart(signs(one), signs(other)) == 192 and apart(signs(one), signs(one)) == 0
