"""From an order to a task: everything is checked before anything is kept."""

from typing import Any, cast

import msgspec

from agenthost.core.api import Order
from agenthost.core.budgets import Limits
from agenthost.core.errors import BadInput, nearest
from agenthost.core.manifests.workflow import InputSpec, Workflow
from agenthost.core.parts import FilePart, Message, Part, TextPart
from agenthost.core.tasks import Scope, TaskSpec
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


async def specify(order: Order, task: str, library: Library) -> TaskSpec:
    """The specification of the task that an order asks for. Raises BadInput, NotFound, Unavailable."""
    kind = library.kind(order.name, order.namespace)
    parts: list[Part] = [TextPart(order.text)] if order.text else []
    inputs: dict[str, Any] = {}
    if kind == "workflow":
        workflow = library.workflow(order.name, order.namespace)
        inputs = workflow_inputs(workflow, order)
        limits = workflow.spec.budget.limits()
    else:
        if order.inputs:
            raise BadInput(f"'{order.name}' is an agent and takes no inputs; say it in the text, or run a workflow")
        if not order.text and not order.files:
            raise BadInput(f'say what the agent is to do: agenthost run {order.name} "TEXT"')
        limits = library.limits(Scope(task, Limits(), f"{order.namespace}/agent/{order.name}"))
    parts += order.files
    own = () if limits == Limits() else (Scope(task, limits, f"{order.namespace}/{kind}/{order.name}"),)
    return TaskSpec(
        id=task,
        kind="workflow" if kind == "workflow" else "agent",
        name=order.name,
        bundle=await library.pin(kind, order.name, order.model, order.namespace),
        message=Message(order.person, tuple(parts)),
        inputs=inputs,
        title=order.title or _title(order),
        namespace=order.namespace,
        person=order.person,
        workspace=task,
        scopes=own,
        model=order.model,
    )


def workflow_inputs(workflow: Workflow, order: Order) -> dict[str, Any]:
    """A workflow's inputs by name, from what was given by name, by file and by text."""
    wanted = workflow.spec.input
    name = workflow.metadata.name
    for given in order.inputs:
        if given not in wanted:
            known = nearest(given, list(wanted)) if wanted else "It takes none."
            raise BadInput(f"the workflow '{name}' has no input '{given}'. {known}")
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
            raise BadInput(f"the workflow '{name}' needs the input '{key}'{about}: give it with {how}")
    if files:
        raise BadInput(f"the workflow '{name}' has no input for the file '{files[0].name}'")
    return values


def read_input(workflow: str, key: str, spec: InputSpec, value: Any) -> Any:
    """A value as its type wants it: a text as it comes from a command line is read as what it should be."""
    if spec.type == "file":
        part = msgspec.convert(value, FilePart) if isinstance(value, dict) else value
        if not isinstance(part, FilePart):
            raise BadInput(f"the input '{key}' of '{workflow}' is a file; give its path")
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
        raise BadInput(f"the input '{key}' of '{workflow}' must be {_WORDS[spec.type]}, not {value!r}")
    return cast("Any", value)


def _accepted(workflow: str, key: str, spec: InputSpec, part: FilePart) -> dict[str, Any]:
    if spec.accept and part.media_type not in spec.accept and not _wild(spec.accept, part.media_type):
        raise BadInput(
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
