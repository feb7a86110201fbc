"""The crash rule: what becomes of the commands that were open when a task's last owner went away.

| open command | what happens |
| --- | --- |
| a model call whose answer is made in the background | its answer is waited for, under the same attempt |
| a model call of a task that was paused | made: what was reserved for it wasn't called yet |
| any other model call | made again; the attempt that was cut stays in the ledger at its worst case |
| safe to repeat (read-only, idempotent, a sandbox without network, an evaluation, a child) | performed again |
| not safe, not started | can't be: it is committed as started together with the asking |
| not safe, started, and the tool's own check finds its result | answered with that |
| not safe, started, and the check says that it surely did not happen | performed again |
| not safe, started, and nobody can tell | in doubt: a person is asked |
"""

from agenthost.core.commands import CallModel, CallTool, Command
from agenthost.core.errors import AgentHostError, Failure
from agenthost.core.events import Answered, Doubted, Retried
from agenthost.core.tools import ToolResult
from agenthost.engine.outcome import Outcome
from agenthost.engine.services import Services
from agenthost.programs.base import BaseState, Open

OWNER_LOST = Failure("owner-lost", "the host stopped while this was going on", temporary=True)


async def recover(services: Services, state: BaseState) -> tuple[list[Outcome], list[Command]]:
    """What is to be journalled before a restored task goes on, and the commands to perform again."""
    outcomes: list[Outcome] = []
    again: list[Command] = []
    for entry in state.open.values():
        command = entry.command
        if isinstance(command, CallModel) and (entry.begun is not None or state.paused is not None):
            again.append(command)
        elif isinstance(command, CallModel):
            outcomes.append(await _model_call(services, state, command, entry.attempt + 1))
            again.append(command)
        elif command.repeatable or state.spec.trial is not None:
            again.append(command)
        elif not entry.doubted:
            outcome = await _in_flight(services, state, entry)
            outcomes.append(outcome)
            if isinstance(outcome.events[0], Retried):
                again.append(command)
    return outcomes, again


async def _model_call(services: Services, state: BaseState, command: CallModel, attempt: int) -> Outcome:
    retried = Retried(command.id, attempt, OWNER_LOST)
    try:
        entry = await services.accounts.reserve(state.spec, command, attempt, command.model, services.parts.clock())
    except AgentHostError as error:
        return Outcome(command.id, (retried, Answered(command.id, failure=error.failure())))
    return Outcome(command.id, (retried,), reserve=(entry,))


async def _in_flight(services: Services, state: BaseState, entry: Open) -> Outcome:
    command = entry.command
    found: ToolResult | bool | None = None
    if isinstance(command, CallTool):
        found = await services.performer.check(state.spec, command)
    if isinstance(found, ToolResult):
        return Outcome(command.id, (Answered(command.id, found),))
    if found is False:
        return Outcome(command.id, (Retried(command.id, entry.attempt + 1, OWNER_LOST),))
    return Outcome(command.id, (Doubted(command.id),))
