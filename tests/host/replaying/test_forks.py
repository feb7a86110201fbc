"""A fork goes on from an event of another task, with the files as they were then, and replays by itself."""

import asyncio
import io

import pytest

from agenthost.core.api import Order
from agenthost.core.commands import Ask
from agenthost.core.errors import NotFound, Unusable
from agenthost.core.events import Answered, Asked, Finished, Noted, Received, Started
from agenthost.core.parts import text_message, text_of
from agenthost.core.replaying import ForkOrder
from agenthost.core.tasks import Filter
from agenthost.host.host import Host
from agenthost.host.records import spec_of
from agenthost.host.replaying.reading import read
from agenthost.host.replaying.recording import replay_all
from tests.host.conftest import Opens
from tests.host.replaying.conftest import WORKER, done, working


async def contents(host: Host, task: str) -> dict[str, str]:
    return {each.path: (await host.get_file(each.digest)).decode() for each in await host.artifacts(task)}


async def ended(host: Host, task: str) -> str:
    """Its words, once it has ended; whoever is asked says `run it again`."""
    for _ in range(10_000):
        detail = await host.task(task)
        if detail.row.state in ("completed", "failed", "canceled"):
            break
        for question in detail.questions:
            await host.reply(task, "run it again", f"{question.task}/{question.ask.id}")
        await asyncio.sleep(0.005)
    last = (await host.events_of(task))[-1].event
    assert isinstance(last, Finished)
    assert last.verdict.outcome == "done", last
    return text_of(last.parts)


async def same(host: Host, task: str) -> None:
    """It replays the same, here and from its export alone."""
    assert [report for report in await host.replay(task) if not report.agrees] == []
    exported = io.BytesIO(await host.export(task))
    recording = (await asyncio.to_thread(read, exported)).recording
    assert [report for report in await replay_all(recording) if not report.agrees] == []


async def test_a_task_can_be_forked_at_each_of_its_events(opens: Opens, calls: list[object]) -> None:
    host = await working(opens)
    task = await done(host)
    events = await host.events_of(task)
    words = await ended(host, task)
    asked = {each.event.command.id: each.seq for each in events if isinstance(each.event, Asked)}
    answered = {each.event.command: each.seq for each in events if isinstance(each.event, Answered)}
    sent = next(each.event.command for each in events if isinstance(each.event, Started))
    for at in range(1, len(events)):
        calls.clear()
        fork = (await host.fork(task, ForkOrder(at))).id
        spec = spec_of(await host.events(fork, 0, 1))
        assert spec.forked is not None and spec.forked.task == task and at <= spec.forked.seq <= at + 3
        kept = spec.forked.seq
        told = await ended(host, fork)
        assert await contents(host, fork) == {"a.txt": "two", "b.txt": "three"}, at
        # What was answered by then isn't done again; what was under way and isn't safe was asked about.
        assert [name for name, _ in calls].count("send") == (answered[sent] > kept), at
        doubts = [each for each in await host.events_of(fork) if isinstance(each.event, Asked)]
        assert any(isinstance(each.event.command, Ask) for each in doubts) == (asked[sent] <= kept < answered[sent])
        assert told.startswith("ready: sent to ann") or told == words
        await same(host, fork)


async def test_the_files_are_those_of_that_event(opens: Opens) -> None:
    host = await working(opens)
    kept = await host.put_file("mine.txt", b"mine", "text/plain")
    task = await done(host, workspace={"mine.txt": kept.digest, "a.txt": kept.digest})
    events = await host.events_of(task)
    first = next(each.seq for each in events if isinstance(each.event, Answered) and each.event.command.endswith("-0"))
    begun, then = [(await host.fork(task, ForkOrder(at))).id for at in (1, first)]
    assert spec_of(await host.events(begun, 0, 1)).files == {"mine.txt": kept.digest, "a.txt": kept.digest}
    one = spec_of(await host.events(then, 0, 1)).files["a.txt"]
    assert await host.get_file(one) == b"one"
    for row in await host.tasks(Filter()):
        await ended(host, row.id)


async def test_an_ended_task_goes_on_with_a_word(opens: Opens, calls: list[object]) -> None:
    host = await working(opens)
    task = await done(host)
    calls.clear()
    fork = await host.fork(task, ForkOrder(text="and now?"))
    assert await ended(host, fork.id) == "ready: and now?"
    assert calls == []
    events = await host.events_of(fork.id)
    assert any(isinstance(each.event, Noted) and f"forked from {task}" in each.event.text for each in events)
    assert any(isinstance(each.event, Received) for each in events)
    await same(host, fork.id)
    again = await host.fork(fork.id, ForkOrder(text="and then?"))
    assert await ended(host, again.id) == "ready: and then?"
    assert await contents(host, again.id) == {"a.txt": "two", "b.txt": "three"}
    await same(host, again.id)


async def test_what_was_spent_before_counts_for_the_forks_own_budget(opens: Opens) -> None:
    host = await working(opens)
    task = await done(host)
    spent = len(await host.ledger(task))
    fork = (await host.fork(task, ForkOrder(text="more"))).id
    await ended(host, fork)
    (entry,) = await host.ledger(fork)
    assert spent == 4
    assert [scope.limits.turns for scope in entry.scopes] == [6 - spent]
    third = (await host.fork(fork, ForkOrder(text="more"))).id
    await ended(host, third)
    fourth = (await host.fork(third, ForkOrder(text="more"))).id
    last = [each async for each in host.follow(fourth)][-1]
    assert isinstance(last.event, Finished) and last.event.verdict.code == "budget"


ASKS = """\
rules:
  - when: {offers: delegate_to_worker, turn: 0}
    reply: {calls: [{tool: delegate_to_worker, arguments: {task: "do it"}}]}
  - when: {offers: delegate_to_worker}
    reply: {text: "led: {{said}}"}
  - when: {turn: 0}
    reply: {calls: [{tool: send, arguments: {to: ann}}, {tool: note, arguments: {path: c.txt, text: child}}]}
  - when: {turn: 1}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}
  - reply: {text: "ready: {{said}}"}
"""


async def asking(host: Host, task: str) -> None:
    while not (await host.task(task)).questions:
        await asyncio.sleep(0.005)


async def test_a_child_that_was_under_way_is_forked_as_it_was(opens: Opens, calls: list[object]) -> None:
    host = await working(opens, ASKS)
    task = (await host.start(Order("leader", "go"))).id
    await asking(host, task)
    await host.say(task, text_message("person", "hurry"))
    while not any(isinstance(each.event, Received) for each in await host.events_of(task)):
        await asyncio.sleep(0.005)
    calls.clear()
    fork = (await host.fork(task, ForkOrder())).id
    await asking(host, fork)
    detail = await host.task(fork)
    assert [question.task for question in detail.questions] == [f"{fork}.m1-0"]
    assert spec_of(await host.events(f"{fork}.m1-0", 0, 1)).forked is not None
    for each, text in ((task, "red"), (fork, "blue")):
        await host.reply(each, text)
        assert "led:" in await ended(host, each)
        assert await contents(host, each) == {"c.txt": "child"}
        await same(host, each)
    assert calls == [], "what the child had done is not done again"
    # A child by itself becomes a task of its own.
    alone = (await host.fork(f"{task}.m1-0", ForkOrder(text="once more"))).id
    assert await ended(host, alone) == "ready: once more"
    assert await contents(host, alone) == {"c.txt": "child"}
    await same(host, alone)


async def test_a_fork_may_go_on_with_the_definitions_of_now(opens: Opens) -> None:
    host = await working(opens)
    task = await done(host)
    done_, problems = await host.apply({"worker": WORKER.replace("Work.", "Work better.")})
    assert done_ and not problems
    fork = (await host.fork(task, ForkOrder(text="again", definitions="current"))).id
    assert await ended(host, fork) == "ready: again"
    reports = await host.replay(fork)
    assert [report.agrees for report in reports] == [True] and reports[0].given == len(await host.events_of(task)) - 1
    pinned = (await host.fork(task, ForkOrder(text="again"))).id
    assert await ended(host, pinned) == "ready: again"
    new, old = [spec_of(await host.events(each, 0, 1)).bundle for each in (fork, task)]
    assert new != old and spec_of(await host.events(pinned, 0, 1)).bundle == old
    await same(host, fork)


async def test_what_cannot_be_forked_is_refused(opens: Opens) -> None:
    host = await working(opens)
    task = await done(host)
    count = len(await host.events_of(task))
    for at in (-1, count, count + 1):
        with pytest.raises(Unusable, match=f"one of its events 1 to {count - 1}"):
            await host.fork(task, ForkOrder(at))
    with pytest.raises(NotFound):
        await host.fork("zz", ForkOrder())
    assert [row.id for row in await host.tasks(Filter())] == [task]
