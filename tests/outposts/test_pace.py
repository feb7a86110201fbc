"""How quickly messages may be sent, by a clock of the test's own."""

from agenthost.outposts.channel.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def moments(pace: Pace, clock: Clock, *places: str, group: bool = False) -> list[float]:
    found: list[float] = []
    for place in places:
        await pace.turn(place, group)
        found.append(round(clock.now - 100.0, 3))
    return found


def paced(every: float = 1.0, rate: float = 10.0, group_rate: float = 3.0) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(every, rate, group_rate, lambda: clock.now, clock.sleep), clock


async def test_a_chat_gets_one_message_a_second_and_all_together_so_many() -> None:
    assert await moments(*paced(), "a", "a", "b", "a") == [0.0, 1.0, 1.1, 2.0]
    assert await moments(*paced(), "a", "b", "c") == [0.0, 0.1, 0.2]


async def test_a_group_gets_so_many_a_minute() -> None:
    assert await moments(*paced(), "g", "g", "g", "g", "g", group=True) == [0.0, 1.0, 2.0, 60.0, 61.0]


async def test_the_services_own_word_is_kept_to_the_second_and_for_that_chat_alone() -> None:
    pace, clock = paced()
    pace.rest("a", 7.0)
    assert await moments(pace, clock, "b", "a") == [0.0, 7.0]


async def test_chats_of_long_ago_are_forgotten() -> None:
    pace, clock = paced(every=0.001, rate=1e9)
    for number in range(10_050):
        await pace.turn(f"c{number}", True)
        clock.now += 0.01
    assert await moments(pace, clock, "c0", group=True) == [round(clock.now - 100.0, 3)]
