"""Passwords: kept as argon2id, checked in bounded memory, renewed where they were kept by weaker rules."""

import asyncio

import pytest
from argon2 import PasswordHasher

from agenthost.core.access import Person
from agenthost.core.errors import Temporary, Unauthenticated
from agenthost.host.entry import passwords
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.passwords import Passwords
from agenthost.host.entry.register import Register
from agenthost.host.entry.settings import AccessSettings
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts

PASSWORD = "correct horse battery"


async def test_a_password_is_kept_as_an_argon2id_hash_with_a_salt_of_its_own() -> None:
    made = Passwords()
    first, second = await made.hash(PASSWORD), await made.hash(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert first != second
    assert await made.check(first, PASSWORD) and await made.check(second, PASSWORD)
    for wrong in ("", PASSWORD + " ", PASSWORD.upper(), "x" * 5000, "\udcff", "\x00"):
        assert not await made.check(first, wrong)


async def test_one_password_typed_on_two_keyboards_is_one() -> None:
    made = Passwords()
    kept = await made.hash("caf\u00e9 au lait twice")
    assert await made.check(kept, "cafe\u0301 au lait twice")


async def test_what_is_kept_wrongly_lets_nobody_in() -> None:
    made = Passwords()
    for kept in ("", "plain text", PASSWORD, "$argon2id$v=19$m=65536,t=3,p=4$broken"):
        assert not await made.check(kept, PASSWORD)
        assert not await made.check(kept, "")


async def test_where_there_is_no_password_as_much_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Passwords()
    kept = await made.hash(PASSWORD)
    checked: list[str] = []
    original = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        checked.append(str(hash))
        return original(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    assert not await made.check("", PASSWORD)
    assert await made.check(kept, PASSWORD)
    nobody, known = checked
    assert nobody.rpartition("$")[0].rpartition("$")[0] == known.rpartition("$")[0].rpartition("$")[0]  # one cost


async def test_few_are_checked_at_once_few_wait_and_the_rest_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Passwords()
    kept = await made.hash(PASSWORD)
    here, most = 0, 0
    original = PasswordHasher.verify

    def verify(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        nonlocal here, most
        here += 1
        most = max(most, here)
        try:
            return original(self, hash, password)
        finally:
            here -= 1

    monkeypatch.setattr(PasswordHasher, "verify", verify)

    async def check() -> bool | None:
        try:
            return await made.check(kept, PASSWORD)
        except Temporary as error:
            assert error.code == "too-many" and error.delay
            return None

    found = await asyncio.gather(*(check() for _ in range(40)))
    assert found.count(True) == passwords.AT_ONCE + passwords.WAITING
    assert found.count(None) == 40 - passwords.AT_ONCE - passwords.WAITING
    assert most <= passwords.AT_ONCE
    assert await check()


async def test_who_gives_up_waiting_makes_room() -> None:
    made = Passwords()
    kept = await made.hash(PASSWORD)
    for _ in range(3):
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(made.check(kept, PASSWORD)) for _ in range(18)]
            await asyncio.sleep(0)
            for each in waiting:
                each.cancel()
    assert await made.check(kept, PASSWORD)


async def test_a_hash_by_weaker_rules_is_renewed_when_its_person_comes() -> None:
    accounts = MemoryAccounts(MemoryStore())
    entrance = Entrance(Register(accounts), AccessSettings())
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    await accounts.put_person(Person("ann", "user", 1.0, password=old))
    with pytest.raises(Unauthenticated):
        await entrance.by_password("ann", "wrong", "::1")
    assert (await accounts.person("ann")) == Person("ann", "user", 1.0, password=old)
    await entrance.by_password("ann", PASSWORD, "::1")
    ann = await accounts.person("ann")
    assert ann is not None and "m=65536,t=3,p=4" in ann.password
    await entrance.by_password("ann", PASSWORD, "::1")


async def test_tries_are_counted_for_each_address_and_for_each_person() -> None:
    accounts = MemoryAccounts(MemoryStore())
    entrance = Entrance(Register(accounts), AccessSettings(tries=2, address_tries=4, person_tries=3))

    async def wrong(person: str, address: str) -> str:
        try:
            await entrance.by_password(person, "wrong", address)
        except (Unauthenticated, Temporary) as error:
            return error.code
        return ""

    no, wait = "unauthenticated", "too-many"
    assert [await wrong("ann", "203.0.113.1") for _ in range(3)] == [no, no, wait]
    assert [await wrong("ann", "203.0.113.2") for _ in range(2)] == [wait, wait]  # three of hers, from anywhere
    assert [await wrong(f"p{n}", "203.0.113.3") for n in range(5)] == [no, no, no, no, wait]
    assert [await wrong("bob", f"2001:db8::{n}") for n in range(3)] == [no, no, wait]  # a /64 is one sender
