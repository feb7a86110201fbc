"""Budgets as people see and set them: what may be spent, what is, and until when."""

from typing import Literal, Protocol

from msgspec import Struct

from agenthost.core.budgets import Limits, Reached, Spend

Given = Literal["task", "manifest", "settings", "set"]


class BudgetLine(Struct, frozen=True, omit_defaults=True):
    """One budget as it is now. `subject`: `task/ID`, or whose day it is: `host`, `namespace/NAME`, `person/NAMESPACE/NAME`,
    `agent/NAMESPACE/NAME`, or, without a name, each of that kind (then nothing is `spent`). `spent` holds what is reserved, too.
    `until`: when it begins anew, in seconds since the epoch; 0 where it doesn't. `raised`: somebody raised it since."""

    subject: str
    limits: Limits
    spent: Spend = Spend()
    until: float = 0.0
    given: Given = "task"
    raised: bool = False
    reached: Reached = "end"


class OwnBudgets(Protocol):
    """The use-cases, for one caller. Who manages nothing sees what bounds themselves and their tasks, and sets nothing."""

    async def all(self) -> list[BudgetLine]:
        """The budgets of this day."""
        ...

    async def of_task(self, task: str) -> list[BudgetLine]:
        """Every budget that counts for a task. Raises NotFound."""
        ...

    async def set(self, subject: str, limits: Limits | None) -> BudgetLine:
        """Have a subject's budget of a day be this from now on, restarts included; None: what settings and manifests give.
        Raises Forbidden, and BadInput for a subject that can't be read."""
        ...
