"""Runs Telegram as a channel of a host: the bot, the book, the courier."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct

from agenthost.client import Address, Client
from agenthost.core.channels import TelegramSettings
from agenthost.core.errors import BadInput
from agenthost.outposts.channel.book import Book
from agenthost.outposts.channel.courier import Courier
from agenthost.outposts.channel.doorman import Doorman
from agenthost.outposts.channel.port import Posts
from agenthost.outposts.channel.post import ClientPost
from agenthost.outposts.channel.ways import Ways
from agenthost.outposts.telegram.channel import TelegramChannel, bot_of
from agenthost.outposts.telegram.failures import told
from agenthost.outposts.telegram.hearing import Self

Named = Callable[[str], str]
"""The value of a variable or a secret by its name, empty where there is none."""


class Serving(Struct):
    """A courier that is ready, and the bot's own name."""

    courier: Courier
    me: Self
    book: Book


def book_of(home: Path, token: str) -> Path:
    """Where a bot's book is: two bots never share one."""
    return home / "outposts" / f"telegram-{token.partition(':')[0]}.sqlite"


def token_of(settings: TelegramSettings, named: Named) -> str:
    """The bot's token. Raises BadInput where there is none."""
    token = named(settings.token_env).strip()
    if not token:
        raise BadInput(
            f"there is no token of a bot: make one with @BotFather, and set it as {settings.token_env} (or name another variable as "
            "`token-env` under [telegram] in agenthost.toml)"
        )
    return token


@asynccontextmanager
async def posts_of(
    settings: TelegramSettings, named: Named, everybody: Address, own: Callable[[str], Address]
) -> AsyncGenerator[Posts]:
    """The posts by their names: everybody's, and one for each key under `tokens`; `own` says where the host is for whoever has a key. Raises
    BadInput where a key is missing."""
    addresses = {"": everybody}
    for who, name in settings.tokens.items():
        key = named(name).strip()
        if not key:
            raise BadInput(
                f"[telegram.tokens] names {name} for {who}, and there is no such variable or secret; set it to their key"
            )
        addresses[name] = own(key)
    async with AsyncExitStack() as stack:
        yield {
            name: ClientPost(await stack.enter_async_context(Client(address))) for name, address in addresses.items()
        }


def ways_of(settings: TelegramSettings) -> Ways:
    """How the courier goes about it."""
    return Ways(settings.name, settings.refusal, settings.transcribe, settings.speak, settings.voice)


class Part(Struct, frozen=True):
    """What a bot is served with: its token, the home for its book, and the posts."""

    settings: TelegramSettings
    token: str
    home: Path
    posts: Posts


@asynccontextmanager
async def opened(part: Part, patience: int = 50) -> AsyncGenerator[Serving]:
    """A courier that may run. Raises BadInput, Unauthenticated, Conflict (another has its book), Temporary where Telegram can't be reached.
    `patience`: seconds that one request for updates may wait."""
    bot = bot_of(part.settings, part.token)
    book = Book(book_of(part.home, part.token))
    try:
        await book.open()
        channel = TelegramChannel(bot, part.settings, book, patience)
        me = await channel.open()
        doorman = Doorman(part.settings.allow, part.settings.tokens)
        yield Serving(Courier(channel, part.posts, book, doorman, ways_of(part.settings)), me, book)
    finally:
        await bot.session.close()
        await book.close()


async def who(settings: TelegramSettings, token: str) -> Self:
    """Who Telegram says that the bot is. Raises Unauthenticated, Temporary."""
    bot = bot_of(settings, token)
    try:
        with told(token):
            me = await bot.get_me(request_timeout=10)
        return Self(me.id, me.username or "")
    finally:
        await bot.session.close()
