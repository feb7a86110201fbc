"""How a courier goes about it."""

from msgspec import Struct

GIVEN_UP = 5
"""Failures without a name in a row after which what causes them is put aside."""

AGAIN = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0, 72 * 3600.0)
"""Seconds after which what couldn't be shown is tried again: each time longer, and after the last only where somebody says so."""

LOOK = 5.0
"""Seconds between two looks for what is to be tried again."""

CAN = "Send text, pictures, files or voice messages."

ALBUM = "album {conversation} {album}"
"""The note under which key an album was placed, and which arrivals it had, for parts of it that come later."""

VOICE = "voice {conversation} {key}"
"""The note that a message was spoken, so that its answer is, too."""


class Ways(Struct, frozen=True):
    """`name`: who takes what is new. `refusal`: what strangers are told, `{id}` stands for theirs. `transcribe`, `speak`: models of the host for what is
    spoken; `voice`: which. Seconds: `album`: how long to wait for more parts of what is sent as one; `away`: after which people hear that the host
    can't be reached; `busy`: how long somebody is shown to be at work."""

    name: str = ""
    refusal: str = ""
    transcribe: str = ""
    speak: str = ""
    voice: str = ""
    album: float = 1.0
    away: float = 20.0
    busy: float = 300.0
