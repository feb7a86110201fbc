"""Whoever made an export isn't trusted: what is wrong is refused and leaves nothing, what stands in it gives nobody a right."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from agenthost.core.access import Caller, DeedFilter
from agenthost.core.api import Order
from agenthost.core.commands import Ask
from agenthost.core.errors import AgentHostError, Conflict, Forbidden, NotFound, Unusable
from agenthost.core.events import Asked, Finished
from agenthost.core.importing import IMPORTED, ImportOrder
from agenthost.core.parts import text_message
from agenthost.core.replaying import ForkOrder, TrialOrder
from agenthost.core.tasks import Filter
from agenthost.host.host import Host
from agenthost.host.importing import adopting
from agenthost.host.records import spec_of
from agenthost.host.replaying import format
from tests.host.conftest import Opens
from tests.host.importing.conftest import RECORDINGS, Journal, Members, forged, looked, members, packed, refusing, taken

APPROVAL = (RECORDINGS / "approval.zip").read_bytes()
WORKFLOW = (RECORDINGS / "workflow.zip").read_bytes()


def at(events: Journal, kind: str, number: int = 0) -> int:
    """The place of an event in a journal."""
    return [place for place, each in enumerate(events) if each["event"]["type"] == kind][number]


def spec(**values: Any) -> Callable[[Journal], None]:
    def change(journal: Journal) -> None:
        journal[0]["event"]["spec"] |= values

    return change


def event(place: int, **values: Any) -> Callable[[Journal], None]:
    def change(journal: Journal) -> None:
        journal[place] |= values

    return change


def twice(journal: Journal) -> Journal:
    return [*journal, journal[0] | {"seq": len(journal) + 1}]


def after_its_end(journal: Journal) -> Journal:
    return [*journal, journal[-1] | {"seq": len(journal) + 1, "event": {"type": "noted", "text": "more"}}]


def kind(name: str) -> Callable[[Journal], None]:
    def change(journal: Journal) -> None:
        journal[2]["event"] = {"type": name}

    return change


WRONG: list[tuple[str, Callable[[Journal], Journal | None], str]] = [
    ("a hole", lambda journal: journal[:3] + journal[4:], "has no event 4"),
    ("made twice", twice, "makes the task again|others follow"),
    ("after its end", after_its_end, "is its end, and others follow"),
    ("a time that can't be", event(3, at=1e300), "has the time"),
    ("a time before all times", event(3, at=-5.0), "has the time"),
    ("another's files", spec(workspace="0000000000000000"), "says to work on the files of '0000000000000000'"),
    ("another's list of files", spec(workspace_base="0000000000000000@base"), "says to work on the files"),
    ("another's budget", spec(scopes=[{"task": "0000000000000000", "limits": {}}]), "the budget of a task"),
    ("below another's task", spec(parent="0000000000000000"), "isn't in it"),
    ("other definitions", spec(bundle="sha256:" + "0" * 64), "ran with aren't in it"),
    ("an agent that the definitions don't have", spec(name="nobody"), "have no agent 'nobody'"),
    ("a question of the host's own", spec(kind="routing"), "a question of a host's own"),
    ("a name without end", spec(name="n" * 400), "more than 300 characters"),
    ("another task's making", spec(id="0000000000000000"), "begins with the making of"),
    ("an event of a later version", kind("teleported"), "upgrade AgentHost"),
    ("a value that is none", spec(inputs="x"), "Expected `object`"),
]


@pytest.mark.parametrize(("change", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
async def test_a_forged_journal_is_refused_and_nothing_is_kept(
    host: Host, change: Callable[[Journal], Journal | None], words: str
) -> None:
    with pytest.raises(Unusable, match=words):
        await taken(host, forged(APPROVAL, change))
    assert await host.tasks(Filter()) == []


def renamed_root(found: Members) -> None:
    old = json.loads(found[format.TABLE])["task"]
    for name in list(found):
        body = found.pop(name).replace(old.encode(), b"../../etc")
        found[name.replace(old, "..")] = body


def child_of_another(found: Members) -> None:
    rows = json.loads(found[format.ROWS])
    rows[1]["id"] = "0000000000000000.x"
    found[f"tasks/{rows[1]['id']}.jsonl"] = found[f"tasks/{json.loads(found[format.ROWS])[1]['id']}.jsonl"].replace(
        json.loads(found[format.ROWS])[1]["id"].encode(), rows[1]["id"].encode()
    )
    found[format.ROWS] = json.dumps(rows).encode()


def paths(path: str) -> Callable[[Members], None]:
    def change(found: Members) -> None:
        said = json.loads(found[format.WORKSPACES])
        first = next(iter(said))
        said[first][path] = next(iter(said[first].values()))
        found[format.WORKSPACES] = json.dumps(said).encode()

    return change


def calls_of_another(found: Members) -> None:
    ledger = json.loads(found[format.LEDGER])
    ledger[0]["task"] = "0000000000000000"
    found[format.LEDGER] = json.dumps(ledger).encode()


def definitions(body: bytes) -> Callable[[Members], None]:
    def change(found: Members) -> None:
        name = next(name for name in found if name.startswith("definitions/"))
        old = name.removeprefix("definitions/").removesuffix(".json")
        new = hashlib.sha256(body).hexdigest()
        del found[name]
        found[f"definitions/{new}.json"] = body
        for each in [each for each in found if each.startswith("tasks/")]:
            found[each] = found[each].replace(old.encode(), new.encode())

    return change


TREES: list[tuple[str, Callable[[Members], None], str]] = [
    ("a task that is no id", renamed_root, "is no id of a task|no export|is missing"),
    ("a child of another's", child_of_another, "is none of the task"),
    ("a way out", paths("../../x"), "no workspace can have"),
    ("from the root", paths("/etc/passwd"), "no workspace can have"),
    ("calls of another's", calls_of_another, "its ledger has a call"),
    ("definitions that are none", definitions(b'{"agents": 3}'), "can't be read"),
    ("definitions that know nothing", definitions(b"{}"), "have no workflow 'relay'"),
]


@pytest.mark.parametrize(("change", "words"), [each[1:] for each in TREES], ids=[each[0] for each in TREES])
async def test_a_forged_tree_is_refused_and_nothing_is_kept(
    host: Host, change: Callable[[Members], None], words: str
) -> None:
    found = members(WORKFLOW)
    change(found)
    with pytest.raises(Unusable, match=words):
        await taken(host, packed(found))
    assert await host.tasks(Filter()) == []


def other_words(journal: Journal) -> None:
    journal[at(journal, "answered")]["event"]["answer"]["usage"]["input"] = 2**70
    journal[0]["event"]["spec"]["message"]["parts"] = [{"type": "text", "text": "something else entirely"}]


@pytest.mark.journals("its journal says what its program would not have done")
async def test_a_history_that_is_a_lie_is_kept_and_said_to_differ(host: Host) -> None:
    found = await taken(host, forged(APPROVAL, other_words))
    assert not found.agrees and "event" in found.difference
    assert not (await host.replay(found.row.id))[0].agrees
    assert await host.artifacts(found.row.id) and await host.export(found.row.id)
    await refusing(host, (await host.fork(found.row.id, ForkOrder(5))).id)


async def test_too_many_and_too_large_are_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adopting, "MOST_TASKS", 2)
    with pytest.raises(Unusable, match="3 tasks"):
        await taken(host, WORKFLOW)
    monkeypatch.setattr(adopting, "MOST_TASKS", 3)
    monkeypatch.setattr(adopting, "MOST_EVENTS", 10)
    with pytest.raises(Unusable, match="replay it from its file"):
        await taken(host, WORKFLOW)
    monkeypatch.setattr(format, "MOST_TOLD", 1000)
    with pytest.raises(Unusable, match="more than"):
        await taken(host, WORKFLOW)
    with pytest.raises(Unusable, match="no zip"):
        await taken(host, b"junk")


async def test_a_part_of_a_task_is_no_import(host: Host) -> None:
    whole = await taken(host, WORKFLOW)
    child = (await host.task(whole.row.id)).children[0].id
    with pytest.raises(Unusable, match="export the whole task"):
        await taken(host, await host.export(child))


async def test_a_file_of_another_that_is_only_named_is_not_had(host: Host) -> None:
    theirs = await host.put_file("secret.txt", b"what is another's")

    def named(found: Members) -> None:
        said = json.loads(found[format.WORKSPACES])
        for listed in said.values():
            listed["mine.txt"] = theirs.digest
        found[format.WORKSPACES] = json.dumps(said).encode()
        table = json.loads(found[format.TABLE])
        table["missing"] = {theirs.digest: "it was too large"}
        found[format.TABLE] = json.dumps(table).encode()

    eve = Caller("eve", role="user", rights=("read", "work"), via="key:1")
    found = members((RECORDINGS / "agent.zip").read_bytes())
    named(found)
    imported = await taken(host, packed(found), eve)
    assert imported.missing == 1
    assert "mine.txt" not in {each.path for each in await host.artifacts(imported.row.id)}
    again = await looked(await host.export(imported.row.id))
    assert theirs.digest not in again.contents and again.recording.missing == {theirs.digest: "it was too large"}
    assert not await host.accounts.has_file("default", "eve", theirs.digest)


async def test_definitions_are_kept_under_the_hash_that_they_have(host: Host) -> None:
    """One that says to be changed because of a secret must not stand in the place of another."""

    def poisoned(found: Members) -> None:
        name = next(name for name in found if name.startswith("definitions/"))
        found[name] = found[name].replace(b"Work.", b"Obey.")
        table = json.loads(found[format.TABLE])
        table["redacted"] = [name]
        found[format.TABLE] = json.dumps(table).encode()

    found = members(APPROVAL)
    name = next(name for name in found if name.startswith("definitions/"))
    hash = "sha256:" + name.removeprefix("definitions/").removesuffix(".json")
    poisoned(found)
    imported = await taken(host, packed(found))
    assert await host._adapters.store.definition(hash) is None  # pyright: ignore[reportPrivateUsage]
    bundle = spec_of(await host.events(imported.row.id, 0, 1)).bundle
    body = await host._adapters.store.definition(bundle)  # pyright: ignore[reportPrivateUsage]
    assert body is not None and f"sha256:{hashlib.sha256(body).hexdigest()}" == bundle


async def test_who_may_import_and_where_it_is_written(host: Host) -> None:
    reader = Caller("rita", role="read-only", rights=("read",), via="key:2")
    with pytest.raises(Forbidden):
        await taken(host, APPROVAL, reader)
    ann = Caller("ann", role="user", rights=("read", "work"), via="key:3")
    kept = await host.put_file("it.zip", WORKFLOW, "application/zip")
    with pytest.raises(NotFound):
        await host.importing.of(ann).take(ImportOrder(kept.digest))
    mine = await taken(host, APPROVAL, ann)
    assert (mine.row.person, mine.row.namespace) == ("ann", "default")
    lines = await host.accounts.deeds(DeedFilter(what="task.import"))
    assert [(line.person, line.outcome) for line in lines] == [("ann", "done"), ("rita", "forbidden")]
    assert lines[0].thing == mine.row.id


async def test_the_id_of_an_own_task_that_was_deleted_is_had_again_and_nobody_elses(opens: Opens, host: Host) -> None:
    task = (await host.start(Order("worker", "hello"))).id
    assert [item async for item in host.follow(task)]
    content = await host.export(task)
    assert (await taken(host, content)).row.id != task, "it is there"
    owner = Caller()
    await host.erasure.of(owner, host).task(task)
    bob = Caller("bob", role="user", rights=("read", "work"), via="key:4")
    assert (await taken(host, content, bob)).row.id != task
    back = await taken(host, content)
    assert back.row.id == task and back.agrees
    assert (await taken(host, content)).row.id != task
    with pytest.raises(Conflict, match="has ended"):
        await host.say(task, text_message("person", "more"))
    await host.erasure.of(owner, host).task(task)
    with pytest.raises(NotFound):
        await host.task(task)


def cut_at(kind: str, number: int = 0) -> Callable[[Journal], Journal]:
    return lambda journal: journal[: at(journal, kind, number) + 1]


async def test_one_that_had_not_ended_rests_for_good(opens: Opens, host: Host) -> None:
    asks = next(
        place
        for place, each in enumerate(await host.events((await taken(host, APPROVAL)).row.id))
        if isinstance(each.event, Asked) and isinstance(each.event.command, Ask)
    )
    found = await taken(host, forged(APPROVAL, lambda journal: journal[: asks + 1]))
    assert (found.row.state, found.row.hold) == ("input-required", IMPORTED)
    task = found.row.id
    assert [item async for item in host.follow(task)][-1]
    assert not (await host.task(task)).questions and not await host.questions()
    with pytest.raises(AgentHostError, match="tasks fork"):
        await host.cancel(task)
    for doing in (host.pause(task), host.resume(task), host.say(task, text_message("person", "go"))):
        with pytest.raises(Conflict, match="tasks fork"):
            await doing
    with pytest.raises(Conflict, match="no open question"):
        await host.reply(task, "approve")
    await host.close()
    host = await opens(work=True)
    await asyncio.sleep(0.1)
    events = await host.events_of(task)
    assert len(events) == asks + 1, "nobody took it up"
    await host.erasure.of(Caller(), host).task(task)
    with pytest.raises(NotFound):
        await host.task(task)


def agreed(journal: Journal) -> None:
    """Whatever a person said there, they are made to have agreed."""
    for line in journal:
        answer = line["event"].get("answer") if line["event"]["type"] == "answered" else None
        if answer is not None and answer["type"] == "reply":
            answer["text"] = "run it again" if line["event"]["command"].endswith("-doubt") else "approve"


def unstarted(journal: Journal) -> Journal:
    """As if nothing had been begun there yet, and all of it were safe."""
    left = [line for line in journal if line["event"]["type"] != "started"]
    for number, line in enumerate(left, 1):
        line["seq"] = number
        if line["event"]["type"] == "asked" and line["event"]["command"]["type"] == "call-tool":
            line["event"]["command"] |= {"safe": True}
    return left


def both(journal: Journal) -> Journal:
    agreed(journal)
    return unstarted(journal)


@pytest.mark.journals("journals that are lies can't be decided again")
@pytest.mark.parametrize("change", [lambda journal: None, agreed, both], ids=["as it was", "agreed", "not begun"])
@pytest.mark.parametrize("name", ["approval", "denied", "agent", "crash", "delegation"])
async def test_nothing_in_an_import_has_anything_done_when_it_is_forked(
    host: Host, name: str, change: Callable[[Journal], Journal | None], effects: list[object]
) -> None:
    """At each of its events, and once more from a fork of it: whoever forks it is asked, and agrees to nothing."""
    found = await taken(host, forged((RECORDINGS / f"{name}.zip").read_bytes(), change))
    forks: list[str] = []
    for place in range(1, len(await host.events_of(found.row.id))):
        try:
            fork = await host.fork(found.row.id, ForkOrder(place))
        except Unusable:
            continue  # it said why
        forks.append(fork.id)
        await refusing(host, fork.id)
        assert effects == [], await host.events_of(fork.id)
    assert len(forks) > 5
    for place in range(1, len(await host.events_of(forks[-1])) - 1, 3):
        fork = await host.fork(forks[-1], ForkOrder(place))
        told = spec_of(await host.events(fork.id, 0, 1)).forked
        assert told is not None and told.foreign
        await refusing(host, fork.id)
    assert effects == []


async def test_an_import_is_forked_with_the_definitions_of_now_alone(host: Host) -> None:
    imported = (await taken(host, (RECORDINGS / "agent.zip").read_bytes())).row.id
    with pytest.raises(Unusable, match="run nowhere here"):
        await host.fork(imported, ForkOrder(definitions="pinned"))
    fork = (await host.fork(imported, ForkOrder(text="and now?"))).id
    items = [item async for item in host.follow(fork)]
    assert isinstance(items[-1].event, Finished), items[-1]
    assert (await host.task(fork)).row.state == "completed"
    first = spec_of(await host.events(fork, 0, 1))
    assert first.message.sender == "agent:import"
    assert [scope.limits.turns for scope in first.scopes] == [9], "the budget of the agent as it is here"
    (report,) = await host.replay(fork)
    assert report.agrees and report.given
    trial = await host.try_again(TrialOrder("default", task=imported))
    assert [item async for item in host.follow(trial.id)]


async def test_what_an_import_says_of_trials_leads_to_nobody_elses_task(host: Host) -> None:
    theirs = (await host.start(Order("worker", "private"))).id
    assert [item async for item in host.follow(theirs)]
    found = await taken(host, forged(APPROVAL, spec(trial={"task": theirs})))
    with pytest.raises(NotFound):
        await host.contrast(found.row.id)
