"""Where an agent's values come from: what it reads is kept account of, and a call that untrusted content decided is
asked for, or refused, before it is made."""

from collections.abc import Iterable
from typing import Any

import msgspec

from agenthost.core.commands import CallModel, CallTool, Command, View
from agenthost.core.events import Answer, ChildResult, Reply
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import TextPart
from agenthost.core.trust import Given
from agenthost.programs.agent import words
from agenthost.programs.agent.context import text_tokens
from agenthost.programs.agent.definition import Definition, Toolbox
from agenthost.programs.agent.state import AgentState, Pending
from agenthost.programs.answers import Why, approval
from agenthost.programs.trust import reading
from agenthost.programs.trust.asking import reason
from agenthost.programs.trust.chosen import MOST_LINKS
from agenthost.programs.trust.rule import UNASKED, Known, effect, judge
from agenthost.programs.trust.words import Words

READING = "reading"
"""The purpose of a model's call that reads the person's words."""

REFUSED = "Not called: a stranger may have decided this call, and the agent's manifest refuses such calls. "


def begin(state: AgentState, d: Definition) -> None:
    """What the task's giver passes on, and what its own definition has of strangers."""
    given, known = state.spec.trust, state.provenance
    known.kept = d.rules > 0
    if given is not None:
        for words in given.words:
            known.say(words)
        for source in given.sources:
            known.read(source, 0)
    if "instructions" in d.functions and state.spec.title:
        known.read("the task's title, which the script may show", 0)
    if d.spec.a2a is not None:
        known.read(f"the agent elsewhere at {d.spec.a2a.url}", 0)
    for tool in d.toolbox(state.stage).tools.values():
        if tool.source:
            known.read(f"the description of the tool {tool.name} by {tool.source}", 0)


def taken(state: AgentState, d: Definition, pending: Pending, answer: Answer | None) -> None:
    """A call has its answer, or None for a failure: where that is from, where a stranger can have written of it."""
    if not state.provenance.kept:
        return
    name = pending.call.name
    box = d.toolbox(state.stage)
    tool = box.tools.get(name)
    origin = ""
    if isinstance(answer, ChildResult):
        origin = f"the answer of the agent {box.agents.get(name, name)}" if answer.sources else ""
    elif isinstance(answer, Reply) and name not in box.client:
        # A default that nobody gave is nobody's word.
        state.provenance.say(answer.text if answer.by != words.HOST else "")
    elif not (tool and ((tool.trusted and not tool.source) or name in d.spec.trust.results)):
        # A failure may be told in the words of the service that failed.
        origin = f"the result of {name}"
    if origin:
        state.provenance.read(origin, state.base + len(state.turns))
    pending.origin = origin


def guarded(
    state: AgentState, d: Definition, pending: Pending, arguments: dict[str, Any], read: bool = False
) -> Command | str | None:
    """What comes before a call that untrusted content decided: the person's words are read (where only that it is made
    isn't covered, and not `read` before), a person is asked, or it is refused. None where it may be made."""
    known, trust, command = state.provenance, d.spec.trust, pending.command
    box = d.toolbox(state.stage)
    if not known.sources or trust.mode == "off" or pending.call.name not in box.effects:
        return None
    if not isinstance(command, CallTool):
        return None
    tool = box.tools[pending.call.name]
    judged = judge(tool, arguments, trust, _known(state, d, box), d.network)
    if not judged.doubts:
        known.links += judged.links
        return None
    if not read and _unread(state, d) and all(doubt.origin == UNASKED for doubt in judged.doubts):
        return _reading(state, d, box)
    why = reason(judged.doubts, known.sources)
    if trust.mode == "refuse":
        return REFUSED + why
    asked = Why(reason=why, untrusted=True)
    return approval(pending.id, tool.name, arguments, d.spec.approvals, state.spec.asking, asked)


def _known(state: AgentState, d: Definition, box: Toolbox) -> Known:
    known = state.provenance
    # Who describes a tool from outside doesn't say what of its results is to be believed.
    keys = {name: tool.keys for name, tool in box.tools.items() if tool.keys and not tool.source} | d.spec.trust.keys
    reads = {name for name, tool in box.tools.items() if effect(tool, d.network) == "reads"}
    manifest = Words((box.instructions, d.spec.script))
    clean = max(0, known.since - state.base)
    left = max(0, MOST_LINKS - known.links)
    words = Words(known.said)
    names = known.meant if known.understood == len(known.said) else ()
    meant = {name: Words(known.uses[name]) if d.rules > 1 else words for name in names}
    # Where the words can be read, verbs decide nothing.
    verbs = d.rules < 2 or not (d.spec.trust.reading and state.phase == "calls")
    return Known(words, manifest, state.turns, clean, state.written, left, meant, reads, keys, verbs, d.rules > 1)


# --- the person's words, read by a model that sees nothing else ------------------------------------


def _unread(state: AgentState, d: Definition) -> bool:
    """Whether the person's words may be read: not again while they are the same, and not for a script's calls."""
    known = state.provenance
    again = known.understood == len(known.said) or known.readings >= reading.MOST[d.rules]
    return d.spec.trust.reading and not again and state.phase == "calls" and bool(known.said)


def _reading(state: AgentState, d: Definition, box: Toolbox) -> CallModel:
    worst = text_tokens(_question(state, d, box) + reading.INSTRUCTIONS[d.rules]) + 100
    most = min(d.max_output, reading.MOST_OUTPUT)
    id = f"i{state.provenance.readings + 1}"
    return CallModel(id, d.model_name(state.spec), View(0, 0), READING, most, worst, d.spec.fallbacks)


def _question(state: AgentState, d: Definition, box: Toolbox) -> str:
    tools = [box.tools[name] for name in box.tools if name in box.effects]
    return reading.question(state.provenance.said, box.instructions, tools)


def reading_request(state: AgentState, d: Definition, command: CallModel, metadata: dict[str, str]) -> ModelRequest:
    """The request by which the person's words are read: nothing that was read since is in it."""
    told = Turn("user", (TextPart(_question(state, d, d.toolbox(state.stage))),))
    return ModelRequest(
        command.model,
        reading.INSTRUCTIONS[d.rules],
        (told,),
        output_schema=reading.SCHEMAS[d.rules] if d.model.structured else None,
        max_output=command.max_output,
        key=command.id,
        metadata=metadata,
        effort=d.spec.reasoning,
    )


def understood(state: AgentState, d: Definition, answer: Answer | None) -> None:
    """Take what the person's words ask for; where that can't be had, a person is asked as without it."""
    known = state.provenance
    known.readings += 1
    known.understood = len(known.said)
    text = answer.text if isinstance(answer, ModelAnswer) else ""
    found = reading.answered(text, d.toolbox(state.stage).effects, d.rules)
    known.meant, known.uses = tuple(found), found if d.rules > 1 else {}


def given(state: AgentState) -> Given | None:
    """What a child is told of where its task comes from."""
    known = state.provenance
    return Given(tuple(known.said), tuple(known.sources)) if known.sources else None


def fenced(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turns as the model is shown them: what a stranger can have written stands between marks."""
    return tuple(_fenced(turn) if turn.origin and turn.role == "tool" else turn for turn in turns)


def _fenced(turn: Turn) -> Turn:
    before, after = words.FENCE
    parts = tuple(
        TextPart(f"{before}\n{part.text.replace(after, '</ data>')}\n{after}") if isinstance(part, TextPart) else part
        for part in turn.parts
    )
    return msgspec.structs.replace(turn, parts=parts)
