"""Fits the exchange to the model's window: old tool results are shown short first, then the oldest
turns are summed up by the model. Nothing is ever cut without saying so."""

from agenthost.core.commands import View
from agenthost.core.definitions import PinnedModel
from agenthost.core.models import Turn
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.programs.agent.state import AgentState

SHORT = 600
"""Characters that are left of a tool result that is shown short: its head and its tail."""

KEEP = 6
"""Turns at the end that are never shown short nor summed up, while they fit."""

BYTES_PER_TOKEN = 3
"""English takes about 4 bytes a token and most other scripts 3: estimates are meant to be high."""

TURN_OVERHEAD = 8


def text_tokens(text: str) -> int:
    """An estimate, from above, of the tokens of `text`."""
    size = len(text) if text.isascii() else len(text.encode())
    return size // BYTES_PER_TOKEN + 1


def turn_tokens(turn: Turn, model: PinnedModel) -> int:
    """An estimate, from above, of the tokens of a turn."""
    total = TURN_OVERHEAD
    for part in turn.parts:
        if isinstance(part, TextPart):
            total += text_tokens(part.text)
        elif isinstance(part, FilePart):
            total += model.image_tokens if part.media_type.startswith("image/") else part.size // BYTES_PER_TOKEN + 1
        else:
            total += text_tokens(str(part.data))
    for call in turn.calls:
        total += TURN_OVERHEAD + text_tokens(call.name) + text_tokens(call.arguments)
    return total


def shorten(turn: Turn) -> Turn:
    """A tool result in its short form: head, tail, and how much is left out."""
    text = turn.text
    if turn.role != "tool" or len(text) <= SHORT + 80:
        return turn
    half = SHORT // 2
    left_out = len(text) - SHORT
    short = f"{text[:half]}\n[... {left_out} characters of this older result are left out ...]\n{text[-half:]}"
    return Turn("tool", (TextPart(short),), call_id=turn.call_id, name=turn.name, error=turn.error)


def add(state: AgentState, turn: Turn, model: PinnedModel) -> None:
    """Add a turn to the exchange."""
    size = turn_tokens(turn, model)
    state.turns.append(turn)
    state.sizes.append(size)
    state.context += size


def room(model: PinnedModel, fixed: int, max_output: int) -> int:
    """Tokens that the turns may take: the window less the answer, the instructions and tools, and a tenth."""
    return int((model.window - min(max_output, model.window // 2) - fixed) * 0.9)


def measured(state: AgentState) -> int:
    """The tokens of the exchange as the model will probably count them."""
    return int((state.context + text_tokens(state.summary)) * state.ratio)


def shorten_old(state: AgentState, model: PinnedModel, wanted: int) -> None:
    """Show old tool results short, oldest first, until the exchange takes `wanted` tokens or only
    the newest turns are left. Where it stops is in the View of the next call, so it is journalled."""
    last = state.base + len(state.turns) - KEEP
    state.shortened = max(state.shortened, state.base)
    while state.shortened < last and measured(state) > wanted:
        index = state.shortened - state.base
        size = turn_tokens(shorten(state.turns[index]), model)
        state.context -= state.sizes[index] - size
        state.sizes[index] = size
        state.shortened += 1


def summary_cut(state: AgentState) -> int:
    """The turn before which everything is to be summed up: about the older two thirds. It never parts
    a call from its results. `state.base` where there is nothing to sum up."""
    count = len(state.turns)
    index = min(count - 2, max(1, count * 2 // 3))
    while index > 0 and state.turns[index].role == "tool":
        index -= 1
    return state.base + max(0, index)


def drop_before(state: AgentState, cut: int) -> None:
    """Forget the turns before `cut`; the summary stands for them."""
    count = cut - state.base
    state.context -= sum(state.sizes[:count])
    del state.turns[:count]
    del state.sizes[:count]
    state.base = cut
    state.shortened = max(state.shortened, cut)


def shown(state: AgentState, view: View) -> tuple[Turn, ...]:
    """The turns of a view, as the model is shown them."""
    turns = state.turns[view.start - state.base : view.end - state.base]
    short = view.shortened - view.start
    if short > 0:
        turns = [shorten(turn) for turn in turns[:short]] + turns[short:]
    if state.summary and view.start == state.base:
        told = "What happened before, summed up because the conversation became too long:\n" + state.summary
        return (Turn("user", (TextPart(told),)), *turns)
    return tuple(turns)


def as_text(turns: tuple[Turn, ...]) -> str:
    """An exchange as plain text, for the model that sums it up."""
    lines: list[str] = []
    for turn in turns:
        words = turn.text or " ".join(
            f"[file {part.name or part.media_type}]" if isinstance(part, FilePart) else str(part.data)
            for part in turn.parts
            if isinstance(part, FilePart | DataPart)
        )
        who = f"result of {turn.name}" if turn.role == "tool" else turn.role
        lines.append(f"[{who}] {words}")
        lines.extend(f"[{who} calls {call.name}] {call.arguments}" for call in turn.calls)
    return "\n".join(lines)
