"""A model's card as claimed, and its fitness as found, put together."""

import msgspec

from agenthost.core.models import Fitness, ModelCard


def calls_tools(fitness: Fitness) -> bool:
    """Whether a probe found any way to have tools called."""
    return fitness.calling != "native" or fitness.native is not False or bool(fitness.leaked)


def as_found(card: ModelCard, fitness: Fitness | None) -> ModelCard:
    """What the loop goes by: nothing that was claimed and not found. A window counts as smaller only where a probe saw
    it end: a search may have stopped before."""
    if fitness is None:
        return card
    smaller = fitness.window_cut > 0 and 0 < fitness.window < card.window
    return msgspec.structs.replace(
        card,
        calling=fitness.calling,
        tools=card.tools if fitness.native is None else calls_tools(fitness),
        images=card.images and fitness.images is not False,
        structured=card.structured and fitness.schema is not False,
        window=fitness.window if smaller else card.window,
    )


def usable(card: ModelCard) -> ModelCard:
    """The card where calls go by grammar or in fences: tools can be used then, whatever the provider knows of them."""
    return card if card.calling == "native" or card.tools else msgspec.structs.replace(card, tools=True)
