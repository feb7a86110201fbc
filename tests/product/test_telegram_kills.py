"""A real host and its outpost, both ended with SIGKILL at drawn moments, and a Bot API that refuses, cuts and is silent: every message is one task, every
answer is there."""

import asyncio
import collections
import itertools
import random
from collections.abc import AsyncGenerator

import pytest

from agenthost.testing.telegram_api import User
from tests.outposts.killing import outpost
from tests.outposts.test_telegram_crash import fault
from tests.product.product import Product
from tests.product.telegrams import Chats, chats, kill, until

PEOPLE = [User(number, f"P{number}") for number in (11, 12, 13)]
HOSTS, OUTPOSTS = 2, 2
"""How often the host is killed, and in the life of each the outpost."""


@pytest.fixture
async def chat(product: Product) -> AsyncGenerator[Chats]:
    async with chats(product) as made:
        yield made


async def write(chat: Chats, user: User, draw: random.Random, over: asyncio.Event) -> list[str]:
    """Somebody gives work as long as it is not over; what they wrote."""
    said: list[str] = []
    for number in itertools.count():
        if over.is_set():
            return said
        said.append(f"count {number} of {user.first}")
        chat.api.write(user, f"/new {said[-1]}")
        await asyncio.sleep(draw.uniform(0.2, 1.2))
    raise AssertionError


@pytest.mark.parametrize("seed", [1])
async def test_every_message_is_one_task_and_every_answer_is_shown(chat: Chats, seed: int) -> None:
    draw, api, over = random.Random(seed), chat.api, asyncio.Event()
    chat.settings("", 'agent = "helper"\n')
    for user in PEOPLE:
        api.start(user)
    api.latency = 0.04  # as far away as Telegram is
    own = chat.product.folder / "own"
    async with outpost(own, api.url, str(chat.product.home), api.token) as killed, asyncio.TaskGroup() as group:
        writing = [group.create_task(write(chat, user, random.Random(draw.random()), over)) for user in PEOPLE]
        for _ in range(HOSTS):
            async with chat.running("up", "--port", "0") as host:
                for _ in range(OUTPOSTS):
                    api.fail(fault(draw))
                    await asyncio.sleep(draw.uniform(0.2, 1.2))
                    await killed.kill()
                    await killed.start()
                await asyncio.sleep(draw.uniform(0.0, 0.5))
                kill(host)
        over.set()
        said = [text for task in writing for text in await task]
        async with chat.running("up", "--port", "0"):
            await until(lambda: answers(chat) >= collections.Counter(said), chat.log)
    begun = collections.Counter(title for (title,) in chat.product.sql("SELECT title FROM tasks"))
    assert begun == collections.Counter(said), "each message is one task"
    shown = answers(chat)
    assert set(shown) == set(said)
    twice = sum(shown.values()) - len(said)
    assert twice <= HOSTS * OUTPOSTS * (len(PEOPLE) + 3)
    assert not api.state.updates
    print(
        f"{HOSTS} kills of the host, {HOSTS * OUTPOSTS} of the outpost: {len(said)} messages, {twice} answers came twice"
    )


def answers(chat: Chats) -> collections.Counter[str]:
    """What was answered, by what was said, and how often."""
    texts = [text for user in PEOPLE for text in chat.api.texts(user.id)]
    return collections.Counter(text.partition("You said ")[2] for text in texts if "You said " in text)
