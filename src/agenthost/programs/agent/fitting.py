"""Fits the exchange to the model's window: old tool results are shown short first, then the older turns
are summed up by the model, then the newest results are shown short too. What can't be made to fit
ends the task and says why."""

from agenthost.core.commands import CallModel, View
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import Part, TextPart
from agenthost.programs.agent import context, words
from agenthost.programs.agent.completion import failed
from agenthost.programs.agent.context import TURN_OVERHEAD, measured, text_tokens, turn_tokens
from agenthost.programs.agent.definition import Definition
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import Delivery

KEEP = 6
"""Turns at the end that are not shown short nor summed up while there is another way."""

MAX_SQUEEZES = 3
"""How often in a row the exchange is made smaller because the provider says that it is too long."""

SMALLER = 0.65
"""What part of a request that was too long the next one may be."""

MAX_POOR = 2
"""How many summaries may come to nothing before the task ends."""

LEAST_SUMMARY = 256
MOST_SUMMARY = 8_192


def fixed(state: AgentState, d: Definition) -> int:
    """Tokens of what every request carries: instructions and tools."""
    extra = text_tokens(state.extra_instructions) if state.extra_instructions else 0
    return d.toolbox(state.stage).tokens + extra


def room(state: AgentState, d: Definition) -> int:
    """Tokens that a request may take: the window less the answer and a tenth, or what the provider is known to take."""
    most = int((d.model.window - d.max_output) * 0.9)
    return min(most, state.ceiling) if state.ceiling else most


def fit(state: AgentState, d: Definition) -> None:
    """Ask for the next turn, with what was said meanwhile, or first for a summary; or end where nothing helps."""
    for message in state.waiting:
        context.hear(state, message, d.model)
    state.waiting.clear()
    missing = _missing(state, d)
    if missing is not None:
        state.end("blocked", *missing)
        return
    own, most = fixed(state, d), room(state, d)
    if measured(state, own) > most:
        context.shorten_old(state, d.model, own, most * 3 // 4, KEEP)
    if measured(state, own) > most:
        cut = summary_cut(state, d)
        if cut > state.base:
            _ask_summary(state, d, cut)
            return
        context.shorten_old(state, d.model, own, most, 0)
    if measured(state, own) > most:
        _too_long(state, d, measured(state, own), most)
        return
    view = View(state.base, state.base + len(state.turns), state.shortened)
    worst = int(measured(state, own) * 1.1) + 64
    state.phase = "turn"
    state.want(model_call(state, d, f"m{state.model_calls + 1}", view, worst, "turn"))


def _missing(state: AgentState, d: Definition) -> tuple[str, str] | None:
    """What the model can't do and would have to, and the code of that."""
    if state.picture:
        what, setting, code = f"can't be shown pictures, and '{state.picture}' is one", "images", "no-images"
    elif d.toolbox(state.stage).specs and not d.model.tools:
        what, setting, code = f"can't call tools, and the agent '{d.name}' has some", "tools", "no-tools"
    else:
        return None
    mend = (
        f"give the agent '{d.name}' another `model`, or set `{setting} = true` in this model's card in agenthost.toml"
    )
    return f"the model '{d.model.name}' {what}; {mend} if it can", code


def model_call(state: AgentState, d: Definition, id: str, view: View, worst: int, purpose: str) -> CallModel:
    """A call of the agent's model."""
    most = _summary_output(d) if purpose == "summary" else d.max_output
    return CallModel(id, d.model_name(state.spec), view, purpose, most, worst, d.spec.fallbacks)


def squeeze(state: AgentState, d: Definition, refused: CallModel) -> bool:
    """The provider says that a request was too long: whether another try with a smaller one is left."""
    state.squeezes += 1
    state.ceiling = int(min(room(state, d), refused.worst) * SMALLER)
    return state.squeezes <= MAX_SQUEEZES


def summary_cut(state: AgentState, d: Definition) -> int:
    """The turn before which everything is to be summed up: about the older two thirds, as much as a request
    can hold. It never parts a call from its results. `state.base` where nothing would be gained."""
    count = len(state.turns)
    most = room(state, d) - _summary_output(d) - text_tokens(words.SUMMARY_INSTRUCTIONS + words.SUM_UP)
    size = _text_size(state.head, state) if state.head is not None else 0
    dropped, best, gain = state.head_size, 0, 0
    for index in range(1, count):
        size += _text_size(context.shorten(state.turns[index - 1]), state)
        dropped += state.sizes[index - 1]
        if size > most or (best and index > count * 2 // 3):
            break
        if state.turns[index].role != "tool":
            best, gain = index, dropped
    kept = _summary_output(d) + turn_tokens(Turn("user", _opening(state, d, state.base + best)), d.model)
    return state.base + best if gain > kept else state.base


def _text_size(turn: Turn, state: AgentState) -> int:
    return int((text_tokens(context.as_text(turn)) + 1) * max(1.0, state.ratio))


def _summary_output(d: Definition) -> int:
    return min(d.model.max_output, MOST_SUMMARY, max(LEAST_SUMMARY, d.model.window // 16))


def _opening(state: AgentState, d: Definition, cut: int) -> tuple[Part, ...]:
    """What was said to begin with, which stands before every summary that covers it unless it takes too much."""
    if state.opened is None or state.opened >= cut:
        return ()
    opening = Turn("user", state.spec.message.parts)
    return opening.parts if turn_tokens(opening, d.model) <= room(state, d) // 4 else ()


def _ask_summary(state: AgentState, d: Definition, cut: int) -> None:
    view = View(state.base, cut, cut)
    worst = int(text_tokens(_summary_text(state, view)) * max(1.0, state.ratio) * 1.1) + 400
    state.phase = "summary"
    state.want(model_call(state, d, f"s{state.summaries + 1}", view, worst, "summary"))


def _summary_text(state: AgentState, view: View) -> str:
    return words.SUM_UP + "\n".join(context.as_text(turn) for turn in context.shown(state, view))


def summary_request(state: AgentState, command: CallModel, metadata: dict[str, str]) -> ModelRequest:
    """The request for a summary."""
    told = Turn("user", (TextPart(_summary_text(state, command.view)),))
    return ModelRequest(
        command.model,
        words.SUMMARY_INSTRUCTIONS,
        (told,),
        max_output=command.max_output,
        key=command.id,
        metadata=metadata,
    )


def summed_up(state: AgentState, d: Definition, delivery: Delivery, command: CallModel) -> None:
    """Take a summary: it stands for the turns that it covers from now on."""
    answer, failure = delivery.answer, delivery.failure
    if failure is not None:
        if failure.code == "context-too-long" and squeeze(state, d, command):
            fit(state, d)
        else:
            failed(state, failure, "the older part of the exchange could not be summed up: ")
    elif not isinstance(answer, ModelAnswer) or answer.stop == "refusal" or not answer.text.strip():
        state.poor_summaries += 1
        if state.poor_summaries < MAX_POOR:
            fit(state, d)
        else:
            why = f"the model gave no summary of the older part of the exchange, {MAX_POOR} times; use another model"
            state.end("blocked", why, "bad-answer")
    else:
        state.poor_summaries = 0
        cut = "\n[the summary was cut here, at its limit]" if answer.stop == "length" else ""
        told = TextPart(words.SUMMED_UP + answer.text + cut)
        head = Turn("user", (*_opening(state, d, command.view.end), told))
        context.drop_before(state, command.view.end, head, d.model)
        fit(state, d)


def _too_long(state: AgentState, d: Definition, size: int, most: int) -> None:
    own = fixed(state, d) + TURN_OVERHEAD
    if own > most:
        what = f"the instructions and tools of the agent take about {own:,} tokens"
    else:
        what = f"what is to be said takes about {size:,} tokens"
    reason = (
        f"{what}, and a request to the model '{d.model.name}' has room for {most:,} (window {d.model.window:,}, "
        f"answer {d.max_output:,}); use a model with a larger window, {'give it fewer tools, ' if own > most else ''}or say it shorter"
    )
    state.end("blocked", reason, "context-too-long")
