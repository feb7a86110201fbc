"""Makes deliveries of what is marked, and sends what is due until it is taken or given up."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import OWNER, Accounts
from agenthost.core.errors import AgentHostError, Temporary
from agenthost.core.events import Recorded
from agenthost.core.ports import Secrets, Store
from agenthost.core.webhooks import Delivery, Mark, Webhook, Webhooks
from agenthost.engine.parts import Log
from agenthost.host.webhooks import signing, telling
from agenthost.host.webhooks.sending import Outcome, Sender

AT_ONCE = 16
OF_ONE = AT_ONCE // 4
"""Of one person that isn't the owner: whose receivers are slow keeps nobody else's from being called."""
MARKS = 200
LOOK = 30.0
"""Seconds after which marks and deliveries are looked at without a call: another process may have left some."""

GONE = 410
"""The answer of who doesn't want to be called any more (Standard Webhooks, "Operational considerations")."""


_OWNERS = f"default/{OWNER}"


def _whose(webhook: Webhook) -> str:
    return f"{webhook.namespace}/{webhook.person}"


class Patience(Struct, frozen=True):
    """`attempts`: how often one delivery is tried. `backoff` and `backoff_most`: the first and the largest wait between
    two, which grows by four. `hold`: seconds for which a delivery is one sender's. `keep`: how long those that are over
    are listed. Times in seconds."""

    attempts: int = 10
    backoff: float = 5.0
    backoff_most: float = 21_600.0
    hold: float = 60.0
    keep: float = 30 * 86_400.0


class Deliverer:
    """Runs as long as the host works. `journal` gives the whole journal of a task."""

    def __init__(
        self,
        webhooks: Webhooks,
        store: Store,
        secrets: Secrets,
        accounts: Accounts,
        journal: Callable[[str], Awaitable[list[Recorded]]],
        sender: Sender,
        log: Log,
        patience: Patience,
    ) -> None:
        self._webhooks = webhooks
        self._store = store
        self._secrets = secrets
        self._accounts = accounts
        self._journal = journal
        self._sender = sender
        self._log = log
        self._patience = patience
        self._sending: Counter[str] = Counter()
        self._called = asyncio.Event()
        self._pruned = 0.0

    def call(self) -> None:
        """Something is to be told: look now."""
        self._called.set()

    async def run(self, clock: Callable[[], float], random: Callable[[], float]) -> None:
        """Go on until cancelled. A store that fails is asked again later."""
        async with asyncio.TaskGroup() as group:
            room = asyncio.Semaphore(AT_ONCE)
            while True:
                self._called.clear()
                wait = LOOK
                try:
                    await self.gather()
                    wait = await self._send_due(group, room, clock, random)
                except AgentHostError as error:
                    self._log.warning("webhooks wait", problem=error.message)
                try:
                    async with asyncio.timeout(wait):
                        await self._called.wait()
                except TimeoutError:
                    pass

    async def gather(self) -> None:
        """Make deliveries of everything that is marked."""
        while marks := await self._webhooks.marks(MARKS):
            for mark in marks:
                await self._webhooks.add(await self._told(mark), mark)

    async def _told(self, mark: Mark) -> list[Delivery]:
        row = await self._store.task(mark.task)
        if row is None or not await self._may_hear(row.person):
            return []
        wanted = [each for each in await self._webhooks.of(row.namespace, row.person) if not each.disabled]
        if not wanted:
            return []
        try:
            events = await self._journal(mark.task)
        except Temporary:
            raise
        except AgentHostError as error:
            self._log.warning(
                "only the end is told of a task that can't be read", task=mark.task, problem=error.message
            )
            return telling.tell(wanted, row, telling.end_of(row), set(), mark.at)
        new = [recorded for recorded in events if mark.seen < recorded.seq <= mark.seq]
        return telling.tell(wanted, row, new, telling.answered_in(events), mark.at)

    async def _send_due(
        self,
        group: asyncio.TaskGroup,
        room: asyncio.Semaphore,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> float:
        """Begin to send what is due; how many seconds until something is due again."""
        now = clock()
        if now - self._pruned > 3600:
            self._pruned = now
            await self._webhooks.prune(now - self._patience.keep)
        until = now + self._patience.hold
        while not room.locked() and (taken := await self._webhooks.take(now, until, 1, self._full())):
            webhook = await self._webhooks.get(taken[0].webhook)
            if webhook is not None:
                await room.acquire()
                self._sending[_whose(webhook)] += 1
                sending = self._deliver(webhook, taken[0], room, clock, random)
                group.create_task(sending, name=f"webhook {taken[0].id}")
        if room.locked():
            return LOOK
        due = await self._webhooks.next_due(self._full())
        return LOOK if due is None else min(LOOK, max(0.01, due - clock()))

    def _full(self) -> list[str]:
        """Who has as many calls under way as one person may."""
        return [who for who, count in self._sending.items() if count >= OF_ONE and who != _OWNERS]

    async def _deliver(
        self,
        webhook: Webhook,
        delivery: Delivery,
        room: asyncio.Semaphore,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        try:
            outcome = await self._try(webhook, delivery, clock)
            await self._webhooks.settle(self._after(delivery, outcome, clock(), random()))
            if outcome.status == GONE:
                await self._webhooks.disable(webhook.id, outcome.reason)
        except AgentHostError as error:
            # It is held for a while, and then tried again.
            self._log.warning("webhook not settled", delivery=delivery.id, problem=error.message)
        finally:
            room.release()
            self._sending[_whose(webhook)] -= 1
            self._sending += Counter()  # without those that have none
            self.call()

    async def _may_hear(self, person: str) -> bool:
        """Whether somebody may (still) use the host."""
        found = await self._accounts.person(person)
        return found is not None and not found.disabled

    async def _try(self, webhook: Webhook, delivery: Delivery, clock: Callable[[], float]) -> Outcome:
        if not await self._may_hear(webhook.person):
            return Outcome(GONE, "its person may not use the host any more")
        secret = await self._secrets.get(webhook.secret_name)
        if secret is None:
            return Outcome(0, "its secret is gone; remove the webhook and make it again")
        headers = signing.headers(secret, delivery.id, int(clock()), delivery.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "AgentHost"}
        return await self._sender.send(webhook.url, headers, delivery.body)

    def _after(self, delivery: Delivery, outcome: Outcome, now: float, random: float) -> Delivery:
        """A delivery after a try."""
        done = replace(delivery, attempts=delivery.attempts + 1, status=outcome.status, reason=outcome.reason)
        if outcome.taken:
            return replace(done, state="delivered")
        patience = self._patience
        if done.attempts >= patience.attempts or outcome.status == GONE:
            self._log.warning("webhook given up", delivery=delivery.id, status=outcome.status, reason=outcome.reason)
            return replace(done, state="dead")
        wait = min(patience.backoff_most, patience.backoff * 4 ** (done.attempts - 1)) * (0.5 + random / 2)
        return replace(done, due=now + min(patience.backoff_most, max(wait, outcome.wait)))
