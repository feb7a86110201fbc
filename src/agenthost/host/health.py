"""How a host that runs is doing: what is degraded, each with how to mend it. Cheap enough to be asked again and again."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from agenthost.core.api import Finding, Health
from agenthost.core.errors import AgentHostError
from agenthost.core.sandboxes import Availability
from agenthost.core.stock import Census, Stock
from agenthost.core.webhooks import Webhooks
from agenthost.engine.engine import Engine
from agenthost.host.lately import Failing, Lately
from agenthost.machine import words
from agenthost.stores.backups import home as backups

LOW_DISK = 1 << 30
"""Bytes free on the home's disk below which it is nearly full; a twentieth of them, and nothing more may be written soon."""
LARGE_WAL = 256 << 20
LARGE_DATABASE = 20 << 30
QUIET = 6 * 3600.0
"""Seconds without an event after which a task at work may be stuck."""
WAITING = 600.0
"""Seconds that a task may wait to begin before it is worth a word."""
LATE = 300.0
"""Seconds that a webhook's call may be due without being made."""
OLD_BACKUP = 7 * 86400.0
SOON = 7 * 86400.0
JUMP = 60.0
FRESH = 5.0
"""Seconds for which what was found is told again."""

_MEND = {
    "auth": "set the provider's key anew: agenthost secrets set NAME",
    "not-found": "name a model that the provider has: agenthost model list --provider NAME",
    "rate-limit": "lower requests-per-minute or concurrency of the provider, or ask it for more",
}


class Clock:
    """Compares the clock with one that nobody sets."""

    def __init__(self, now: Callable[[], float] = time.time, steady: Callable[[], float] | None = None) -> None:
        self._now = now
        self._steady = steady or _steady
        self._began = now() - self._steady()

    def jumped(self) -> float:
        """Seconds that the clock was set forward (or back, below 0) since this was made."""
        return self._now() - self._steady() - self._began


def _steady() -> float:
    # Linux has a clock that goes on while the machine sleeps, so that sleep isn't taken for a jump.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Disk(Struct, frozen=True):
    """Sizes in bytes. `backup`: when the newest back-up that is still there was made, 0 where there is none; `began`: when
    this home first served somebody."""

    free: int
    database: int
    wal: int
    backup: float = 0.0
    began: float = 0.0


class Watch:
    """Looks at one host, again and again."""

    def __init__(self, home: Path, stock: Stock, webhooks: Webhooks, engine: Engine) -> None:
        self._home = home
        self._stock = stock
        self._webhooks = webhooks
        self._engine = engine
        self._clock = Clock()
        self.lately = Lately()
        self._found: list[Finding] = []
        self._at = float("-inf")
        self._looking = asyncio.Lock()

    async def degraded(self) -> list[Finding]:
        """What isn't as it should be; what was found a moment ago is told again."""
        async with self._looking:
            if time.monotonic() - self._at >= FRESH:
                self._found = [each for each in await self.look() if each.status != "ok"]
                self._at = time.monotonic()
        return self._found

    async def now(self, readiness: str, sandbox: Availability) -> Health:
        """How the host is, `readiness` being why it takes no work, if it doesn't."""
        found = await self.degraded()
        if not sandbox.available:
            found = [*found, Finding("warn", "sandbox", sandbox.detail, sandbox.fix)]
        return Health(readiness or ("degraded" if found else "ok"), tuple(found))

    async def look(self) -> list[Finding]:
        """Everything that is looked at, well or not."""
        now = time.time()
        disk = await asyncio.to_thread(_look, self._home)
        try:
            census = await self._stock.census(now, QUIET, SOON)
            due = await self._webhooks.next_due()
        except AgentHostError as error:
            return [*_disk(disk, now), Finding("fail", "tasks", error.message)]
        return [
            *_disk(disk, now),
            *_tasks(census, now),
            *self._queues(census, now),
            *_models(self.lately.failing()),
            _clock(self._clock.jumped(), census.last - now),
            _keys(census),
            _calls_out(due, now),
            Finding("ok", "followers", f"{self._engine.services.bus.followers} follow tasks now"),
        ]

    def _queues(self, census: Census, now: float) -> list[Finding]:
        found: list[Finding] = []
        for key, (taken, waiting, most) in sorted(self._engine.slots.counts().items()):
            name = f"the role {key.partition(':')[2]}" if key else "root tasks"
            seen = f"{name}: {taken} of {most} run, {waiting} wait"
            late = not key and waiting and census.oldest and now - census.oldest > WAITING
            fix = "have more run at once: `tasks` under [work]" if late else ""
            found.append(Finding("warn" if late else "ok", "queue", seen, fix))
        return found or [Finding("ok", "queue", "nothing runs, nothing waits")]


def _look(home: Path) -> _Disk:
    def size(name: str) -> int:
        try:
            return (home / name).stat().st_size
        except OSError:
            return 0

    backup = next((each.made for each in backups.noted(home) if Path(each.file).exists()), 0.0)
    # The owner's token is made at the first start, and stays.
    began = (home / "token").stat().st_mtime if (home / "token").exists() else 0.0
    return _Disk(shutil.disk_usage(home).free, size("agenthost.db"), size("agenthost.db-wal"), backup, began)


def _disk(disk: _Disk, now: float) -> list[Finding]:
    seen = f"{words.size(disk.free)} free"
    status = "fail" if disk.free < LOW_DISK // 20 else "warn" if disk.free < LOW_DISK else "ok"
    fix = "make room on the home's disk: without any, tasks wait and nothing new is taken" if status != "ok" else ""
    found = [Finding(status, "disk", seen, fix)]
    database = f"{words.size(disk.database)}, its WAL {words.size(disk.wal)}"
    if disk.wal > LARGE_WAL:
        fix = "something reads the database for long (a back-up?) or the disk is slow; it shrinks when that has ended"
        found.append(Finding("warn", "database size", database, fix))
    elif disk.database > LARGE_DATABASE:
        found.append(Finding("warn", "database size", database, "have old tasks removed: set how long they are kept"))
    elif disk.free < 2 * disk.database:
        fix = "make room: an upgrade keeps a copy of the database, and so does a back-up for a while"
        found.append(Finding("warn", "database size", f"{database}, and {seen}", fix))
    else:
        found.append(Finding("ok", "database size", database))
    return [*found, _backup(disk, now)]


def _backup(disk: _Disk, now: float) -> Finding:
    if not disk.backup:
        status = "warn" if disk.began and now - disk.began > OLD_BACKUP else "ok"
        fix = "make one: agenthost backup create FOLDER"
        return Finding(status, "back-up", "there is none that this home knows of", fix)
    age = now - disk.backup
    seen = f"the newest is {age / 86400:.1f} days old"
    if age > OLD_BACKUP:
        return Finding("warn", "back-up", seen, "have one made daily: agenthost backup create FOLDER --keep 7")
    return Finding("ok", "back-up", seen)


def _tasks(census: Census, now: float) -> list[Finding]:
    counts = [*sorted(census.states.items()), *([("paused", census.paused)] if census.paused else [])]
    told = ", ".join(f"{count} {state}" for state, count in counts) or "none is unfinished"
    found = [Finding("ok", "tasks", told)]
    if census.held:
        named = "; ".join(f"{id}: {reason[:200]}" for id, reason in census.reasons.items())
        fix = "mend what the reason says and start the host again, or end it: agenthost tasks cancel ID"
        found.append(Finding("warn", "held tasks", f"{census.held} can't go on. {named}", fix))
    if census.quiet:
        seen = f"nothing was heard of {', '.join(census.quiet)} for {QUIET / 3600:.0f} hours"
        found.append(Finding("warn", "quiet tasks", seen, "look at what they wait for: agenthost tasks show ID"))
    return found


def _models(failing: list[Failing]) -> list[Finding]:
    return [
        Finding(
            "warn",
            "model calls",
            f"{each.model}: {each.failed} of {each.calls} calls failed in the last quarter of an hour, "
            f"the last with {each.last.code}: {each.last.message[:300]}",
            _MEND.get(each.last.code, "see what the provider says of itself; give agents `fallbacks` meanwhile"),
        )
        for each in failing
    ] or [Finding("ok", "model calls", "none fails often")]


def _clock(jumped: float, ahead: float) -> Finding:
    fix = "let NTP keep the clock: deadlines, leases and the ledger go by it"
    if abs(jumped) > JUMP:
        return Finding("warn", "clock", f"it was set by {jumped:+.0f} s since this host started", fix)
    if ahead > JUMP:
        return Finding("warn", "clock", f"it is {ahead:.0f} s before the last event of the journal", fix)
    return Finding("ok", "clock", "it goes evenly")


def _calls_out(due: float | None, now: float) -> Finding:
    if due is not None and now - due > LATE:
        fix = "look for `webhook` in the host's log; what is due is sent on once the host is started again"
        return Finding("warn", "webhooks", f"a call has been due for {now - due:.0f} s and isn't made", fix)
    return Finding("ok", "webhooks", "none is due" if due is None else "what is due is sent")


def _keys(census: Census) -> Finding:
    seen = f"{census.expired} have expired, {census.expiring} will within {SOON / 86400:.0f} days"
    if census.expiring:
        return Finding("warn", "keys", seen, "give whoever uses them new ones in time")
    return Finding("ok", "keys", seen if census.expired else "none expires soon")
