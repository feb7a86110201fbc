"""The lifecycle of a task as one table. States are A2A 1.0's task states, in the short form."""

from typing import Literal

State = Literal[
    "submitted",
    "working",
    "input-required",
    "auth-required",
    "completed",
    "failed",
    "canceled",
    "rejected",
]
Trigger = Literal["claim", "ask", "ask-auth", "reply", "complete", "fail", "cancel", "reject"]
Hold = Literal["", "paused", "dead-letter", "imported"]

LIFECYCLE: dict[State, dict[Trigger, State]] = {
    "submitted": {
        "claim": "working",
        "cancel": "canceled",
        "reject": "rejected",
    },
    "working": {
        "claim": "working",
        "ask": "input-required",
        "ask-auth": "auth-required",
        "complete": "completed",
        "fail": "failed",
        "cancel": "canceled",
        "reject": "rejected",
    },
    "input-required": {
        "claim": "input-required",
        "ask": "input-required",
        "ask-auth": "input-required",
        "reply": "working",
        "complete": "completed",
        "fail": "failed",
        "cancel": "canceled",
    },
    "auth-required": {
        "claim": "auth-required",
        "ask": "auth-required",
        "ask-auth": "auth-required",
        "reply": "working",
        "complete": "completed",
        "fail": "failed",
        "cancel": "canceled",
    },
    "completed": {},
    "failed": {},
    "canceled": {},
    "rejected": {},
}

FINAL: frozenset[State] = frozenset(state for state, after in LIFECYCLE.items() if not after)


def next_state(state: State, trigger: Trigger) -> State:
    """The state after `trigger`. Raises ValueError where the table has no such move."""
    after = LIFECYCLE[state].get(trigger)
    if after is None:
        raise ValueError(f"a task that is {state} has no move '{trigger}'")
    return after
