"""Probes models by name and keeps what was found. One probe of a name at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

from agenthost.core.errors import BadInput
from agenthost.core.models import Fitness
from agenthost.core.ports import Model
from agenthost.models.fitness.aloud import aloud
from agenthost.models.fitness.probe import Plan, probe
from agenthost.models.fitness.trials import Put

LEAST_CONTEXT = 1_000


class Catalogue(Protocol):
    """Where models are, and where what was found of them is kept."""

    async def bare(self, name: str) -> Model: ...

    async def keep(self, name: str, fitness: Fitness) -> None: ...


def _as_it_is(model: Model) -> Model:
    return model


class Prober:
    """`put` keeps a picture where models read files; `now` is the time in seconds since the epoch."""

    def __init__(self, catalogue: Catalogue, put: Put, now: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._put = put
        self._now = now
        self._running: set[str] = set()

    async def probe(
        self, name: str, quick: bool = False, context: int = 0, paid: Callable[[Model], Model] = _as_it_is
    ) -> AsyncIterator[str | Fitness]:
        """Lines for people, then what was found, once it is kept. `paid` gives the model whose calls are paid for. Raises as
        the catalogue and the model do."""
        if context and context < LEAST_CONTEXT:
            raise BadInput(f"a context of {context} tokens is too short to probe; give at least {LEAST_CONTEXT:,}")
        if name in self._running:
            raise BadInput(f"the model '{name}' is being probed already; wait until that has ended")
        self._running.add(name)
        try:
            model = paid(await self._catalogue.bare(name))

            def work(tell: Callable[[str], None]) -> AsyncGenerator[str | Fitness]:
                return probe(model, self._put, Plan(quick, context), self._now, notice=tell)

            async with aclosing(aloud(work)) as items:
                async for item in items:
                    if isinstance(item, Fitness):
                        await self._catalogue.keep(name, item)
                    yield item
        finally:
            self._running.discard(name)
