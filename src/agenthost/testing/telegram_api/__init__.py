"""A Bot API to test against: a real HTTP server on loopback that keeps chats, messages and updates as Telegram's documentation says
(https://core.telegram.org/bots/api), with people who write, and faults on demand.

It listens for one bot. What it doesn't know of the API it refuses with 404, as Telegram does.
"""

from agenthost.testing.telegram_api.service import BotApi
from agenthost.testing.telegram_api.state import Fault, User

__all__ = ["BotApi", "Fault", "User"]
