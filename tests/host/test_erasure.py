"""What is deleted is gone from every file of the home, what others use stays, and a crash leaves nothing half."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agenthost.core.access import Caller, Deed, DeedFilter, Key, Person
from agenthost.core.api import Order
from agenthost.core.errors import BadInput, Conflict, Forbidden, NotFound, Temporary, Unavailable
from agenthost.core.keeping import UsageFilter
from agenthost.core.models import Turn
from agenthost.core.parts import FilePart, Message, TextPart, text_message
from agenthost.core.ports import Filter
from agenthost.core.tasks import Terms
from agenthost.core.webhooks import NewWebhook
from agenthost.host.erasure.eraser import Eraser
from agenthost.host.host import Host
from host.conftest import ASKER, ECHO, PAIR, Opens, followed

MARKER = "XYZZY-4711-MARKER"
OWNER = Caller()
ANN = Caller("ann", "user", ("read", "work"))
PLAYS = """
rules:
  - when: {says: "for ever"}
    reply: {text: "I go on", delay: 600}
  - when: {turn: 0, offers: ask_person}
    reply: {calls: [{tool: ask_person, arguments: {question: "About XYZZY-4711-MARKER?"}}]}
  - reply: {text: "You said {{said}}"}
"""


def found(home: Path, marker: str = MARKER) -> set[str]:
    """The files of a home that hold the marker, in their content or their name."""
    wanted = marker.encode()
    return {
        str(path.relative_to(home))
        for path in home.rglob("*")
        if marker in path.name or (path.is_file() and wanted in path.read_bytes())
    }


def home_of(host: Host) -> Path:
    return host.settings.folder


def soon(host: Host) -> None:
    """Files may go though they were used a moment ago."""
    host._adapters.blobs.used_for = 0.0  # pyright: ignore[reportPrivateUsage]


def eraser_of(host: Host) -> Eraser:
    return host.erasure._eraser  # pyright: ignore[reportPrivateUsage]


async def given(host: Host, person: str, content: bytes, name: str = "notes.txt") -> FilePart:
    """A file that somebody gave."""
    kept = await host.put_file(name, content)
    await host.accounts.own_file("default", person, kept.digest)
    return kept


async def rows(host: Host) -> dict[str, int]:
    """How many rows each table has."""
    await eraser_of(host).settle()
    with sqlite3.connect(home_of(host) / "agenthost.db") as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        counted = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    database.close()
    return counted


async def asked_about_it(host: Host, **more: Any) -> str:
    """A task that has the marker everywhere: words, title, files, workspace, question, answer, inbox, big bodies."""
    picture = await given(host, more.get("person", "owner"), f"a file with {MARKER}".encode())
    held = await host.put_file("held.txt", f"held: {MARKER}".encode(), "text/plain")
    order = Order(
        "asker",
        f"{MARKER} " * 3000,
        (picture,),
        title=f"About {MARKER}",
        conversation=f"thread {MARKER}",
        workspace={f"src/{MARKER}.txt": held.digest},
        **more,
    )
    row = await host.start(order)
    while not (await host.task(row.id)).questions:
        await asyncio.sleep(0.005)
    await host.say(row.id, text_message("owner", f"by the way, {MARKER}"))
    await host.reply(row.id, f"yes, {MARKER}")
    await followed(host, row.id)
    return row.id


async def test_nothing_of_a_deleted_task_is_in_any_file_of_the_home(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER, ECHO, work=True)
    soon(host)
    await host.webhooks.make(OWNER, NewWebhook("https://hook.invalid/x"))
    home = home_of(host)
    other = await host.start(Order("echo", "something else"))
    await followed(host, other.id)
    before = await rows(host)
    task = await asked_about_it(host)
    await host.webhooks.make(OWNER, NewWebhook(f"https://{MARKER}.invalid/x", task=task))
    spread = found(home)
    assert any(name.startswith("agenthost.db") for name in spread)
    assert sum(name.startswith("blobs/") for name in spread) >= 3
    erased = await host.erasure.task(OWNER, task, False)
    assert (erased.tasks, erased.files >= 3) == (1, True)
    assert found(home) == set()
    with pytest.raises(NotFound):
        await host.task(task)
    after = await rows(host)
    changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
    told = {"webhook_marks", "deliveries"}  # of the other task
    assert set(changed) <= {"deeds", "usage", "definitions", "sqlite_sequence", "events", *told}, changed
    hooks = await host.webhooks.all(OWNER)
    for hook in hooks:
        assert all(MARKER not in str(each) for each in await host.webhooks.deliveries(OWNER, hook.id, 0, 50))
    assert len(hooks) == 1
    assert "something else" in str(await host.events(other.id))
    await host.close()
    assert found(home) == set()


async def test_what_was_spent_is_kept_as_sums(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER, ECHO, work=True)
    task = await asked_about_it(host)
    ledger = await host.ledger(task)
    asked = UsageFilter(by=("person", "agent", "model", "day"))
    before = await host.usage(asked)
    await host.erasure.task(OWNER, task, False)
    assert await host._adapters.store.ledger(task) == []  # pyright: ignore[reportPrivateUsage]
    assert await host.usage(asked) == before
    tokens = sum(entry.spent.tokens for entry in ledger if entry.spent)
    assert [(line.person, line.agent, line.calls, line.tokens) for line in before] == [
        ("owner", "asker", len(ledger), tokens)
    ]


async def test_what_was_spent_is_the_same_after_retention(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, toml="[retention]\ntasks = 10\n")
    row = await host.start(Order("echo", "hi"))
    await followed(host, row.id)
    before = await host.usage(UsageFilter(by=("person", "day")))
    await host._keeper.sweep(time.time() + 11 * 86_400)  # pyright: ignore[reportPrivateUsage]
    assert await host.tasks(Filter()) == []
    assert await host.usage(UsageFilter(by=("person", "day"))) == before
    assert before[0].calls > 0


async def test_a_tree_of_tasks_goes_as_a_whole(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR, work=True)
    row = await host.start(Order("pair", f"hi {MARKER}"))
    await followed(host, row.id)
    below = (await host.task(row.id)).children
    assert len(below) == 2
    with pytest.raises(BadInput, match=row.id):
        await host.erasure.task(OWNER, below[0].id, False)
    await host.erasure.task(OWNER, row.id, False)
    assert await host.tasks(Filter()) == []
    assert found(home_of(host)) == set()


async def test_a_file_that_another_task_uses_stays_until_that_goes_too(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    soon(host)
    file = await given(host, "owner", b"shared content")
    first = await host.start(Order("echo", "one", (file,)))
    # The second names it deep in a body that is so big that it stands in a file of its own.
    history = (Turn("user", (TextPart("long " * 5000), file)), Turn("assistant", (TextPart("yes"),)))
    second = await host.start(Order("echo", "two", terms=Terms(history=history)))
    held = await host.start(Order("echo", "three", workspace={"a.txt": file.digest}))
    for row in (first, second, held):
        await followed(host, row.id)
    for row in (first, held):
        await host.erasure.task(OWNER, row.id, False)
        assert await host.get_file(file.digest) == b"shared content"
    await host.erasure.task(OWNER, second.id, False)
    with pytest.raises(NotFound):
        await host.get_file(file.digest)
    assert not await host.accounts.has_file("default", "", file.digest)


async def test_the_same_file_given_by_somebody_else_stays_theirs(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    soon(host)
    file = await given(host, "ann", b"the same content")
    await given(host, "bob", b"the same content")
    row = await host.start(Order("echo", "hi", (file,), person="ann"))
    await followed(host, row.id)
    await host.erasure.task(ANN, row.id, False)
    assert await host.get_file(file.digest) == b"the same content"
    assert not await host.accounts.has_file("default", "ann", file.digest)
    assert await host.accounts.has_file("default", "bob", file.digest)


async def test_a_file_that_was_used_a_moment_ago_waits_for_a_later_sweep(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    file = await given(host, "owner", b"in use")
    row = await host.start(Order("echo", "hi", (file,)))
    await followed(host, row.id)
    assert (await host.erasure.task(OWNER, row.id, False)).files == 0
    assert await host._adapters.blobs.get(file.digest) == b"in use"  # pyright: ignore[reportPrivateUsage]
    soon(host)
    assert await eraser_of(host).files() == 1
    with pytest.raises(NotFound):
        await host.get_file(file.digest)


async def test_a_task_that_goes_on_is_deleted_only_by_force(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    row = await host.start(Order("echo", f"for ever {MARKER}"))
    with pytest.raises(Conflict, match="goes on"):
        await host.erasure.task(OWNER, row.id, False)
    assert (await host.task(row.id)).row.id == row.id
    await host.erasure.task(OWNER, row.id, True)
    assert await host.tasks(Filter()) == []
    assert found(home_of(host)) == set()


async def test_who_may_delete_what(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    row = await host.start(Order("echo", "hi", person="ann"))
    await followed(host, row.id)
    for caller in (
        Caller("bob", "operator", ("read", "work", "manage")),
        Caller("ann", "read-only", ("read",)),
    ):
        with pytest.raises(Forbidden):
            await host.erasure.task(caller, row.id, True)
        with pytest.raises(Forbidden):
            await host.erasure.person(caller, "ann")
        with pytest.raises(Forbidden):
            await host.erasure.namespace(caller, "default")
    with pytest.raises(Forbidden, match="namespace"):
        await host.erasure.namespace(Caller("x", "owner", namespace="lab"), "default")
    assert (await host.erasure.task(ANN, row.id, False)).tasks == 1


async def test_all_of_a_person_goes_and_nothing_of_others(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, ASKER, work=True)
    soon(host)
    await host.accounts.put_person(Person("ann", "user", 1.0, f"Ann {MARKER}"))
    await host.accounts.put_key(Key("k1", "ann", "digest", 1.0, f"key {MARKER}"))
    await given(host, "ann", f"never used {MARKER}".encode())
    made = await host.webhooks.make(ANN, NewWebhook(f"https://{MARKER}.invalid/x"))
    await asked_about_it(host, person="ann")
    await host.start(Order("echo", f"for ever {MARKER}", person="ann"))
    kept = await host.start(Order("echo", "mine"))
    await followed(host, kept.id)
    erased = await host.erasure.person(OWNER, "ann")
    assert (erased.tasks, erased.people, erased.webhooks) == (2, 1, 1)
    assert await host.accounts.person("ann") is None and await host.accounts.key("digest") is None
    with pytest.raises(NotFound):
        await host.webhooks.show(ANN, made.id)
    assert [row.id for row in await host.tasks(Filter())] == [kept.id]
    lines = await host.accounts.deeds(DeedFilter(thing="ann"))
    assert [line.what for line in lines] == ["person.delete"]
    assert found(home_of(host)) == set()
    with sqlite3.connect(home_of(host) / "agenthost.db") as database:
        sums = database.execute("SELECT DISTINCT person FROM usage ORDER BY person").fetchall()
    database.close()
    assert sums == [("",), ("owner",)]
    assert {line.person: line.calls > 0 for line in await host.usage(UsageFilter(by=("person",)))} == {
        "": True,
        "owner": True,
    }
    assert (await host.erasure.person(OWNER, "ann")).tasks == 0


async def test_a_namespace_goes_with_everybody_in_it(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    soon(host)
    await host.accounts.put_person(Person("zoe", "owner", 1.0, namespace="lab"))
    row = await host.start(Order("echo", "stays"))
    await followed(host, row.id)
    store = host._adapters.store  # pyright: ignore[reportPrivateUsage]
    await store.put_manifests([("agent", "secret-agent", "lab", b"{}")], 1.0)
    assert await store.manifests("agent", "lab")
    erased = await host.erasure.namespace(OWNER, "lab")
    assert (erased.tasks, erased.people) == (0, 1)
    assert await host.accounts.person("zoe") is None
    assert await store.manifests("agent", "lab") == {}
    assert [each.id for each in await host.tasks(Filter())] == [row.id]


async def test_what_was_begun_before_a_crash_is_ended_by_the_next_start(opens: Opens) -> None:
    host = await opens(PLAYS, ASKER, ECHO, work=True)
    task = await asked_about_it(host)
    row = (await host.task(task)).row
    eraser = eraser_of(host)
    erasure = host._adapters.erasure  # pyright: ignore[reportPrivateUsage]
    await erasure.begin(task, await eraser._digests(row))  # pyright: ignore[reportPrivateUsage]
    await host.close()
    host = await opens(PLAYS)
    soon(host)
    await host._keeper.sweep(time.time())  # pyright: ignore[reportPrivateUsage]
    assert await host.tasks(Filter()) == []
    await eraser_of(host).settle()
    assert found(home_of(host)) == set()


async def test_what_is_too_old_goes_and_the_rest_stays(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, toml="[retention]\ntasks = 10\ngiven = 10\naudit = 10\n")
    soon(host)
    sweep = host._keeper.sweep  # pyright: ignore[reportPrivateUsage]
    done = await host.start(Order("echo", f"done {MARKER}"))
    await followed(host, done.id)
    unused = await given(host, "owner", b"given and never used")
    used = await given(host, "owner", b"given and used")
    going = await host.start(Order("echo", "for ever", (used,)))
    now = time.time()
    await host.accounts.note([Deed(now, "ann", "task.start", "t1"), Deed(now + 30 * 86_400, "ann", "task.start", "t2")])
    await sweep(now + 9 * 86_400)
    assert {row.id for row in await host.tasks(Filter())} == {done.id, going.id}
    assert await host.get_file(unused.digest)
    await sweep(now + 11 * 86_400)
    assert {row.id for row in await host.tasks(Filter())} == {going.id}
    assert found(home_of(host)) == set()
    with pytest.raises(NotFound):
        await host.get_file(unused.digest)
    assert await host.get_file(used.digest) == b"given and used"
    assert [deed.thing for deed in await host.accounts.deeds(DeedFilter())] == ["t2"]
    with sqlite3.connect(home_of(host) / "agenthost.db") as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("DELETE FROM deeds")
    database.close()


async def test_by_default_journals_are_kept_for_ever_and_folders_of_the_dead_are_not(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    row = await host.start(Order("echo", "hi"))
    await followed(host, row.id)
    left = home_of(host) / "workspaces" / row.id
    going = await host.start(Order("echo", "for ever"))
    kept = home_of(host) / "workspaces" / going.id
    for folder in (left, kept):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").write_text("left over")
    await host._keeper.sweep(time.time() + 400 * 86_400)  # pyright: ignore[reportPrivateUsage]
    assert {each.id for each in await host.tasks(Filter())} == {row.id, going.id}
    assert (left.exists(), kept.exists()) == (False, True)


async def test_what_stays_for_a_reason_of_its_own_keeps_nothing_else(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(PLAYS, ECHO, toml="[retention]\ntasks = 10\n")
    rows = [await host.start(Order("echo", f"number {number}")) for number in range(3)]
    for row in rows:
        await followed(host, row.id)
    workspaces = host._adapters.workspaces  # pyright: ignore[reportPrivateUsage]
    discard, stuck = workspaces.discard, [rows[0].id]

    async def refused(id: str) -> None:
        if id in stuck:
            raise Unavailable("the folder can't be removed")
        await discard(id)

    monkeypatch.setattr(workspaces, "discard", refused)
    later = time.time() + 11 * 86_400
    await host._keeper.sweep(later)  # pyright: ignore[reportPrivateUsage]
    assert [row.id for row in await host.tasks(Filter())] == [rows[0].id]
    stuck.clear()
    await host._keeper.sweep(later)  # pyright: ignore[reportPrivateUsage]
    assert await host.tasks(Filter()) == []


async def test_a_child_that_is_held_keeps_neither_its_ended_tree_nor_others_from_going(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, PAIR, work=True)
    first, second = [await host.start(Order("pair", f"{text} {MARKER}")) for text in ("one", "two")]
    for row in (first, second):
        await followed(host, row.id)
    await host.close()
    with sqlite3.connect(home_of(host) / "agenthost.db") as database:
        held = "UPDATE tasks SET ended = 0, state = 'working', hold = 'dead-letter' WHERE id LIKE ? || '.%left%'"
        assert database.execute(held, (first.id,)).rowcount == 1
    database.close()
    host = await opens(PLAYS, toml="[retention]\ntasks = 10\n")
    soon(host)
    await host._keeper.sweep(time.time() + 11 * 86_400)  # pyright: ignore[reportPrivateUsage]
    assert await host.tasks(Filter()) == []
    assert found(home_of(host)) == set()


async def test_nothing_of_a_namespaces_manifests_stays(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO)
    store = host._adapters.store  # pyright: ignore[reportPrivateUsage]
    for text in (f"first {MARKER}", f"second {MARKER}"):
        await store.put_manifests([("agent", "told", "lab", text.encode())], 1.0)
    await host.erasure.namespace(OWNER, "lab")
    assert found(home_of(host)) == set()
    assert await host.versions("agent", "echo")


async def test_who_is_deleted_gives_no_more_work_from_the_first_moment_on(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    await host.accounts.put_person(Person("ann", "user", 1.0))
    await host.accounts.put_key(Key("k1", "ann", "digest", 1.0))
    row = await host.start(Order("echo", "hi", person="ann"))
    await followed(host, row.id)
    tasks = eraser_of(host).tasks

    async def cut_off(roots: list[str]) -> int:
        raise Temporary("the disk is full", code="disk-full")

    monkeypatch.setattr(eraser_of(host), "tasks", cut_off)
    with pytest.raises(Temporary):
        await host.erasure.person(OWNER, "ann")
    found = await host.accounts.key("digest")
    assert found is not None and found[1].disabled
    monkeypatch.setattr(eraser_of(host), "tasks", tasks)
    assert (await host.erasure.person(OWNER, "ann")).tasks == 1
    assert await host.accounts.key("digest") is None


async def test_a_file_that_is_given_again_while_it_is_removed_stays(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await opens(PLAYS, ECHO, toml="[retention]\ngiven = 10\n")
    old = await given(host, "ann", b"given long ago")
    adapters = host._adapters  # pyright: ignore[reportPrivateUsage]
    adapters.blobs.used_for = 0.0
    store = adapters.store
    await store.write(  # pyright: ignore[reportAttributeAccessIssue]
        lambda connection, statements: connection.execute("UPDATE given_files SET at = at - 20 * 86400").rowcount
    )
    named = adapters.erasure.named

    async def given_meanwhile(digests: set[str], after: int, step: int) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"given long ago"

        result = await named(digests, after, step)
        again = await host.take_file("notes.txt", pieces())
        await host.accounts.own_file("default", "ann", again.digest)
        return result

    monkeypatch.setattr(adapters.erasure, "named", given_meanwhile)
    await host._keeper.sweep(time.time())  # pyright: ignore[reportPrivateUsage]
    assert await host.get_file(old.digest) == b"given long ago"
    assert await host.accounts.has_file("default", "ann", old.digest)


async def test_a_file_that_is_named_anew_while_it_is_removed_stays(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a message, or as what a workspace begins with: neither brings the content along."""
    host = await opens(PLAYS, ECHO, work=True)
    going = await host.start(Order("echo", "for ever"))
    adapters = host._adapters  # pyright: ignore[reportPrivateUsage]
    named = adapters.erasure.named
    for content, manner in ((b"said", "say"), (b"worked on", "start")):
        soon(host)
        file = await given(host, "owner", content)
        used = await host.start(Order("echo", "hi", (file,)))
        await followed(host, used.id)

        async def meanwhile(
            digests: set[str], after: int, step: int, file: FilePart = file, manner: str = manner
        ) -> Any:
            result = await named(digests, after, step)
            if manner == "say":
                await host.say(going.id, Message("owner", (file,)))
            else:
                await host.start(Order("echo", "for ever", workspace={"a.txt": file.digest}))
            monkeypatch.setattr(adapters.erasure, "named", named)
            return result

        monkeypatch.setattr(adapters.erasure, "named", meanwhile)
        await host.erasure.task(OWNER, used.id, False)
        assert await host.get_file(file.digest) == content
        await eraser_of(host).files()
        assert await host.get_file(file.digest) == content


async def test_work_on_files_that_are_not_there_is_refused_before_it_begins(opens: Opens) -> None:
    host = await opens(PLAYS, ECHO, work=True)
    missing = "sha256:" + "0" * 64
    going = await host.start(Order("echo", "for ever"))
    with pytest.raises(NotFound):
        await host.start(Order("echo", "hi", workspace={"a.txt": missing}))
    with pytest.raises(NotFound):
        await host.say(going.id, Message("owner", (FilePart(missing, "text/plain", 1, "a.txt"),)))
    assert [row.id for row in await host.tasks(Filter())] == [going.id]
