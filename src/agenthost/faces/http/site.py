"""What the tables of operations are given: how streams go on and end, and who may come in."""

from collections.abc import Callable

from msgspec import Struct

from agenthost.core.api import Reception
from agenthost.faces.http.streams import Closing, StreamSettings

Ready = Callable[[], str]
"""Empty where the host takes work; else why it doesn't yet, or any more."""


def always() -> str:
    """It does."""
    return ""


class Site(Struct, frozen=True):
    """One served API. `closing` ends its streams when the host stops."""

    reception: Reception
    closing: Closing
    streams: StreamSettings = StreamSettings()
    ready: Ready = always
