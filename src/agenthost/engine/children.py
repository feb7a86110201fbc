"""Child tasks: made from what their parent asked for, reported to it when they end."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.budgets import Limits
from agenthost.core.commands import StartChild, Verdict
from agenthost.core.events import ChildResult, Finished
from agenthost.core.ids import child_id
from agenthost.core.parts import Message
from agenthost.core.ports import InboxItem, NewTask, StoredEvent
from agenthost.core.tasks import Scope, TaskRow, TaskSpec


class ChildReport(Struct, frozen=True):
    """What a child's inbox item tells its parent: the answer to which command."""

    command: str
    result: ChildResult


def child_spec(parent: TaskSpec, command: StartChild, limits: Limits) -> TaskSpec:
    """The specification of a child. `limits` is its own budget; those above it count as well."""
    id = child_id(parent.id, command.id)
    source = f"{parent.namespace}/{command.kind}/{command.name}"
    copy = command.workspace == "copy"
    own = () if limits == Limits() else (Scope(id, limits, source),)
    return TaskSpec(
        id=id,
        kind=command.kind,
        name=command.name,
        bundle=parent.bundle,
        message=Message(f"task:{parent.id}", command.parts),
        inputs=command.inputs,
        title=f"{command.role or command.name}",
        namespace=parent.namespace,
        person=parent.person,
        workspace=id if copy else parent.workspace,
        workspace_base=f"{id}@base" if copy else "",
        parent=parent.id,
        parent_command=command.id,
        role=f"{parent.name}/{command.role}" if command.role else "",
        chain=(*parent.chain, f"{parent.kind}/{parent.name}"),
        scopes=(*parent.scopes, *own),
        model=parent.model,
        asking=parent.asking,
        trial=parent.trial,
        trust=command.trust,
    )


def new_task(spec: TaskSpec, created: StoredEvent, owner: str) -> NewTask:
    """The row and the first event of a task that is owned, at epoch 1, from the start."""
    row = TaskRow(
        id=spec.id,
        kind=spec.kind,
        name=spec.name,
        state="submitted",
        created=created.at,
        updated=created.at,
        namespace=spec.namespace,
        person=spec.person,
        # No list of what people gave to do names the host's own questions.
        parent=spec.parent or ("routing" if spec.kind == "routing" else ""),
        root=spec.root,
        title=spec.title,
        seq=1,
        epoch=1,
        owner=owner,
        conversation=spec.conversation,
    )
    return NewTask(row, created)


def copies(parent: TaskSpec, child: TaskSpec) -> tuple[tuple[str, str], ...]:
    """The file lists to copy when a child with files of its own is made: what it works on, and what that was."""
    if not child.workspace_base:
        return ()
    return ((parent.workspace, child.workspace), (parent.workspace, child.workspace_base))


def report(spec: TaskSpec, finished: Finished, changes: dict[str, str | None], at: float) -> InboxItem:
    """The inbox item by which a child that ended tells its parent."""
    result = ChildResult(spec.id, finished.verdict, finished.parts, changes, sources=finished.sources)
    body = msgspec.json.encode(ChildReport(spec.parent_command, result))
    return InboxItem(spec.parent, f"child:{spec.id}", "child", body, at)


def report_of(row: TaskRow, verdict: Verdict, at: float) -> InboxItem:
    """The report of a child whose journal can't be read, from its row alone."""
    command = row.id.removeprefix(f"{row.parent}.")
    body = msgspec.json.encode(ChildReport(command, ChildResult(row.id, verdict)))
    return InboxItem(row.parent, f"child:{row.id}", "child", body, at)


def read_report(body: bytes) -> ChildReport:
    """What a child's inbox item says."""
    return msgspec.json.decode(body, type=ChildReport)


def item_body(**values: Any) -> bytes:
    """The body of an inbox item."""
    return msgspec.json.encode(values)
