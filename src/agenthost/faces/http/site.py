"""What the tables of operations are given: how streams go on and end, and who may come in."""

from collections.abc import Callable

from msgspec import Struct

from agenthost.core.api import Reception
from agenthost.core.keeping import Keeping
from agenthost.faces.http.streams import Closing, StreamSettings

Ready = Callable[[], str]
"""Empty where the host takes work; else why it doesn't yet, or any more."""


def always() -> str:
    """It does."""
    return ""


class Limits(Struct, frozen=True):
    """What one person that isn't the owner may ask for, 0 for no bound: `rate` requests a second, of which ten seconds'
    worth may come at once; `requests` and `streams` at once. `upload`: bytes of a file that anybody gives."""

    rate: float = 0.0
    requests: int = 0
    streams: int = 0
    upload: int = 1024 * 1024 * 1024


class Site(Struct, frozen=True):
    """One served API. `closing` ends its streams when the host stops. `limits` are asked for at each request. `keeping`
    keeps the answers to requests with a key; without, only what is asked for knows its key."""

    reception: Reception
    closing: Closing
    streams: StreamSettings = StreamSettings()
    ready: Ready = always
    limits: Callable[[], Limits] = Limits
    keeping: Keeping | None = None
