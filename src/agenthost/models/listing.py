"""A model as a line of `model list`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from agenthost.core.api import ModelLine
from agenthost.core.models import Fitness, ModelCard

if TYPE_CHECKING:
    from agenthost.models.llamacpp.local import LocalModels


class Effective(Protocol):
    """The card of a name as the loop goes by it, from what it claims."""

    def __call__(self, name: str, claimed: ModelCard) -> Awaitable[ModelCard]: ...


def line(name: str, card: ModelCard, found: Fitness | None, note: str = "", pid: int = 0) -> ModelLine:
    """The line of a model that can be used. `card` is as the loop goes by it."""
    return ModelLine(
        name,
        name.partition(":")[0],
        True,
        card.window,
        card.images,
        card.input_price,
        card.output_price,
        note,
        pid,
        calling=card.calling if card.tools else "no",
        probed=found.at if found else 0.0,
    )


async def local_lines(
    local: "LocalModels", effective: Effective, found: Callable[[str], Awaitable[Fitness | None]]
) -> list[ModelLine]:
    """The models of this machine, and the process ids of those that run."""
    lines: list[ModelLine] = []
    for seen in await local.seen():
        name = f"llamacpp:{seen.name}"
        if seen.card is None:
            lines.append(ModelLine(name, "llamacpp", False, note=seen.note, pid=seen.pid))
            continue
        card = await effective(name, seen.card)
        lines.append(line(name, card, await found(name), seen.note, seen.pid))
    return lines
