"""A trial runs a task with another model, answers its tools from the recording, and performs nothing."""

import asyncio
from pathlib import Path

import pytest

from agenthost.core.api import Order
from agenthost.core.errors import NotFound, Unusable
from agenthost.core.replaying import Contrast, TrialOrder
from agenthost.host.host import Host
from tests.host.conftest import Opens, followed
from tests.host.replaying.conftest import WORKS, done, working

OTHERWISE = """\
rules:
  - when: {turn: 0}
    reply: {text: "first", calls: [{tool: note, arguments: {path: a.txt, text: one}}]}
  - when: {turn: 1}
    reply: {calls: [{tool: send, arguments: {to: bob}}]}
  - reply: {text: "otherwise: {{said}}"}
"""
TWICE = """\
rules:
  - when: {turn: {most: 1}}
    reply: {calls: [{tool: send, arguments: {to: ann}}]}
  - reply: {text: "ready: {{said}}"}
"""


def model(tmp_path: Path, plays: str, name: str = "other") -> str:
    (tmp_path / f"{name}.yaml").write_text(plays)
    return f"scripted:{tmp_path}/{name}.yaml"


async def tried(host: Host, order: TrialOrder) -> Contrast:
    row = await host.try_again(order)
    await followed(host, row.id)
    assert all(report.agrees for report in await host.replay(row.id))
    return await host.contrast(row.id)


async def test_a_model_that_does_the_same_comes_out_the_same_and_nothing_is_performed(
    opens: Opens, tmp_path: Path, calls: list[object]
) -> None:
    host = await working(opens)
    for name in ("worker", "leader"):
        task = await done(host, name)
        calls.clear()
        found = await tried(host, TrialOrder(model(tmp_path, WORKS), task))
        assert calls == []
        assert [pair.differs for pair in found.pairs] == [()] * len(found.pairs)
        assert found.now.output == found.then.output and found.now.outcome == "done"
        assert found.now.spent == found.then.spent, "its own calls stand in the ledger as its own"
        states = {call.state for pair in found.pairs for call in (pair.now.calls if pair.now else ())}
        assert states <= {"recorded", ""} and "recorded" in states
        files = [(each.path, each.digest) for each in await host.artifacts(found.now.task)]
        assert files == [(each.path, each.digest) for each in await host.artifacts(task)]


async def test_what_was_not_recorded_ends_the_trial_or_is_told_to_the_model(
    opens: Opens, tmp_path: Path, calls: list[object]
) -> None:
    host = await working(opens)
    task = await done(host)
    calls.clear()
    other = model(tmp_path, OTHERWISE)
    stopped = await tried(host, TrialOrder(other, task))
    assert (stopped.now.state, stopped.now.outcome) == ("canceled", "canceled")
    assert "not recorded: the tool 'send' was not recorded with these arguments" in stopped.now.reason
    told = await tried(host, TrialOrder(other, task, unrecorded="error"))
    assert told.now.outcome == "done" and told.now.output.startswith("otherwise: In this trial the tool 'send'")
    assert [pair.differs for pair in told.pairs] == [(), ("calls",), ("text", "calls"), ("missing",)]
    (call,) = told.pairs[1].now.calls if told.pairs[1].now else ()
    assert (call.name, call.arguments, call.state, call.error) == ("send", {"to": "bob"}, "not recorded", True)
    assert calls == []


async def test_the_same_call_twice_is_answered_in_order_and_a_third_time_not(
    opens: Opens, tmp_path: Path, calls: list[object]
) -> None:
    host = await working(opens, TWICE)
    task = await done(host)
    calls.clear()
    found = await tried(host, TrialOrder(model(tmp_path, TWICE), task))
    results = [call.result for pair in found.pairs if pair.now for call in pair.now.calls]
    assert results == ["sent to ann (1)", "sent to ann (2)"]
    found = await tried(host, TrialOrder(model(tmp_path, TWICE.replace("most: 1", "most: 2"), "thrice"), task))
    assert "with these arguments a 3. time" in found.now.reason
    assert calls == []


async def test_a_question_is_answered_as_it_was(opens: Opens, tmp_path: Path) -> None:
    asks = 'rules:\n  - when: {turn: 0}\n    reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}\n'
    asks += '  - reply: {text: "chosen: {{said}}"}\n'
    host = await working(opens, asks)
    task = (await host.start(Order("worker", "go"))).id
    while not (await host.task(task)).questions:
        await asyncio.sleep(0.005)
    await host.reply(task, "red")
    await followed(host, task)
    found = await tried(host, TrialOrder(model(tmp_path, asks), task))
    assert found.now.output == found.then.output == "chosen: red"
    found = await tried(host, TrialOrder(model(tmp_path, asks.replace("Which?", "What?"), "what"), task))
    assert "not recorded" in found.now.reason


async def test_an_export_is_tried_in_another_home_and_a_restart_goes_on_with_it(
    opens: Opens, tmp_path: Path, calls: list[object]
) -> None:
    host = await working(opens)
    exported = await host.export(await done(host, "leader"))
    await host.close()
    (tmp_path / "home").rename(tmp_path / "first")
    calls.clear()
    host = await working(opens)
    kept = await host.put_file("task.zip", exported, "application/zip")
    row = await host.try_again(TrialOrder(model(tmp_path, WORKS), file=kept.digest))
    await host.close()
    host = await opens(WORKS, work=True)
    await followed(host, row.id)
    found = await host.contrast(row.id)
    assert found.now.output == found.then.output
    assert all(not pair.differs for pair in found.pairs)
    assert {each.path for each in await host.artifacts(row.id)} == {"a.txt", "b.txt", "lead.txt"}
    assert calls == []
    with pytest.raises(NotFound, match="is kept here"):
        await host.try_again(TrialOrder("default", file="sha256:" + "0" * 64))


async def test_what_cannot_be_tried_is_refused(opens: Opens) -> None:
    host = await working(opens)
    task = await done(host)
    for order, words in (
        (TrialOrder("default"), "say what is to be tried"),
        (TrialOrder("default", task, "sha256:x"), "say what is to be tried"),
        (TrialOrder("a2a:@https://agents.invalid/x", task), "an agent elsewhere"),
    ):
        with pytest.raises(Unusable, match=words):
            await host.try_again(order)
    with pytest.raises(NotFound):
        await host.try_again(TrialOrder("default", "zz"))
    with pytest.raises(Unusable, match="is no trial"):
        await host.contrast(task)
