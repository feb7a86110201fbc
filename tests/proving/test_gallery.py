"""The gallery: everything that is only said to be done is caught, and nothing that is done is refused."""

import pytest

from agenthost.core.events import Created
from agenthost.core.evidence import EvidencePack
from agenthost.host.proof.pack import pack
from agenthost.host.proof.page import page
from agenthost.host.replaying.comparing import replay
from agenthost.programs.agent import AgentProgram
from tests.proving.false_done import BY_CHECKS, BY_EVIDENCE
from tests.proving.honest import HONEST
from tests.proving.strangers import FALSE
from tests.proving.strangers import HONEST as MORE
from tests.proving.world import Case, Outcome, went

FALSE_DONE = [*BY_CHECKS, *BY_EVIDENCE, *FALSE]
DONE = [*HONEST, *MORE]


def told(outcome: Outcome) -> str:
    """Everything that the host said of why it isn't done."""
    return str([event.event for event in outcome.events])


def evidence(outcome: Outcome) -> EvidencePack:
    """The pack of a case; its journal decides the same again."""
    created = outcome.events[0].event
    assert isinstance(created, Created)
    program = AgentProgram(outcome.world.bundle)
    report = replay(program, created.spec, outcome.events)
    assert report.agrees, report
    made = pack(outcome.events, outcome.world.bundle)
    assert page(made).startswith("# Evidence: task t1")
    return made


@pytest.mark.parametrize("case", FALSE_DONE, ids=lambda case: case.name)
def test_what_is_only_said_to_be_done_is_caught(case: Case) -> None:
    outcome = went(case)

    assert outcome.outcome in ("partly", "blocked", "unachievable"), outcome.reason
    assert case.why and case.why in told(outcome), told(outcome)[-3000:]
    made = evidence(outcome)
    failed = any(not shown.ok for shown in made.shown if shown.kind == "check")
    assert failed or not all(one.met for one in made.criteria) or "go on changing" in outcome.reason


@pytest.mark.parametrize("case", DONE, ids=lambda case: case.name)
def test_what_is_done_is_not_refused(case: Case) -> None:
    outcome = went(case)

    assert outcome.outcome == "done", f"{outcome.reason}\n{told(outcome)[-4000:]}"
    numbers = {event.seq for event in outcome.events}
    assert outcome.finished.verdict.evidence
    assert numbers.issuperset(outcome.finished.verdict.evidence)
    made = evidence(outcome)
    assert all(one.met and one.evidence for one in made.criteria)
    assert numbers.issuperset(shown.event for shown in made.shown)
    assert {event for one in made.criteria for event in one.evidence} <= {shown.event for shown in made.shown}


def test_the_gallery_is_large_enough_and_no_case_stands_twice() -> None:
    assert len(FALSE_DONE) >= 95
    assert len(DONE) >= 45
    names = [case.name for case in (*FALSE_DONE, *DONE)]
    assert len(set(names)) == len(names)
