"""Which budgets of a day count for a call, as they are now: in memory, so that a call costs no look at a table."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from agenthost.core.budgets import Limits, day_account, wider
from agenthost.core.commands import Ask
from agenthost.core.tasks import Scope, TaskSpec
from agenthost.host.budgets.settings import BudgetSettings

NOTHING = Limits()


def asks_for_budget(ask: Ask) -> str:
    """The account that a question wants raised; empty for any other question."""
    budget: Any = ask.arguments.get("budget", "") if ask.kind == "approval" and ask.id.endswith("-budget") else ""
    return budget if isinstance(budget, str) else ""


class Allowances:
    """What the settings give, what was set beside them by subject, and what was raised by account.

    Subjects: `host`, `namespace/NAME`, `person/NAMESPACE/NAME`, `agent/NAMESPACE/NAME`; without a name (`person`): each of them.
    """

    def __init__(self) -> None:
        self._given: dict[str, Limits] = {}
        self._zone: tzinfo = UTC  # a zone by name is read from the disk
        self._bounded = False
        self.settings = BudgetSettings()
        self.changed: dict[str, Limits] = {}
        self.raised: dict[str, Limits] = {}

    def take(self, settings: BudgetSettings) -> None:
        """Go by these settings."""
        self.settings = settings
        self._zone = UTC if settings.zone == "UTC" else ZoneInfo(settings.zone)
        each = {kind: getattr(settings, kind) for kind in ("host", "namespace", "person", "agent")}
        named = {f"person/default/{name}": limits for name, limits in settings.people.items()}
        named |= {f"agent/default/{name}": limits for name, limits in settings.agents.items()}
        self._given = {subject: limits.limits() for subject, limits in (each | named).items()}
        self._look()

    def change(self, subject: str, limits: Limits | None) -> None:
        """Have a subject's limits be these in the place of those that the settings give; None: be those again."""
        self.changed.pop(subject, None)
        if limits is not None:
            self.changed[subject] = limits
        self._look()

    def _look(self) -> None:
        self._bounded = bool(self.subjects())

    def subjects(self) -> list[str]:
        """Those whose limits somebody gave, by name or each of their kind."""
        found = self._given | self.changed
        return [subject for subject, limits in found.items() if limits != NOTHING]

    def day(self, now: float) -> tuple[str, float, float]:
        """Today, its beginning and its end in seconds since the epoch."""
        here = datetime.fromtimestamp(now, self._zone)
        start = here.replace(hour=0, minute=0, second=0, microsecond=0)
        after = (start + timedelta(hours=36)).replace(hour=0)
        return here.date().isoformat(), start.timestamp(), after.timestamp()

    def limits(self, subject: str, manifest: Limits = NOTHING) -> Limits:
        """The limits of a subject for one day, before they were raised: set for it, given for it, its manifest's, each one's."""
        kind = subject.partition("/")[0]
        if subject in self.changed:
            return self.changed[subject]
        choices: tuple[tuple[Mapping[str, Limits], str], ...] = (
            (self._given, subject),
            ({subject: manifest}, subject),
            (self.changed, kind),
            (self._given, kind),
        )
        return next((found[name] for found, name in choices if found.get(name, NOTHING) != NOTHING), NOTHING)

    def of(self, account: str, limits: Limits) -> Limits:
        """Limits of an account, as they were raised."""
        return wider(limits, self.raised.get(account)) if self.raised else limits

    def today(self, spec: TaskSpec, manifest: Limits, now: float) -> tuple[Scope, ...]:
        """The budgets of this day that count for a call of a task. `manifest`: what its agent's says."""
        return self.on(spec.namespace, spec.person, spec.name, manifest, now)

    def on(self, space: str, person: str, agent: str, manifest: Limits, now: float) -> tuple[Scope, ...]:
        """The budgets of this day that count for a call of an agent (of none, where that is empty) for a person."""
        if not self._bounded and manifest == NOTHING:
            return ()
        wanted = dict.fromkeys(("host", f"namespace/{space}", f"person/{space}/{person}"), NOTHING)
        if agent:
            wanted[f"agent/{space}/{agent}"] = manifest
        day, _, _ = self.day(now)
        found: list[Scope] = []
        for subject, own in wanted.items():
            limits = self.limits(subject, own)
            if limits != NOTHING:
                account = day_account(day, subject)
                found.append(Scope(account, self.of(account, limits), "", self.settings.reached))
        return tuple(found)
