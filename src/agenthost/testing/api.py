"""The conformance suite of `core.api.HostApi`: the same for a host in process and for a client.

Subclass `HostApiSuite` in a test module and give it a fixture `case`, a fresh `ApiCase` for each test.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest
from msgspec import Struct
from msgspec.structs import replace

from agenthost.core.api import HostApi, LiveDelta, OpenQuestion, Order
from agenthost.core.errors import BadInput, Conflict, NotFound, Unavailable
from agenthost.core.events import Created, Finished, Paused, Received, Recorded, Resumed
from agenthost.core.lifecycle import FINAL
from agenthost.core.models import Fitness, ModelRequest, Turn
from agenthost.core.offers import Drawing, Speech
from agenthost.core.parts import TextPart, text_message
from agenthost.core.ports import Filter
from agenthost.models.fitness.found import as_found
from agenthost.testing.offering import MODEL

PATIENCE = 20.0
"""Seconds after which a test gives up waiting; no assertion is about time."""

UNKNOWN_TASK = "0000000000000000"
MANIFEST = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: conformance-agent}
spec: {description: %s}
"""


class ApiCase(Struct):
    """A host to try, and names of agents on it: `quick` answers and ends by itself, `asking` asks a
    person one question first and ends when it is answered, `slow` goes on until it is cancelled,
    `family` (a workflow or agent; empty: none) ends by itself after a child task of its own. `model` is one that can be
    probed, and whose provider does nothing but answer; `offering` one whose provider is `testing.offering`'s."""

    api: HostApi
    quick: str
    asking: str
    slow: str
    family: str = ""
    model: str = "default"
    offering: str = MODEL


async def followed(
    api: HostApi, task: str, after: dict[str, int] | None = None, most: int = 100_000, tree: bool = True
) -> list[Recorded]:
    """The events that following gives, until it ends or there are `most`."""
    found: list[Recorded] = []
    async with asyncio.timeout(PATIENCE), aclosing(cast("Any", api.follow(task, after, tree))) as items:
        async for item in items:
            if isinstance(item, Recorded):
                found.append(item)
            if len(found) >= most:
                break
    return found


async def question(api: HostApi, task: str) -> OpenQuestion:
    """The question of a task, as soon as it is asked."""
    async with asyncio.timeout(PATIENCE), aclosing(cast("Any", api.follow(task))) as items:
        async for _ in items:
            if asked := (await api.task(task)).questions:
                return asked[0]
    raise AssertionError(f"{task} ended without a question")


def assert_in_order(events: list[Recorded], after: dict[str, int] | None = None) -> None:
    """Every journal's numbers go up by one, from where the follower was."""
    last = dict(after or {})
    for recorded in events:
        assert recorded.seq == last.get(recorded.task, 0) + 1, f"{recorded.task}: {recorded.seq} after {last}"
        last[recorded.task] = recorded.seq


class HostApiSuite:
    """What every HostApi does."""

    async def test_it_says_which_host_it_is(self, case: ApiCase) -> None:
        info = await case.api.info()
        assert info.pid > 0
        assert info.version

    async def test_a_started_task_is_followed_from_its_creation_to_its_end(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        events = await followed(case.api, row.id)
        assert_in_order(events)
        assert isinstance(events[0].event, Created)
        assert isinstance(events[-1].event, Finished)
        assert (await case.api.task(row.id)).row.state == "completed"

    async def test_following_an_ended_task_again_gives_the_same_events(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        first = await followed(case.api, row.id)
        assert await followed(case.api, row.id) == first
        assert [e for e in first if e.task == row.id] == await case.api.events(row.id)

    async def test_following_from_a_number_gives_what_came_after_it(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        whole = await followed(case.api, row.id, tree=False)
        for cut in range(len(whole) + 1):
            rest = await followed(case.api, row.id, {row.id: cut}, tree=False)
            assert rest == whole[cut:]

    async def test_two_followers_of_a_running_task_see_the_same(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.asking, "hello"))
        async with asyncio.TaskGroup() as group:
            followers = [group.create_task(followed(case.api, row.id)) for _ in range(2)]
            await question(case.api, row.id)
            await case.api.reply(row.id, "blue")
        first, second = (follower.result() for follower in followers)
        assert first == second
        assert_in_order(first)

    async def test_a_tree_is_followed_whole_each_journal_with_its_own_numbers(self, case: ApiCase) -> None:
        if not case.family:
            pytest.skip("this case has nothing with a child")
        row = await case.api.start(Order(case.family, "hello"))
        events = await followed(case.api, row.id)
        assert_in_order(events)
        tasks = {recorded.task for recorded in events}
        assert len(tasks) > 1
        assert all(task == row.id or task.startswith(row.id + ".") for task in tasks)
        alone = await followed(case.api, row.id, tree=False)
        assert {recorded.task for recorded in alone} == {row.id}
        assert (await case.api.task(row.id)).children

    async def test_events_come_in_pages(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        await followed(case.api, row.id)
        whole = await case.api.events(row.id)
        assert await case.api.events(row.id, after=1, limit=2) == whole[1:3]
        assert await case.api.events(row.id, after=whole[-1].seq) == []

    async def test_the_same_key_starts_the_work_once(self, case: ApiCase) -> None:
        first = await case.api.start(Order(case.quick, "hello", key="conformance-1"))
        second = await case.api.start(Order(case.quick, "hello", key="conformance-1"))
        other = await case.api.start(Order(case.quick, "hello", key="conformance-2"))
        assert first.id == second.id != other.id

    async def test_an_unknown_name_is_not_found_and_keeps_nothing(self, case: ApiCase) -> None:
        with pytest.raises(NotFound):
            await case.api.start(Order("no-such-agent-anywhere", "hello"))
        assert await case.api.tasks(Filter()) == []

    async def test_an_unknown_task_is_not_found_by_every_use_case(self, case: ApiCase) -> None:
        api = case.api
        calls: dict[str, Callable[[str], Awaitable[Any]]] = {
            "task": api.task,
            "events": api.events,
            "say": lambda task: api.say(task, text_message("person", "hello")),
            "reply": lambda task: api.reply(task, "yes"),
            "cancel": api.cancel,
            "pause": api.pause,
            "resume": api.resume,
            "artifacts": api.artifacts,
            "evidence": api.evidence,
            "ledger": api.ledger,
            "export": api.export,
            "replay": api.replay,
            "find": api.find,
            "follow": lambda task: followed(api, task),
        }
        answers = await asyncio.gather(*(call(UNKNOWN_TASK) for call in calls.values()), return_exceptions=True)
        assert [name for name, got in zip(calls, answers, strict=True) if not isinstance(got, NotFound)] == []

    async def test_a_question_waits_is_listed_and_its_answer_goes_on_with_the_task(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.asking, "hello"))
        asked = await question(case.api, row.id)
        assert asked.ask.question
        assert (await case.api.task(row.id)).row.state in ("input-required", "auth-required")
        answered = await case.api.reply(row.id, "blue")
        assert answered.ask == asked.ask
        await followed(case.api, row.id)
        detail = await case.api.task(row.id)
        assert detail.row.state == "completed"
        assert detail.questions == ()

    async def test_an_answer_without_question_is_refused(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        await followed(case.api, row.id)
        with pytest.raises(BadInput):
            await case.api.reply(row.id, "blue")

    async def test_a_message_to_a_running_task_stands_in_its_journal(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.slow, "hello"))
        await case.api.say(row.id, text_message("person", "one more thing: ünï ✓"))
        async with asyncio.timeout(PATIENCE), aclosing(cast("Any", case.api.follow(row.id))) as items:
            async for item in items:
                if not isinstance(item, LiveDelta) and isinstance(item.event, Received):
                    assert item.event.message.parts == text_message("person", "one more thing: ünï ✓").parts
                    break
        await case.api.cancel(row.id)
        await followed(case.api, row.id)

    async def test_a_cancelled_task_ends_and_says_why(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.slow, "hello"))
        await case.api.cancel(row.id, reason="no longer wanted")
        events = await followed(case.api, row.id)
        last = [recorded.event for recorded in events if recorded.task == row.id][-1]
        assert isinstance(last, Finished)
        assert last.verdict.outcome == "canceled"
        detail = await case.api.task(row.id)
        assert detail.row.state == "canceled"
        assert "no longer wanted" in detail.row.reason

    async def test_a_task_rests_until_it_is_resumed_and_can_be_cancelled_meanwhile(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.asking, "hello"))
        await question(case.api, row.id)
        with pytest.raises(Conflict):
            await case.api.resume(row.id)
        await case.api.pause(row.id, reason="not today")
        await case.api.pause(row.id)
        detail = await case.api.task(row.id)
        assert (detail.row.state, detail.row.hold) == ("input-required", "paused")
        assert len(detail.questions) == 1
        await case.api.resume(row.id)
        assert not (await case.api.task(row.id)).row.hold
        await case.api.reply(row.id, "blue")
        events = [each.event for each in await followed(case.api, row.id)]
        assert [type(event) for event in events if isinstance(event, Paused | Resumed)] == [Paused, Resumed]
        row = await case.api.start(Order(case.asking, "hello"))
        await question(case.api, row.id)
        await case.api.pause(row.id)
        await case.api.cancel(row.id)
        await followed(case.api, row.id)
        assert (await case.api.task(row.id)).row.state == "canceled"
        with pytest.raises(Conflict):
            await case.api.pause(row.id)

    async def test_files_come_back_byte_for_byte(self, case: ApiCase) -> None:
        content = bytes(range(256)) * 1000
        kept = await case.api.put_file("all bytes ü.bin", content, "application/octet-stream")
        assert (kept.name, kept.size) == ("all bytes ü.bin", len(content))
        assert await case.api.get_file(kept.digest) == content

    async def test_an_empty_file_and_an_unknown_one_are_refused(self, case: ApiCase) -> None:
        with pytest.raises(BadInput):
            await case.api.put_file("empty.txt", b"")
        with pytest.raises(NotFound):
            await case.api.get_file("sha256:" + "0" * 64)

    async def test_a_task_is_found_by_the_beginning_of_its_id(self, case: ApiCase) -> None:
        first = await case.api.start(Order(case.quick, "one"))
        second = await case.api.start(Order(case.quick, "two"))
        assert await case.api.find(first.id) == first.id
        assert await case.api.find("last") == second.id
        with pytest.raises(BadInput):
            await case.api.find(os.path.commonprefix([first.id, second.id]))

    async def test_a_listing_is_newest_first_filtered_and_paged(self, case: ApiCase) -> None:
        ids = [(await case.api.start(Order(case.quick, str(i)))).id for i in range(5)]
        for id in ids:
            await followed(case.api, id)
        listed = [row.id for row in await case.api.tasks(Filter(roots_only=True))]
        assert listed == ids[::-1]
        page = await case.api.tasks(Filter(roots_only=True, limit=2, before=ids[3]))
        assert [row.id for row in page] == [ids[2], ids[1]]
        assert len(await case.api.tasks(Filter(roots_only=True, states=("completed",)))) == 5
        assert await case.api.tasks(Filter(states=("working", "failed"))) == []
        assert await case.api.count_tasks(Filter(roots_only=True, states=("completed",), limit=2)) == 5
        assert await case.api.count_tasks(Filter(parent=ids[0])) == 0
        changed = await case.api.tasks(Filter(roots_only=True, order="updated"))
        assert [row.id for row in changed] == ids[::-1]
        since = Filter(roots_only=True, order="updated", changed_since=changed[3].updated, limit=2)
        assert await case.api.tasks(since) == changed[:2]
        rest = replace(since, before=changed[1].id, before_change=changed[1].updated, limit=5)
        assert await case.api.tasks(rest) == [row for row in changed[2:] if row.updated >= changed[3].updated]
        assert all(row.state in FINAL for row in await case.api.tasks(Filter(name=case.quick)))

    async def test_manifests_are_applied_whole_or_not_at_all(self, case: ApiCase) -> None:
        good, changed = MANIFEST % "one", MANIFEST % "two"
        applied, problems = await case.api.apply({"good.yaml": good, "bad.yaml": "kind: Nonsense\n"})
        assert applied == []
        assert problems[0].file == "bad.yaml"
        assert "conformance-agent" not in await case.api.manifests("agent")
        outcomes: list[str] = []
        for text in (good, good, changed):
            applied, problems = await case.api.apply({"good.yaml": text})
            assert problems == []
            outcomes.append(applied[0].outcome)
        assert outcomes == ["created", "unchanged", "changed"]
        assert "conformance-agent" in await case.api.manifests("agent")

    async def test_a_dry_run_changes_nothing(self, case: ApiCase) -> None:
        applied, problems = await case.api.apply({"good.yaml": MANIFEST % "one"}, dry_run=True)
        assert problems == []
        assert applied[0].outcome == "created"
        assert "conformance-agent" not in await case.api.manifests("agent")

    async def test_a_manifest_is_deleted_once(self, case: ApiCase) -> None:
        await case.api.apply({"good.yaml": MANIFEST % "one"})
        await case.api.delete("agent", "conformance-agent")
        assert "conformance-agent" not in await case.api.manifests("agent")
        with pytest.raises(NotFound):
            await case.api.delete("agent", "conformance-agent")

    async def test_a_secret_is_listed_by_name_only(self, case: ApiCase) -> None:
        await case.api.set_secret("CONFORMANCE_KEY", "hidden-value")
        names = await case.api.secrets()
        assert "CONFORMANCE_KEY" in names
        assert "hidden-value" not in names

    async def test_what_a_task_used_is_in_the_ledger_and_its_journal_decides_the_same_again(
        self, case: ApiCase
    ) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        await followed(case.api, row.id)
        assert await case.api.ledger(row.id)
        assert all(report.agrees for report in await case.api.replay(row.id))
        assert (await case.api.export(row.id)).startswith(b"PK")
        assert isinstance(await case.api.artifacts(row.id), list)

    async def test_a_tasks_evidence_is_read_from_its_journal(self, case: ApiCase) -> None:
        row = await case.api.start(Order(case.quick, "hello"))
        await followed(case.api, row.id)
        pack = await case.api.evidence(row.id)
        assert (pack.task, pack.name, pack.outcome) == (row.id, row.name, "done")
        assert pack.events == (await case.api.task(row.id)).row.seq
        assert pack == await case.api.evidence(row.id)

    async def test_a_model_is_probed_and_gone_by_from_then_on(self, case: ApiCase) -> None:
        before = await case.api.model(case.model)
        assert before.fitness is None
        items = [item async for item in case.api.probe(case.model, quick=True)]
        found = items[-1]
        assert isinstance(found, Fitness)
        assert len(items) > 1
        assert all(isinstance(item, str) and item for item in items[:-1])
        after = await case.api.model(case.model)
        assert after.fitness == found
        assert after.card == as_found(before.claimed, found)
        assert after.claimed == before.claimed

    async def test_a_model_that_there_is_not_is_not_probed(self, case: ApiCase) -> None:
        with pytest.raises(NotFound):
            await case.api.model("no-such-model")
        with pytest.raises(NotFound):
            _ = [item async for item in case.api.probe("no-such-model")]

    async def test_a_provider_embeds_and_judges_words_and_pictures(self, case: ApiCase) -> None:
        offered = await case.api.abilities(case.offering)
        assert offered.card == (await case.api.model(case.offering)).claimed
        found = await offered.embed(["one two", "two one", "other words"])
        assert len(found.vectors) == 3 and found.vectors[0] == found.vectors[1] != found.vectors[2]
        assert abs(sum(number * number for number in found.vectors[2]) - 1.0) < 1e-6 and found.usage.input == 6
        drawn = await offered.draw(Drawing("a cat", "16x8"))
        picture = await case.api.put_file("cat.png", drawn.content, drawn.media_type)
        assert (await offered.moderate([TextPart("harm"), picture])).flagged
        assert not (await offered.moderate([picture])).flagged

    async def test_a_provider_draws_speaks_and_hears(self, case: ApiCase) -> None:
        offered = await case.api.abilities(case.offering)
        drawn = await offered.draw(Drawing("a cat", "16x8"))
        assert (drawn.content[:4], drawn.media_type, drawn.revised) == (b"\x89PNG", "image/png", "A drawing: a cat")
        changed = await offered.draw(Drawing("a dog", images=((drawn.content, drawn.media_type),)))
        assert changed.content != drawn.content and changed.usage == drawn.usage
        spoken = await offered.speak(Speech("a word", format="wav", speed=1.5))
        heard = await offered.transcribe(spoken.content, spoken.media_type, "en")
        assert (heard.text, heard.language) == ("a word", "en") and heard.duration > 0

    async def test_a_provider_keeps_files_byte_for_byte(self, case: ApiCase) -> None:
        offered = await case.api.abilities(case.offering)
        content = bytes(range(256)) * 1000
        kept = await offered.put_file("every byte.bin", content, "user_data")
        assert (kept.name, kept.size, kept.purpose) == ("every byte.bin", len(content), "user_data")
        assert await offered.files() == [kept]
        assert await offered.get_file(kept.id) == content
        await offered.delete_file(kept.id)
        assert await offered.files() == []
        with pytest.raises(NotFound):
            await offered.get_file(kept.id)
        with pytest.raises(NotFound):
            await offered.get_file("../files")

    async def test_a_provider_answers_a_batch_and_takes_one_back(self, case: ApiCase) -> None:
        offered = await case.api.abilities(case.offering)
        asked = {name: ModelRequest("m", "", (Turn("user", (TextPart(name),)),)) for name in ("a", "é /?")}
        began = await offered.start_batch(asked)
        assert began.state in ("waiting", "running") and not began.answers
        async with asyncio.timeout(PATIENCE):
            while (found := await offered.batch(began.id)).state in ("waiting", "running"):
                pass
        assert (found.state, found.total, found.done, found.failed) == ("ended", 2, 2, 0)
        said = {name: one.answer.text for name, one in found.answers.items() if one.answer is not None}
        assert said == {"a": "You said a", "é /?": "You said é /?"}
        other = await offered.start_batch(asked)
        assert (await offered.cancel_batch(other.id)).state == "canceled"
        assert {one.id: one.state for one in await offered.batches()} == {began.id: "ended", other.id: "canceled"}
        with pytest.raises(BadInput):
            await offered.start_batch({})

    async def test_what_a_provider_lacks_is_said_with_what_to_name_instead(self, case: ApiCase) -> None:
        offered = await case.api.abilities(case.model)
        for lacking in (offered.embed(["a"]), offered.draw(Drawing("a")), offered.files(), offered.batches()):
            with pytest.raises(Unavailable, match="Name another model for it: "):
                await lacking
        with pytest.raises(NotFound):
            await case.api.abilities("no-such-model")

    async def test_models_and_findings_are_listed(self, case: ApiCase) -> None:
        assert await case.api.models()
        assert all(finding.status in ("ok", "warn", "fail") for finding in await case.api.doctor())
        now = await case.api.health()
        assert isinstance(now.degraded, tuple)
        assert (now.status == "degraded") == bool(now.degraded)
