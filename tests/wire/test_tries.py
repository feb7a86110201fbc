"""Tries are counted over a time that slides, in bounded memory."""

import pytest

from agenthost.core.errors import Temporary
from agenthost.wire.tries import Tries, network_of


def test_so_many_within_a_time_and_then_one_waits() -> None:
    now = [0.0]
    tries = Tries(2, 10.0, clock=lambda: now[0])
    tries.take("ann", "too many")
    now[0] = 4.0
    tries.take("ann", "too many")
    with pytest.raises(Temporary, match="too many; wait 6 seconds") as told:
        tries.take("ann", "too many")
    assert (told.value.code, told.value.delay) == ("too-many", 6.0)
    tries.take("bob", "too many")
    now[0] = 10.0
    tries.take("ann", "too many")
    assert tries.wait("ann") == 4.0  # it slides: it doesn't begin anew


def test_what_was_right_is_taken_back() -> None:
    tries = Tries(1, 10.0, clock=lambda: 0.0)
    for _ in range(3):
        tries.take("ann", "too many")
        tries.forgive("ann")
    assert len(tries) == 0
    tries.forgive("nobody")


def test_names_are_bounded_and_what_has_passed_is_forgotten() -> None:
    now = [0.0]
    tries = Tries(5, 10.0, names=3, clock=lambda: now[0])
    for name in "abcd":
        tries.count(name)
    assert len(tries) == 3
    now[0] = 11.0
    assert tries.wait("d") == 0.0
    assert len(tries) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("a unix socket", "a unix socket"),
    ],
)
def test_what_counts_as_one_sender(address: str, network: str) -> None:
    assert network_of(address) == network
