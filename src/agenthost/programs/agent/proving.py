"""Whether the work is done is proved: the host's checks in their order, then a judge over what the host saw.

A round ends with the task, or goes back to the agent with what is missing. Rounds are bounded, and so is going round
without a change.
"""

import msgspec

from agenthost.core.checks import FilesLook, Seen
from agenthost.core.commands import Ask, Evaluate, Inspect, StartChild
from agenthost.core.events import ChildResult, Reply, RunResult
from agenthost.core.parts import DataPart, text_of
from agenthost.core.ports import Evaluation
from agenthost.programs.agent import completion, receipts, words
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.agent.steps import tell, to_turn
from agenthost.programs.answers import clip
from agenthost.programs.base import Delivery
from agenthost.programs.checking import checks as checking
from agenthost.programs.checking.criteria import named
from agenthost.programs.supervisor import judgement
from agenthost.programs.supervisor.evidence import Case
from agenthost.programs.supervisor.judgement import Judgement

BASELINE = "f0"
MOST_SHOWN = 40
"""Files whose words the judge is shown."""


def baseline(state: AgentState) -> None:
    """Look at the files as they are before anything is done."""
    state.phase = "baseline"
    state.want(Inspect(BASELINE, FilesLook(most=0)))


def begin(state: AgentState, d: Definition) -> None:
    """Begin a round: what was answered last is what would come out of the task."""
    made = d.spec.completion
    for needed, what, listed in (("checks", "checks", made.checks), ("supervisor", "criteria", made.criteria)):
        if needed in d.needs and not listed:
            reason = (
                f"the agent's rule has `{needed}` and it lists no {what}, so nothing can show that the work is done"
            )
            state.end("blocked", reason, f"no-{what}", parts=state.output)
            return
    state.evidence = []
    if "checks" in d.needs:
        state.proof.again = False
        _checks(state, d)
    else:
        _look(state, d)


def evaluation(state: AgentState, d: Definition, command: Evaluate) -> Evaluation:
    """What a check's script is given."""
    check = d.spec.completion.checks[d.order[state.check]]
    return checking.evaluation(check, command, state.proof.results, dict(sorted(state.changed.items())))


def take(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Take the answer of a command of the round."""
    command = delivery.command
    if state.phase == "checks":
        _checked(state, d, delivery)
    elif delivery.failure is not None:
        completion.failed(state, delivery.failure, "the work could not be judged: ")
    elif isinstance(command, Inspect) and isinstance(delivery.answer, Seen):
        _looked(state, d, delivery, delivery.answer)
    elif isinstance(command, StartChild) and isinstance(delivery.answer, ChildResult):
        _judged(state, d, delivery.answer)
    elif isinstance(command, Ask):
        _replied(state, d, delivery, command)
    else:
        state.end(
            "blocked", "the work could not be judged: what came of that is not known", "not-judged", parts=state.output
        )


# --- checks ----------------------------------------------------------------------------------------


def _checks(state: AgentState, d: Definition) -> None:
    state.phase = "checks"
    state.check = 0
    state.check_failures = []
    state.check_reasons = []
    state.evidence = []
    state.proof.results = []
    state.proof.undone = {path: state.changed.get(path) or "" for path in state.proof.written}
    _next_check(state, d)


def _next_check(state: AgentState, d: Definition) -> None:
    index = d.order[state.check]
    id = f"c{state.rounds + 1}-{index}" + ("b" if state.proof.again else "")
    state.want(checking.command(d.spec.completion.checks[index], id, d.network))


def _checked(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Take what came of a check."""
    index = d.order[state.check]
    check, result = d.spec.completion.checks[index], delivery.answer
    if delivery.failure is not None and delivery.failure.code != "script-error":
        completion.failed(state, delivery.failure, f"the check `{check.line}` could not be run: ")
        return
    state.evidence.append(delivery.seq)
    if isinstance(result, RunResult):
        state.wrote(result.changes)
    why = delivery.failure.message if delivery.failure else checking.problem(check, result, _other(state))
    receipts.check(state, d, delivery, index, not why)
    state.proof.results.append(checking.shown(check, result, why))
    if why:
        state.check_failures.append(checking.told(check, why, result))
        state.check_reasons.append(f"`{clip(check.line)}`: {why}")
    state.check += 1
    over = state.check == len(d.order)
    if (over or d.order[state.check] not in d.runs) and index in d.runs and _undone(state, d):
        return
    if not over:
        _next_check(state, d)
    elif state.check_failures:
        _not_passed(state, d)
    elif d.judged:
        _look(state, d)
    else:
        count = len(d.order)
        _passed(state, d, "the check passed" if count == 1 else f"all {count} checks passed")


def _other(state: AgentState) -> list[str]:
    """The paths that the task's tools, and agents below it, left other than they were when it began."""
    proof = state.proof
    return [
        path
        for path in proof.touched
        if state.changed.get(path) != proof.baseline.get(path) or (proof.cut and path not in proof.baseline)
    ]


def _undone(state: AgentState, d: Definition) -> bool:
    """Whether the commands are run again, because one of them changed what the agent wrote: those before it looked at
    something else than what is there now. The second time that is a failure."""
    if state.check_failures:
        return False
    paths = [path for path, name in state.proof.undone.items() if (state.changed.get(path) or "") != name]
    if not paths:
        return False
    if not state.proof.again:
        state.proof.again = True
        round = state.rounds + 1
        state.proof.receipts = [one for one in state.proof.receipts if one.check is None or one.round != round]
        _checks(state, d)
        return True
    told = f"the checks go on changing {', '.join(sorted(paths)[:10])}, so that what they show is not what is there"
    state.check_failures.append(f"The checks can't prove this: {told}.")
    state.check_reasons.append(told)
    return False


def _not_passed(state: AgentState, d: Definition) -> None:
    passed = len(state.check_reasons) < len(d.order)
    more = "\n\n".join(state.check_failures) + "\n\nMend this, then answer again."
    reasons = "; ".join(state.check_reasons)
    _unfinished(state, d, reasons, more, passed, ("unachievable", "checks-failed"), reasons)


# --- the judge -------------------------------------------------------------------------------------


def _look(state: AgentState, d: Definition) -> None:
    """Look at all files as they are now, before they are judged."""
    state.phase = "judged"
    newest = sorted(state.proof.touched, key=lambda path: -state.proof.touched[path])
    show = tuple(dict.fromkeys([*_wanted(d), *newest]))[:MOST_SHOWN]
    state.want(Inspect(f"l{state.rounds + 1}", FilesLook(show)))


def _wanted(d: Definition) -> tuple[str, ...]:
    return tuple(path for criterion in d.spec.completion.criteria for path in named(criterion))[:MOST_SHOWN]


def _looked(state: AgentState, d: Definition, delivery: Delivery, seen: Seen) -> None:
    """The files are seen: have the work judged, unless the checks prove every criterion."""
    facts = seen.facts
    completion_ = d.spec.completion
    case = Case(
        work=text_of(state.spec.message.parts),
        criteria=completion_.criteria,
        receipts=tuple(state.proof.receipts),
        round=state.rounds + 1,
        last=delivery.seq,
        look=delivery.seq,
        claims=text_of(state.output) or state.last_text,
        proofs=d.proofs,
        files=facts["files"],
        sizes=facts["sizes"],
        texts=facts["texts"],
        unlisted=facts["cut"],
        touched=state.proof.touched,
        sources=state.proof.sources,
        given=tuple(path for path in _other(state) if path in state.proof.baseline),
        sought=_wanted(d) if facts["cut"] else (),
    )
    found = judgement.without_judge(case)
    if found is not None:
        _settle(state, d, found)
    else:
        inputs = msgspec.to_builtins(case)
        state.want(StartChild(f"s{state.rounds + 1}", "supervisor", state.spec.name, inputs=inputs))


def _judged(state: AgentState, d: Definition, child: ChildResult) -> None:
    data = next((part.data for part in child.parts if isinstance(part, DataPart)), None)
    found = judgement.read(data) if child.verdict.outcome == "done" else None
    if found is None or len(found.criteria) != len(d.spec.completion.criteria):
        outcome = "partly" if child.verdict.code == "budget" else "blocked"
        reason = f"the work could not be judged: {child.verdict.reason}"
        state.end(outcome, reason, child.verdict.code or "not-judged", tuple(state.evidence), state.output)
    else:
        _settle(state, d, found)


def _settle(state: AgentState, d: Definition, found: Judgement) -> None:
    """End with a judgement, or go on by it."""
    evidence = tuple(dict.fromkeys([*state.evidence, *found.evidence]))
    state.evidence = list(evidence)
    if found.verdict == "done":
        count = len(found.criteria)
        _passed(state, d, "its criterion is met" if count == 1 else f"all {count} criteria are met")
    elif found.verdict == "needs-person" and not state.waiting and state.rounds < d.spec.completion.maxRounds:
        state.proof.questions += 1
        id = f"q{state.proof.questions}"
        state.want(words.question(id, found.question, (), d.spec.questions, state.spec.asking))
    elif found.verdict in ("blocked", "unachievable") and not state.waiting:
        state.end(found.verdict, found.reason or "so it was judged", "judged", evidence, state.output)
    else:
        missing = [f"criterion {one.number} ({clip(one.text)}): {one.missing}" for one in found.unmet]
        more = words.NOT_PROVED.format("\n".join(f"- {line}" for line in missing) or f"- {found.reason}")
        met = len(found.unmet) < len(found.criteria)
        key = str([one.number for one in found.unmet])
        _unfinished(state, d, "; ".join(missing) or found.reason, more, met, ("partly", "not-proved"), key)


def _replied(state: AgentState, d: Definition, delivery: Delivery, asked: Ask) -> None:
    """A person answered what the judge wanted to know: the agent goes on with that."""
    state.rounds += 1
    answer = delivery.answer
    if not isinstance(answer, Reply) or answer.by == words.HOST:
        reason = f"a person was needed, and nobody answered: {asked.question}"
        state.end("blocked", reason, "nobody-answered", tuple(state.evidence), state.output)
        return
    state.provenance.say(answer.text)
    tell(state, d, words.PERSON_SAID.format(asked.question, answer.text))


# --- the end of a round ----------------------------------------------------------------------------


def _passed(state: AgentState, d: Definition, reason: str) -> None:
    state.rounds += 1
    if state.waiting:
        to_turn(state, d)
    else:
        state.end("done", reason, evidence=tuple(state.evidence), parts=state.output)


def _unfinished(
    state: AgentState, d: Definition, reasons: str, more: str, some: bool, spent: tuple[str, str], key: str
) -> None:
    """Send the work back with what is missing (`more`), unless that is bounded. `some`: something of it is proved;
    `spent`: the verdict and its code where all rounds are used up; `key` tells what is missing, the same for the same."""
    evidence, state.rounds = tuple(state.evidence), state.rounds + 1
    same = state.proof.same(state.changed, state.phase, key)
    if state.waiting:
        tell(state, d, more)
    elif state.script_message is not None:
        state.end(spent[0], reasons, spent[1], evidence, state.output)
    elif state.rounds > d.spec.completion.maxRounds:
        times = "once" if state.rounds == 2 else f"{state.rounds - 1} times"
        state.end(spent[0], f"sent back {times}, and still: {reasons}", spent[1], evidence, state.output)
    elif same:
        reason = f"nothing has changed since it was sent back, and still: {reasons}"
        state.end("partly" if some else "blocked", reason, "no-progress", evidence, state.output)
    else:
        tell(state, d, more)
