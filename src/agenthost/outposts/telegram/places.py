"""How chats of Telegram are named to a host: `telegram:BOT/CHAT`, or `telegram:BOT/CHAT:THREAD` for a topic.

The bot is part of the name: each counts the messages of a person's chat by itself, and what one was asked is answered by that one. Bots
whose book was begun before that leave it out.
"""

NAME = "telegram"


def conversation(bot: str, chat: int, thread: int | None = None) -> str:
    """The conversation of a chat with a bot (its id; empty: left out), or of a topic in it."""
    place = f"{NAME}:{bot}/{chat}" if bot else f"{NAME}:{chat}"
    return f"{place}:{thread}" if thread else place


def bot(conversation: str) -> str | None:
    """The bot of a conversation, empty where it is left out; None for a name of another channel's."""
    name, _, rest = conversation.partition(":")
    return None if name != NAME or not rest else rest.rpartition("/")[0]


def place(conversation: str) -> tuple[int, int | None]:
    """The chat of a conversation, and its topic. Raises ValueError for a name of another channel's."""
    if bot(conversation) is None:
        raise ValueError(f"{conversation} is no chat of Telegram")
    chat, *thread = conversation.partition(":")[2].rpartition("/")[2].split(":")
    return int(chat), int(thread[0]) if thread else None


def key(message: int, chat: int, known: int) -> str:
    """How a message is named to a host that knows its chat as `known`: a group that became a supergroup counts its messages anew."""
    return str(message) if chat == known else f"{message}@{chat}"


def message(key: str, chat: int, known: int) -> int | None:
    """The message of a chat that a key names, None where it is of another; an edit's and a press's name the one that they are about."""
    number, _, where = key.partition(".")[0].partition("@")
    return int(number) if number.isdecimal() and where == ("" if chat == known else str(chat)) else None
