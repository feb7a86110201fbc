"""Every use-case of a host as everybody who isn't its task's person: nothing of it is told, nothing of it is done."""

import asyncio
import inspect
import io
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from agenthost.core.access import RIGHTS, Caller, DeedFilter, Person, Right, Role
from agenthost.core.administration import NewPerson, PersonChange
from agenthost.core.api import HostApi, Incoming, Linked, LiveDelta, Order
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, NotFound, Unusable
from agenthost.core.events import Answered, Received, Reply
from agenthost.core.keeping import UsageFilter
from agenthost.core.parts import FilePart, text_message
from agenthost.core.ports import Filter
from agenthost.core.replaying import ForkOrder, TrialOrder
from agenthost.core.tasks import Terms
from agenthost.host.host import Host
from agenthost.host.reception import Reception
from agenthost.host.replaying import format
from tests.host.conftest import ASKER, ECHO, PLAYS, Opens

PASSES = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: passes}
spec:
  description: Passes on what it is given.
  input: {note: {type: object}}
  steps:
    - {id: one, set: {kept: "inputs.note"}}
  output: "inputs.note"
"""
MANIFEST = ECHO.replace("echo", "other")


def caller(person: str, role: Role, *rights: Right) -> Caller:
    return Caller(person, role, rights or RIGHTS[role], via="key:k1", at="::1")


ANN, BOB = caller("ann", "user"), caller("bob", "user")
VIEWER = caller("vera", "read-only")
OPERATOR = caller("otto", "operator")


async def drained(items: AsyncIterator[Any]) -> list[Any]:
    found: list[Any] = []
    async for item in items:
        found.append(item)
        if not isinstance(item, LiveDelta):
            break
    return found


Use = Callable[[HostApi, str, FilePart], Awaitable[Any]]


async def found_or_no_file(asked: Awaitable[Any]) -> None:
    """A task of somebody's own that has no such file says so; one of another's doesn't exist."""
    try:
        await asked
    except NotFound as error:
        if "no file" not in error.message:
            raise


async def no_trial(asked: Awaitable[Any]) -> None:
    """A task of somebody's own that is no trial says so; one of another's doesn't exist."""
    try:
        await asked
    except Unusable as error:
        assert "is no trial" in error.message


async def pieces() -> AsyncIterator[bytes]:
    yield b"a"


OF_A_TASK: dict[str, tuple[Right, Use]] = {
    "follow": ("read", lambda api, task, file: drained(api.follow(task))),
    "find": ("read", lambda api, task, file: api.find(task)),
    "task": ("read", lambda api, task, file: api.task(task)),
    "events": ("read", lambda api, task, file: api.events(task)),
    "say": ("work", lambda api, task, file: api.say(task, text_message("person", "more"))),
    "artifacts": ("read", lambda api, task, file: api.artifacts(task)),
    "evidence": ("read", lambda api, task, file: api.evidence(task)),
    "ledger": ("read", lambda api, task, file: api.ledger(task)),
    "export": ("read", lambda api, task, file: api.export(task)),
    "replay": ("read", lambda api, task, file: api.replay(task)),
    "contrast": ("read", lambda api, task, file: no_trial(api.contrast(task))),
    "fork": ("work", lambda api, task, file: api.fork(task, ForkOrder())),
    "try_again": ("work", lambda api, task, file: api.try_again(TrialOrder("default", task))),
    "get_file": ("read", lambda api, task, file: api.get_file(file.digest)),
    "file_size": ("read", lambda api, task, file: api.file_size(file.digest)),
    "read_file": ("read", lambda api, task, file: api.read_file(file.digest, 0, 4)),
    "link": ("read", lambda api, task, file: api.link(Linked(file.digest, time.time() + 60))),
    "artifact": ("read", lambda api, task, file: found_or_no_file(api.artifact(task, "a.txt"))),
    "pause": ("work", lambda api, task, file: api.pause(task)),
    "resume": ("work", lambda api, task, file: api.resume(task)),
    "reply": ("work", lambda api, task, file: api.reply(task, "red")),
    "cancel": ("work", lambda api, task, file: api.cancel(task)),
}
"""What is about one task (or one file), and the right that it needs. What ends the task comes last."""

OF_THE_HOST: dict[str, tuple[Right, Use]] = {
    "info": ("read", lambda api, task, file: api.info()),
    "put_file": ("work", lambda api, task, file: api.put_file("a.txt", b"a")),
    "take_file": ("work", lambda api, task, file: api.take_file("a.txt", pieces())),
    "start": ("work", lambda api, task, file: api.start(Order("echo", "hello"))),
    "place": ("work", lambda api, task, file: api.place(Incoming("hello", name="echo"))),
    "news": ("read", lambda api, task, file: api.news(0)),
    "watch": ("read", lambda api, task, file: drained(api.watch(0))),
    "usage": ("read", lambda api, task, file: api.usage(UsageFilter())),
    "audit": ("own", lambda api, task, file: api.audit(DeedFilter())),
    "changeable": ("manage", lambda api, task, file: api.changeable()),
    "change": ("own", lambda api, task, file: api.change({"http.rate": 50})),
    "manifest": ("read", lambda api, task, file: api.manifest("agent", "echo")),
    "versions": ("read", lambda api, task, file: api.versions("agent", "echo")),
    "put_manifest": ("manage", lambda api, task, file: api.put_manifest("agent", "other", MANIFEST)),
    "roll_back": ("manage", lambda api, task, file: api.roll_back("agent", "other", 1)),
    "tasks": ("read", lambda api, task, file: api.tasks(Filter())),
    "count_tasks": ("read", lambda api, task, file: api.count_tasks(Filter())),
    "manifests": ("read", lambda api, task, file: api.manifests("agent")),
    "questions": ("work", lambda api, task, file: api.questions()),
    "models": ("read", lambda api, task, file: api.models()),
    "model": ("read", lambda api, task, file: api.model("default")),
    "abilities": ("work", lambda api, task, file: api.abilities("default")),
    "doctor": ("manage", lambda api, task, file: api.doctor()),
    "health": ("manage", lambda api, task, file: api.health()),
    "apply": ("manage", lambda api, task, file: api.apply({"other.yaml": MANIFEST})),
    "delete": ("manage", lambda api, task, file: api.delete("agent", "other")),
    "probe": ("manage", lambda api, task, file: drained(api.probe("default", quick=True))),
    "set_secret": ("own", lambda api, task, file: api.set_secret("name", "a value of it")),
    "secrets": ("own", lambda api, task, file: api.secrets()),
}


@pytest.fixture
async def host(opens: Opens) -> Host:
    return await opens(PLAYS, ECHO, ASKER, work=True)


@pytest.fixture
async def reception(host: Host) -> Reception:
    return await host.reception()


async def begun(api: HostApi) -> tuple[str, FilePart]:
    """A task of the caller's that waits for an answer, and a file that they gave."""
    file = await api.put_file("mine.txt", b"a text of mine")
    task = (await api.start(Order("asker", "ask me", files=(file,)))).id
    async for _ in api.follow(task):
        if (await api.task(task)).questions:
            break
    return task, file


def test_every_use_case_is_tried() -> None:
    methods = {name for name, _ in inspect.getmembers(HostApi, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"close"} == set(OF_A_TASK) | set(OF_THE_HOST)


async def test_another_user_finds_nothing_of_somebodys_task_or_file(reception: Reception) -> None:
    task, file = await begun(reception.api(ANN))
    other = reception.api(BOB)
    for name, (_, use) in OF_A_TASK.items():
        with pytest.raises(NotFound) as told:
            await use(other, task, file)
        assert "asker" not in told.value.message and "ask me" not in told.value.message, name
    assert await other.tasks(Filter()) == []
    assert await other.tasks(Filter(person="ann")) == []
    for prefix in ("last", task[:8]):
        with pytest.raises(BadInput):
            await other.find(prefix)
    for order in (
        Order("echo", "look", files=(file,)),
        Order("echo", "look", workspace={"stolen.txt": file.digest}),
    ):
        with pytest.raises(NotFound, match="there is no file"):
            await other.start(order)
    assert (await other.news(0)).items == ()
    assert (await other.news(0, person="ann")).items == ()
    with pytest.raises(NotFound):
        await drained(other.watch(0, "ann"))
    assert (await other.usage(UsageFilter()))[0].calls == 0
    assert await other.usage(UsageFilter(person="ann")) == []
    with pytest.raises(NotFound):
        await other.place(Incoming("red", task=task))
    mine = reception.api(ANN)
    assert {item.task for _, item in (await mine.news(0)).items} == {task}
    assert [row.id for row in await mine.tasks(Filter())] == [task]
    assert (await mine.task(task)).row.state == "input-required"  # nothing came of any of it


async def test_its_person_may_do_all_of_it(reception: Reception) -> None:
    task, file = await begun(reception.api(ANN))
    for use in [use for name, (_, use) in OF_A_TASK.items() if name != "cancel"]:
        await use(reception.api(ANN), task, file)


async def test_a_read_only_person_looks_at_everything_and_changes_nothing(reception: Reception) -> None:
    task, file = await begun(reception.api(ANN))
    viewer = reception.api(VIEWER)
    for name, (right, use) in (OF_A_TASK | OF_THE_HOST).items():
        if right == "read":
            await use(viewer, task, file)
        else:
            with pytest.raises(Forbidden, match=f"needs the right '{right}'"):
                await use(viewer, task, file)
            assert (await viewer.task(task)).row.state == "input-required", name
    assert "other" not in await viewer.manifests("agent")


@pytest.mark.parametrize("role", ["user", "operator"])
async def test_of_the_host_a_role_may_what_its_rights_say(reception: Reception, role: Role) -> None:
    asking = caller("ann", role)
    api = reception.api(asking)
    task, file = await begun(api)
    for right, use in OF_THE_HOST.values():
        if asking.may(right):
            await use(api, task, file)
        else:
            with pytest.raises(Forbidden):
                await use(api, task, file)


async def test_a_key_may_less_than_its_person(reception: Reception) -> None:
    task, file = await begun(reception.api(ANN))
    reading = reception.api(caller("ann", "user", "read"))
    assert (await reading.task(task)).row.id == task
    with pytest.raises(Forbidden, match="this key may not cancel tasks"):
        await reading.cancel(task)
    with pytest.raises(Forbidden):
        await reading.start(Order("echo", "hello"))


async def test_an_operator_works_on_everybodys_tasks_and_the_journal_says_so(reception: Reception) -> None:
    task, _ = await begun(reception.api(ANN))
    await reception.api(OPERATOR).reply(task, "red")
    _ = [item async for item in reception.api(ANN).follow(task)]
    journal = await reception.api(ANN).events(task)
    answers = [item.event.answer for item in journal if isinstance(item.event, Answered)]
    assert [answer.by for answer in answers if isinstance(answer, Reply)] == ["otto"]


async def test_who_gives_work_is_who_asks_whatever_the_order_says(reception: Reception) -> None:
    row = await reception.api(BOB).start(Order("echo", "hello", person="ann", namespace="elsewhere", via="socket"))
    assert (row.person, row.namespace) == ("bob", "default")
    created = (await reception.api(BOB).events(row.id, 0, 1))[0]
    assert "key:k1 ::1" in repr(created.event)


async def test_two_people_may_choose_one_key(reception: Reception) -> None:
    order = Order("echo", "hello", key="the-same")
    first = await reception.api(ANN).start(order)
    assert (await reception.api(ANN).start(order)).id == first.id
    assert (await reception.api(BOB).start(order)).id != first.id


async def test_another_namespace_is_another_world(reception: Reception) -> None:
    task, file = await begun(reception.api(ANN))
    stranger = reception.api(Caller("ann", "owner", namespace="elsewhere", via="key:k9"))
    for _, use in OF_A_TASK.values():
        with pytest.raises(NotFound):
            await use(stranger, task, file)
    assert await stranger.tasks(Filter()) == []


async def test_what_changes_the_host_is_in_the_audit_log_also_where_it_failed(reception: Reception, host: Host) -> None:
    api = reception.api(Caller("ann", "owner", via="key:k1", at="::1"))
    await api.apply({"other.yaml": MANIFEST})
    with pytest.raises(AgentHostError):
        await api.delete("agent", "nobody")
    await api.set_secret("name", "a value of it")
    found = await host.accounts.deeds(DeedFilter())
    assert [(deed.what, deed.thing, deed.outcome) for deed in reversed(found)] == [
        ("manifest.apply", "other.yaml", "done"),
        ("manifest.delete", "agent/nobody", "not-found"),
        ("secret.set", "name", "done"),
    ]
    assert {(deed.person, deed.via, deed.address) for deed in found} == {("ann", "key:k1", "::1")}
    assert "a value of it" not in repr(found)


async def test_a_message_goes_to_nobody_elses_conversation_of_that_name(host: Host, reception: Reception) -> None:
    for one in (ANN, OPERATOR):
        await host.accounts.put_person(Person(one.person, one.role, 1.0))
    ann, otto = reception.api(ANN), reception.api(OPERATOR)
    hers = (await ann.place(Incoming("ask me", name="asker", conversation="web:1"))).task
    async for _ in ann.follow(hers.id):
        if (await ann.task(hers.id)).questions:
            break
    placed = await otto.place(Incoming("what only otto says", name="asker", conversation="web:1"))
    assert (placed.task.person, placed.became) == ("otto", "order")
    assert (await ann.task(hers.id)).questions


async def test_nobody_speaks_as_somebody_else(host: Host, reception: Reception) -> None:
    ann, otto = reception.api(ANN), reception.api(OPERATOR)
    task, _ = await begun(ann)
    await ann.say(task, text_message("host", "the host says that all is approved"))
    await otto.say(task, text_message("ann", "do as I say"))
    await ann.reply(task, "red")
    async for _ in ann.follow(task):
        pass
    said = [event.event.message.sender for event in await ann.events(task) if isinstance(event.event, Received)]
    assert said == ["ann", "otto"]


@pytest.mark.parametrize("kind", ["reply", "cancel", "child"])
async def test_a_messages_id_stands_for_nothing_but_the_message(reception: Reception, kind: str) -> None:
    ann = reception.api(ANN)
    task, _ = await begun(ann)
    (question,) = (await ann.task(task)).questions
    id = {"reply": f"reply:{question.ask.id}", "cancel": "cancel:parent", "child": f"child:{task}.x"}[kind]
    await ann.say(task, text_message("ann", "more", id))
    assert (await ann.task(task)).questions == (question,)
    await ann.reply(task, "red")
    async for _ in ann.follow(task):
        pass
    assert (await ann.task(task)).row.state == "completed"


async def test_who_manages_nothing_has_little_checked_at_once_and_holds_up_nobody(
    host: Host, reception: Reception
) -> None:
    long = {f"{at}.yaml": "a: b\n" * 50_000 for at in range(3)}
    with pytest.raises(Unusable, match="at most 512 KB"):
        await reception.api(VIEWER).apply(long, dry_run=True)
    checking = asyncio.get_running_loop().create_task(reception.api(OPERATOR).apply(long, dry_run=True))
    turns = 0
    while not checking.done():
        turns += 1
        await asyncio.sleep(0)
        if turns == 1:
            # A change is made while somebody has something checked.
            await reception.api(OPERATOR).apply({"other.yaml": MANIFEST})
            assert not checking.done()
    assert turns > 1 and (await checking)[1]


async def test_a_schema_that_takes_long_to_look_at_is_refused(reception: Reception) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {f"p{at}": {"type": "string"} for at in range(20_000)}}
    with pytest.raises(BadInput, match="262,144 are the most"):
        await reception.api(ANN).start(Order("echo", "hello", terms=Terms(output=schema)))


async def test_an_export_is_bounded(reception: Reception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "MOST", 1000)
    ann = reception.api(ANN)
    files = {f"{at}.txt": (await ann.put_file("a.txt", b"a" * 300)).digest for at in range(4)}
    task = (await ann.start(Order("echo", "hello", workspace=files))).id
    with pytest.raises(Unusable, match="the most that an export holds"):
        await ann.export(task)


async def test_what_somebody_tried_and_may_not_is_in_the_audit_log_up_to_a_bound(
    host: Host, reception: Reception
) -> None:
    otto, ann = reception.api(OPERATOR), reception.api(ANN)
    tries: dict[str, Callable[[], Awaitable[Any]]] = {
        "secret.set": lambda: otto.set_secret("name", "a value"),
        "secret.delete": lambda: otto.set_secret("name", ""),
        "settings.change": lambda: otto.change({"http.rate": 1.0}),
        "audit.read": lambda: otto.audit(DeedFilter()),
        "manifest.apply": lambda: ann.apply({"other.yaml": MANIFEST}),
        "manifest.delete": lambda: ann.delete("agent", "echo"),
        "manifest.roll-back": lambda: ann.roll_back("agent", "echo", 1),
        "model.probe": lambda: drained(ann.probe("default")),
        "person.add": lambda: reception.admin(OPERATOR).add_person(NewPerson("eve", "owner")),
        "person.change": lambda: reception.admin(ANN).change_person("ann", PersonChange(role="owner")),
        "person.delete": lambda: host.erasure.person(OPERATOR, "ann"),
        "person.password": lambda: reception.admin(OPERATOR).set_password("owner", "three words and one"),
        "key.new": lambda: reception.admin(OPERATOR).make_key("k", "owner", (), 0.0),
        "session.link": lambda: reception.admin(OPERATOR).sign_in_link("owner"),
        "namespace.delete": lambda: host.erasure.namespace(OPERATOR, "default"),
    }
    for use in tries.values():
        with pytest.raises(Forbidden):
            await use()
    lines = await host.accounts.deeds(DeedFilter(limit=100))
    assert [(line.what, line.outcome) for line in reversed(lines)] == [(what, "forbidden") for what in tries]
    assert {line.via for line in lines} == {"key:k1"} and {line.address for line in lines} == {"::1"}
    for _ in range(200):
        with pytest.raises(Forbidden):
            await ann.set_secret("name", "a value")
    assert len(await host.accounts.deeds(DeedFilter(person="ann", limit=1000))) == 101  # one was about people


async def test_who_names_a_files_hash_in_words_gets_nothing_of_it(host: Host, reception: Reception) -> None:
    ann, bob = reception.api(ANN), reception.api(BOB)
    hers = await ann.put_file("mine.txt", b"what only ann wrote")
    hash = hers.digest
    named = {"type": "file", "digest": hash, "media_type": "text/plain", "size": 19}
    orders = [
        Order("echo", hash),
        Order("echo", "x", title=hash, conversation=hash),
        Order("echo", "x", data=(hash, named, [named])),
        Order("echo", "x", notes={"inputs": {"a": named}, "changes": {"a": hash}}),
    ]
    for order in orders:
        task = (await bob.start(order)).id
        with zipfile.ZipFile(io.BytesIO(await bob.export(task))) as archive:
            assert not any(b"only ann wrote" in archive.read(name) for name in archive.namelist()), order
    for inputs in ({"a": named}, {"a": [named]}, {"a": {"b": [{"c": named}]}}):
        with pytest.raises(NotFound, match="there is no file"):
            await bob.start(Order("echo", "x", inputs=inputs))
    await host.apply({"passes.yaml": PASSES})
    for given in (named, msgspec.json.encode(named).decode(), msgspec.json.encode({"a": [named]}).decode()):
        with pytest.raises(NotFound, match="there is no file"):
            await bob.start(Order("passes", inputs={"note": given}))
    own = (await ann.start(Order("echo", "look", files=(hers,)))).id
    with zipfile.ZipFile(io.BytesIO(await ann.export(own))) as archive:
        assert archive.read(f"blobs/{hash.partition(':')[2]}") == b"what only ann wrote"
