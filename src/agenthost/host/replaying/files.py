"""The files of a workspace as they were at a time, from what the journals say was changed."""

from collections.abc import Mapping, Sequence

from agenthost.core.commands import StartChild
from agenthost.core.errors import Unusable
from agenthost.core.events import Answered, Asked, ChildResult, Recorded, RunResult
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolResult
from agenthost.host.records import spec_of
from agenthost.host.replaying.recording import Recording

Changes = Mapping[str, str | None]


def files_at(recording: Recording, workspace: str, until: float, kept: Mapping[str, int]) -> dict[str, str]:
    """Path to content hash. `until`: the time; `kept` gives, for some tasks, the last event that counts instead."""
    owner: TaskSpec | None = None
    found: list[tuple[float, Changes]] = []
    later: list[Changes] = []
    for task, events in recording.journals.items():
        spec = spec_of(events)
        if spec.workspace != workspace:
            continue
        owner = spec if spec.id == workspace else owner
        # What a fork copied is in the files that it began with.
        for recorded, changes in _changes(events, spec.forked.seq if spec.forked is not None else 0):
            if recorded.seq <= kept[task] if task in kept else recorded.at <= until:
                found.append((recorded.at, changes))
            else:
                later.append(changes)
    if owner is None:
        raise Unusable(f"the journal of the task {workspace}, whose files these are, is not there")
    files = _beginning(recording, owner, [changes for _, changes in found] + later)
    for _, changes in sorted(found, key=lambda each: each[0]):
        for path, digest in changes.items():
            if digest is None:
                files.pop(path, None)
            else:
                files[path] = digest
    return files


def _beginning(recording: Recording, owner: TaskSpec, changes: Sequence[Changes]) -> dict[str, str]:
    if owner.workspace_base and owner.forked is None:
        return dict(recording.workspaces.get(owner.workspace_base, {}))
    if owner.files or owner.forked is not None:
        return dict(owner.files)
    # Before version 0.2 the journal didn't say what a workspace began with: what nobody changed was there.
    touched = {path for each in changes for path in each}
    now = recording.workspaces.get(owner.workspace, {})
    return {path: digest for path, digest in now.items() if path not in touched}


def _changes(events: Sequence[Recorded], after: int) -> list[tuple[Recorded, Changes]]:
    """What was changed in a task's own workspace, event by event. A child's that works in the same files is in its own
    journal; one with a copy had its changes merged with its answer."""
    copies: set[str] = set()
    found: list[tuple[Recorded, Changes]] = []
    for recorded in events:
        event = recorded.event
        if isinstance(event, Asked) and isinstance(event.command, StartChild) and event.command.workspace == "copy":
            copies.add(event.command.id)
        elif isinstance(event, Answered) and recorded.seq > after:
            answer = event.answer
            if isinstance(answer, RunResult | ToolResult) or (
                isinstance(answer, ChildResult) and event.command in copies
            ):
                found.append((recorded, answer.changes))
    return found
