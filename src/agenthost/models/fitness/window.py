"""How much of a long text a model truly reads: texts that grow until a hidden word is missing, then halves between."""

from collections.abc import AsyncIterator
from random import Random

import msgspec
from msgspec import Struct

from agenthost.core.errors import AgentHostError, Temporary, Unavailable
from agenthost.models.fitness.calls import Caller, Refused, Timed, answer_room
from agenthost.models.fitness.haystack import QUESTION, haystack

SMALLEST = 1_000
FIRST = 2_000
REST = 200
"""Tokens that are left for the instructions and the question, and for what an estimate is wrong by."""
CLOSE = 0.06
MOST_STEPS = 6
_SLOW = ("rate-limit", "timeout")
"""Failures that say nothing of what is read, only that it takes longer than anybody waits."""
_FEW = 0.75
"""What part of the tokens that were sent a server may count before it must have left some out."""


class Window(Struct):
    """What was found, in tokens. `read`: everything was found up to here. `cut`: something was missing from here on.
    `died`: the size that brought no answer, after which nothing longer was tried. `remarks`: the newest of a kind, which is the nearest to the edge."""

    read: int = 0
    cut: int = 0
    died: int = 0
    longest: Timed | None = None
    remarks: dict[str, str] = msgspec.field(default_factory=dict[str, str])


def sizes(window: int, bound: int, quick: bool) -> list[int]:
    """The sizes that are tried, in tokens, while all goes well."""
    limit = max(SMALLEST, min(window - answer_room(window) - REST, bound))
    found = [SMALLEST]
    size = FIRST
    while size < limit:
        found.append(size)
        size *= 2
    if limit > SMALLEST:
        found.append(limit)
    if quick and len(found) > 3:
        return [found[0], found[len(found) // 2], found[-1]]
    return found


class Reader:
    """One search. `found` is its result once `search` has ended."""

    def __init__(self, caller: Caller, random: Random, wanted: list[int], quick: bool) -> None:
        self._caller = caller
        self._random = random
        self._wanted = wanted
        self._steps = 2 if quick else MOST_STEPS
        self._trying = 0
        self.found = Window()

    async def search(self) -> AsyncIterator[str]:
        """Lines of progress. It ends where a text brings no answer: a server that a long text kills isn't killed again."""
        try:
            async for line in self._search():
                yield line
        except (Temporary, Unavailable) as error:
            self.found.died = 0 if error.code in _SLOW else self._trying
            self.found.remarks["died"] = (
                f"a text of about {self._trying:,} tokens brought no answer, and nothing longer was tried: {error.message}"
            )
            yield f"context: no answer to {self._trying:,} tokens: {error.message}"

    async def lives(self) -> bool:
        """Whether a short question is still answered: then the long text was too much, and the window ends there."""
        try:
            await self._caller.ask("Answer with the word yes.")
        except (Refused, AgentHostError) as error:
            self.found.remarks["dead"] = (
                f"after that it answered nothing any more, so that it isn't known what it reads: {error}"
            )
            return False
        self.found.cut = min(self.found.died, self.found.cut or self.found.died)
        return True

    async def _search(self) -> AsyncIterator[str]:
        for size in self._wanted:
            if not await self._reads(size):
                self.found.cut = size
                break
            yield f"context: {size:,} tokens are read at every depth"
        if not self.found.read:
            self.found.cut = 0
            self.found.remarks["none"] = (
                f"hidden words weren't found in {SMALLEST:,} tokens either, so that what it reads can't be told"
            )
            return
        for _ in range(self._steps):
            if not self.found.cut or self.found.cut - self.found.read <= max(100, self.found.read * CLOSE):
                break
            yield f"context: {self.found.cut:,} tokens are not read; looking between"
            size = (self.found.read + self.found.cut) // 2
            if not await self._reads(size):
                self.found.cut = size

    async def _reads(self, size: int) -> bool:
        """Whether everything is found in a text of that size: once more with another where something isn't."""
        missing: tuple[int, ...] = ()
        self._trying = size
        for _ in range(2):
            hay = haystack(int(size * self._caller.per_token), self._random)
            try:
                timed = await self._caller.ask(f"{hay.text}\n\n{QUESTION}")
            except Refused as refused:
                self.found.remarks["refused"] = f"a request of about {size:,} tokens is refused: {refused}"
                return False
            missing = hay.missing(timed.answer.text)
            self._see_count(size, timed)
            if not missing:
                self.found.read = max(self.found.read, size)
                self.found.longest = timed
                return True
        depths = ", ".join(f"{depth} %" for depth in missing)
        if self.found.read:
            self.found.remarks["missing"] = f"of about {size:,} tokens, what stands at {depths} of the depth isn't read"
        return False

    def _see_count(self, size: int, timed: Timed) -> None:
        """Whether the server counted so few tokens that it must have left some out."""
        counted = timed.answer.usage.input
        if size > SMALLEST and counted and counted < size * _FEW:
            self.found.remarks["counted"] = (
                f"the server counted {counted:,} of about {size:,} tokens that were sent: it cuts without a word"
            )
