"""From an order to a task: everything is checked before anything is kept."""

from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from agenthost.core.access import OWNER
from agenthost.core.api import Order
from agenthost.core.budgets import Limits
from agenthost.core.errors import NotFound, Unusable, nearest
from agenthost.core.ids import named_by
from agenthost.core.manifests.workflow import InputSpec, Workflow
from agenthost.core.parts import DataPart, FilePart, Message, Part, TextPart
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.host import terms
from agenthost.host.library import Library

_WORDS: dict[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object",
    "array": "a JSON list",
    "file": "a file",
}


class Given(Struct, frozen=True):
    """An order as it was understood: what kind of work, its inputs by name, its budget, all files it names."""

    kind: Literal["agent", "workflow"]
    inputs: dict[str, Any]
    limits: Limits
    files: tuple[FilePart, ...]


def read(order: Order, library: Library) -> Given:
    """What an order asks for. Raises Unusable and NotFound; nothing is kept."""
    for path in order.workspace:
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            raise Unusable(f"the workspace can't have a file '{path}': give paths below it, such as src/main.py")
    if library.kind(order.name, order.namespace) == "workflow":
        workflow = library.workflow(order.name, order.namespace)
        if order.terms is not None:
            raise Unusable(f"'{order.name}' is a workflow and takes no terms; give them to an agent")
        inputs = workflow_inputs(workflow, order)
        wanted = workflow.spec.input
        files = [msgspec.convert(inputs[key], FilePart) for key in inputs if wanted[key].type == "file" and inputs[key]]
        return Given("workflow", inputs, workflow.spec.budget.limits(), (*order.files, *files))
    if order.inputs:
        raise Unusable(f"'{order.name}' is an agent and takes no inputs; say it in the text, or run a workflow")
    if order.terms is not None:
        terms.check(order.terms)
    said = order.text.strip() or order.files or order.data or terms.says_something(order.terms)
    if not said:
        raise Unusable(f'say what the agent is to do: agenthost run {order.name} "TEXT"')
    limits = library.limits(Scope("", Limits(), f"{order.namespace}/agent/{order.name}"))
    return Given("agent", {}, limits, (*order.files, *terms.files_of(order.terms)))


def id_for(order: Order) -> str:
    """A task id that follows from an idempotency key."""
    # Two people may well choose one key.
    whose = order.namespace if order.person == OWNER else f"{order.namespace}\0{order.person}"
    return named_by(f"{whose}\0{order.key}")


def _parts(order: Order) -> tuple[Part, ...]:
    text: tuple[Part, ...] = (TextPart(order.text),) if order.text else ()
    return (*text, *order.files, *map(DataPart, order.data))


def same(order: Order, spec: TaskSpec, library: Library) -> bool:
    """Whether a task is what an order asks for, as far as that can be told."""
    wanted = (order.name, order.model, order.conversation, order.terms, _parts(order))
    if wanted != (spec.name, spec.model, spec.conversation, spec.terms, spec.message.parts):
        return False
    try:
        return read(order, library).inputs == spec.inputs
    except NotFound:
        return True


async def specify(order: Order, given: Given, task: str, library: Library) -> TaskSpec:
    """The specification of the task that an order asks for; its definitions are pinned. Raises NotFound, Unavailable."""
    source = f"{order.namespace}/{given.kind}/{order.name}"
    bundle = await library.pin(given.kind, order.name, order.model, order.namespace)
    if order.terms is not None and order.terms.tools:
        terms.check_tools(order.terms, await library.bundle(bundle), order.name)
    return TaskSpec(
        id=task,
        kind=given.kind,
        name=order.name,
        bundle=bundle,
        message=Message(order.person, _parts(order), order.message),
        inputs=given.inputs,
        title=order.title or _title(order),
        namespace=order.namespace,
        person=order.person,
        workspace=task,
        scopes=() if given.limits == Limits() else (Scope(task, given.limits, source),),
        model=order.model,
        conversation=order.conversation,
        terms=order.terms,
        via=order.via,
        notes=order.notes,
        caused=order.caused,
        files=order.workspace,
    )


def workflow_inputs(workflow: Workflow, order: Order) -> dict[str, Any]:
    """A workflow's inputs by name, from what was given by name, by file and by text."""
    wanted = workflow.spec.input
    name = workflow.metadata.name
    for given in order.inputs:
        if given not in wanted:
            known = nearest(given, list(wanted)) if wanted else "It takes none."
            raise Unusable(f"the workflow '{name}' has no input '{given}'. {known}")
    files = list(order.files)
    values: dict[str, Any] = {}
    for key, spec in wanted.items():
        if key in order.inputs:
            values[key] = read_input(name, key, spec, order.inputs[key])
        elif spec.type == "file" and files:
            values[key] = _accepted(name, key, spec, files.pop(0))
        elif spec.default is not None:
            values[key] = spec.default
        elif spec.type == "string" and order.text and _only_text(wanted, key):
            values[key] = order.text
        elif spec.required:
            how = f"--file PATH (or --input {key}=PATH)" if spec.type == "file" else f"--input {key}=..."
            about = f" ({spec.description})" if spec.description else ""
            raise Unusable(f"the workflow '{name}' needs the input '{key}'{about}: give it with {how}")
    if files:
        takes = [key for key, spec in wanted.items() if spec.type == "file"]
        most = f"it takes {len(takes)} ({', '.join(takes)})" if takes else "it takes none"
        raise Unusable(f"the workflow '{name}' has no input for the file '{files[0].name}': {most}")
    return values


def read_input(workflow: str, key: str, spec: InputSpec, value: Any) -> Any:
    """A value as its type wants it: a text as it comes from a command line is read as what it should be."""
    if spec.type == "file":
        try:
            part = msgspec.convert(msgspec.to_builtins(value), FilePart)
        except (msgspec.ValidationError, TypeError):
            raise Unusable(f"the input '{key}' of '{workflow}' is a file; give its path") from None
        return _accepted(workflow, key, spec, part)
    wanted: tuple[type, ...] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
        "object": (dict,),
        "array": (list,),
    }[spec.type]
    if isinstance(value, str) and str not in wanted:
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            pass
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise Unusable(f"the input '{key}' of '{workflow}' must be {_WORDS[spec.type]}, not {value!r}")
    return cast("Any", value)


def _accepted(workflow: str, key: str, spec: InputSpec, part: FilePart) -> dict[str, Any]:
    if spec.accept and part.media_type not in spec.accept and not _wild(spec.accept, part.media_type):
        raise Unusable(
            f"the input '{key}' of '{workflow}' takes {', '.join(spec.accept)}, and '{part.name}' is {part.media_type}"
        )
    fields = {"digest": part.digest, "media_type": part.media_type, "size": part.size, "name": part.name}
    return {"type": "file"} | fields


def _wild(accept: tuple[str, ...], media: str) -> bool:
    return any(kind.endswith("/*") and media.startswith(kind[:-1]) for kind in accept)


def _only_text(wanted: dict[str, InputSpec], key: str) -> bool:
    return [name for name, spec in wanted.items() if spec.type == "string" and spec.default is None] == [key]


def _title(order: Order) -> str:
    words = " ".join(order.text.split())
    if not words:
        return order.name
    return words if len(words) <= 80 else words[:79] + "…"
