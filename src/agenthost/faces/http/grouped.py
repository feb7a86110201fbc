"""A task group around what others use meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def grouped() -> AsyncGenerator[asyncio.TaskGroup]:
    """A task group whose body raises what it raises: a plain one would wrap that. The body ends the tasks itself, however
    it ends; only where it is cancelled are they too, and where one of them raises, as ever."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        try:
            yield group
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
    if failure is not None:
        raise failure
