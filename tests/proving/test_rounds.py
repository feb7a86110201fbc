"""Rounds of proof end: by a person's answer, by a verdict, by their bound, by going round without a change, by a crash."""

import asyncio
from typing import Any

import pytest

from agenthost.core.commands import Ask
from agenthost.core.events import Answered, Asked, Finished, Reply
from agenthost.core.lifecycle import State
from agenthost.host.replaying.comparing import replay
from agenthost.testing.loops import fast
from agenthost.testing.world import says
from tests.proving import world as playing
from tests.proving.false_done import ALL_PASS, GOOD, judged
from tests.proving.honest import CODE, DONE
from tests.proving.world import Case, Play, believes, cites, run, went, write


def test_the_same_state_twice_ends_the_work() -> None:
    outcome = went(Case("c", judged(ALL_PASS, maxRounds=50), (write("main.py", GOOD), DONE), cites("no test was run")))
    verdict = outcome.finished.verdict
    assert (verdict.outcome, verdict.code) == ("blocked", "no-progress")
    assert verdict.reason.startswith("nothing has changed since it was sent back, and still: criterion 1")
    some = went(Case("c", judged("It is nice.", ALL_PASS), (write("main.py", GOOD), DONE), cites([("look", "")], "no")))
    assert (some.outcome, some.finished.verdict.code) == ("partly", "no-progress")
    checks = {"rule": "checks", "checks": [{"run": "pytest"}], "maxRounds": 50}
    assert went(Case("c", checks, (write("main.py", GOOD), DONE))).finished.verdict.code == "no-progress"


def test_rounds_are_bounded_where_something_changes_each_time() -> None:
    steps = tuple(step for text in "abcdefgh" for step in (write("a.txt", text), DONE))
    outcome = went(Case("c", judged("It is nice.", maxRounds=3), steps, cites("it isn't")))
    assert outcome.finished.verdict.code == "not-proved"
    assert outcome.reason.startswith("sent back 3 times, and still: criterion 1 (It is nice.): it isn't")


@pytest.mark.parametrize("verdict", ["blocked", "unachievable"])
def test_a_judges_other_verdicts_end_the_work(verdict: str) -> None:
    outcome = went(Case("c", judged("It is nice."), (DONE,), cites("it can't be", verdict=verdict)))
    assert (outcome.outcome, outcome.finished.verdict.code) == (verdict, "judged")


def test_all_criteria_met_and_a_judge_that_says_partly_is_done() -> None:
    case = Case("c", judged(ALL_PASS), (*CODE, run("pytest"), DONE), cites([("pytest", "2 passed")], verdict="partly"))
    assert went(case).outcome == "done"


def test_a_person_is_asked_and_the_work_goes_on_with_the_answer() -> None:
    def judge(material: str, criteria: int) -> Any:
        if "asked: Which colour?" not in material:
            return cites("the colour isn't known", verdict="needs-person", question="Which colour?")(material, criteria)
        return cites([("asked: Which colour?", "blue")])(material, criteria)

    case = Case("c", judged("The person chose the colour."), (DONE,), judge)
    states: list[State] = []

    async def answered(play: Play) -> None:
        while (row := await play.world.store.task("t1")) is None or row.state != "input-required":
            await asyncio.sleep(0.01)
        states.append(row.state)
        await play.reply("q1", "blue")

    outcome = went(case, answered)
    assert states == ["input-required"]
    assert outcome.outcome == "done"
    reply = next(e.seq for e in outcome.events if isinstance(e.event, Answered) and isinstance(e.event.answer, Reply))
    assert reply in outcome.finished.verdict.evidence
    assert any(isinstance(e.event, Asked) and isinstance(e.event.command, Ask) for e in outcome.events)


def test_a_judge_that_says_nothing_of_use_leaves_the_work_blocked() -> None:
    outcome = went(Case("c", judged("It is nice."), (DONE,), lambda *_: "all well"))
    assert (outcome.outcome, outcome.finished.verdict.code) == ("blocked", "bad-answer")
    assert outcome.reason.startswith("the work could not be judged: the judge's answer could not be used")


def test_a_judgement_that_a_crash_cut_is_made_again() -> None:
    case = Case("c", judged(ALL_PASS), (*CODE, run("pytest"), DONE), cites([("pytest", "2 passed")]))

    async def crash(play: Play) -> None:
        while not any(one.task == "t1.s1" for one in play.world.recorded):
            await asyncio.sleep(0.01)
        await play.again()

    outcome = went(case, crash, slow=5.0)
    assert outcome.outcome == "done"
    ends = [one.task for one in outcome.world.recorded if isinstance(one.event, Finished)]
    assert sorted(ends) == ["t1", "t1.s1"]


def test_a_judge_has_a_journal_of_its_own_that_decides_the_same_again() -> None:
    case = Case("c", judged(ALL_PASS), (*CODE, run("pytest"), DONE), believes())

    async def check() -> None:
        outcome = await playing.run_case(case)
        events = [one for one in outcome.world.recorded if one.task == "t1.s1"]
        spec = events[0].event.spec  # type: ignore[union-attr]
        assert (spec.kind, spec.parent, spec.name) == ("supervisor", "t1", "worker")
        assert replay(await outcome.world.programs.program(spec), spec, events).agrees

    fast(check())


def test_checks_that_prove_all_criteria_need_no_judge() -> None:
    completion = {"rule": "checks+supervisor", "criteria": [ALL_PASS], "checks": [{"run": "pytest", "proves": [1]}]}
    outcome = went(Case("c", completion, (*CODE, DONE), cites("never asked")))
    assert outcome.outcome == "done"
    assert not any(one.task.startswith("t1.s") for one in outcome.world.recorded)


def test_what_an_agent_gives_up_on_is_not_judged() -> None:
    completion = {"rule": "agent+supervisor", "criteria": [ALL_PASS]}
    gives_up = says("", ("finish", {"outcome": "unachievable", "summary": "there is no compiler"}))
    outcome = went(Case("c", completion, (gives_up,), believes()))
    assert (outcome.outcome, outcome.reason) == ("unachievable", "there is no compiler")


def test_what_an_agent_below_changes_makes_earlier_runs_stale() -> None:
    more = {"tools": ["workspace", "delegate:helper"]}
    agents = {"helper": (write("main.py", "print BUG\n"), says("mended"))}
    steps = (*CODE, run("pytest"), says("", ("delegate_to_helper", {"task": "mend it"})), DONE)
    outcome = went(Case("c", judged(ALL_PASS), steps, believes(), more=more, agents=agents))
    assert outcome.outcome != "done"
    assert "'main.py' was changed after event" in outcome.reason
