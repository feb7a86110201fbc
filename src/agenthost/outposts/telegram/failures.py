"""What the Bot API refuses, in two words: temporary and permanent."""

from collections.abc import Generator
from contextlib import contextmanager

import aiohttp
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)

from agenthost.core.errors import Permanent, Temporary, Unauthenticated


class MovedAway(Temporary):
    """The chat has another id by now."""

    def __init__(self, chat: int) -> None:
        super().__init__("the group became a supergroup", code="moved", delay=0.0)
        self.chat = chat


class Taken(Temporary):
    """Somebody else receives with this token."""


@contextmanager
def told(token: str) -> Generator[None]:
    """Raises what aiogram raises as errors of ours, without the bot's token in their words."""
    try:
        yield
    except TelegramRetryAfter as error:
        raise Temporary("Telegram wants it slower", code="rate-limit", delay=float(error.retry_after)) from error
    except TelegramMigrateToChat as error:
        raise MovedAway(error.migrate_to_chat_id) from error
    except TelegramConflictError as error:
        raise Taken(
            f"another process receives with this bot's token; end it ({_words(error, token)})", code="taken"
        ) from error
    except TelegramUnauthorizedError as error:
        raise Unauthenticated("Telegram doesn't know the bot's token; take it from @BotFather") from error
    except TelegramEntityTooLarge as error:
        raise Permanent("the file is too large for Telegram", code="too-large") from error
    except TelegramNetworkError as error:
        raise Temporary(
            f"Telegram can't be reached: {_words(error, token)}", code="unreachable", sent=_may_have_come(error)
        ) from error
    except (TelegramServerError, ClientDecodeError) as error:
        raise Temporary(f"Telegram fails: {_words(error, token)}", code="server", sent=True) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Temporary(f"Telegram can't be reached: {_words(error, token)}", code="unreachable", sent=True) from error
    except TelegramAPIError as error:
        raise Permanent(f"Telegram refuses it: {_words(error, token)}", code="refused") from error


def _may_have_come(error: BaseException) -> bool:
    """Whether a request that failed may have been taken: not where no connection was made."""
    return not isinstance(error.__cause__, aiohttp.ClientConnectorError)


def _words(error: BaseException, token: str) -> str:
    text = (
        error.message if isinstance(error, TelegramAPIError | ClientDecodeError) else str(error) or type(error).__name__
    )
    return text.replace(token, "[token]")[:300]
