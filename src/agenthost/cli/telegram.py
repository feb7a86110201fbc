"""`agenthost telegram`: the host's agents in Telegram, by a process of its own beside the host; and what couldn't be shown there."""

import asyncio
import os
import signal
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agenthost.cli.connect import Door
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.screen import Screen
from agenthost.core.api import Finding
from agenthost.core.channels import TelegramSettings
from agenthost.core.errors import AgentHostError, BadInput, Temporary, Unavailable

if TYPE_CHECKING:  # loads aiogram, which takes seconds
    from agenthost.outposts.channel.book import Showing
    from agenthost.outposts.telegram.serving import Part

AGAIN = 5.0
"""Seconds after which Telegram is looked for again, where it can't be reached at the start."""


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "telegram serve\ntelegram check\ntelegram undelivered")
    words = Words(made)
    words.add(
        "serve",
        "carry messages between Telegram and the host until it is told to stop",
        "telegram serve\nTELEGRAM_BOT_TOKEN=123:ABC agenthost telegram serve --log-level info\n"
        "AGENTHOST_URL=https://agents.example.com AGENTHOST_TOKEN=ah_... agenthost telegram serve",
    )
    words.add("check", "whether Telegram knows the bot, and who may write to it", "telegram check")
    undelivered = words.add(
        "undelivered",
        "what couldn't be shown, and why; it is tried again for four days, and with --retry at once",
        "telegram undelivered\ntelegram undelivered --json\ntelegram undelivered --retry\ntelegram undelivered --retry telegram:123456/77",
    )
    undelivered.add_argument(
        "--retry",
        nargs="?",
        const="",
        metavar="CHAT",
        help="try all of it again, or what is in one chat (as the list names it)",
    )
    undelivered.add_argument("--limit", type=int, default=50, metavar="N", help="how many, newest first (50)")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    from agenthost.host.settings import load

    if args.word == "undelivered":
        return await _undelivered(args, door.home, screen)
    settings = (await asyncio.to_thread(load, door.home)).telegram
    await loaded()
    if args.word == "check":
        return await _check(settings, screen)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await _serve(settings, door.home, screen, stop)
    return 0


async def loaded() -> None:
    """Load what Telegram needs, off the loop. Raises Unavailable where the extra isn't installed."""
    import importlib

    try:
        await asyncio.to_thread(importlib.import_module, "agenthost.outposts.telegram.serving")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("aiogram", "telegramify_markdown"):
            raise
        raise Unavailable(
            "Telegram needs two packages more; install them with `pip install 'agenthost[telegram]'`"
        ) from error


def _named(name: str) -> str:
    return os.environ.get(name, "")


async def _serve(settings: TelegramSettings, home: Path, screen: Screen, stop: asyncio.Event) -> None:
    from agenthost.client import Address, address_of
    from agenthost.outposts.telegram import serving

    token = serving.token_of(settings, _named)
    url = _named("AGENTHOST_URL")

    def own(key: str) -> Address:
        if not url:
            raise BadInput(
                "people have keys of their own under [telegram.tokens]; set AGENTHOST_URL to where the host is that knows them"
            )
        return Address(url=url, token=key)

    async with serving.posts_of(settings, _named, address_of(home), own) as posts, asyncio.TaskGroup() as group:
        running = group.create_task(_carry(serving.Part(settings, token, home, posts), screen))
        stopping = group.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        stopping.cancel()


async def _carry(part: "Part", screen: Screen) -> None:
    from agenthost.outposts.telegram import serving

    while True:
        try:
            async with serving.opened(part) as ready:
                if screen.json:
                    screen.object({"kind": "serving", "bot": ready.me.name})
                screen.say(
                    f"@{ready.me.name} is served. Ctrl-C stops it; what is under way goes on with the next start."
                )
                if not part.settings.allow and not part.settings.tokens:
                    screen.hint(
                        "nobody may write yet: write /start to the bot, and put the id that it tells you into [telegram] allow"
                    )
                await ready.courier.run()
        except Temporary as error:
            screen.hint(f"{error.message}; trying again")
            await asyncio.sleep(error.delay if error.delay is not None else AGAIN)


async def _check(settings: TelegramSettings, screen: Screen) -> int:
    from agenthost.outposts.telegram import serving

    me = await serving.who(settings, serving.token_of(settings, _named))
    if screen.json:
        screen.object({"bot": me.name, "id": me.id, "allow": settings.allow})
        return 0
    screen.say(f"Telegram knows the bot as @{me.name}.", "green")
    who = ", ".join(map(str, (*settings.allow, *settings.tokens)))
    screen.say(
        f"These may write to it: {who}."
        if who
        else "Nobody may write to it yet; [telegram] allow in agenthost.toml says who."
    )
    return 0


async def look(home: Path) -> list[Finding]:
    """Whether Telegram is as it should be, for `agenthost doctor`; nothing where it isn't set up."""
    from agenthost.host.settings import load

    settings = (await asyncio.to_thread(load, home)).telegram
    if settings == TelegramSettings():
        return []
    if not _named(settings.token_env):
        unknown = f"set up; {settings.token_env} isn't set here, so that nothing was asked of Telegram"
        return [Finding("ok", "Telegram", unknown, f"{settings.token_env}=... agenthost telegram check")]
    try:
        await loaded()
        from agenthost.outposts.telegram import serving

        me = await serving.who(settings, _named(settings.token_env))
    except AgentHostError as error:
        return [Finding("fail", "Telegram", error.message, "take the bot's token from @BotFather as it is")]
    if settings.allow or settings.tokens:
        return [Finding("ok", "Telegram", f"the bot is @{me.name}")]
    fix = "write /start to the bot, and put the id that it tells you into [telegram] allow"
    return [Finding("warn", "Telegram", f"the bot is @{me.name}, and nobody may write to it", fix)]


async def _undelivered(args: Namespace, home: Path, screen: Screen) -> int:
    if not 0 < args.limit <= 1000:
        raise BadInput("--limit takes a number from 1 to 1000")
    books = await asyncio.to_thread(lambda: sorted((home / "outposts").glob("telegram-*.sqlite")))
    if args.retry is not None:
        return await _retry(books, args.retry, screen)
    from agenthost.outposts.channel.book import set_aside

    found = [one for book in books for one in await asyncio.to_thread(set_aside, book, args.limit)]
    if screen.json:
        screen.object([_told(one) for one in found])
        return 0
    rows = [
        [_when(one.at), one.line.conversation, one.line.task, one.reason, _again(one), one.line.text[:80]]
        for one in found
    ]
    screen.table(["since", "chat", "task", "why", "tried again", "what"], rows)
    return 0


async def _retry(books: list[Path], conversation: str, screen: Screen) -> int:
    from agenthost.outposts.channel.book import try_again

    counts = [await asyncio.to_thread(try_again, book, conversation) for book in books]
    if screen.json:
        screen.object({"retried": sum(counts)})
        return 0
    if sum(counts):
        screen.say(f"{sum(counts)} are tried again, at once where the bot is served, else as soon as it is.", "green")
    else:
        screen.say(f"Nothing was left undelivered{f' in {conversation}' if conversation else ''}.")
    return 0


def _told(one: "Showing") -> dict[str, object]:
    line = one.line
    told: dict[str, object] = {"conversation": line.conversation, "task": line.task, "at": one.at, "reason": one.reason}
    return told | {"tries": one.tries, "due": one.due, "text": line.text}


def _again(one: "Showing") -> str:
    return _when(one.due) if one.due > 1 else "now" if one.due else "with --retry"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
