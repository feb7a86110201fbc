"""The lifecycle's table, walked whole: every move that there is, and every one that there isn't."""

from typing import get_args

import pytest

from agenthost.core.lifecycle import FINAL, LIFECYCLE, State, Trigger, next_state

STATES: tuple[State, ...] = get_args(State)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)

MOVES = {
    ("submitted", "claim"): "working",
    ("submitted", "cancel"): "canceled",
    ("submitted", "reject"): "rejected",
    ("working", "claim"): "working",
    ("working", "ask"): "input-required",
    ("working", "ask-auth"): "auth-required",
    ("working", "complete"): "completed",
    ("working", "fail"): "failed",
    ("working", "cancel"): "canceled",
    ("working", "reject"): "rejected",
    ("input-required", "claim"): "input-required",
    ("input-required", "ask"): "input-required",
    ("input-required", "ask-auth"): "input-required",
    ("input-required", "reply"): "working",
    ("input-required", "complete"): "completed",
    ("input-required", "fail"): "failed",
    ("input-required", "cancel"): "canceled",
    ("auth-required", "claim"): "auth-required",
    ("auth-required", "ask"): "auth-required",
    ("auth-required", "ask-auth"): "auth-required",
    ("auth-required", "reply"): "working",
    ("auth-required", "complete"): "completed",
    ("auth-required", "fail"): "failed",
    ("auth-required", "cancel"): "canceled",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_move_is_as_the_table_says_and_no_other_is_possible(state: State, trigger: Trigger) -> None:
    wanted = MOVES.get((state, trigger))
    if wanted is not None:
        assert next_state(state, trigger) == wanted
        return
    with pytest.raises(ValueError, match=f"^a task that is {state} has no move '{trigger}'$"):
        next_state(state, trigger)


def test_the_table_names_every_state_and_only_those() -> None:
    assert tuple(LIFECYCLE) == STATES
    assert {after for moves in LIFECYCLE.values() for after in moves.values()} <= set(STATES)
    assert {trigger for moves in LIFECYCLE.values() for trigger in moves} == set(TRIGGERS)


def test_final_states_have_no_way_out_and_every_other_state_leads_to_one() -> None:
    assert frozenset(("completed", "failed", "canceled", "rejected")) == FINAL
    for state in STATES:
        if state not in FINAL:
            assert "canceled" in LIFECYCLE[state].values()
            assert next_state(state, "cancel") in FINAL


def test_every_state_can_be_reached_from_the_first() -> None:
    reached: set[State] = {"submitted"}
    while True:
        more = reached | {after for state in reached for after in LIFECYCLE[state].values()}
        if more == reached:
            break
        reached = more
    assert reached == set(STATES)
