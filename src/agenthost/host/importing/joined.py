"""Joins what takes tasks in."""

from collections.abc import Callable

from agenthost.engine.codec import Codec
from agenthost.host.adapters import Adapters
from agenthost.host.importing.desk import Desk


def joined(adapters: Adapters, codec: Callable[[], Codec]) -> Desk:
    """Where an import is asked for."""
    return Desk(adapters.imports, adapters.store, adapters.blobs, adapters.accounts, codec)
