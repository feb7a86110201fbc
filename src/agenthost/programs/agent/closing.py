"""The end of a turn in which the model calls nothing, and the end of the work."""

from typing import Any

from agenthost.core.parts import DataPart, TextPart
from agenthost.programs.agent import completion, proving, structured, words
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.agent.steps import evaluate, preparations, tell, to_turn

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
    if "agent" in d.needs:
        _remind(state, d)
        return
    if d.spec.output is not None:
        value, problem = structured.read(d.spec.output, state.last_text)
        if problem is not None:
            ask_again(state, d, problem)
            return
        state.output = (DataPart(value),)
    state.reasks = 0
    if d.proved:
        proving.begin(state, d)
    else:
        evidence = (state.last_seq,)
        state.end("done", "it answered and asked for nothing more", evidence=evidence, parts=state.output)


def ask_again(state: AgentState, d: Definition, problem: str) -> None:
    """Ask for an answer that can be used."""
    state.reasks += 1
    if state.reasks > MAX_REASKS:
        reason = f"the model's answer could not be used {state.reasks} times in a row; of the last, {problem}"
        state.end("blocked", reason, "bad-answer", parts=completion.said(state))
    elif d.spec.output is not None and "agent" not in d.needs:
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


def finish_called(state: AgentState, d: Definition, arguments: dict[str, Any]) -> None:
    """End as the agent asked for by calling `finish`; what it calls done is proved first, where the rule wants that."""
    summary = str(arguments["summary"])
    parts = (DataPart(arguments["result"]),) if "result" in arguments else (TextPart(summary),)
    if d.proved and arguments["outcome"] == "done":
        state.output = parts
        proving.begin(state, d)
        return
    state.end(arguments["outcome"], summary, evidence=(state.last_seq,), parts=parts)
