"""Joins what calls out, from settings."""

from collections.abc import Awaitable, Callable

from agenthost.core.events import Recorded
from agenthost.engine.parts import Log
from agenthost.host.adapters import Adapters
from agenthost.host.settings import Settings
from agenthost.host.webhooks.deliverer import Deliverer, Patience
from agenthost.host.webhooks.desk import Desk
from agenthost.host.webhooks.sending import Sender


def joined(
    settings: Settings,
    adapters: Adapters,
    journal: Callable[[str], Awaitable[list[Recorded]]],
    renew: Callable[[], Awaitable[None]],
    log: Log,
) -> tuple[Deliverer, Desk]:
    """Who sends, and where webhooks are made. `journal` gives a task's, `renew` reads the secrets again."""
    given = settings.webhooks
    sender = Sender(adapters.outgoing, given.timeout)
    patience = Patience(given.attempts, given.backoff, given.backoff_most, hold=1.5 * given.timeout + 1)
    deliverer = Deliverer(
        adapters.webhooks, adapters.store, adapters.secrets, adapters.accounts, journal, sender, log, patience
    )
    desk = Desk(adapters.webhooks, adapters.secrets, adapters.accounts, sender, deliverer.call, renew)
    return deliverer, desk
