"""What a person sets about channels: who may write, with which token, and how patient a channel is."""

from typing import Annotated

import msgspec
from msgspec import Struct

Whole = Annotated[int, msgspec.Meta(ge=1)]
More = Annotated[float, msgspec.Meta(gt=0)]


class TelegramSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """Telegram, `[telegram]`. Times in seconds.

    `enabled`: whether `agenthost up` runs it too. `token-env`: the variable (or stored secret of the host) with the bot's token. `name`: the agent or workflow
    that takes what is new; empty: the host's own choice. `allow`: who may write: ids of users and chats, `@names`. `tokens`: whose messages are given to the host with a key
    of their own: user id or `@name` to the variable (or stored secret) that holds it; everybody else's with the outpost's. `refusal`: what strangers are told once; empty: nothing.

    `webhook-url`: the public address that Telegram is to call, empty for long poll; `webhook-listen`: where this process listens for it. `api-url`: another Bot API server.
    `pieces`: messages that one answer may become before it is sent as a file. `every`: least seconds between two messages of a chat; `rate`: most messages a
    second in all; `group-rate`: most in a group a minute. `transcribe`, `speak`: models for voice messages in and out; `voice`: which voice.
    """

    enabled: bool = False
    token_env: str = "TELEGRAM_BOT_TOKEN"
    name: str = ""
    allow: tuple[str | int, ...] = ()
    tokens: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    refusal: str = "I don't know you. Ask whoever runs me to allow the id {id}."
    webhook_url: str = ""
    webhook_listen: str = "127.0.0.1:8486"
    api_url: str = "https://api.telegram.org"
    pieces: Whole = 5
    every: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    rate: More = 30.0
    group_rate: More = 20.0
    transcribe: str = ""
    speak: str = ""
    voice: str = ""
