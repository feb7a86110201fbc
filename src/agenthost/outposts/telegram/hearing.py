"""Updates of Telegram as what was heard. Pure: what is to be noted beside it is said in `Moved`."""

from collections.abc import Callable

from aiogram.enums import ChatType, MessageEntityType
from aiogram.types import CallbackQuery, Chat, Message, MessageEntity, MessageOriginUser, Update, User
from msgspec import Struct

from agenthost.outposts.channel.port import Attached, Heard
from agenthost.outposts.telegram.places import conversation, key

KINDS = ["message", "edited_message", "callback_query"]
"""The kinds of updates that are asked for."""
GREETINGS = ("/start", "/id")
TAKES_BACK = "/delete"
"""What the channel itself does: it says who is who, and takes back what is replied to."""


class Self(Struct, frozen=True):
    """The bot: its id and its name without the `@`."""

    id: int
    name: str


class Moved(Struct, frozen=True):
    """A group became a supergroup, with another id."""

    old: int
    new: int


def heard(update: Update, me: Self, known: Callable[[int], int]) -> Heard | Moved | None:
    """What an update is to us; None where it is nothing. `known`: the id under which the host knows a chat."""
    if update.callback_query is not None:
        return _press(update.callback_query, update.update_id, known)
    came = update.message or update.edited_message
    if came is None or came.from_user is None or came.from_user.is_bot:
        return None
    if came.migrate_to_chat_id is not None:
        return Moved(came.chat.id, came.migrate_to_chat_id)
    if came.migrate_from_chat_id is not None:
        return Moved(came.migrate_from_chat_id, came.chat.id)
    return _message(came, update, me, known)


def _message(came: Message, update: Update, me: Self, known: Callable[[int], int]) -> Heard | None:
    user = came.from_user
    assert user is not None
    text, entities = came.text or came.caption or "", came.entities or came.caption_entities or []
    attached, told = _content(came)
    if not text and not attached and not told:
        return None  # somebody joined, a message was pinned, and such
    group = came.chat.type != ChatType.PRIVATE
    addressed = not group or _addressed(came, text, entities, me)
    album = came.media_group_id or ""
    if not addressed and not album:
        return None
    words = "\n".join(filter(None, (_without_us(text, entities, me), told)))
    edited = update.edited_message is not None
    chat, here = came.chat.id, known(came.chat.id)
    number = key(came.message_id, chat, here)
    forwarded = _forwarded(came)
    command = words.split(maxsplit=1)[0].lower() if words and not forwarded else ""
    reply = came.reply_to_message
    replied = key(reply.message_id, chat, here) if reply is not None and reply.forum_topic_created is None else ""
    deleted = command == TAKES_BACK and bool(replied)
    return Heard(
        arrival=str(update.update_id),
        key=f"{number}.{update.update_id}" if edited or deleted else number,
        conversation=_conversation(came, known),
        account=str(user.id),
        names=_names(user, came.chat),
        text="" if deleted else words,
        attached=() if edited else attached,
        reply_to="" if deleted else replied,
        quote=came.quote.text if came.quote is not None else "",
        edits=number if edited else replied if deleted else "",
        deleted=deleted,
        album="" if edited else album,
        addressed=addressed,
        greets=command in GREETINGS and not edited,
        forwarded=forwarded,
    )


def _press(press: CallbackQuery, update: int, known: Callable[[int], int]) -> Heard | None:
    if press.message is None or not press.data:
        return None
    shown = press.message
    thread = shown.message_thread_id if isinstance(shown, Message) and shown.is_topic_message else None
    number = key(shown.message_id, shown.chat.id, known(shown.chat.id))
    return Heard(
        arrival=str(update),
        key=f"{number}.press.{press.id}",
        conversation=conversation(known(shown.chat.id), thread),
        account=str(press.from_user.id),
        names=_names(press.from_user, shown.chat),
        text=_label(press),
        reply_to=number,
        button=press.data,
        press=press.id,
    )


def _label(press: CallbackQuery) -> str:
    """The words on the button that was pressed."""
    shown = press.message
    rows = shown.reply_markup.inline_keyboard if isinstance(shown, Message) and shown.reply_markup else []
    return next((button.text for row in rows for button in row if button.callback_data == press.data), "")


def _forwarded(came: Message) -> bool:
    """Whether a message's words are somebody else's, or nobody knows whose."""
    origin = came.forward_origin
    whose = origin.sender_user.id if isinstance(origin, MessageOriginUser) else 0
    return origin is not None and (came.from_user is None or whose != came.from_user.id)


def _conversation(came: Message, known: Callable[[int], int]) -> str:
    return conversation(known(came.chat.id), came.message_thread_id if came.is_topic_message else None)


def _names(user: User, chat: Chat) -> tuple[str, ...]:
    own = (f"@{user.username}",) if user.username else ()
    place = () if chat.type == ChatType.PRIVATE else (str(chat.id), *((f"@{chat.username}",) if chat.username else ()))
    return own + place


def _addressed(came: Message, text: str, entities: list[MessageEntity], me: Self) -> bool:
    """Whether a message of a group is meant for the bot: it names it, answers it, or is a command (of no other bot)."""
    reply = came.reply_to_message
    if reply is not None and reply.from_user is not None and reply.from_user.id == me.id:
        return True
    for entity in entities:
        if entity.type == MessageEntityType.TEXT_MENTION and entity.user is not None and entity.user.id == me.id:
            return True
        words = entity.extract_from(text)
        if entity.type == MessageEntityType.MENTION and words.lower() == f"@{me.name}".lower():
            return True
        if entity.type == MessageEntityType.BOT_COMMAND and entity.offset == 0:
            _, _, other = words.partition("@")
            return not other or other.lower() == me.name.lower()
    return False


def _without_us(text: str, entities: list[MessageEntity], me: Self) -> str:
    """A text without the bot's own name, and with the addresses of its links."""
    wide = text.encode("utf-16-le")
    ours = f"@{me.name}".lower()
    for entity in sorted(entities, key=lambda one: one.offset, reverse=True):
        begin, end = entity.offset * 2, (entity.offset + entity.length) * 2
        words = wide[begin:end].decode("utf-16-le", "replace")
        if entity.type == MessageEntityType.MENTION and words.lower() == ours:
            wide = wide[:begin] + wide[end:]
        elif entity.type == MessageEntityType.BOT_COMMAND and words.lower().endswith(ours):
            wide = wide[:begin] + words[: -len(ours)].encode("utf-16-le") + wide[end:]
        elif entity.type == MessageEntityType.TEXT_LINK and entity.url and entity.url != words:
            wide = wide[:end] + f" ({entity.url})".encode("utf-16-le") + wide[end:]
    return wide.decode("utf-16-le", "replace").strip()


def _content(came: Message) -> tuple[tuple[Attached, ...], str]:
    """The file of a message, and in words what is neither text nor file."""
    number = came.message_id
    if came.photo:
        best = max(came.photo, key=lambda one: one.width * one.height)
        return (Attached(best.file_id, f"picture-{number}.jpg", "", best.file_size or 0),), ""
    if came.voice is not None:
        kind = came.voice.mime_type or "audio/ogg"
        return (Attached(came.voice.file_id, f"voice-{number}.ogg", kind, came.voice.file_size or 0, voice=True),), ""
    named = (
        (came.animation, "animation", "mp4", "video/mp4"),
        (came.document, "file", "bin", ""),
        (came.audio, "audio", "mp3", "audio/mpeg"),
        (came.video, "video", "mp4", "video/mp4"),
    )
    for file, kind, ending, media in named:
        if file is not None:
            name = file.file_name or f"{kind}-{number}.{ending}"
            return (Attached(file.file_id, name, file.mime_type or media, file.file_size or 0),), ""
    if came.video_note is not None:
        note = came.video_note
        return (Attached(note.file_id, f"video-{number}.mp4", "video/mp4", note.file_size or 0),), ""
    return (), _told(came)


def _told(came: Message) -> str:
    """In words what can't be passed on as it is, empty for what is no message of a person's."""
    if came.venue is not None:
        at = came.venue.location
        return f"[a place: {came.venue.title}, {came.venue.address}; latitude {at.latitude}, longitude {at.longitude}]"
    if came.location is not None:
        return f"[a place: latitude {came.location.latitude}, longitude {came.location.longitude}]"
    if came.contact is not None:
        name = " ".join(filter(None, (came.contact.first_name, came.contact.last_name)))
        return f"[a contact: {name}, {came.contact.phone_number}]"
    if came.poll is not None:
        options = "; ".join(option.text for option in came.poll.options)
        return f"[a poll: {came.poll.question} Options: {options}]"
    if came.sticker is not None:
        return f"[a sticker: {came.sticker.emoji or 'without words'}]"
    if came.dice is not None:
        return f"[a throw of {came.dice.emoji}: {came.dice.value}]"
    return ""
