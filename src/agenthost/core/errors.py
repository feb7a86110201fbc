"""Failures, in two words: temporary (again later) and permanent.

Adapters map status codes and typed errors to these at the edge; nobody reads English in an
exception. A `Failure` is the journalled form; the exceptions are how it travels inside a process.
"""

from typing import Any

import msgspec
from msgspec import Struct


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why a command has no result.

    `code` is stable and for programs; `message` says what happened and what to do; `delay` is
    the seconds to wait before trying again (from Retry-After), None where nobody said.
    """

    code: str
    message: str
    temporary: bool = False
    delay: float | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class AgentHostError(Exception):
    """Something went wrong that AgentHost has a name for."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def failure(self) -> Failure:
        """The journalled form of this error."""
        return Failure(self.code, self.message, details=self.details)


class Temporary(AgentHostError):
    """It may work later. `delay`: seconds asked for by the other side; `sent`: whether the other
    side may have done (and charged for) the work all the same."""

    code = "temporary"

    def __init__(
        self,
        message: str,
        *,
        code: str = "temporary",
        delay: float | None = None,
        sent: bool = False,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.code = code
        self.delay = delay
        self.sent = sent

    def failure(self) -> Failure:
        return Failure(self.code, self.message, True, self.delay, self.details)


class Permanent(AgentHostError):
    """It will not work, however often it is tried."""

    code = "permanent"

    def __init__(self, message: str, *, code: str = "permanent", **details: Any) -> None:
        super().__init__(message, **details)
        self.code = code


class BadInput(AgentHostError):
    """What was given can't be used; the message says what to give instead."""

    code = "bad-input"
    exit_code = 2


class Unusable(BadInput):
    """What was given is well formed, and still can't be used for this; the message says why."""

    code = "unusable"


class NotFound(BadInput):
    """No such thing; the message names the nearest that exists."""

    code = "not-found"


class Unavailable(BadInput):
    """A part that this work needs is not there; the message says how to get it."""

    code = "unavailable"


class Unauthenticated(BadInput):
    """Nobody knows who asks: there is no token, or it is wrong or has expired."""

    code = "unauthenticated"


class Forbidden(BadInput):
    """Who asks is known, and may not do that."""

    code = "forbidden"


class Conflict(BadInput):
    """What was to be changed has changed meanwhile, or is there already."""

    code = "conflict"


class Stale(Conflict):
    """What was to be changed has another version by now than the one that was named."""

    code = "stale"


class HostUnreachable(AgentHostError):
    """The host can't be reached."""

    code = "host-unreachable"
    exit_code = 3


class HomeBusy(BadInput):
    """Another host holds this home."""

    code = "home-busy"


class StoreDamaged(AgentHostError):
    """The database is damaged; the message says which file and how to go on."""

    code = "store-damaged"
    exit_code = 2


class NewerVersion(AgentHostError):
    """What is stored was written by a newer AgentHost; upgrade this one."""

    code = "newer-version"
    exit_code = 2


class LostLease(AgentHostError):
    """This owner no longer owns the task; it adds nothing more to the journal."""

    code = "lost-lease"


class BudgetRefused(AgentHostError):
    """A budget has no room for the worst case of this call."""

    code = "budget"


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """The end of a not-found message: the nearest known name, or what is known at all."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    if known:
        return "Known: " + ", ".join(sorted(known)[:12]) + "."
    return "None is defined yet."
