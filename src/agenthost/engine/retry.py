"""How long to wait before a model is called again: full jitter, and the provider's own wish respected."""

from collections.abc import Callable

from agenthost.core.errors import Temporary
from agenthost.engine.parts import EngineSettings


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
