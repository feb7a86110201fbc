"""What an engine is made of, and its settings."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from agenthost.core.checks import Inspector
from agenthost.core.grants import Granting
from agenthost.core.ports import Blobs, Models, Prober, Programs, Sandbox, Scripts, StandIn, Store, Tools, Workspaces
from agenthost.core.telling import Committed


class Log(Protocol):
    """Where the engine says what it does; structlog's loggers fit."""

    def info(self, event: str, **values: Any) -> None: ...
    def warning(self, event: str, **values: Any) -> None: ...
    def error(self, event: str, **values: Any) -> None: ...


class EngineSettings(Struct, frozen=True):
    """How patient the engine is. Times in seconds.

    `lease` is how long an owner is believed after its last heartbeat. `attempts` are those at one
    model before the next fallback; `backoff` doubles from the first to `backoff_most`, with full
    jitter, and a provider that wants a wait above `delay_most` is given up for now. A store that fails
    for a time is asked again after `store_delay`, doubling to `store_delay_most`. `grace` is how long
    something that was told to stop may take until nobody waits for it. `tasks` bounds how many root tasks run at once; the rest waits in the database.
    """

    lease: float = 30.0
    heartbeat: float = 10.0
    attempts: int = 6
    backoff: float = 0.5
    backoff_most: float = 30.0
    delay_most: float = 300.0
    tasks: int = 1000
    store_delay: float = 1.0
    store_delay_most: float = 30.0
    grace: float = 30.0


class Parts(Struct, frozen=True):
    """The ports that an engine acts through. `random` gives numbers from 0 to below 1; `committed` hears of
    each step that is in the journal. `grants` answers approvals that were given for good; `stand_in` answers for trials, which
    reach nothing else but models."""

    store: Store
    blobs: Blobs
    workspaces: Workspaces
    models: Models
    tools: Tools
    sandbox: Sandbox
    prober: Prober
    inspector: Inspector
    scripts: Scripts
    programs: Programs
    log: Log
    random: Callable[[], float]
    redact: Callable[[bytes], bytes] = lambda body: body
    clock: Callable[[], float] = time.time
    committed: Callable[[Committed], None] | None = None
    stand_in: StandIn | None = None
    grants: Granting | None = None
