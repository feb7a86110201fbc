"""Counting: what falls where, and how many sets of labels are kept."""

import asyncio

from agenthost.telemetry.figures import Figures
from agenthost.telemetry.lag import watched
from agenthost.telemetry.prometheus import expose
from agenthost.telemetry.tally import MOST, OTHER, Count, Spread


def test_a_spread_counts_each_value_once_up_to_its_bound() -> None:
    spread = Spread("s", "S.", "who", bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        spread.add(value, "me")
    sample = spread.sample()
    assert sample.spreads == {("me",): ((2, 1, 1), 12.0)}
    text, _ = expose([sample], "")
    lines = [line for line in text.decode().splitlines() if line.startswith("s_")]
    assert lines == [
        's_bucket{le="1.0",who="me"} 2.0',
        's_bucket{le="2.0",who="me"} 3.0',
        's_bucket{le="+Inf",who="me"} 4.0',
        's_count{who="me"} 4.0',
        's_sum{who="me"} 12.0',
    ]


def test_labels_without_end_take_memory_with_an_end() -> None:
    count, spread = Count("c", "C.", "x"), Spread("s", "S.", "x")
    for number in range(3 * MOST):
        count.add(str(number))
        spread.add(1.0, str(number))
    counted, spreads = count.sample().values, spread.sample().spreads
    assert (len(counted), len(spreads)) == (MOST + 1, MOST + 1)
    assert counted[(OTHER,)] == 2 * MOST
    assert sum(spreads[(OTHER,)][0]) == 2 * MOST
    assert spreads[(OTHER,)][1] == 2 * MOST


def test_labels_are_written_so_that_nothing_breaks_out_of_them() -> None:
    count = Count("c", "C.", "x")
    count.add('a"} 1\nfake 2')
    text, _ = expose([count.sample()], "")
    assert b"\nfake" not in text


async def test_a_loop_that_is_held_up_is_late() -> None:
    figures = Figures()
    loop = asyncio.get_running_loop()
    with watched(figures.lag, every=0.01):
        until = loop.time() + 0.2
        await asyncio.sleep(0)
        while loop.time() < until:
            pass
        await asyncio.sleep(0.03)
    counts, total = figures.lag.sample().spreads[()]
    assert sum(counts) >= 2
    assert total >= 0.1
