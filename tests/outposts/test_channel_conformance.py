"""Every channel keeps the promises of the port: the one in memory, and Telegram over HTTP."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agenthost.testing.channels import ChannelSuite
from agenthost.testing.telegram_api import BotApi
from tests.outposts.services import AtTelegram, InMemory, at_telegram, book_at


class TestMemory(ChannelSuite):
    @pytest.fixture
    def service(self) -> InMemory:
        return InMemory()


class TestTelegram(ChannelSuite):
    @pytest.fixture
    async def service(self, tmp_path: Path) -> AsyncGenerator[AtTelegram]:
        book = await book_at(tmp_path).open()
        async with BotApi() as api:
            channel = await at_telegram(api, book)
            yield AtTelegram(api, channel)
            await channel.close()
        await book.close()
