"""A fork of what was done elsewhere: its events are somebody's claim, and give nobody a right here.

An import may be forged, so that its fork goes by the definitions, budgets and rules for questions of this host. What was
said in it is a stranger's word: a call with an effect that comes of it is asked for. An approval that stands in it counts
for what it says was done, and for nothing that isn't done yet. What was under way may have happened: a person is asked.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits
from agenthost.core.commands import Ask, CallModel, CallTool, Command, RunCommand, StartChild
from agenthost.core.errors import Conflict, Failure, Unusable
from agenthost.core.events import Answered, Asked, Event, Received, Recorded, Reply
from agenthost.core.questions import DENY, HOST, Asking
from agenthost.core.replaying import ForkOrder
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.core.trust import Given
from agenthost.host.replaying.recording import Recording
from agenthost.host.replaying.writing import named
from agenthost.programs.base import Open

SOURCE = "an import"
VIA = "import"
STRANGER = "agent:import"
"""Who said what was said in an import: nobody whose word is an order."""

_GIVEN = Given((), (SOURCE,))
_READING = Failure("imported", "what an import says of a person's words counts for nothing")


def is_foreign(spec: TaskSpec) -> bool:
    """Whether a task was done elsewhere, or goes on from one that was."""
    return spec.imported is not None or (spec.forked is not None and spec.forked.foreign)


def need_known(recording: Recording, order: ForkOrder) -> None:
    """Raise Unusable where a fork of an import is to go by its definitions, Conflict where contents weren't with it."""
    if order.definitions == "pinned":
        raise Unusable(
            "the definitions of an import run nowhere here; apply what it needs (`definitions/` in the export has it), and "
            "fork it with those of now"
        )
    if gone := sorted(named(recording) & set(recording.missing)):
        raise Conflict(f"it can't be forked: the content {gone[0]} was not with the import")


class Distrust(Struct, frozen=True):
    """What is made of an import that is forked. `asking`: how questions are asked here; `limits` is a manifest's budget as
    it is now."""

    asking: Asking
    limits: Callable[[Scope], Limits]

    def spec(self, spec: TaskSpec, above: tuple[Scope, ...]) -> TaskSpec:
        """The specification of a fork, without what an import may not decide. `above`: the budgets of the tasks above."""
        own = Scope(spec.id, Limits(), f"{spec.namespace}/{spec.kind}/{spec.name}")
        limits = self.limits(own)
        scopes = () if limits == Limits() else (msgspec.structs.replace(own, limits=limits),)
        return msgspec.structs.replace(
            spec,
            message=spec.message if spec.parent else msgspec.structs.replace(spec.message, sender=STRANGER),
            scopes=(*above, *scopes),
            terms=None,
            trial=None,
            asking=self.asking,
            trust=_GIVEN,
        )

    def events(self, events: Sequence[Recorded]) -> list[Recorded]:
        """The events as they are taken over."""
        asked = {each.event.command.id: each.event.command for each in events if isinstance(each.event, Asked)}
        return [msgspec.structs.replace(each, event=_taken(each.event, asked)) for each in events]

    def doubts(self, entry: Open) -> bool:
        """Whether a command that is open isn't to be performed before a person was asked."""
        command = entry.command
        return not entry.doubted and isinstance(command, CallTool | RunCommand) and not command.repeatable


def _taken(event: Event, asked: dict[str, Command]) -> Event:
    if isinstance(event, Received):
        return Received(msgspec.structs.replace(event.message, sender=STRANGER))
    if isinstance(event, Asked):
        return Asked(_unsure(event.command))
    if not isinstance(event, Answered):
        return event
    command = asked.get(event.command)
    if isinstance(command, CallModel) and command.purpose == "reading":
        return Answered(event.command, failure=_READING)
    if not isinstance(event.answer, Reply):
        return event
    text = event.answer.text
    if isinstance(command, Ask) and command.kind in ("approval", "doubt") and not _done(command, asked):
        text = DENY if command.kind == "approval" else "give up"
    return msgspec.structs.replace(event, answer=Reply(text, HOST, VIA))


def _unsure(command: Command) -> Command:
    """A command as it is open, where it has no answer: that it is safe to repeat, or goes by another policy than the
    agent's, is for this host to say."""
    match command:
        case StartChild():
            return msgspec.structs.replace(command, trust=_GIVEN)
        case CallTool():
            return msgspec.structs.replace(command, safe=False)
        case RunCommand():
            return msgspec.structs.replace(command, policy={})
        case _:
            return command


def _done(ask: Ask, asked: dict[str, Command]) -> bool:
    """Whether what a question was about was asked for after it."""
    if ask.kind == "approval":
        return any(id.partition("~")[0] == ask.about for id in asked)
    of = ask.about.partition("~")[0]
    return any(id.partition("~")[0] == of and _again(id) > _again(ask.about) for id in asked)


def _again(id: str) -> int:
    tail = id.partition("~")[2]
    return int(tail) if tail.isdecimal() else 1
