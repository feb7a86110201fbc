"""`TelegramChannel`: fulfils the port of a channel over the Bot API."""

from collections.abc import AsyncIterator, Sequence

import structlog
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError
from aiogram.types import BotCommand, ReactionTypeEmoji, Update

from agenthost.core.channels import TelegramSettings
from agenthost.core.errors import BadInput, Permanent, Temporary
from agenthost.outposts.channel.book import PLAIN
from agenthost.outposts.channel.pace import Pace
from agenthost.outposts.channel.port import MB, Attached, Content, Heard, Limits, Mark, Notes, Piece
from agenthost.outposts.telegram import marking, places
from agenthost.outposts.telegram.failures import MovedAway, told
from agenthost.outposts.telegram.hearing import Moved, Self, heard
from agenthost.outposts.telegram.receiving import Webhook, polled
from agenthost.outposts.telegram.sending import Where, send

TEXT = 4096
"""UTF-16 units of one message (Bot API, sendMessage)."""
_NOD = "👌"
COMMANDS = {
    "tasks": "what is going on",
    "status": "how far it is",
    "new": "begin something new: /new and what it is",
    "cancel": "end the task that you reply to, or that you name",
    "pause": "let a task rest",
    "resume": "let it go on",
    "again": "work on with a task that has ended",
    "move": "a message was meant for another task",
    "delete": "take back the message that you reply to",
    "help": "what can be said here",
    "id": "who you are to me",
}
"""The bot's menu: `programs.routing.commands` reads them, but for the last ones of the channel's own: `delete`, `id`."""


def bot_of(settings: TelegramSettings, token: str) -> Bot:
    """The bot of a token. Raises BadInput where that can't be one."""
    number, _, rest = token.partition(":")
    if not number.isdigit() or len(rest) < 20 or any(sign.isspace() for sign in token):
        raise BadInput(
            "the bot's token doesn't look like one; take it from @BotFather as it is, such as 123456:ABC-DEF..."
        )
    api = TelegramAPIServer.from_base(settings.api_url.rstrip("/"))
    return Bot(token, AiohttpSession(api=api))


class TelegramChannel:
    """One bot. `patience`: seconds that a request for updates may wait. `open` first, `close` at last."""

    name = places.NAME

    def __init__(self, bot: Bot, settings: TelegramSettings, notes: Notes, patience: int = 50) -> None:
        self._bot = bot
        self._settings = settings
        self._notes = notes
        self._patience = patience
        self._pace = Pace(settings.every, settings.rate, settings.group_rate)
        self._known: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._me = Self(0, "")
        self._log = structlog.get_logger(__name__)

    @property
    def limits(self) -> Limits:
        return Limits(TEXT, "utf-16", self._settings.pieces, label=60, upload=50 * MB, download=20 * MB)

    def mine(self, conversation: str) -> bool:
        return places.bot(conversation) == self._me.named

    def shape(self, text: str) -> tuple[str, tuple[Mark, ...]]:
        return marking.shape(text)

    async def open(self) -> Self:
        """Look who the bot is, and set its menu. Raises Unauthenticated, Temporary."""
        with told(self._bot.token):
            me = await self._bot.get_me()
            await self._bot.set_my_commands(
                [BotCommand(command=name, description=text) for name, text in COMMANDS.items()]
            )
        self._me = Self(me.id, me.username or "", "" if await self._notes.note(PLAIN) else str(me.id))
        for pair in (await self._notes.note("moved")).split():
            old, _, new = pair.partition(":")
            self._known[int(new)], self._now[int(old)] = int(old), int(new)
        return self._me

    async def close(self) -> None:
        await self._bot.session.close()

    # --- what people write ---

    async def arrivals(self) -> AsyncIterator[Sequence[Heard]]:
        if self._settings.webhook_url:
            updates = Webhook(self._bot, self._settings.webhook_url, self._settings.webhook_listen).updates()
        else:
            updates = polled(self._bot, self._patience)
        try:
            async for came in updates:
                yield [one for update in came if (one := await self._heard(update)) is not None]
        finally:
            await updates.aclose()

    async def _heard(self, update: Update) -> Heard | None:
        found = heard(update, self._me, lambda chat: self._known.get(chat, chat))
        if isinstance(found, Moved):
            await self._move(found.old, found.new)
            return None
        return found

    async def fetch(self, file: Attached) -> bytes:
        with told(self._bot.token):
            found = await self._bot.get_file(file.ref)
            if not found.file_path:
                raise Permanent("Telegram doesn't have the file any more; send it again", code="gone")
            pieces = self._bot.session.stream_content(
                self._bot.session.api.file_url(self._bot.token, found.file_path), timeout=120
            )
            content = bytearray()
            async for piece in pieces:
                content += piece
                if len(content) > self.limits.download:
                    raise Permanent(f"it has more than {self.limits.download // MB} MB", code="too-large")
        return bytes(content)

    # --- what the host says ---

    async def send(self, conversation: str, piece: Piece, content: Content | None = None) -> list[str]:
        known, thread = places.place(conversation)
        for _ in range(2):
            chat = self._now.get(known, known)
            reply = places.message(piece.reply_to, chat, known) if piece.reply_to else None
            await self._pace.turn(str(chat), group=chat < 0)
            try:
                with told(self._bot.token):
                    sent = await send(self._bot, Where(chat, thread, reply), piece, content)
                return [places.key(sent.message_id, chat, known)]
            except MovedAway as error:
                await self._move(chat, error.chat)
            except Temporary as error:
                if error.delay is not None:
                    self._pace.rest(str(chat), error.delay)
                raise
        raise Permanent("the group moved twice", code="moved")

    async def noticed(self, heard: Heard, taken: bool) -> None:
        try:
            await self._bot.answer_callback_query(heard.press)
        except TelegramAPIError as error:
            self._log.debug("a press wasn't acknowledged", problem=type(error).__name__)
        if taken:
            await self.fade(heard.conversation, [heard.reply_to])

    async def fade(self, conversation: str, ids: Sequence[str]) -> None:
        known, _ = places.place(conversation)
        chat = self._now.get(known, known)
        for number in filter(None, (places.message(id, chat, known) for id in ids)):
            try:
                await self._bot.edit_message_reply_markup(chat_id=chat, message_id=number, reply_markup=None)
            except TelegramAPIError as error:
                # It is gone, too old, or has no buttons any more.
                self._log.debug("buttons weren't taken away", problem=type(error).__name__)

    async def nod(self, heard: Heard) -> None:
        known, _ = places.place(heard.conversation)
        chat = self._now.get(known, known)
        number = places.message(heard.key, chat, known)
        if number is None:
            return
        try:
            await self._bot.set_message_reaction(chat, number, [ReactionTypeEmoji(emoji=_NOD)])
        except TelegramAPIError as error:
            # A group may allow no reactions.
            self._log.debug("a message wasn't nodded at", problem=type(error).__name__)

    async def working(self, conversation: str) -> None:
        known, thread = places.place(conversation)
        with told(self._bot.token):
            await self._bot.send_chat_action(self._now.get(known, known), "typing", message_thread_id=thread)

    async def _move(self, old: int, new: int) -> None:
        """A group has another id from now on; the host goes on to know it by its first."""
        first = self._known.get(old, old)
        if self._now.get(first) == new:
            return
        self._now[first], self._known[new] = new, first
        await self._notes.put_note("moved", " ".join(f"{one}:{two}" for one, two in self._now.items()))
        self._log.warning("a group became a supergroup", was=old, now=new)
