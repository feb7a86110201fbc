"""docs/http.md names every route, every kind of error and every event of a stream, and nothing else."""

import re
from functools import partial
from pathlib import Path
from typing import cast

from agenthost.faces.http import budgets, conversations, erasure, grants, imports, metrics, schedules, webhooks
from agenthost.faces.http.app import Face, table
from agenthost.faces.http.guard import Everybody
from agenthost.faces.http.site import Site
from agenthost.faces.http.streams import Closing
from agenthost.host.budgets.desk import Desk as BudgetDesk
from agenthost.host.conversing.desk import Desk as ConversingDesk
from agenthost.host.erasure.desk import Desk as ErasureDesk
from agenthost.host.grants.desk import Desk as GrantDesk
from agenthost.host.importing.desk import Desk as ImportDesk
from agenthost.host.schedules.desk import Desk as ScheduleDesk
from agenthost.host.webhooks.desk import Desk
from agenthost.testing.memory_host import MemoryHost
from agenthost.wire import sse
from agenthost.wire.problems import STATUS

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def test_every_operation_is_documented_and_every_documented_one_is_there() -> None:
    async def expose(accept: str) -> tuple[bytes, str]:
        return b"", ""

    desks = (
        *webhooks.operations(cast("Desk", None)),
        *grants.operations(cast("GrantDesk", None)),
        *erasure.operations(cast("ErasureDesk", None)),
        *imports.operations(cast("ImportDesk", None)),
        *schedules.operations(cast("ScheduleDesk", None)),
        *budgets.operations(cast("BudgetDesk", None)),
    )  # nothing is called
    streamed = partial(conversations.operations, cast("ConversingDesk", None))
    faces = [metrics.face(expose), Face(operations=desks, streamed=streamed)]
    told = table(Site(Everybody(MemoryHost()), Closing()), faces)
    served = {f"{each.method} {each.whole}" for each in told}
    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", PAGE, re.MULTILINE)) == served


def test_every_kind_of_error_is_documented_with_its_status() -> None:
    told: dict[str, int] = {}
    for kinds, status in re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (\d{3})", PAGE, re.MULTILINE):
        told |= {kind: int(status) for kind in re.findall(r"`([a-z-]+)`", kinds)}
    assert told == {cls.code: status for cls, status in STATUS.items()}


def test_every_event_of_a_stream_is_documented() -> None:
    for event in (sse.RECORDED, sse.PLACED, sse.DELTA, sse.LINE, sse.SAID, sse.FITNESS, sse.PROBLEM, sse.END):
        assert f"| `{event}` |" in PAGE
