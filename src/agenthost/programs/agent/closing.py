"""The end of a turn in which the model calls nothing, and the end of the work."""

from typing import Any

from agenthost.core.events import RunResult
from agenthost.core.parts import DataPart, TextPart
from agenthost.programs.agent import completion, structured, words
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.agent.steps import evaluate, preparations, tell, to_turn
from agenthost.programs.answers import clip, unmet
from agenthost.programs.base import Delivery

MAX_REASKS = 3
"""How often in a row an answer that is empty or doesn't fit the output's schema is asked for again."""

MAX_MOVES = 50
"""How often a quiet answer may move the agent on to another stage."""


def quiet(state: AgentState, d: Definition) -> None:
    """The model has answered and calls nothing: hear what came meanwhile, move on to another stage, or conclude."""
    if state.waiting:
        to_turn(state, d)
    elif not state.last_text.strip():
        ask_again(state, d, "it is empty")
    else:
        state.closing = True
        state.prepared = ()
        names = preparations(state, d)
        if names:
            evaluate(state, d, names[0])
        else:
            conclude(state, d)


def moved(state: AgentState, d: Definition) -> None:
    """A quiet answer has brought the agent to another stage: it goes on there."""
    state.moves += 1
    if state.moves > MAX_MOVES:
        reason = f"its stages went round {MAX_MOVES} times without an end; see `when` and `next`"
        state.end("blocked", reason, "stages", parts=completion.said(state))
    else:
        tell(state, d, f"This stage is over. Go on with the stage '{state.stage}'.")


def conclude(state: AgentState, d: Definition) -> None:
    """Judge a quiet answer by the agent's output schema and rule of completion."""
    if state.waiting:
        to_turn(state, d)
        return
    state.output = (TextPart(state.last_text),)
    if d.spec.completion.rule == "agent":
        _remind(state, d)
        return
    if d.spec.output is not None:
        value, problem = structured.read(d.spec.output, state.last_text)
        if problem is not None:
            ask_again(state, d, problem)
            return
        state.output = (DataPart(value),)
    state.reasks = 0
    if d.spec.completion.rule == "checks":
        _begin_checks(state, d)
    else:
        evidence = (state.last_seq,)
        state.end("done", "it answered and asked for nothing more", evidence=evidence, parts=state.output)


def ask_again(state: AgentState, d: Definition, problem: str) -> None:
    """Ask for an answer that can be used."""
    state.reasks += 1
    if state.reasks > MAX_REASKS:
        reason = f"the model's answer could not be used {state.reasks} times in a row; of the last, {problem}"
        state.end("blocked", reason, "bad-answer", parts=completion.said(state))
    elif d.spec.output is not None and d.spec.completion.rule != "agent":
        tell(state, d, f"Your answer is not the JSON that was asked for: {problem}. Answer again, with the JSON alone.")
    else:
        tell(state, d, f"Your answer can't be used: {problem}. Answer again.")


def _remind(state: AgentState, d: Definition) -> None:
    state.rounds += 1
    if state.rounds > d.spec.completion.maxRounds:
        reason = f"it stopped {state.rounds} times without calling `finish`"
        state.end("partly", reason, "not-finished", parts=state.output)
    else:
        tell(state, d, words.REMIND)


# --- the rule `agent` ------------------------------------------------------------------------------


def finish_problem(d: Definition, arguments: dict[str, Any]) -> str | None:
    """Why a call of `finish` can't be taken."""
    if d.spec.output is None or ("result" not in arguments and arguments["outcome"] != "done"):
        return None
    if "result" not in arguments:
        return "`result` is missing"
    problem = structured.problem(structured.validator(d.spec.output), arguments["result"])
    return f"`result` does not fit: {problem}" if problem else None


def finish_called(state: AgentState, arguments: dict[str, Any]) -> None:
    """End as the agent asked for by calling `finish`."""
    summary = str(arguments["summary"])
    parts = (DataPart(arguments["result"]),) if "result" in arguments else (TextPart(summary),)
    state.end(arguments["outcome"], summary, evidence=(state.last_seq,), parts=parts)


# --- the rule `checks` -----------------------------------------------------------------------------


def _begin_checks(state: AgentState, d: Definition) -> None:
    if not d.spec.completion.checks:
        reason = "the agent's rule is `checks` and it lists none, so nothing can show that the work is done"
        state.end("blocked", reason, "no-checks", parts=state.output)
        return
    state.phase = "checks"
    state.check = 0
    state.check_failures = []
    state.check_reasons = []
    state.evidence = []
    state.want(completion.check_command(state, d.spec.completion.checks[0], d.network))


def checked(state: AgentState, d: Definition, delivery: Delivery) -> None:
    """Take what came of a check; after the last of a round, end or send the work back."""
    checks = d.spec.completion.checks
    check, result = checks[state.check], delivery.answer
    if delivery.failure is not None:
        completion.failed(state, delivery.failure, f"the check `{check.line}` could not be run: ")
        return
    state.evidence.append(delivery.seq)
    if isinstance(result, RunResult):
        state.wrote(result.changes)
        why = unmet(result, check.expect)
        if why:
            state.check_failures.append(completion.feedback(check, why, result))
            state.check_reasons.append(f"`{clip(check.line)}`: {why}")
    else:
        state.check_failures.append(f"What came of the check `{check.line}` is not known. It is run again.")
        state.check_reasons.append(f"`{clip(check.line)}`: what came of it is not known")
    state.check += 1
    if state.check < len(checks):
        state.want(completion.check_command(state, checks[state.check], d.network))
    else:
        _round_over(state, d)


def _round_over(state: AgentState, d: Definition) -> None:
    evidence, count = tuple(state.evidence), len(d.spec.completion.checks)
    state.rounds += 1
    if not state.check_failures:
        if state.waiting:
            to_turn(state, d)
            return
        reason = "the check passed" if count == 1 else f"all {count} checks passed"
        state.end("done", reason, evidence=evidence, parts=state.output)
    elif state.rounds > d.spec.completion.maxRounds and not state.waiting:
        times = "once" if state.rounds == 2 else f"{state.rounds - 1} times"
        reason = f"sent back {times}, and still: {'; '.join(state.check_reasons)}"
        state.end("unachievable", reason, "checks-failed", evidence, state.output)
    else:
        tell(state, d, "\n\n".join(state.check_failures) + "\n\nMend this, then answer again.")
