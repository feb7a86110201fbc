"""The conformance suite of `core.erasure.Erasure`. Subclass `ErasureSuite` and give it a fixture `kept`: all that is kept
of one host, open and empty."""

import math
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.access import Accounts, Deed, DeedFilter
from agenthost.core.budgets import Spend
from agenthost.core.conversations import Conversations, Line, LineFilter
from agenthost.core.erasure import Erasure
from agenthost.core.errors import Conflict
from agenthost.core.ids import digest
from agenthost.core.keeping import Keeping, KeptAnswer, UsageFilter, UsageLine, answers_of
from agenthost.core.lifecycle import State
from agenthost.core.parts import FilePart
from agenthost.core.ports import Filter, InboxItem, Settlement, Store, StoredEvent
from agenthost.core.pushes import Push, Pushes
from agenthost.core.webhooks import Delivery, Webhook, Webhooks
from agenthost.testing.stores import entry, new_task, step

DAY = 86_400.0
FILES = [digest(name.encode()) for name in "abcdef"]


class Kept(Struct, frozen=True):
    """What is kept of one host."""

    store: Store
    keeping: Keeping
    accounts: Accounts
    pushes: Pushes
    webhooks: Webhooks
    erasure: Erasure
    conversations: Conversations


def _named(seq: int, *digests: str) -> StoredEvent:
    return StoredEvent(seq, 1.0, "noted", 1, f'{{"files":"{" ".join(digests)}"}}'.encode())


async def _task(kept: Kept, id: str, state: State = "completed", updated: float = 10.0, **fields: Any) -> None:
    """A task of two events and one file in its workspace that came to a state."""
    await kept.store.create(new_task(id, owner="w", epoch=1, **fields))
    await kept.store.append(step(id, 2, state=state, updated=updated, workspace=id, files={"a.txt": FILES[0]}))


async def _used(kept: Kept, id: str, **fields: Any) -> None:
    """A task with two attempts, of which one was settled, on the second day since 1970."""
    await kept.store.create(new_task(id, owner="w", epoch=1))
    reserved = tuple(entry(id, command, at=DAY + 5.0, **fields) for command in ("m1", "m2"))
    await kept.store.append(step(id, 2, reserve=reserved))
    settled = (Settlement("m1", 1, Spend(1, 30, 0.2), "m"),)
    await kept.store.append(step(id, 3, state="completed", settle=settled))


async def _erased(kept: Kept, root: str) -> None:
    await kept.erasure.begin(root, set())
    while not await kept.erasure.erase(root):
        pass


class ErasureSuite:
    """What every store does that takes things away."""

    async def test_nothing_of_a_task_and_all_below_it_is_left_and_all_of_others(self, kept: Kept) -> None:
        for id in ("t1", "t1.a", "t10"):
            await _task(kept, id, parent="t1" if "." in id else "")
            await kept.pushes.put(Push(id, "p", "https://a.example", "default", "ann", 1.0))
        await kept.webhooks.put(Webhook("wh", "ann", "https://a.example", 1.0))
        for number, root in enumerate(("t1", "t10")):
            await kept.webhooks.add([Delivery(f"d{number}", "wh", root, "task.ended", 1.0, b"{}")])
        await _erased(kept, "t1")
        for id in ("t1", "t1.a"):
            assert await kept.store.task(id) is None
            assert await kept.store.events(id) == []
            assert await kept.store.files(id) == {}
            assert await kept.pushes.of(id) == []
        assert [row.id for row in await kept.store.tasks(Filter())] == ["t10"]
        assert len(await kept.store.events("t10")) == 2
        assert await kept.store.files("t10") == {"a.txt": FILES[0]}
        assert len(await kept.pushes.of("t10")) == 1
        assert [each.root for each in await kept.webhooks.deliveries("wh")] == ["t10"]
        assert {each.task for each in (await kept.keeping.placed(0, "default"))[0]} == {"t10"}

    async def test_what_was_said_about_a_task_goes_with_it_and_with_whose_it_was(self, kept: Kept) -> None:
        await _task(kept, "t1")
        await _task(kept, "t2")
        picture = FilePart(FILES[1], "image/png", 3)
        said = [
            Line("chat", id, "person", "message", 1.0, task=task, person=person, files=(picture,))
            for id, task, person in (("m1", "t1", "ann"), ("m2", "t2", "ann"), ("m3", "", "ann"), ("m4", "", "bob"))
        ]
        await kept.conversations.add(said)
        assert await kept.erasure.held({FILES[1]}) == {FILES[1]}
        await _erased(kept, "t1")
        assert [line.id for line in await kept.conversations.lines(LineFilter(person="ann"))] == ["m2", "m3"]
        await kept.erasure.forget_person("default", "ann")
        assert await kept.conversations.lines(LineFilter(person="ann")) == []
        assert [line.id for line in await kept.conversations.lines(LineFilter(person="bob"))] == ["m4"]
        await kept.erasure.forget_namespace("default")
        assert await kept.conversations.conversations("default", "bob", 9) == []
        assert await kept.erasure.held({FILES[1]}) == set()

    async def test_a_tree_of_which_a_task_goes_on_stays(self, kept: Kept) -> None:
        await _task(kept, "t1")
        await _task(kept, "t1.a", "working", parent="t1")
        with pytest.raises(Conflict, match=r"t1\.a"):
            await kept.erasure.begin("t1", set())
        assert await kept.erasure.begun() == []

    async def test_what_was_begun_is_known_until_it_is_done(self, kept: Kept) -> None:
        await _task(kept, "t1")
        await kept.erasure.begin("t1", set())
        await kept.erasure.begin("t1", set())
        assert await kept.erasure.begun() == ["t1"]
        while not await kept.erasure.erase("t1"):
            pass
        assert await kept.erasure.begun() == []

    async def test_root_tasks_are_found_by_their_end_and_by_whose_they_are(self, kept: Kept) -> None:
        await _task(kept, "t2", updated=3.0, person="ann")
        await _task(kept, "t1", updated=5.0, person="ann")
        await _task(kept, "t1.a", updated=1.0, person="ann", parent="t1")
        await _task(kept, "t3", updated=9.0, person="bob")
        await _task(kept, "t4", "working", updated=1.0, person="ann")
        await _task(kept, "t5", updated=1.0, person="ann", namespace="lab")
        assert await kept.erasure.ended_before(9.0, 10) == ["t5", "t2", "t1"]
        assert await kept.erasure.ended_before(9.0, 2) == ["t5", "t2"]
        assert await kept.erasure.roots_of("default", "ann", "", 10) == ["t1", "t2", "t4"]
        assert await kept.erasure.roots_of("default", "ann", "t1", 1) == ["t2"]
        assert await kept.erasure.roots_of("default", "", "", 10) == ["t1", "t2", "t3", "t4"]

    # --- what was used

    @pytest.mark.parametrize(
        "asked",
        [
            UsageFilter(),
            UsageFilter(by=("person", "agent", "model", "day")),
            UsageFilter(by=("model",), person="ann"),
            UsageFilter(by=("day",), since=DAY, until=2 * DAY),
            UsageFilter(since=DAY / 2, until=2.5 * DAY),
            UsageFilter(since=2 * DAY),
            UsageFilter(until=DAY),
        ],
    )
    async def test_figures_are_the_same_after_a_deletion(self, kept: Kept, asked: UsageFilter) -> None:
        await _used(kept, "t1", person="ann")
        await _used(kept, "t2", person="bob", priced=False)
        before = await kept.keeping.usage(asked)
        await _erased(kept, "t1")
        assert await kept.keeping.usage(asked) == before
        await _erased(kept, "t2")
        assert await kept.keeping.usage(asked) == before
        assert await kept.store.ledger("t1") == []

    async def test_by_task_and_of_hours_only_what_is_there_is_counted(self, kept: Kept) -> None:
        await _used(kept, "t1", person="ann")
        await _used(kept, "t2", person="ann")
        hours = UsageFilter(since=DAY + 1, until=2 * DAY - 1)
        assert [line.calls for line in await kept.keeping.usage(hours)] == [4]
        await _erased(kept, "t1")
        assert [(line.task, line.calls) for line in await kept.keeping.usage(UsageFilter(by=("task",)))] == [("t2", 2)]
        assert [line.calls for line in await kept.keeping.usage(UsageFilter(task="t1"))] == [0]
        assert [line.calls for line in await kept.keeping.usage(hours)] == [2]

    async def test_figures_of_whoever_is_deleted_stay_as_nobodys(self, kept: Kept) -> None:
        for id, person in (("t1", "ann"), ("t2", "bob"), ("t3", "cora")):
            await _used(kept, id, person=person)
            await _erased(kept, id)
        await kept.erasure.forget_person("default", "ann")
        await kept.erasure.forget_person("default", "bob")
        await kept.erasure.forget_person("lab", "cora")
        assert await kept.keeping.usage(UsageFilter(by=("person",))) == [
            UsageLine(4, 260, 0.9, 2),
            UsageLine(2, 130, 0.45, 1, person="cora"),
        ]

    async def test_with_a_namespace_its_figures_and_manifests_go(self, kept: Kept) -> None:
        for id, namespace in (("t1", "lab"), ("t2", "default")):
            await _used(kept, id, namespace=namespace)
            await _erased(kept, id)
            await kept.store.put_manifests([("agent", "a", namespace, b"{}")], 1.0)
        await kept.erasure.forget_namespace("lab")
        assert [line.calls for line in await kept.keeping.usage(UsageFilter(namespace="lab"))] == [0]
        assert [line.calls for line in await kept.keeping.usage(UsageFilter())] == [2]
        assert await kept.store.manifests("agent", "lab") == {}
        assert await kept.store.manifests("agent", "default") == {"a": b"{}"}

    # --- answers to requests with a key

    async def test_answers_go_with_the_task_that_they_name_with_their_person_and_with_age(self, kept: Kept) -> None:
        kinds = {"a": (b"/tasks/t1", 5.0), "b": (b"", 6.0), "c": (b"", 1.0), "d": (b"/tasks/t2", 7.0)}
        for name, (head, at) in kinds.items():
            key = answers_of("default", "ann" if name == "b" else "bob") + name
            await kept.keeping.end_answer(key, KeptAnswer("f", "me", at, 200, head))
        assert await kept.erasure.forget_answers("t1", "") == ""
        await kept.erasure.forget_person("default", "ann")
        assert await kept.erasure.trim_answers(2.0) == 1
        mine = KeptAnswer("f", "me", 9.0)
        left = [
            name for name in kinds if await kept.keeping.begin_answer(answers_of("default", "bob") + name, mine, 0.0)
        ]
        assert left == ["d"]
        assert await kept.keeping.begin_answer(answers_of("default", "ann") + "b", mine, 0.0) is None

    # --- files

    async def test_files_of_a_deleted_task_are_doomed_until_they_are_spared(self, kept: Kept) -> None:
        await _task(kept, "t1", person="ann")
        await kept.accounts.own_file("default", "ann", FILES[1])
        await kept.accounts.own_file("default", "bob", FILES[2])
        await kept.erasure.begin("t1", {FILES[1], FILES[2]})
        assert await kept.erasure.doomed("", 10) == sorted(FILES[:3])
        assert await kept.erasure.doomed(min(FILES[:3]), 1) == sorted(FILES[:3])[1:2]
        assert await kept.erasure.release(FILES[1], math.inf)
        assert not await kept.accounts.has_file("default", "ann", FILES[1])
        assert not await kept.erasure.release(FILES[2], math.inf)
        assert await kept.accounts.has_file("default", "bob", FILES[2])
        for file in FILES[:3]:
            await kept.erasure.spare(file)
        assert await kept.erasure.doomed("", 10) == []

    async def test_files_that_are_in_use_are_found_in_workspaces_inboxes_and_journals(self, kept: Kept) -> None:
        await _task(kept, "t1", "working")
        big = StoredEvent(5, 1.0, "noted", 1, f'{{"$blob":"{FILES[4]}"}}'.encode())
        events = (_named(3, FILES[1], FILES[2]), _named(4, FILES[5]), big)
        await kept.store.append(replace(step("t1", 3), events=events))
        await kept.store.put(InboxItem("t1", "i1", "message", f'"{FILES[3]}"'.encode(), 1.0))
        assert await kept.erasure.held(set(FILES)) == {FILES[0]}
        assert await kept.erasure.waiting("t1") == {FILES[3]}
        wanted, found, files, place, going = {*FILES[1:4]}, set[str](), set[str](), 0, True
        while going:
            named, more, place = await kept.erasure.named(wanted, place, 2)
            found |= named
            files |= more
            going = place > 0
        assert (found, files) == (wanted, {FILES[4]})

    async def test_gifts_are_doomed_by_their_age_and_with_whose_they_are(self, kept: Kept) -> None:
        for file in FILES[:3]:
            await kept.accounts.own_file("default", "ann", file)
        await kept.accounts.own_file("default", "bob", FILES[3])
        last = await kept.erasure.doom_gifts(1e12, 0.0, 10)
        assert last is not None and await kept.erasure.doom_gifts(1e12, last, 10) is None
        assert await kept.erasure.doom_gifts(1.0, 0.0, 10) is None
        assert await kept.erasure.doomed("", 10) == sorted(FILES[:4])
        for file in FILES[:4]:
            await kept.erasure.spare(file)
        await kept.erasure.forget_person("default", "ann")
        assert await kept.erasure.doomed("", 10) == sorted(FILES[:3])
        assert not await kept.accounts.has_file("default", "ann", FILES[0])
        assert await kept.accounts.has_file("default", "bob", FILES[3])

    async def test_old_lines_of_the_audit_log_go_and_places_go_on(self, kept: Kept) -> None:
        await kept.accounts.note([Deed(1.0, "ann", "task.start", "t1"), Deed(5.0, "ann", "task.start", "t2")])
        assert await kept.erasure.trim_audit(5.0) == 1
        await kept.accounts.note([Deed(6.0, "ann", "task.start", "t3")])
        found = await kept.accounts.deeds(DeedFilter())
        assert [deed.thing for deed in found] == ["t3", "t2"]
        assert len({deed.place for deed in found}) == 2
        await kept.erasure.settle()
