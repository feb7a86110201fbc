"""The conformance suite of `core.access.Accounts`. Subclass `AccountsSuite` and give it fixtures `accounts` and `store`
(of one and the same thing, open)."""

import pytest
from msgspec.structs import replace

from agenthost.core.access import Accounts, Deed, DeedFilter, Key, Person
from agenthost.core.errors import Conflict
from agenthost.core.events import VERSION
from agenthost.core.ports import NewTask, Store, StoredEvent
from agenthost.core.tasks import TaskRow

ANN = Person("ann", "user", 1.0, "Ann", password="$argon2id$x")
BOB = Person("bob", "operator", 2.0, subject="https://id.example 17")


def _key(id: str, person: str, expires: float = 0.0) -> Key:
    return Key(id, person, f"digest of {id}", 3.0, f"key {id}", ("read", "work"), expires, "wxyz")


class AccountsSuite:
    """What every keeper of accounts does."""

    async def test_people_are_kept_as_they_are_and_changed_by_id(self, accounts: Accounts) -> None:
        assert await accounts.person("ann") is None
        await accounts.put_person(ANN)
        await accounts.put_person(BOB)
        assert await accounts.person("ann") == ANN
        changed = Person("ann", "read-only", 1.0, "Ann B.", disabled=True)
        await accounts.put_person(changed)
        assert await accounts.people() == [changed, BOB]
        assert await accounts.people("elsewhere") == []

    async def test_a_subject_is_one_persons(self, accounts: Accounts) -> None:
        await accounts.put_person(BOB)
        assert await accounts.person_of(BOB.subject) == BOB
        assert await accounts.person_of("https://id.example 18") is None
        with pytest.raises(Conflict, match="another person's"):
            await accounts.put_person(Person("eve", "user", 4.0, subject=BOB.subject))
        assert await accounts.person("eve") is None
        await accounts.put_person(Person("carl", "user", 4.0))
        await accounts.put_person(Person("dora", "user", 4.0))  # two without any

    async def test_a_key_is_found_by_its_digest_with_whose_it_is(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        await accounts.put_key(_key("k1", "ann"))
        await accounts.put_key(_key("k2", "ann", expires=50.0))
        assert await accounts.key("digest of k1") == (_key("k1", "ann"), ANN)
        assert await accounts.key("digest of k3") is None
        assert await accounts.keys("ann") == [_key("k1", "ann"), _key("k2", "ann", 50.0)]
        assert await accounts.keys("bob") == []

    async def test_a_key_is_taken_back_by_its_person_alone(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        await accounts.put_key(_key("k1", "ann"))
        assert not await accounts.delete_key("bob", "k1")
        assert await accounts.key("digest of k1") is not None
        assert await accounts.delete_key("ann", "k1")
        assert await accounts.key("digest of k1") is None
        assert not await accounts.delete_key("ann", "k1")

    async def test_a_key_lasts_longer_and_one_that_has_gone_doesnt_come_back(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        await accounts.put_key(_key("k1", "ann", expires=50.0))
        assert await accounts.extend_key("k1", 90.0)
        assert await accounts.keys("ann") == [_key("k1", "ann", expires=90.0)]
        assert await accounts.delete_key("ann", "k1")
        assert not await accounts.extend_key("k1", 100.0)
        assert await accounts.keys("ann") == []

    async def test_a_key_goes_with_the_one_that_it_was_made_with(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        await accounts.put_person(replace(ANN, id="bob"))
        for id, person, maker in (("k1", "ann", ""), ("k2", "ann", "k1"), ("k3", "bob", "k2"), ("k4", "ann", "")):
            await accounts.put_key(replace(_key(id, person), maker=maker))
        assert not await accounts.delete_key("bob", "k1")
        assert await accounts.delete_key("ann", "k1")
        assert [key.id for key in (*await accounts.keys("ann"), *await accounts.keys("bob"))] == ["k4"]

    async def test_what_has_expired_is_swept(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        for id, expires in (("k1", 0.0), ("k2", 50.0), ("k3", 51.0)):
            await accounts.put_key(_key(id, "ann", expires))
        assert await accounts.sweep(50.0) == 1
        assert [key.id for key in await accounts.keys("ann")] == ["k1", "k3"]

    async def test_somebody_who_is_removed_leaves_no_key(self, accounts: Accounts) -> None:
        await accounts.put_person(ANN)
        await accounts.put_key(_key("k1", "ann"))
        assert await accounts.delete_person("ann")
        assert not await accounts.delete_person("ann")
        assert await accounts.person("ann") is None
        assert await accounts.key("digest of k1") is None

    async def test_the_audit_log_is_read_newest_first_in_pages_and_by_what_is_wanted(self, accounts: Accounts) -> None:
        deeds = [Deed(float(n), "ann" if n % 2 else "bob", "task.start", f"t{n}", "key:k1", "::1") for n in range(5)]
        await accounts.note(deeds[:3])
        await accounts.note([])
        await accounts.note(deeds[3:])
        found = await accounts.deeds(DeedFilter(limit=2))
        assert [deed.thing for deed in found] == ["t4", "t3"]
        rest = await accounts.deeds(DeedFilter(before=found[-1].place))
        assert [deed.thing for deed in rest] == ["t2", "t1", "t0"]
        assert [deed.thing for deed in await accounts.deeds(DeedFilter(person="ann"))] == ["t3", "t1"]
        assert [deed.thing for deed in await accounts.deeds(DeedFilter(thing="t2", what="task.start"))] == ["t2"]
        assert await accounts.deeds(DeedFilter(namespace="elsewhere")) == []
        assert await accounts.deeds(DeedFilter(what="task.cancel")) == []

    async def test_a_file_is_theirs_who_gave_it_or_whose_task_holds_it(self, accounts: Accounts, store: Store) -> None:
        await accounts.own_file("default", "ann", "sha256:given")
        await accounts.own_file("default", "ann", "sha256:given")
        row = TaskRow("t1", "agent", "a", "submitted", 1.0, 1.0, person="bob", root="t1")
        await store.create(NewTask(row, StoredEvent(1, 1.0, "created", VERSION, b"{}")), files={"f": "sha256:held"})
        told = {
            (person, digest): await accounts.has_file("default", person, digest)
            for person in ("ann", "bob", "")
            for digest in ("sha256:given", "sha256:held", "sha256:none")
        }
        assert {wanted for wanted, has in told.items() if has} == {
            ("ann", "sha256:given"),
            ("bob", "sha256:held"),
            ("", "sha256:given"),
            ("", "sha256:held"),
        }
        assert not await accounts.has_file("elsewhere", "ann", "sha256:given")
