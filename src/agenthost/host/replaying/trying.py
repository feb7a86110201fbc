"""A task once more with another model: its definitions for that model, and what stands in for its tools.

Nothing of a trial is performed but calls of its model, expressions, scripts and waits. A tool, a command in the sandbox and
a question to a person are answered with what was recorded for the same thing with the same arguments: the first time
with the first, the second time with the second. What isn't there ends the trial, or is told to the model as a failure.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec

from agenthost.core.commands import Ask, CallTool, Command, RunCommand
from agenthost.core.definitions import Bundle, PinnedModel
from agenthost.core.errors import AgentHostError, Failure, Unusable
from agenthost.core.events import Answered, Asked, Recorded
from agenthost.core.ids import root_id
from agenthost.core.models import ModelCard
from agenthost.core.ports import InboxItem
from agenthost.core.tasks import TaskSpec, Trial
from agenthost.host.records import spec_of
from agenthost.host.replaying.gathering import Read
from agenthost.host.replaying.recording import Recording
from agenthost.programs.base import describe

NOT_RECORDED = "not-recorded"

Load = Callable[[Trial], Awaitable[Recording]]
"""What a trial goes by. Raises NotFound where it is gone."""


def redefined(bundle: Bundle, model: str, card: ModelCard) -> Bundle:
    """A bundle whose agents all go by one model. Raises Unusable where one is an agent elsewhere."""
    fields = msgspec.structs.asdict(card)
    pinned = PinnedModel.model_validate({name: fields[name] for name in PinnedModel.model_fields})
    agents = dict(bundle.agents)
    for name, agent in agents.items():
        if agent.manifest.spec.a2a is not None:
            raise Unusable(
                f"the agent '{name}' is one elsewhere, which has a model of its own and may do things there; this task can't "
                "be tried with another"
            )
        spec = agent.manifest.spec.model_copy(update={"model": model, "fallbacks": ()})
        manifest = agent.manifest.model_copy(update={"spec": spec})
        agents[name] = agent.model_copy(update={"manifest": manifest, "model": pinned})
    return bundle.model_copy(update={"agents": agents})


def key_of(command: Command) -> bytes:
    """What is the same of two commands that ask for the same thing."""
    if isinstance(command, CallTool):
        return _canonical("tool", command.tool, command.arguments)
    if isinstance(command, RunCommand):
        return _canonical("run", command.command, command.probe, command.policy)
    if isinstance(command, Ask):
        return _canonical("ask", command.kind, command.question, command.tool, command.arguments)
    return _canonical(msgspec.structs.replace(command, id=""))


def _canonical(*values: object) -> bytes:
    return msgspec.json.encode(values, order="sorted")


class StandIn:
    """Fulfils core.ports.StandIn. `read` gives a task's journal, `put` puts something into an inbox and has it seen."""

    def __init__(self, load: Load, read: Read, put: Callable[[InboxItem], Awaitable[object]]) -> None:
        self._load = load
        self._read = read
        self._put = put

    async def answer(self, spec: TaskSpec, command: Command) -> Answered | None:
        """What was recorded for a trial's command, under its id; None where nothing was and the trial ends."""
        assert spec.trial is not None
        wanted = key_of(command)
        before = _before(await self._read(spec.id), command.id, wanted)
        try:
            found = list(_recorded(await self._load(spec.trial), spec, wanted))
        except AgentHostError as error:
            found, why = [], f"what was recorded is gone: {error.message}"
        else:
            times = f" a {before + 1}. time" if before else ""
            why = f"{describe(command)} was not recorded with these arguments{times}"
        if before < len(found):
            return msgspec.structs.replace(found[before], command=command.id)
        if spec.trial.unrecorded == "error":
            return Answered(command.id, failure=Failure(NOT_RECORDED, f"In this trial {why}; do without it."))
        root = root_id(spec.id)
        body = msgspec.json.encode({"by": "host", "reason": f"not recorded: {why}"})
        await self._put(InboxItem(root, f"cancel:{NOT_RECORDED}", "cancel", body, time.time()))
        return None


def _before(events: Sequence[Recorded], command: str, wanted: bytes) -> int:
    """How often a trial asked for the same before."""
    count = 0
    for recorded in events:
        if isinstance(recorded.event, Asked):
            if recorded.event.command.id == command:
                break
            count += key_of(recorded.event.command) == wanted
    return count


def _recorded(recording: Recording, spec: TaskSpec, wanted: bytes) -> Iterator[Answered]:
    """The recorded answers to the same, in order: of the same task below the root first, then of others that ran the
    same agent or workflow."""
    own = recording.task + spec.id.removeprefix(root_id(spec.id))
    for task in sorted(recording.journals, key=lambda id: (id != own, id)):
        events = recording.journals[task]
        of = spec_of(events)
        if (of.kind, of.name) == (spec.kind, spec.name):
            answers = {each.event.command: each.event for each in events if isinstance(each.event, Answered)}
            for each in events:
                if isinstance(each.event, Asked) and each.event.command.id in answers:
                    asked = each.event.command
                    if key_of(asked) == wanted:
                        yield answers[asked.id]


def trial_of(old: TaskSpec, id: str, bundle: str, trial: Trial) -> TaskSpec:
    """The specification of a trial; whose it is stands in it by then."""
    own = tuple(msgspec.structs.replace(each, task=id) for each in old.scopes if each.task == old.id)
    return msgspec.structs.replace(
        old,
        id=id,
        bundle=bundle,
        title=f"trial of {old.title or old.name}",
        conversation="",
        workspace=id,
        workspace_base="",
        parent="",
        parent_command="",
        role="",
        scopes=own,
        model="",
        notes={},
        caused="",
        forked=None,
        trial=trial,
    )
