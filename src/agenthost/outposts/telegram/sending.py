"""Messages as the Bot API takes them."""

from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyParameters,
)
from msgspec import Struct

from agenthost.core.conversations import Button
from agenthost.outposts.channel.port import MB, Content, Mark, Piece

PHOTO = 10 * MB
"""Bytes that a picture may have which is shown as one (Bot API, sendPhoto)."""
_PHOTOS = frozenset(("image/jpeg", "image/png", "image/webp"))
_SOUNDS = frozenset(("audio/mpeg", "audio/mp4", "audio/x-m4a"))
_VOICES = frozenset(("audio/ogg", "audio/opus", "application/ogg"))
PATIENCE = 60
"""Seconds that a request may take, besides what its file takes at `SLOWEST` bytes a second: a file that is cut off is sent again, perhaps for ever."""
SLOWEST = 32 * 1024
_ROW = 24
"""Characters of labels that one row of buttons shows whole on a telephone."""


class Where(Struct, frozen=True):
    """A chat, its topic, and the message that is answered."""

    chat: int
    thread: int | None = None
    reply: int | None = None


async def send(bot: Bot, where: Where, piece: Piece, content: Content | None) -> Message:
    """Send one message. Raises what aiogram raises."""
    try:
        return await _sent(bot, where, piece, content)
    except TelegramBadRequest as error:
        if where.thread is None or "thread not found" not in error.message.lower():
            raise
        # The topic was deleted: its group goes on.
        return await _sent(bot, Where(where.chat), piece, content)


async def _sent(bot: Bot, where: Where, piece: Piece, content: Content | None) -> Message:
    if content is None:
        return await _text(bot, where, piece)
    file, reply = BufferedInputFile(content.data, filename=content.name), _reply(where)
    patience = PATIENCE + len(content.data) // SLOWEST
    if content.voice and content.media_type in _VOICES:
        return await bot.send_voice(
            where.chat, file, message_thread_id=where.thread, reply_parameters=reply, request_timeout=patience
        )
    if content.media_type in _PHOTOS and len(content.data) <= PHOTO:
        try:
            return await bot.send_photo(
                where.chat, file, message_thread_id=where.thread, reply_parameters=reply, request_timeout=patience
            )
        except TelegramBadRequest as error:
            if "PHOTO" not in error.message.upper() and "IMAGE" not in error.message.upper():
                raise
    elif content.media_type in _SOUNDS:
        return await bot.send_audio(
            where.chat, file, message_thread_id=where.thread, reply_parameters=reply, request_timeout=patience
        )
    return await bot.send_document(
        where.chat, file, message_thread_id=where.thread, reply_parameters=reply, request_timeout=patience
    )


async def _text(bot: Bot, where: Where, piece: Piece) -> Message:
    try:
        return await _plain(bot, where, piece, [_entity(mark) for mark in piece.marks])
    except TelegramBadRequest as error:
        if not piece.marks or "entit" not in error.message.lower():
            raise
        return await _plain(bot, where, piece, [])


async def _plain(bot: Bot, where: Where, piece: Piece, entities: list[MessageEntity]) -> Message:
    return await bot.send_message(
        where.chat,
        piece.text,
        message_thread_id=where.thread,
        entities=entities or None,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_parameters=_reply(where),
        reply_markup=keyboard(piece.buttons) if piece.buttons else None,
        request_timeout=PATIENCE,
    )


def keyboard(buttons: tuple[Button, ...]) -> InlineKeyboardMarkup:
    """Buttons in rows: short ones side by side, no more than three."""
    rows: list[list[InlineKeyboardButton]] = []
    used = 0
    for button in buttons:
        made = InlineKeyboardButton(text=button.label, callback_data=button.data)
        if rows and len(rows[-1]) < 3 and used + len(button.label) <= _ROW:
            rows[-1].append(made)
            used += len(button.label)
        else:
            rows.append([made])
            used = len(button.label)
    return InlineKeyboardMarkup(inline_keyboard=rows)


def _reply(where: Where) -> ReplyParameters | None:
    if where.reply is None:
        return None
    return ReplyParameters(message_id=where.reply, allow_sending_without_reply=True)


def _entity(mark: Mark) -> MessageEntity:
    url = mark.extra if mark.kind == "text_link" else None
    language = mark.extra or None if mark.kind == "pre" else None
    return MessageEntity(type=mark.kind, offset=mark.start, length=mark.length, url=url, language=language)
