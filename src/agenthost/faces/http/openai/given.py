"""What either API asks for, understood: one record of it, and the order that it becomes."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.access import Caller
from agenthost.core.api import HostApi, Order
from agenthost.core.errors import BadInput, NotFound
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, TextPart
from agenthost.core.tasks import TaskRow, Terms
from agenthost.core.tools import ToolSpec
from agenthost.faces.http.openai.errors import Refused, no_model

NOTES = "openai"
"""Under which name notes of this face are kept with a task."""


class Given(Struct, kw_only=True):
    """A request as it was understood. `turns` is everything said, the newest last; `notes` is kept with the task."""

    model: str
    turns: list[Turn]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    output: dict[str, Any] | None = None
    temperature: float | None = None
    max_output: int = 0
    conversation: str = ""
    key: str = ""
    notes: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])

    def last_words(self) -> str | None:
        """What was said last, where that is somebody's message in words."""
        last = self.turns[-1] if self.turns else None
        return last.text if last is not None and last.role == "user" else None


async def start(api: HostApi, caller: Caller, given: Given) -> TaskRow:
    """Start the task that a request asks for. Raises Refused where there is no such model, or it can't be done."""
    history, text, files = _message(given)
    terms = Terms(
        given.instructions, history, given.tools, given.output, given.temperature, given.max_output
    )  # fmt: skip
    if terms != Terms() and given.model in await api.manifests("workflow"):
        _fits_workflow(given)
        terms = Terms()
    order = Order(
        given.model,
        text,
        files,
        key=given.key,
        title="" if text else _title(history),
        namespace=caller.namespace,
        person=caller.person,
        conversation=given.conversation,
        terms=terms if terms != Terms() else None,
        notes={NOTES: given.notes} if given.notes else {},
    )
    try:
        return await api.start(order)
    except NotFound as error:
        raise no_model(given.model, error) from error
    except BadInput as error:
        if type(error) is BadInput:
            raise Refused(error.message, told=error.code) from error
        raise


def _message(given: Given) -> tuple[tuple[Turn, ...], str, tuple[FilePart, ...]]:
    """What was said before, and the words and files of the message itself: what a person said last, if it was one."""
    *before, last = given.turns
    if last.role != "user":
        return tuple(given.turns), "", ()
    files = tuple(part for part in last.parts if isinstance(part, FilePart))
    return tuple(before), last.text, files


def _title(history: tuple[Turn, ...]) -> str:
    words = next((turn.text for turn in reversed(history) if turn.role == "user" and turn.text), "")
    return " ".join(words.split())[:80]


def _fits_workflow(given: Given) -> None:
    """A workflow has steps of its own: it takes the last message, and nothing that changes how it answers."""
    wrong = {"tools": given.tools, "response_format": given.output}
    for param, value in wrong.items():
        if value:
            raise Refused(
                f"'{given.model}' is a workflow and takes no '{param}'; ask an agent", param, "unsupported_value"
            )
    if given.last_words() is None:
        raise Refused(f"'{given.model}' is a workflow: the last message must be a user's", "messages", "invalid_value")


def words(text: str) -> tuple[TextPart, ...]:
    """A text as parts."""
    return (TextPart(text),) if text else ()
