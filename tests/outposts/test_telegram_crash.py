"""The outpost's process ended with SIGKILL at drawn moments while people write and the host speaks; Telegram and the host go away and come back, and Telegram
refuses, cuts connections, and takes messages without a word."""

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from agenthost.outposts.channel.book import Book
from agenthost.outposts.telegram.serving import book_of
from agenthost.testing.channels import MemoryPost
from agenthost.testing.telegram_api import BotApi, Fault, User
from tests.outposts.couriers import until
from tests.outposts.killing import Outpost, outpost
from tests.outposts.wire import offered

PEOPLE = [User(number, f"P{number}") for number in (11, 12, 13)]
LONG = "\n\n".join(f"Part {letter}. " + f"{letter} words of it. " * 200 for letter in "abc")


async def write(api: BotApi, user: User, draw: random.Random, over: asyncio.Event) -> int:
    """Somebody writes as long as it is not over; how many messages."""
    for number in itertools.count():
        if over.is_set():
            return number
        api.write(user, f"{user.first} {number}")
        await asyncio.sleep(draw.uniform(0.1, 0.9))
    raise AssertionError


async def speak(post: MemoryPost, draw: random.Random, over: asyncio.Event) -> None:
    """The host says things of its own, some of which are several messages."""
    for number in itertools.count():
        if over.is_set():
            return
        user = draw.choice(PEOPLE)
        post.say(
            f"telegram:123456/{user.id}",
            LONG.replace("Part", f"Part {number}") if number % 3 == 0 else f"news {number}",
        )
        await asyncio.sleep(draw.uniform(0.1, 0.6))


def fault(draw: random.Random) -> Fault:
    """What may go wrong with a message that is sent, or with the asking for updates."""
    method = draw.choice(("sendMessage", "sendMessage", "sendMessage", "getUpdates"))
    kind = draw.choice(("before", "after", "silent", "slower", "server"))
    if kind == "slower":
        return Fault(method, 1, "", 429, "Too Many Requests: retry after 1", {"retry_after": 1})
    if kind == "server":
        return Fault(method, draw.randint(1, 3), "", draw.choice((500, 502, 504)), "Bad Gateway")
    return Fault(method, 1, kind if method == "sendMessage" else "before")


async def disturb(
    api: BotApi, post: MemoryPost, killed: Outpost, draw: random.Random, kills: int, over: asyncio.Event
) -> None:
    for turn in range(kills):
        for _ in range(draw.randint(0, 2)):
            api.fail(fault(draw))
        await asyncio.sleep(draw.uniform(0.1, 1.2))
        await killed.kill()
        if turn % 3 == 1:
            await api.stop()
            await api.listen()
        if turn % 3 == 2:
            post.away = True
            post.wake()
        await killed.start()
        await asyncio.sleep(draw.uniform(0.0, 0.1))
        post.away = False
    over.set()


@pytest.mark.parametrize("seed", [1])
async def test_nothing_is_lost_and_nothing_doubled_but_what_was_under_way(
    tmp_path: Path, seed: int, pytestconfig: pytest.Config
) -> None:
    draw = random.Random(seed)
    kills = pytestconfig.getoption("--crashes")
    post = MemoryPost(echo=True)
    async with BotApi() as api, offered(post) as host:
        api.latency = 0.04  # as far away as Telegram is; the time in which a kill leaves a doubt
        for user in PEOPLE:
            api.start(user)
        async with outpost(tmp_path, api.url, host, api.token) as killed:
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                drawn = [random.Random(draw.random()) for _ in range(5)]
                writing = [group.create_task(write(api, *each, over)) for each in zip(PEOPLE, drawn, strict=False)]
                group.create_task(speak(post, drawn[3], over))
                group.create_task(disturb(api, post, killed, drawn[4], kills, over))
            counts = [task.result() for task in writing]
            await until(lambda: len(post.placed) == sum(counts) and all(line.sent for line in post.lines))
            assert not api.state.updates
        counted = killed.kills
    book = await Book(book_of(tmp_path, api.token)).open()
    doubts, left = await book.doubts(), await book.aside()
    await book.close()

    assert left == []
    for user, count in zip(PEOPLE, counts, strict=True):
        there = f"telegram:123456/{user.id}"
        written = [came.text for (where, _), came in post.placed.items() if where == there]
        assert written == [f"{user.first} {number}" for number in range(count)]
    doubled = sum(check(api, post, user) for user in PEOPLE)
    assert doubled <= doubts <= counted * (len(PEOPLE) + 2 * 3)
    print(
        f"{counted} kills: {sum(counts)} messages taken, {len(post.lines)} lines shown, {doubts} messages in doubt, {doubled} of them came twice"
    )


def check(api: BotApi, post: MemoryPost, user: User) -> int:
    """The host's lines stand in a chat, whole and in order; how many messages came twice."""
    shown = api.texts(user.id)
    wanted: list[str] = []
    for line in post.lines:
        if line.conversation == f"telegram:123456/{user.id}":
            wanted += [part.strip() for part in line.text.split("\n\n")]
    assert [text for text, _ in itertools.groupby(text.strip() for text in shown)] == wanted
    # Replies to what was shown are understood: the ids that the host was told are of these messages.
    ids = {str(one["message_id"]) for one in api.shown(user.id)}
    assert {id for line in post.lines if line.conversation == f"telegram:123456/{user.id}" for id in line.sent} <= ids
    return len(shown) - len(wanted)
