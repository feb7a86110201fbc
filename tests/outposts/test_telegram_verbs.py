"""`agenthost telegram` and what `agenthost doctor` says of it, as a person runs them."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import telegram
from agenthost.cli.screen import Screen
from agenthost.core.conversations import Line
from agenthost.core.errors import BadInput, Unavailable
from agenthost.outposts.channel.book import Book
from agenthost.outposts.telegram.serving import book_of
from agenthost.testing.telegram_api import BotApi
from tests.cli.fakes import FakeDoor, FakeHost


@pytest.fixture
async def api() -> AsyncGenerator[BotApi]:
    async with BotApi() as made:
        yield made


def door(home: Path, toml: str = "") -> FakeDoor:
    home.mkdir(exist_ok=True)
    (home / "agenthost.toml").write_text(toml)
    return FakeDoor(FakeHost([]), home)


async def ran(home: Path, toml: str, *words: str) -> int:
    args = telegram.parser("telegram").parse_args(list(words))
    return await telegram.run(args, door(home, toml), Screen("--json" in words))


async def test_check_says_who_the_bot_is_and_who_may_write(
    api: BotApi, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = f'[telegram]\napi-url = "{api.url}"\n'
    with pytest.raises(BadInput, match="@BotFather, and set it as TELEGRAM_BOT_TOKEN"):
        await ran(tmp_path, toml, "check")
    monkeypatch.setattr(os, "environ", os.environ | {"TELEGRAM_BOT_TOKEN": api.token})
    assert await ran(tmp_path, toml, "check") == 0
    assert await ran(tmp_path, toml + 'allow = [5, "@ann"]\n', "check") == 0
    out = capsys.readouterr().out
    assert "Telegram knows the bot as @agenthost_bot." in out and "Nobody may write to it yet" in out
    assert "These may write to it: 5, @ann." in out
    assert api.token not in out


async def test_the_doctor_looks_at_telegram_where_it_is_set_up(
    api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(toml: str) -> list[tuple[str, str]]:
        return [(one.status, one.seen) for one in await telegram.look(door(tmp_path, toml).home)]

    toml = f'[telegram]\napi-url = "{api.url}"\n'
    assert await found("") == []
    assert [status for status, _ in await found(toml)] == ["ok"]
    monkeypatch.setattr(os, "environ", os.environ | {"TELEGRAM_BOT_TOKEN": api.token})
    assert await found(toml) == [("warn", "the bot is @agenthost_bot, and nobody may write to it")]
    assert await found(toml + "allow = [5]\n") == [("ok", "the bot is @agenthost_bot")]
    monkeypatch.setattr(os, "environ", os.environ | {"TELEGRAM_BOT_TOKEN": "1:" + "x" * 30})
    assert await found(toml) == [("fail", "Telegram doesn't know the bot's token; take it from @BotFather")]


async def test_what_couldnt_be_shown_is_listed(tmp_path: Path, capsys: Any) -> None:
    assert await ran(tmp_path, "", "undelivered") == 0
    book = await Book(book_of(tmp_path, "12:token")).open()
    await book.keep("", Line("telegram:5", "h1", "host", "answer", 1.0, "the answer", task="t1", place=7), wanted=True)
    showing = await book.next_showing("telegram:5")
    assert showing is not None
    showing.state, showing.reason = "aside", "bot was blocked by the user"
    await book.save(showing)
    assert await ran(tmp_path, "", "undelivered") == 0
    assert await ran(tmp_path, "", "undelivered", "--json") == 0
    await book.close()
    words, told = capsys.readouterr().out.splitlines()
    assert words.split("\t")[1:] == ["telegram:5", "t1", "bot was blocked by the user", "with --retry", "the answer"]
    assert json.loads(told)[0]["reason"] == "bot was blocked by the user"
    for words, count in ((("--retry", "telegram:6"), 0), (("--retry",), 1)):
        assert await ran(tmp_path, "", "undelivered", *words, "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"retried": count}
    assert await ran(tmp_path, "", "undelivered") == 0
    assert capsys.readouterr().out.split("\t")[4] == "now"
    book = await Book(book_of(tmp_path, "12:token")).open()
    assert await book.revive(2.0) == ["telegram:5"], "the courier that opens the book tries it"
    await book.close()
    with pytest.raises(BadInput, match="--limit"):
        await ran(tmp_path, "", "undelivered", "--limit", "0")


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'aiogram'", name="aiogram.types")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(Unavailable, match=r"pip install 'agenthost\[telegram\]'"):
        await telegram.loaded()


def test_a_host_without_telegram_loads_nothing_of_it() -> None:
    code = "import sys, agenthost.cli.up, agenthost.cli.telegram, agenthost.cli.beside, agenthost.host.host; print('aiogram' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
