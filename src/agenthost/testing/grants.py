"""The conformance suite of `core.grants.Grants`. Subclass `GrantsSuite` and give it fixtures `grants` and `kept` (of one and
the same thing, open; see `agenthost.testing.erasure.Kept`)."""

import asyncio

from msgspec.structs import replace

from agenthost.core.events import VERSION
from agenthost.core.grants import Grant, Grants, GrantUse, Rule
from agenthost.core.ports import NewTask, StoredEvent
from agenthost.core.tasks import TaskRow
from agenthost.testing.erasure import Kept

PLAIN = Grant("gr_1", "default", "ann", "agent", "coder", "pay", "ann", 1.0)
FULL = Grant(
    "gr_2",
    "default",
    "ann",
    "agent",
    "coder",
    "pay",
    "olga",
    2.0,
    {
        "to": Rule("exact", {"name": "bob", "tries": [1, 2.5, None, True]}),
        "path": Rule("like", "reports/*"),
        "note": Rule("any"),
    },
    anything=False,
    untrusted=True,
    via="a2a",
    task="t1.m1-0",
    question="m2-0-ok",
    note="the monthly one",
)
BOBS = Grant("gr_3", "default", "bob", "workflow", "coder", "step:pay", "bob", 3.0, anything=True)
ELSEWHERE = replace(PLAIN, id="gr_4", namespace="lab")


async def _all(grants: Grants) -> None:
    for grant in (PLAIN, FULL, BOBS, ELSEWHERE):
        await grants.put(grant)


class GrantsSuite:
    """What every keeper of grants does."""

    async def test_grants_are_kept_as_they_are_and_listed_newest_first(self, grants: Grants) -> None:
        await _all(grants)
        assert await grants.get("gr_2") == FULL
        assert await grants.get("gr_9") is None
        assert await grants.of("default") == [BOBS, FULL, PLAIN]
        assert await grants.of("default", "ann") == [FULL, PLAIN]
        assert await grants.of("lab") == [ELSEWHERE]

    async def test_one_that_is_there_stays_as_it_is(self, grants: Grants) -> None:
        await grants.put(PLAIN)
        await grants.put(replace(PLAIN, anything=True))
        assert await grants.of("default") == [PLAIN]

    async def test_those_that_match_are_of_the_namespace_the_person_the_agent_and_the_tool(
        self, grants: Grants
    ) -> None:
        await _all(grants)
        assert await grants.matching("default", "ann", "agent", "coder", "pay") == [FULL, PLAIN]
        assert await grants.matching("lab", "ann", "agent", "coder", "pay") == [ELSEWHERE]
        for other in (
            ("default", "bob", "agent", "coder", "pay"),
            ("default", "ann", "workflow", "coder", "pay"),
            ("default", "ann", "agent", "writer", "pay"),
            ("default", "ann", "agent", "coder", "send"),
        ):
            assert await grants.matching(*other) == []

    async def test_a_use_counts_once_for_each_question(self, grants: Grants) -> None:
        await grants.put(PLAIN)
        first, second = GrantUse("t1", "m1-0-ok", 5, 10.0), GrantUse("t1", "m2-0-ok", 9, 20.0)
        assert await grants.use("gr_1", first) == "used"
        assert await grants.use("gr_1", replace(first, at=30.0)) == "again"
        assert await grants.use("gr_1", second) == "used"
        assert await grants.get("gr_1") == replace(PLAIN, uses=2, used=20.0)
        assert await grants.uses("gr_1") == [second, first]
        assert await grants.uses("gr_1", 1) == [second]

    async def test_of_uses_at_once_each_counts(self, grants: Grants) -> None:
        await grants.put(PLAIN)
        uses = [GrantUse(f"t{number % 10}", "q", 1, float(number)) for number in range(30)]
        came = await asyncio.gather(*(grants.use("gr_1", use) for use in uses))
        assert sorted(came) == ["again"] * 20 + ["used"] * 10
        found = await grants.get("gr_1")
        assert found is not None and found.uses == 10

    async def test_one_that_was_taken_back_is_used_no_more(self, grants: Grants) -> None:
        await grants.put(PLAIN)
        await grants.use("gr_1", GrantUse("t1", "q", 1, 1.0))
        assert await grants.delete("gr_1")
        assert not await grants.delete("gr_1")
        assert await grants.use("gr_1", GrantUse("t1", "q", 1, 1.0)) == "gone"
        assert await grants.uses("gr_1") == []
        assert await grants.matching("default", "ann", "agent", "coder", "pay") == []

    async def test_a_task_that_is_deleted_takes_its_uses_along_and_the_grant_stays(
        self, grants: Grants, kept: Kept
    ) -> None:
        row = TaskRow("t1", "agent", "coder", "completed", 1.0, 1.0, person="ann", root="t1", seq=1)
        await kept.store.create(NewTask(row, StoredEvent(1, 1.0, "created", VERSION, b"{}")))
        await grants.put(PLAIN)
        stays = GrantUse("t2", "q", 1, 2.0)
        await grants.use("gr_1", GrantUse("t1", "q", 1, 1.0))
        await grants.use("gr_1", stays)
        await kept.erasure.begin("t1", set())
        while not await kept.erasure.erase("t1"):
            pass
        assert await grants.uses("gr_1") == [stays]
        found = await grants.get("gr_1")
        assert found is not None and found.uses == 2

    async def test_who_is_forgotten_leaves_no_grant_that_they_had_or_gave(self, grants: Grants, kept: Kept) -> None:
        await _all(grants)
        await kept.erasure.forget_person("default", "olga")
        assert await grants.of("default") == [BOBS, PLAIN]
        await kept.erasure.forget_person("default", "ann")
        assert await grants.of("default") == [BOBS]
        await kept.erasure.forget_namespace("default")
        assert await grants.of("default") == []
        assert await grants.of("lab") == [ELSEWHERE]
