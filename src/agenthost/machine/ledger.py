"""The port `core.ports.Machine`: holds, waits in order, and asks idle holders to let go."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

from agenthost.core.errors import BadInput, Unavailable
from agenthost.core.machines import MachineFacts, Need, Waiting
from agenthost.core.ports import silent
from agenthost.machine.queue import Amount, Queue
from agenthost.machine.words import amount, cores, size

Reclaim = Callable[[], Awaitable[None]]

ASK_AGAIN = 1.0
"""Seconds until holders are asked again while somebody waits: one that was busy may be idle by then."""

RECLAIM_SECONDS = 5.0
"""How long one holder is waited for before the next is asked."""


class Ledger:
    """Hands out parts of `whole`. For one event loop; `close` when nothing more is held through it."""

    def __init__(self, facts: MachineFacts, whole: Need) -> None:
        self._facts = facts
        self._whole = whole
        self._queue = Queue(Amount.of(whole))
        self._keys = itertools.count()
        self._visits: dict[int, _Visit] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._closed = False

    def facts(self) -> MachineFacts:
        """What the machine has."""
        return self._facts

    @property
    def whole(self) -> Need:
        """What may be handed out at once."""
        return self._whole

    def waiting(self) -> list[Waiting]:
        """Who waits for what, in order."""
        return [self._visits[key].told for key in self._queue.waiting]

    def holding(self) -> list[Waiting]:
        """Who holds what, in the order in which they got it; `since` is when they asked."""
        return [self._visits[key].told for key in self._queue.held]

    async def hold(
        self,
        need: Need,
        who: str,
        tell: Callable[[str], None] = silent,
        reclaim: Reclaim | None = None,
    ) -> "Held":
        """Wait until it fits, and have it. Cancelled, nothing of it remains."""
        self._refuse(need)
        key = next(self._keys)
        visit = _Visit(Waiting(who, need, time.time()), tell, reclaim)
        self._visits[key] = visit
        self._queue.join(key, Amount.of(need))
        self._admit()
        if key in self._queue.waiting:
            visit.before = len(self._queue.waiting) - 1
            visit.gone = asyncio.get_running_loop().create_future()
            try:
                tell(f"waits for {amount(need)} ({visit.before} before it)")
                await visit.gone
            except BaseException:
                # Also where it was admitted in the same moment: then it is given back.
                self.leave(key)
                raise
        return Held(self, key)

    def leave(self, key: int) -> None:
        """What a holder had, or waited for, is free for others."""
        self._visits.pop(key, None)
        self._queue.leave(key)
        self._admit()

    async def close(self) -> None:
        """Nobody gets anything any more; those who wait are told so."""
        self._closed = True
        for key in list(self._queue.waiting):
            visit = self._visits[key]
            if visit.gone is not None and not visit.gone.done():
                visit.gone.set_exception(Unavailable("The host ends; nothing more is started."))
        asking = [task for task in (self._asking, *self._asked.values()) if task is not None]
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _refuse(self, need: Need) -> None:
        """Raise Unavailable where it can never fit."""
        if self._closed:
            raise Unavailable("The host ends; nothing more is started.")
        if min(need.memory, need.cpu, need.gpu_memory) < 0:
            raise BadInput("Nobody can need less than nothing. Give amounts of 0 or more.")
        facts, whole, wanted = self._facts, self._whole, Amount.of(need)
        lack = wanted.short(self._queue.whole)
        if lack.memory:
            raise Unavailable(
                f"This needs {size(need.memory)} of memory, and the host hands out {size(whole.memory)} of the "
                f"{size(facts.memory)} that are here. Ask for less, or set more with [machine] memory."
            )
        if lack.gpu:
            cards = ", ".join(gpu.name for gpu in facts.gpus) or "no GPU"
            raise Unavailable(
                f"This needs {size(need.gpu_memory)} of GPU memory, and the host hands out {size(whole.gpu_memory)} "
                f"(here: {cards}). Ask for less, or say how much there is with [machine] gpu-memory."
            )
        if lack.cpu:
            raise Unavailable(
                f"This needs {cores(need.cpu)}, and the host hands out {cores(whole.cpu)} (there are "
                f"{cores(facts.cores)}). Ask for less, or set more with [machine] cpu."
            )

    def _admit(self) -> None:
        for key in self._queue.admit():
            visit = self._visits[key]
            if visit.gone is not None and not visit.gone.done():
                visit.gone.set_result(None)
        if self._queue.waiting:
            first = self._visits[next(iter(self._queue.waiting))]
            if first.before:
                first.before = 0
                # By the loop: whoever makes room here has nothing to do with what becomes of another's words.
                asyncio.get_running_loop().call_soon(first.tell, f"waits for {amount(first.told.need)}; it is next")
            self._ask()

    def _ask(self) -> None:
        """Have idle holders asked, as long as somebody waits."""
        if self._closed or (self._asking is not None and not self._asking.done()):
            return
        if self._queue.waiting and any(visit.reclaim for visit in self._visits.values()):
            # Kept here and ended in `close`: it belongs to nobody who waits, so that no cancel cuts a release short.
            self._asking = asyncio.get_running_loop().create_task(self._ask_holders(), name="reclaim")

    async def _ask_holders(self) -> None:
        while self._queue.waiting and not self._closed:
            for key in list(self._queue.held):
                held, visit = self._queue.held.get(key), self._visits.get(key)
                if not self._queue.waiting:
                    break
                if held is None or visit is None or visit.reclaim is None or not held.meets(self._queue.lacks()):
                    continue
                if key not in self._asked:
                    asked = asyncio.get_running_loop().create_task(_reclaim(visit.reclaim), name="reclaim one")
                    self._asked[key] = asked
                    asked.add_done_callback(lambda done, key=key: self._answered(key, done))
                await asyncio.wait([self._asked[key]], timeout=RECLAIM_SECONDS)
            if not any(self._visits[key].reclaim for key in self._queue.held):
                return
            await asyncio.sleep(ASK_AGAIN)

    def _answered(self, key: int, done: "asyncio.Future[None]") -> None:
        self._asked.pop(key, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            who = self._visits[key].told.who if key in self._visits else "a holder"
            done.get_loop().call_exception_handler({"message": f"{who} failed to let go", "exception": error})


class Held:
    """Part of the machine that somebody has; fulfils core.ports.Hold."""

    def __init__(self, ledger: Ledger, key: int) -> None:
        self._ledger = ledger
        self._key = key

    async def release(self) -> None:
        """Give it back; once is enough, more does nothing."""
        self._ledger.leave(self._key)


class _Visit:
    """One who waits or holds."""

    def __init__(self, told: Waiting, tell: Callable[[str], None], reclaim: Reclaim | None) -> None:
        self.told = told
        self.tell = tell
        self.reclaim = reclaim
        self.before = 0
        self.gone: asyncio.Future[None] | None = None


async def _reclaim(reclaim: Reclaim) -> None:
    await reclaim()
