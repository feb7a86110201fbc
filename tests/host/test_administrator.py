"""Who may look after whom: every use-case of people and keys, by every kind of caller, on a real host."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agenthost.core.access import OWNER, RIGHTS, Caller, DeedFilter, Key, Person, Right, Role
from agenthost.core.administration import Administration, NewPerson, PersonChange
from agenthost.core.api import Linked, Order
from agenthost.core.errors import AgentHostError, BadInput, Conflict, Forbidden, NotFound, Unauthenticated
from agenthost.host.administrator import MOST_KEYS
from agenthost.host.entry.secrets import digest_of
from agenthost.host.host import Host
from agenthost.host.reception import Reception
from tests.host.conftest import ASKER, ECHO, PLAYS, Opens

PASSWORD = "three words and one"


def caller(person: str, role: Role, *rights: Right, via: str = "session:s1") -> Caller:
    return Caller(person, role, rights or RIGHTS[role], via=via, at="::1")


@pytest.fixture
async def host(opens: Opens) -> Host:
    host = await opens(PLAYS, ECHO, ASKER)
    for person, role in (
        ("ann", "user"),
        ("bob", "user"),
        ("otto", "operator"),
        ("vera", "read-only"),
        ("boss", "owner"),
    ):
        await host.accounts.put_person(Person(person, role, 1.0))  # type: ignore[arg-type]
    await host.accounts.put_key(Key("k1", "ann", digest_of("ann's secret"), 2.0, rights=("read", "work"), hint="cret"))
    return host


@pytest.fixture
async def reception(host: Host) -> Reception:
    return await host.reception()


Use = Callable[[Administration], Awaitable[Any]]
OF_OTHERS: dict[str, Use] = {
    "people": lambda admin: admin.people(),
    "person": lambda admin: admin.person("ann"),
    "add_person": lambda admin: admin.add_person(NewPerson("eve")),
    "change_person": lambda admin: admin.change_person("ann", PersonChange(name="Other")),
    "set_password": lambda admin: admin.set_password("ann", PASSWORD),
    "sign_in_link": lambda admin: admin.sign_in_link("ann"),
    "keys": lambda admin: admin.keys("ann"),
    "make_key": lambda admin: admin.make_key(person="ann"),
    "revoke_key": lambda admin: admin.revoke_key("k1", "ann"),
    "delete_person": lambda admin: admin.delete_person("ann"),
}
"""What is about somebody else. The last one removes them."""


def test_every_use_case_is_tried() -> None:
    assert {name for name in vars(Administration) if not name.startswith("_")} == OF_OTHERS.keys() | {"whoami"}


@pytest.mark.parametrize("use", OF_OTHERS)
async def test_only_an_owner_looks_after_others(host: Host, use: str) -> None:
    for asking in (
        caller("bob", "user"),
        caller("otto", "operator"),
        caller("vera", "read-only"),
        caller("boss", "owner", "read", "work", "manage", via="key:k9"),
    ):
        with pytest.raises(Forbidden, match="needs the right 'own'|it needs"):
            await OF_OTHERS[use](host.admin(asking))
        before = {person.id for person in await host.accounts.people()}
        assert before == {OWNER, "ann", "bob", "otto", "vera", "boss"}
    await OF_OTHERS[use](host.admin(caller("boss", "owner")))


async def test_who_may_not_learns_nothing_of_who_there_is(host: Host) -> None:
    told: list[str] = []
    for id in ("ann", "nobody"):
        for ask in (host.admin(caller("bob", "user")).person, host.admin(caller("bob", "user")).keys):
            with pytest.raises(Forbidden) as error:
                await ask(id)
            told.append(error.value.message)
    assert told[:2] == told[2:]


async def test_of_themselves_everybody_sees_what_there_is_and_nothing_secret(host: Host) -> None:
    for person, role in (("ann", "user"), ("vera", "read-only"), ("otto", "operator")):
        admin = host.admin(caller(person, role))  # type: ignore[arg-type]
        me = await admin.whoami()
        assert (me.person.id, me.rights) == (person, RIGHTS[role])  # type: ignore[index]
        assert (await admin.person(person)).id == person
        made = await admin.make_key("laptop")
        assert made.key.rights == RIGHTS[role]  # type: ignore[index]
        listed = await admin.keys()
        assert made.key in listed
        assert made.secret not in repr(listed) and digest_of(made.secret) not in repr(listed)
        await admin.revoke_key(made.key.id)
        assert made.key not in await admin.keys()
        assert (await admin.sign_in_link()).url.startswith("/sign-in?code=ah_")


async def test_a_key_is_made_for_less_and_never_for_more(host: Host, reception: Reception) -> None:
    ann = host.admin(caller("ann", "user"))
    for beyond in ("manage", "own"):
        with pytest.raises(Forbidden, match=f"can't have the right '{beyond}'"):
            await ann.make_key(rights=("read", beyond))  # type: ignore[arg-type]
    reading = await ann.make_key("dashboard", rights=("read",))
    known = await reception.known(reading.secret, "::1")
    assert (known.person, known.rights, known.via) == ("ann", ("read",), f"key:{reading.key.id}")
    by_key = host.admin(known)
    with pytest.raises(Forbidden):
        await by_key.make_key(rights=("read", "work"))
    assert (await by_key.make_key()).key.rights == ("read",)
    boss = host.admin(caller("boss", "owner"))
    with pytest.raises(Forbidden, match="at most: read, work"):
        await boss.make_key(person="ann", rights=("own",))


async def test_a_key_cant_become_a_way_in_that_may_more_or_lasts_longer(host: Host, reception: Reception) -> None:
    soon = time.time() + 3600
    first = await host.admin(caller("ann", "user")).make_key(expires=soon)
    by_key = host.admin(await reception.known(first.secret, "::1"))
    for use in (lambda: by_key.sign_in_link(), lambda: by_key.set_password("ann", PASSWORD)):
        with pytest.raises(Forbidden, match="sign in with a browser"):
            await use()
    assert (await by_key.make_key()).key.expires == soon
    assert (await by_key.make_key(expires=soon + 9999)).key.expires == soon
    assert (await by_key.make_key(expires=soon - 60)).key.expires == soon - 60
    limited = host.admin(caller("ann", "user", "read"))  # a session by a link with less
    with pytest.raises(Forbidden):
        await limited.sign_in_link()


async def test_a_key_that_was_taken_back_counts_no_more_at_once(host: Host, reception: Reception) -> None:
    ann = host.admin(caller("ann", "user"))
    made = await ann.make_key()
    assert (await reception.known(made.secret, "")).person == "ann"
    await ann.revoke_key(made.key.id)
    with pytest.raises(Unauthenticated):
        await reception.known(made.secret, "")
    with pytest.raises(NotFound):
        await ann.revoke_key(made.key.id)
    with pytest.raises(NotFound):
        await host.admin(caller("bob", "user")).revoke_key("k1")  # Ann's, not Bob's


async def test_a_role_or_an_end_counts_at_once(host: Host, reception: Reception) -> None:
    boss = host.admin(caller("boss", "owner"))
    assert (await reception.known("ann's secret", "")).role == "user"
    await boss.change_person("ann", PersonChange(role="read-only"))
    assert (await reception.known("ann's secret", "")).rights == ("read",)
    await boss.change_person("ann", PersonChange(disabled=True))
    with pytest.raises(Unauthenticated):
        await reception.known("ann's secret", "")
    await boss.change_person("ann", PersonChange(disabled=False, role="owner"))
    assert (await reception.known("ann's secret", "")).rights == ("read", "work")  # as the key was made
    await boss.delete_person("ann")
    with pytest.raises(Unauthenticated):
        await reception.known("ann's secret", "")


async def test_whose_host_it_is_stays_an_owner(host: Host) -> None:
    boss = host.admin(caller("boss", "owner"))
    for use in (
        lambda: boss.delete_person(OWNER),
        lambda: boss.change_person(OWNER, PersonChange(disabled=True)),
        lambda: boss.change_person(OWNER, PersonChange(role="operator")),
    ):
        with pytest.raises(BadInput, match="stays so"):
            await use()
    await boss.change_person(OWNER, PersonChange(name="Ourselves"))
    assert (await host.accounts.person(OWNER)) == Person(
        OWNER, "owner", pytest.approx(time.time(), abs=600), "Ourselves"
    )  # type: ignore[arg-type]


async def test_a_namespace_keeps_an_owner(host: Host) -> None:
    for id in ("one", "two"):
        await host.accounts.put_person(Person(id, "owner", 1.0, namespace="elsewhere"))
    admin = host.admin(Caller("one", "owner", namespace="elsewhere"))
    await admin.change_person("two", PersonChange(role="user"))
    for use in (
        lambda: admin.delete_person("one"),
        lambda: admin.change_person("one", PersonChange(disabled=True)),
        lambda: admin.change_person("one", PersonChange(role="user")),
    ):
        with pytest.raises(BadInput, match="the last owner"):
            await use()
    for use in (lambda: admin.person("ann"), lambda: admin.delete_person("ann"), lambda: admin.keys("ann")):
        with pytest.raises(NotFound):
            await use()  # another namespace is another world
    assert [person.id for person in await admin.people()] == ["one", "two"]
    with pytest.raises(Conflict):
        await admin.add_person(NewPerson("ann"))


async def test_an_id_is_one_persons_for_ever(host: Host) -> None:
    boss = host.admin(caller("boss", "owner"))
    with pytest.raises(Conflict, match="is somebody's already"):
        await boss.add_person(NewPerson("ann"))
    await boss.delete_person("ann")
    with pytest.raises(Conflict, match="somebody who was removed"):
        await boss.add_person(NewPerson("ann"))
    with pytest.raises(BadInput, match="stays so"):
        await boss.delete_person(OWNER)  # a try that failed removes nobody


@pytest.mark.parametrize("id", ["", "Ann", "a b", "../x", "a/b", "-a", "a" * 65, "\u00e4nn", "a\n", "a\x00"])
async def test_an_id_that_cant_be_one_is_refused(host: Host, id: str) -> None:
    with pytest.raises(BadInput, match="can't be an id"):
        await host.admin().add_person(NewPerson(id))


@pytest.mark.parametrize(
    ("password", "why"),
    [("short", "at least 10"), ("a" * 20, "easily guessed"), ("x" * 2000, "at most 1024"), ("evelyn0000000", "")],
)
async def test_a_password_that_is_no_good_is_refused_and_not_repeated(host: Host, password: str, why: str) -> None:
    if not why:
        await host.admin().add_person(NewPerson("evelyn", password=password))
        return
    with pytest.raises(BadInput, match=why) as told:
        await host.admin().add_person(NewPerson("eve", password=password))
    assert password not in told.value.message
    assert await host.accounts.person("eve") is None


async def test_keys_and_texts_are_bounded(host: Host) -> None:
    ann = host.admin(caller("ann", "user"))
    for n in range(MOST_KEYS - 1):
        await host.accounts.put_key(Key(f"m{n}", "ann", digest_of(f"{n}"), 3.0))
    with pytest.raises(BadInput, match="take one back first"):
        await ann.make_key()
    bob = host.admin(caller("bob", "user"))
    for name in ("x" * 201, "a\nb", "\x1b[31m"):
        with pytest.raises(BadInput, match="longer than 200 characters"):
            await bob.make_key(name)
    with pytest.raises(BadInput, match="has passed already"):
        await bob.make_key(expires=1.0)
    for subject in ("1234", "ftp://x 1", "https://id.example  1", "https://id.example 1 2"):
        with pytest.raises(BadInput, match="a subject is"):
            await host.admin().add_person(NewPerson("eve", subject=subject))


@pytest.mark.parametrize("fate", ["cancel", "keep"])
@pytest.mark.parametrize("how", ["disabled", "removed"])
async def test_tasks_of_somebody_who_goes_are_cancelled_unless_they_are_kept(opens: Opens, fate: Any, how: str) -> None:
    host = await opens(PLAYS, ECHO, ASKER, work=True)
    await host.accounts.put_person(Person("ann", "user", 1.0))
    theirs = (await host.start(Order("asker", "ask me", person="ann"))).id
    others = (await host.start(Order("asker", "ask me"))).id
    for task in (theirs, others):
        async for _ in host.follow(task):
            if (await host.task(task)).questions:
                break
    if how == "disabled":
        await host.admin().change_person("ann", PersonChange(disabled=True, tasks=fate))
    else:
        await host.admin().delete_person("ann", fate)
    if fate == "cancel":
        async for _ in host.follow(theirs):
            pass
        assert (await host.task(theirs)).row.state == "canceled"
    else:
        assert (await host.task(theirs)).row.state == "input-required"
    assert (await host.task(others)).row.state == "input-required"


async def test_every_change_is_in_the_audit_log_also_where_it_failed_and_no_secret(host: Host) -> None:
    await host.accounts.put_key(Key("k7", "boss", digest_of("boss's secret"), 2.0))
    boss = host.admin(caller("boss", "owner", via="key:k7"))
    made = await boss.make_key("ci", person="ann")
    await boss.set_password("ann", PASSWORD)
    link = await boss.sign_in_link("ann")
    await boss.change_person("ann", PersonChange(role="operator", tasks="keep"))
    with pytest.raises(BadInput):
        await boss.delete_person(OWNER)
    log = await host.audit(DeedFilter(person="boss"))
    assert [(deed.what, deed.thing, deed.outcome, deed.via, deed.address) for deed in reversed(log)] == [
        ("key.new", "ann ci", "done", "key:k7", "::1"),
        ("person.password", "ann", "done", "key:k7", "::1"),
        ("session.link", "ann", "done", "key:k7", "::1"),
        ("person.change", "ann role=operator", "done", "key:k7", "::1"),
        ("person.delete", OWNER, "unusable", "key:k7", "::1"),
    ]
    for secret in (made.secret, PASSWORD, link.url.partition("code=")[2]):
        assert secret not in repr(log)


async def test_two_changes_at_once_are_both_made(host: Host) -> None:
    import asyncio

    boss = host.admin(caller("boss", "owner"))
    async with asyncio.TaskGroup() as group:
        group.create_task(boss.change_person("ann", PersonChange(role="operator")))
        group.create_task(boss.set_password("ann", PASSWORD))
        group.create_task(boss.change_person("ann", PersonChange(name="Ann")))
    ann = await host.accounts.person("ann")
    assert ann is not None
    assert (ann.role, ann.name, bool(ann.password)) == ("operator", "Ann", True)


async def test_the_last_two_owners_cant_both_go_at_once(host: Host) -> None:
    import asyncio

    for id in ("one", "two"):
        await host.accounts.put_person(Person(id, "owner", 1.0, namespace="elsewhere"))
    admin = host.admin(Caller("one", "owner", namespace="elsewhere"))

    async def go(id: str) -> bool:
        try:
            await admin.delete_person(id)
        except AgentHostError:
            return False
        return True

    assert sorted(await asyncio.gather(go("one"), go("two"))) == [False, True]


async def test_a_key_that_is_taken_back_takes_what_it_made_with_it(host: Host, reception: Reception) -> None:
    """Whoever found somebody's key has no way in left once it is taken back."""
    found = await reception.known("ann's secret", "::1")
    own = await reception.admin(found).make_key("first", "", (), 0.0)
    again = await reception.admin(await reception.known(own.secret, "::1")).make_key("second", "", (), 0.0)
    kept = await host.put_file("a.txt", b"a text of ann's")
    await host.accounts.own_file("default", "ann", kept.digest)
    link = await reception.api(await reception.known(again.secret, "::1")).link(Linked(kept.digest, time.time() + 3600))
    assert (await reception.linked(link, "::1"))[1].digest == kept.digest
    await reception.admin(caller("ann", "user")).revoke_key("k1")
    for secret in ("ann's secret", own.secret, again.secret):
        with pytest.raises(Unauthenticated):
            await reception.known(secret, "::1")
    with pytest.raises(NotFound, match="ended"):
        await reception.linked(link, "::1")


async def test_a_link_that_a_session_made_outlives_it(host: Host, reception: Reception) -> None:
    kept = await host.put_file("a.txt", b"a text of ann's")
    await host.accounts.own_file("default", "ann", kept.digest)
    link = await reception.api(caller("ann", "user")).link(Linked(kept.digest, time.time() + 3600))
    assert (await reception.linked(link, "::1"))[1].digest == kept.digest


async def test_who_is_erased_comes_in_no_more_from_that_moment(host: Host, reception: Reception) -> None:
    assert (await reception.known("ann's secret", "::1")).person == "ann"
    await host.erasure.person(Caller(), "ann")
    with pytest.raises(Unauthenticated):
        await reception.known("ann's secret", "::1")


async def test_an_id_is_nobodys_again_also_when_the_audit_log_is_trimmed(host: Host) -> None:
    await host.admin().delete_person("ann")
    await host._adapters.erasure.trim_audit(time.time() + 1)
    with pytest.raises(Conflict, match="was removed"):
        await host.admin().add_person(NewPerson("ann"))
