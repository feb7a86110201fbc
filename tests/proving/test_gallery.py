"""The gallery: everything that is only said to be done is caught, and nothing that is done is refused."""

import pytest

from tests.proving.false_done import BY_CHECKS, BY_EVIDENCE
from tests.proving.honest import HONEST
from tests.proving.world import Case, Outcome, went

FALSE_DONE = [*BY_CHECKS, *BY_EVIDENCE]


def told(outcome: Outcome) -> str:
    """Everything that the host said of why it isn't done."""
    return str([event.event for event in outcome.events])


@pytest.mark.parametrize("case", FALSE_DONE, ids=lambda case: case.name)
def test_what_is_only_said_to_be_done_is_caught(case: Case) -> None:
    outcome = went(case)

    assert outcome.outcome in ("partly", "blocked", "unachievable"), outcome.reason
    assert case.why and case.why in told(outcome), told(outcome)[-3000:]


@pytest.mark.parametrize("case", HONEST, ids=lambda case: case.name)
def test_what_is_done_is_not_refused(case: Case) -> None:
    outcome = went(case)

    assert outcome.outcome == "done", f"{outcome.reason}\n{told(outcome)[-4000:]}"
    numbers = {event.seq for event in outcome.events}
    assert outcome.finished.verdict.evidence
    assert numbers.issuperset(outcome.finished.verdict.evidence)


def test_the_gallery_is_large_enough_and_no_case_stands_twice() -> None:
    assert len(FALSE_DONE) >= 25
    assert len(HONEST) >= 25
    names = [case.name for case in (*FALSE_DONE, *HONEST)]
    assert len(set(names)) == len(names)
