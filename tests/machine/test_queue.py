"""The queue alone, over random arrivals and departures: never more out than there is, and nobody is passed for ever."""

from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.machines import Need
from agenthost.machine.queue import Amount, Queue

WHOLE = Amount(100, 4000, 50)
AMOUNTS = st.builds(Amount, st.integers(0, 100), st.integers(0, 4000), st.integers(0, 50))


def small(amount: Amount) -> bool:
    return min(amount.memory, amount.cpu, amount.gpu) >= 0


def check(queue: Queue) -> None:
    out = sum(queue.held.values(), start=Amount())
    assert small(queue.whole - out), "more is out than there is"
    assert queue.free == queue.whole - out
    assert not set(queue.held) & set(queue.waiting)


STEPS = st.lists(st.one_of(AMOUNTS, st.integers(0, 30)), max_size=60)


@given(STEPS)
def test_never_more_is_out_than_there_is_whatever_comes_and_goes(steps: list[Amount | int]) -> None:
    queue = Queue(WHOLE)
    for key, step in enumerate(steps):
        if isinstance(step, Amount):
            queue.join(key, step)
        else:
            queue.leave(step)
        queue.admit()
        check(queue)
        first = next(iter(queue.waiting.values()), None)
        assert first is None or not first.fits(queue.free), "the first one could have it and doesn't"


@given(STEPS, AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=40))
def test_whoever_is_first_gets_it_once_those_who_hold_now_have_left(
    steps: list[Amount | int], wanted: Amount, crowd: list[Amount]
) -> None:
    """However many come behind it in the meantime, and though none of those ever leaves."""
    queue = Queue(WHOLE)
    for key, step in enumerate(steps):
        if isinstance(step, Amount):
            queue.join(key, step)
        else:
            queue.leave(step)
        queue.admit()
    for key in list(queue.waiting):
        queue.leave(key)
    queue.admit()
    before = list(queue.held)
    queue.join(-1, wanted)
    queue.admit()
    comers = iter(enumerate(crowd, start=1000))
    for key in before:
        for other, amount in [next(comers, None) or (0, Amount())]:
            if other:
                queue.join(other, amount)
        queue.admit()
        queue.leave(key)
        queue.admit()
        check(queue)

    assert -1 in queue.held


@given(st.lists(AMOUNTS, min_size=1, max_size=30))
def test_everybody_gets_it_in_the_end_and_nothing_is_left_out(amounts: list[Amount]) -> None:
    queue = Queue(WHOLE)
    for key, amount in enumerate(amounts):
        queue.join(key, amount)
    served: list[int] = []
    while admitted := queue.admit():
        served += admitted
        check(queue)
        for key in admitted:
            queue.leave(key)

    assert sorted(served) == list(range(len(amounts)))
    assert queue.free == WHOLE


def test_one_that_waits_for_a_gpu_doesnt_stop_those_who_want_none() -> None:
    queue = Queue(WHOLE)
    queue.join(1, Amount(10, 1000, 50))
    queue.join(2, Amount(10, 1000, 50))
    queue.join(3, Amount(10, 1000, 0))
    queue.join(4, Amount(0, 0, 1))

    assert queue.admit() == [1, 3]
    assert queue.lacks() == Amount(0, 0, 50)


def test_a_large_one_at_the_head_is_not_passed_in_what_it_waits_for() -> None:
    queue = Queue(WHOLE)
    queue.join(1, Amount(50))
    assert queue.admit() == [1]
    queue.join(2, Amount(80))
    queue.join(3, Amount(10))
    assert queue.admit() == []
    queue.leave(1)
    assert queue.admit() == [2, 3]


def test_parts_of_a_core_add_up_exactly() -> None:
    queue = Queue(Amount.of(Need(cpu=1.0)))
    for key in range(11):
        queue.join(key, Amount.of(Need(cpu=0.1)))

    assert len(queue.admit()) == 10
    assert queue.free.cpu == 0
