"""A task that is about to be made: with its owner's first step in the same commit where nothing keeps that from coming soon."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from agenthost.core.errors import BudgetRefused, LostLease, Temporary
from agenthost.core.events import Recorded
from agenthost.core.ports import Append, NewTask, Store
from agenthost.core.tasks import TaskRow

Files = tuple[Sequence[tuple[str, str]], Mapping[str, str]]


class Birth:
    """`made` tells whoever wants the task whether it is new, or what failed. `born` is called once it is there."""

    def __init__(self, store: Store, new: NewTask, created: Recorded, files: Files, born: Callable[[], None]) -> None:
        self._store = store
        self._new = new
        self._files = files
        self._born = born
        self.created = created
        self.made: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def row(self) -> TaskRow:
        """The task's row, as it is made."""
        return self._new.row

    async def write(self, first: Append | None = None) -> None:
        """Make the task, unless that was done. Raises LostLease where it is there already, BudgetRefused where `first`
        may not be: then nothing is written, and it may be tried with another one."""
        if self.made.done():
            return
        try:
            made = await self._store.create(self._new, *self._files, first)
        except BudgetRefused:
            raise
        except BaseException as error:
            self.fail(error if isinstance(error, Exception) else _cut())
            raise
        if not self.made.done():
            self.made.set_result(made)
        if not made:
            raise LostLease(f"the task {self.row.id} is there already")
        self._born()

    def fail(self, error: Exception) -> None:
        """It won't be made by this owner."""
        if not self.made.done():
            self.made.set_exception(error)
            self.made.exception()  # seen: whoever wanted it may have gone


def _cut() -> Temporary:
    return Temporary(
        "the host is stopping; whether the task was made is seen when it is back", code="closing", sent=True
    )
