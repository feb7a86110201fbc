"""How chats of Telegram are named to a host: `telegram:CHAT`, or `telegram:CHAT:THREAD` for a topic of a group."""

NAME = "telegram"


def conversation(chat: int, thread: int | None = None) -> str:
    """The conversation of a chat, or of a topic in it."""
    return f"{NAME}:{chat}:{thread}" if thread else f"{NAME}:{chat}"


def place(conversation: str) -> tuple[int, int | None]:
    """The chat of a conversation, and its topic. Raises ValueError for a name of another channel's."""
    name, chat, *thread = conversation.split(":")
    if name != NAME:
        raise ValueError(f"{conversation} is no chat of Telegram")
    return int(chat), int(thread[0]) if thread else None


def key(message: int, chat: int, known: int) -> str:
    """How a message is named to a host that knows its chat as `known`: a group that became a supergroup counts its messages anew."""
    return str(message) if chat == known else f"{message}@{chat}"


def message(key: str, chat: int, known: int) -> int | None:
    """The message of a chat that a key names, None where it is of another; an edit's and a press's name the one that they are about."""
    number, _, where = key.partition(".")[0].partition("@")
    return int(number) if number.isdecimal() and where == ("" if chat == known else str(chat)) else None
