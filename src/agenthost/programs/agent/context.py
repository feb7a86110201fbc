"""The exchange with the model: what it takes of the window, and what is shown of it. Nothing is ever
cut without saying so, to the model in the text and to people in the View of the journalled call."""

import msgspec

from agenthost.core.commands import View
from agenthost.core.definitions import PinnedModel
from agenthost.core.models import ModelAnswer, Turn
from agenthost.core.parts import DataPart, FilePart, Message, Part, TextPart
from agenthost.programs.agent.state import AgentState

SHORT = 600
"""Characters that are left of a tool result that is shown short: its head and its tail."""

BYTES_PER_TOKEN = 3
"""English takes about 4 bytes a token and most other scripts 3: estimates are meant to be high."""

TURN_OVERHEAD = 8
FENCE_TOKENS = 10
"""What the marks around what a stranger can have written take."""


def text_tokens(text: str) -> int:
    """An estimate, from above, of the tokens of `text`."""
    size = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return size // BYTES_PER_TOKEN + 1


def turn_tokens(turn: Turn, model: PinnedModel) -> int:
    """An estimate, from above, of the tokens of a turn."""
    total = TURN_OVERHEAD + (text_tokens(turn.state) if turn.state else 0) + (FENCE_TOKENS if turn.origin else 0)
    for part in turn.parts:
        if isinstance(part, TextPart):
            total += text_tokens(part.text)
        elif isinstance(part, FilePart):
            total += model.image_tokens if is_picture(part) else part.size // BYTES_PER_TOKEN + 1
        else:
            total += text_tokens(str(part.data))
    for call in turn.calls:
        total += TURN_OVERHEAD + text_tokens(call.name) + text_tokens(call.arguments)
    return total


def is_picture(part: Part) -> bool:
    """Whether a part is a picture."""
    return isinstance(part, FilePart) and part.media_type.startswith("image/")


def shorten(turn: Turn) -> Turn:
    """A tool result in its short form: head, tail, and how much is left out. Other turns as they are."""
    if turn.role != "tool":
        return turn
    text = turn.text
    files = sum(1 for part in turn.parts if isinstance(part, FilePart))
    if len(text) <= SHORT + 80 and not files:
        return turn
    if len(text) > SHORT + 80:
        half = SHORT // 2
        told = f"\n[... {len(text) - SHORT} characters of this older result are left out; ask for a part of it if you need it ...]\n"
        text = text[:half] + told + text[-half:]
    if files:
        text += f"\n[{files} file(s) of this older result are left out]"
    return msgspec.structs.replace(turn, parts=(TextPart(text),))


def add(state: AgentState, turn: Turn, model: PinnedModel) -> None:
    """Add a turn to the exchange."""
    size = turn_tokens(turn, model)
    state.turns.append(turn)
    state.sizes.append(size)
    state.context += size
    state.fresh += size


def hear(state: AgentState, message: Message, model: PinnedModel) -> None:
    """A message becomes a turn of the exchange."""
    if not model.images:
        pictures = (part for part in message.parts if isinstance(part, FilePart) and is_picture(part))
        for part in pictures:
            state.picture = state.picture or part.name or part.media_type
    if state.opened is None and message == state.spec.message:
        state.opened = state.base + len(state.turns)
    origin = state.provenance.heard(message, state.base + len(state.turns), state.spec.trust is not None)
    if message.parts:
        add(state, Turn("user", message.parts, origin=origin), model)


def recall(state: AgentState, history: tuple[Turn, ...], model: PinnedModel) -> None:
    """What was said before the task becomes the beginning of the exchange."""
    for turn in history:
        if turn.role == "user":
            hear(state, Message("person", turn.parts), model)
        else:
            add(state, state.provenance.recalled(turn, state.base + len(state.turns)), model)


def measured(state: AgentState, fixed: int) -> int:
    """The tokens of the next request as the provider will probably count them; `fixed` are those of the
    instructions and tools. What it has counted before is scaled by its count; what is new is estimated from above."""
    known = state.context - state.fresh + state.head_size + fixed
    return int(known * state.ratio + state.fresh * max(1.0, state.ratio))


def calibrate(state: AgentState, answer: ModelAnswer, fixed: int) -> None:
    """Learn from the provider's count of the request that was just answered."""
    estimated = state.context + state.head_size + fixed
    if answer.usage.input > 0:
        state.ratio = min(4.0, max(0.25, answer.usage.input / estimated))
        state.fresh = 0
        state.counted = state.base + len(state.turns)


def shorten_old(state: AgentState, model: PinnedModel, fixed: int, wanted: int, keep: int) -> None:
    """Show old tool results short, oldest first, until the request takes `wanted` tokens or only the
    `keep` newest turns are left. Where it stops is in the View of the next call, so it is journalled."""
    last = state.base + len(state.turns) - keep
    while state.shortened < last and measured(state, fixed) > wanted:
        index = state.shortened - state.base
        saved = state.sizes[index] - turn_tokens(shorten(state.turns[index]), model)
        state.sizes[index] -= saved
        state.context -= saved
        if state.shortened >= state.counted:
            state.fresh -= saved
        state.shortened += 1


def drop_before(state: AgentState, cut: int, head: Turn, model: PinnedModel) -> None:
    """Forget the turns before `cut`; `head` stands for them."""
    count = cut - state.base
    state.fresh -= sum(state.sizes[max(0, state.counted - state.base) : count])
    state.context -= sum(state.sizes[:count])
    del state.turns[:count]
    del state.sizes[:count]
    state.base = cut
    state.shortened = max(state.shortened, cut)
    state.counted = max(state.counted, cut)
    state.head = head
    state.head_size = turn_tokens(head, model)


def shown(state: AgentState, view: View) -> tuple[Turn, ...]:
    """The turns of a view, as the model is shown them."""
    turns = state.turns[view.start - state.base : view.end - state.base]
    short = view.shortened - view.start
    if short > 0:
        turns = [shorten(turn) for turn in turns[:short]] + turns[short:]
    return (state.head, *turns) if state.head is not None else tuple(turns)


def as_text(turn: Turn) -> str:
    """A turn as plain text, for the model that sums the exchange up."""
    words = [_words(part) for part in turn.parts]
    who = f"result of {turn.name}" if turn.role == "tool" else turn.role
    lines = [f"[{who}] " + "\n".join(words)] if words else []
    lines += [f"[{who} calls {call.name}] {call.arguments}" for call in turn.calls]
    return "\n".join(lines)


def _words(part: Part) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, DataPart):
        return str(part.data)
    return f"[the file {part.name or part.media_type}, not shown here]"
