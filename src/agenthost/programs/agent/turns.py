"""What the model's answers mean: calls, words, answers that were cut, refusals, failures."""

import msgspec

from agenthost.core.commands import CallModel
from agenthost.core.errors import Failure
from agenthost.core.models import ModelAnswer, Turn
from agenthost.core.parts import TextPart
from agenthost.programs.agent import calls, closing, context, words
from agenthost.programs.agent.completion import failed, said
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.fitting import fit, fixed, squeeze
from agenthost.programs.agent.state import AgentState
from agenthost.programs.agent.steps import tell
from agenthost.programs.base import Delivery

MAX_CUTS = 3
"""How often in a row an answer that was cut at its limit is continued."""

UNUSABLE = Failure("bad-answer", "the model's call was answered with something that is no answer of a model")


def answered(state: AgentState, d: Definition, delivery: Delivery, command: CallModel) -> None:
    """Take the answer, or the failure, of a turn of the model."""
    answer = delivery.answer
    if not isinstance(answer, ModelAnswer):
        _failed(state, d, command, delivery.failure or UNUSABLE)
        return
    state.squeezes = 0
    state.last_seq = delivery.seq
    context.calibrate(state, answer, fixed(state, d))
    answer = msgspec.structs.replace(answer, calls=calls.named(answer.calls, state.model_calls))
    if answer.text.strip() or answer.calls:
        context.add(state, Turn("assistant", answer.parts, answer.calls, state=answer.state), d.model)
    if answer.stop == "refusal":
        state.partial += answer.text
        reason = f"the model refused: {answer.text.strip() or 'it gave no reason'}"
        state.end("blocked", reason, "refused", parts=said(state))
    elif answer.calls:
        state.last_text = state.partial + answer.text
        state.partial, state.cuts = "", 0
        calls.plan(state, d, answer, answer.calls)
    elif answer.stop == "length":
        _cut(state, d, answer.text)
    else:
        state.last_text = state.partial + answer.text
        state.partial, state.cuts = "", 0
        closing.quiet(state, d)


def _failed(state: AgentState, d: Definition, command: CallModel, failure: Failure) -> None:
    if failure.code == "context-too-long" and squeeze(state, d, command):
        fit(state, d)
    else:
        failed(state, failure)


def _cut(state: AgentState, d: Definition, text: str) -> None:
    state.partial += text
    state.cuts += 1
    terms = state.spec.terms
    own = terms is not None and terms.max_output > 0
    # A limit of whoever gives the work is for the whole answer.
    if own or state.cuts > MAX_CUTS:
        mend = "ask for more of them" if own else f"give the agent '{d.name}' more `maxOutputTokens`"
        reason = f"the model's answer was cut at its limit of {d.max_output:,} tokens {state.cuts} times; {mend}"
        state.end("partly", reason, "length", parts=(TextPart(state.partial),) if state.partial else ())
    else:
        tell(state, d, words.GO_ON)
