"""What a failed call was charged, and how long to wait before it is made again: full jitter, the provider's own wish respected."""

from collections.abc import Callable

from agenthost.core.errors import AgentHostError, Temporary
from agenthost.engine.parts import EngineSettings

_FREE = frozenset(
    {
        "auth",
        "bad-input",
        "bad-request",
        "context-too-long",
        "not-found",
        "scripted-no-reply",
        "scripted-unreadable",
        "unavailable",
    }
)
"""Codes of permanent failures with which a provider, or the way to it, refuses before it does any work."""


def delay(error: Temporary, attempt: int, settings: EngineSettings, random: Callable[[], float]) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    Full jitter (a random share of a doubling bound) keeps many tasks from calling at the same
    moment; where the provider says how long, it is at least that.
    """
    bound = min(settings.backoff_most, settings.backoff * 2 ** (attempt - 1))
    wanted = random() * bound
    if error.delay is not None:
        return error.delay + wanted * 0.1
    return wanted


def is_free(error: AgentHostError) -> bool:
    """Whether the provider surely did no work that it may charge for."""
    return not error.sent if isinstance(error, Temporary) else error.code in _FREE
