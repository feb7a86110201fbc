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
KILLS = "hoohoo"
"""Of the host, and of the outpost."""


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
        await asyncio.sleep(draw.uniform(0.1, 0.8))
    raise AssertionError


@pytest.mark.parametrize("seed", [1])
async def test_every_message_is_one_task_and_every_answer_is_shown(chat: Chats, seed: int) -> None:
    draw, api, over = random.Random(seed), chat.api, asyncio.Event()
    chat.settings("", 'agent = "helper"\n')
    for user in PEOPLE:
        api.start(user)
    own = chat.product.folder / "own"
    async with outpost(own, api.url, str(chat.product.home), api.token) as killed, asyncio.TaskGroup() as group:
        writing = [group.create_task(write(chat, user, random.Random(draw.random()), over)) for user in PEOPLE]
        for what in KILLS:
            api.fail(fault(draw))
            if what == "o":
                await asyncio.sleep(draw.uniform(0.1, 1.0))
                await killed.kill()
                await killed.start()
            else:
                async with chat.running("up", "--port", "0") as host:
                    await asyncio.sleep(draw.uniform(0.0, 1.0))
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
    assert twice <= (KILLS.count("o") + 1) * (len(PEOPLE) + 3)
    for user in PEOPLE:
        assert not api.state.updates and all(
            "You said" in text or "reach my host" in text for text in api.texts(user.id)
        )
    print(f"{len(KILLS)} kills: {len(said)} messages, {twice} answers came twice")


def answers(chat: Chats) -> collections.Counter[str]:
    """What was answered, by what was said, and how often."""
    texts = [text for user in PEOPLE for text in chat.api.texts(user.id)]
    return collections.Counter(text.partition("You said ")[2] for text in texts if "You said " in text)
