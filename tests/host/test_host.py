"""The use-cases of a host, through the real one."""

import asyncio
import io
import zipfile
from pathlib import Path

import msgspec
import pytest

from agenthost.core.api import LiveDelta, Order
from agenthost.core.commands import Ask
from agenthost.core.errors import BadInput, HomeBusy, NewerVersion, NotFound, StoreDamaged, Temporary, Unavailable
from agenthost.core.events import Answered, Asked, Finished, Received, Recorded, Reply
from agenthost.core.parts import FilePart, Message, TextPart, text_message
from agenthost.core.ports import Filter
from agenthost.host.host import Host, open_host
from tests.host.conftest import ASKER, ECHO, PAIR, PLAYS, Lines, Opens, followed

SLOW = "rules:\n  - reply: {text: done, delay: 30}\n"


async def until(host: Host, task: str, kind: type) -> Recorded:
    """The first event of a kind."""
    async for item in host.follow(task):
        if isinstance(item, Recorded) and isinstance(item.event, kind):
            return item
    raise AssertionError(f"no {kind.__name__} came")


async def asked(host: Host, order: Order) -> str:
    """Start a task and wait until it asks a person."""
    task = (await host.start(order)).id
    async for item in host.follow(task):
        if isinstance(item, Recorded) and isinstance(item.event, Asked) and isinstance(item.event.command, Ask):
            return task
    raise AssertionError("nothing was asked")


async def test_a_task_runs_to_its_end_and_everything_can_be_read_afterwards(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    row = await host.start(Order("echo", "hello"))
    events = await followed(host, row.id)
    assert isinstance(events[-1].event, Finished)
    detail = await host.task(row.id)
    assert detail.row.state == "completed" and detail.spent.turns == 1 and detail.questions == ()
    assert await host.events_of(row.id) == events
    assert [entry.settled for entry in await host.ledger(row.id)] == [True]
    assert [report.agrees for report in await host.replay(row.id)] == [True]
    assert await host.find("last") == await host.find(row.id[:12]) == row.id
    assert [each.id for each in await host.tasks(Filter())] == [row.id]


# --- orders -----------------------------------------------------------------------------------------


async def test_two_starts_at_once_with_one_key_make_one_task(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    order = Order("echo", "hello", key="k")
    rows = await asyncio.gather(*(host.start(order) for _ in range(8)))
    assert len({row.id for row in rows}) == 1
    await followed(host, rows[0].id)
    assert len(await host.ledger(rows[0].id)) == 1
    assert (await host.start(order)).id == rows[0].id


async def test_a_key_stands_for_one_work(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    row = await host.start(Order("echo", "hello", key="k"))
    with pytest.raises(BadInput, match=rf"the key 'k' stands for other work already \(task {row.id}: echo, hello\)"):
        await host.start(Order("echo", "something else", key="k"))
    other = await host.start(Order("echo", "something else", key="k2"))
    assert other.id != row.id
    await followed(host, row.id)
    await host.delete("agent", "echo")
    assert (await host.start(Order("echo", "hello", key="k"))).id == row.id


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a//b", "a/../../b", ".", ""])
async def test_a_workspace_can_not_reach_out(opens: Opens, path: str) -> None:
    host = await opens(PLAYS, ECHO)
    with pytest.raises(BadInput, match="the workspace can't have a file"):
        await host.start(Order("echo", "hello", workspace={path: "sha256:" + "0" * 64}))
    assert await host.tasks(Filter()) == []


async def test_a_task_begins_with_the_workspace_of_its_order(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    file = await host.put_file("a.txt", b"", "text/plain")
    row = await host.start(Order("echo", "hello", workspace={"src/a.txt": file.digest}))
    await followed(host, row.id)
    assert [(each.path, each.digest) for each in await host.artifacts(row.id)] == [("src/a.txt", file.digest)]
    assert await host.get_file(file.digest) == b""


async def test_a_file_that_nobody_gave_is_refused_before_anything_is_kept(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    with pytest.raises(NotFound, match="no file with the content hash"):
        await host.start(Order("echo", "look", files=(FilePart("sha256:" + "0" * 64, "image/png", 3, "a.png"),)))
    assert await host.tasks(Filter()) == []


async def test_a_refused_order_starts_no_work(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    with pytest.raises(NotFound):
        await host.start(Order("nobody", "hello"))
    assert host.engine.working() == []


# --- what comes from outside ------------------------------------------------------------------------


async def test_a_host_that_only_reads_puts_an_answer_aside_and_the_next_one_takes_it(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER)
    task = await asked(host, Order("asker", "hi"))
    await host.close()

    host = await opens(PLAYS)
    assert [open.ask.question for open in (await host.task(task)).questions] == ["Which colour?"]
    await host.reply(task, "BLUE")
    assert (await host.task(task)).questions == ()
    with pytest.raises(BadInput, match="answered already: 'blue', by owner, at"):
        await host.reply(task, "red")
    assert host.engine.working() == []
    assert len(await host.ledger(task)) == 1
    await host.close()

    host = await opens(PLAYS, work=True)
    events = await followed(host, task)
    replies = [each.event.answer for each in events if isinstance(each.event, Answered)]
    assert Reply("blue") in replies
    assert isinstance(events[-1].event, Finished)


async def test_of_two_answers_at_once_one_counts(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER)
    task = await asked(host, Order("asker", "hi"))
    outcomes = await asyncio.gather(*(host.reply(task, text) for text in ("1", "2")), return_exceptions=True)
    assert sum(isinstance(outcome, BadInput) for outcome in outcomes) == 1, outcomes
    await followed(host, task)
    with pytest.raises(BadInput, match="answered already: .*, by owner, at"):
        await host.reply(task, "1")


async def test_which_question_is_meant_must_be_said_where_several_are_open(opens: Opens) -> None:
    both = PAIR.replace("agent: echo", "agent: asker")
    host = await opens(PLAYS, ASKER, both)
    task = (await host.start(Order("pair", "x"))).id
    while len((await host.task(task)).questions) < 2:
        await asyncio.sleep(0)
    names = [f"{open.task}/{open.ask.id}" for open in (await host.task(task)).questions]
    with pytest.raises(BadInput, match="several open questions"):
        await host.reply(task, "red")
    for name in names:
        await host.reply(task, "red", name)
    events = await followed(host, task)
    assert isinstance(events[-1].event, Finished) and events[-1].event.verdict.outcome == "done"


async def test_a_message_reaches_a_task_once(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER)
    task = await asked(host, Order("asker", "hi"))
    message = Message("owner", (TextPart("by the way"),), id="m1")
    await host.say(task, message)
    await host.say(task, message)
    await until(host, task, Received)
    await host.reply(task, "red")
    events = await followed(host, task)
    assert sum(isinstance(each.event, Received) for each in events) == 1
    with pytest.raises(BadInput, match=r"has ended \(completed\); start a new one"):
        await host.say(task, text_message("owner", "late"))


async def test_a_cancel_ends_a_task_and_what_is_below_it(opens: Opens) -> None:
    host = await opens(SLOW, ECHO, PAIR)
    task = (await host.start(Order("pair", "x"))).id
    while len((await host.task(task)).children) < 2:
        await asyncio.sleep(0)
    await host.cancel(task, reason="enough")
    events = await followed(host, task)
    last = events[-1].event
    assert isinstance(last, Finished) and (last.verdict.outcome, last.verdict.reason) == ("canceled", "enough")
    assert {row.state for row in (await host.task(task)).children} == {"canceled"}
    with pytest.raises(BadInput, match="there is nothing to cancel"):
        await host.cancel(task)


@pytest.mark.parametrize(
    "what", ["show", "follow", "reply", "cancel", "say", "artifacts", "ledger", "export", "replay"]
)
async def test_an_unknown_task_is_said_to_be_unknown(opens: Opens, what: str) -> None:
    host = await opens()
    with pytest.raises(NotFound, match="there is no task 'zz'"):
        match what:
            case "show":
                await host.task("zz")
            case "follow":
                await followed(host, "zz")
            case "reply":
                await host.reply("zz", "a")
            case "cancel":
                await host.cancel("zz")
            case "say":
                await host.say("zz", text_message("owner", "a"))
            case "artifacts":
                await host.artifacts("zz")
            case "ledger":
                await host.ledger("zz")
            case "export":
                await host.export("zz")
            case _:
                await host.replay("zz")


# --- held tasks -------------------------------------------------------------------------------------


async def make_unreadable(host: Host, task: str) -> None:
    """As a newer AgentHost would have left it."""
    import sqlite3

    row = (await host.task(task)).row
    await host.close()
    with sqlite3.connect(host.settings.folder / "agenthost.db") as connection:
        values = (task, row.seq + 1, 1e9, "teleported", 9, b"{}")
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", values)
        connection.execute("UPDATE tasks SET seq = seq + 1 WHERE id = ?", (task,))
    connection.close()


@pytest.mark.journals("a newer host wrote a part of one")
async def test_followers_of_a_tree_whose_last_part_is_held_are_told_why(opens: Opens, log: Lines) -> None:
    one = ASKER.replace("asker", "other")
    pair = PAIR.replace("{one: {agent: echo, replicas: 2}}", "{one: {agent: echo}, two: {agent: asker}}")
    host = await opens(PLAYS, ECHO, ASKER, one, pair.replace("{id: right, role: one", "{id: right, role: two"))
    task = (await host.start(Order("pair", "x"))).id
    while not (questions := (await host.task(task)).questions):
        await asyncio.sleep(0)
    child = questions[0].task
    await make_unreadable(host, child)

    host = await opens(PLAYS, work=True)
    with pytest.raises(NewerVersion, match="'teleported' of version 9"):
        await followed(host, task)
    rows = {row.id: row.hold for row in (await host.task(task)).children}
    assert rows[child] == "dead-letter"
    assert "teleported" in log.errors()[0]["reason"]

    await host.cancel(task)
    # One that is held keeps nobody from ending, so that either may be the first.
    while {(await host.task(each)).row.state for each in (task, child)} != {"canceled"}:
        await asyncio.sleep(0)


@pytest.mark.journals("a newer host wrote a part of one")
async def test_a_held_root_takes_what_is_below_it_along_when_it_is_cancelled(opens: Opens) -> None:
    host = await opens(SLOW, ECHO, PAIR)
    task = (await host.start(Order("pair", "x"))).id
    while len((await host.task(task)).children) < 2:
        await asyncio.sleep(0)
    await make_unreadable(host, task)
    host = await opens(SLOW)
    await host.cancel(task)
    await host.close()
    host = await opens(SLOW, work=True)
    while {row.state for row in await host.tasks(Filter())} != {"canceled"}:
        await asyncio.sleep(0)


# --- records ----------------------------------------------------------------------------------------


async def test_an_export_holds_journals_definitions_files_and_no_secret(opens: Opens) -> None:
    secret = "correct-horse-battery"
    host = await opens(f"rules:\n  - reply: {{text: 'it is {secret}'}}\n", ECHO, PAIR)
    await host.set_secret("DOOR", secret)
    picture = await host.put_file("note.txt", b"a note")
    row = await host.start(Order("pair", f"tell {secret}", workspace={"note.txt": picture.digest}))
    events = await followed(host, row.id)
    assert secret.encode() not in msgspec.json.encode(events)
    exported = await host.export(row.id)
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        names = archive.namelist()
        contents = {name: archive.read(name) for name in names}
    assert {f"tasks/{id}.jsonl" for id in (row.id, *(child.id for child in (await host.task(row.id)).children))} <= set(
        names
    )
    assert contents["files/note.txt"] == b"a note"
    assert [name for name in names if name.startswith("definitions/")]
    assert len(msgspec.json.decode(contents["ledger.json"])) == 2
    assert all(secret.encode() not in content for content in contents.values())
    journal = [msgspec.json.decode(line, type=Recorded) for line in contents[f"tasks/{row.id}.jsonl"].splitlines()]
    assert journal == await host.events_of(row.id)
    child = (await host.task(row.id)).children[0].id
    with zipfile.ZipFile(io.BytesIO(await host.export(child))) as archive:
        assert [name for name in archive.namelist() if name.startswith("tasks/")] == [f"tasks/{child}.jsonl"]


async def test_what_a_model_streams_is_shown_without_secrets(opens: Opens) -> None:
    secret = "correct-horse-battery"
    host = await opens(f"rules:\n  - reply: {{text: 'it is {secret} indeed'}}\n", ECHO)
    await host.set_secret("DOOR", secret)
    task = (await host.start(Order("echo", "x"))).id
    items = [item async for item in host.follow(task)]
    assert any(isinstance(item, LiveDelta) for item in items)
    assert secret.encode() not in msgspec.json.encode(items)


async def test_an_empty_value_forgets_a_secret(opens: Opens) -> None:
    host = await opens()
    await host.set_secret("DOOR", "correct-horse")
    assert await host.secrets() == ["DOOR"]
    await host.set_secret("DOOR", "")
    assert await host.secrets() == []
    with pytest.raises(NotFound, match="there is no secret 'DOOR'"):
        await host.set_secret("DOOR", "")


async def test_find_says_which_tasks_begin_so(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR)
    with pytest.raises(NotFound, match="there is no task yet"):
        await host.find("last")
    with pytest.raises(BadInput, match="name a task"):
        await host.find("")
    tasks = [(await host.start(Order("pair", "x"))).id for _ in range(2)]
    for task in tasks:
        await followed(host, task)
    with pytest.raises(BadInput, match="several tasks begin with '1'"):
        await host.find("1")
    child = (await host.task(tasks[0])).children[0].id
    assert await host.find(child) == child
    with pytest.raises(NotFound, match="there is no task 'zz'"):
        await host.find("zz")


# --- the host as a whole ----------------------------------------------------------------------------


async def test_a_second_host_of_one_home_is_refused(opens: Opens) -> None:
    host = await opens()
    with pytest.raises(HomeBusy, match="holds the home"):
        await open_host(host.settings)


async def test_a_host_that_can_not_open_lets_go_of_its_home(opens: Opens, tmp_path: Path) -> None:
    host = await opens()
    await host.close()
    database = tmp_path / "home" / "agenthost.db"
    kept = database.read_bytes()
    database.write_bytes(b"garbage " * 1024)
    for _ in range(2):
        with pytest.raises(StoreDamaged):
            await open_host(host.settings)
    database.write_bytes(kept)
    await opens()


async def test_tools_that_are_named_like_built_in_ones_are_refused_and_the_home_is_free_again(opens: Opens) -> None:
    for _ in range(2):
        with pytest.raises(BadInput, match="built in"):
            await opens(toml='[tools]\nrun = "a:b"\n')


async def test_doctor_tells_of_manifests_by_which_strangers_decide_without_a_question(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    assert "untrusted content" not in {finding.what for finding in await host.doctor()}
    await host.apply({"a.yaml": ECHO.replace("spec: {", "spec: {trust: {mode: off}, ")})
    (told,) = [finding for finding in await host.doctor() if finding.what == "untrusted content"]
    assert told.status == "warn" and "agent/echo" in told.seen and "mode: off" in told.fix


async def test_doctor_looks_at_everything(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    await followed(host, (await host.start(Order("echo", "x"))).id)
    found = {each.what: each for each in await host.doctor()}
    assert {"Python", "home", "database", "sandbox", "model", "machine"} <= set(found)
    assert found["database"].seen.startswith("SQLite, the newest task is 1")
    assert found["model"].status == "ok" and found["home"].status in ("ok", "warn")


async def test_a_change_of_replicas_reaches_a_running_workflow(opens: Opens) -> None:
    """With one replica the second child waits; with two it begins, without a restart."""
    one = PAIR.replace("replicas: 2", "replicas: 1")
    host = await opens(SLOW, ECHO, one)
    task = (await host.start(Order("pair", "x"))).id
    while sum(row.state == "working" for row in (await host.task(task)).children) < 1:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0.005)
        assert host.engine.slots.counts()["default:pair/one"][:2] == (1, 1)
    _, problems = await host.apply({"pair.yaml": PAIR})
    assert not problems
    while sum(row.state == "working" for row in (await host.task(task)).children) < 2:
        await asyncio.sleep(0)
    await host.cancel(task)
    await followed(host, task)


async def test_no_sandbox_is_told_before_anything_is_kept(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await opens(PLAYS, ECHO.replace("instructions: Say it back.", "instructions: x, tools: [workspace]"))
    monkeypatch.setenv("PATH", "/nothing-here")
    with pytest.raises(
        Unavailable, match="code runs only in a sandbox, and there is none: bwrap is not installed. To mend it: "
    ):
        await host.start(Order("echo", "x"))
    assert await host.tasks(Filter()) == []


async def test_apply_keeps_all_or_none_also_when_the_disk_is_full(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens()

    async def full(*_: object) -> None:
        raise Temporary("the disk is full", code="disk-full")

    store = host._adapters.store  # pyright: ignore[reportPrivateUsage]
    with monkeypatch.context() as patched:
        patched.setattr(store, "put_manifests", full)
        with pytest.raises(Temporary):
            await host.apply({"a": ECHO, "b": PAIR})
    assert await host.manifests("agent") == await host.manifests("workflow") == {}
    done, _ = await host.apply({"a": ECHO, "b": PAIR})
    assert [each.outcome for each in done] == ["created", "created"]
    done, _ = await host.apply({"a": ECHO, "b": PAIR.replace("Two", "2")}, dry_run=True)
    assert [each.outcome for each in done] == ["unchanged", "changed"]
    assert (await host.manifests("workflow"))["pair"]["spec"]["description"] == "Two at once"
