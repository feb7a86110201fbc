import asyncio
import json
import os
from pathlib import Path

import pytest

from agenthost.core.errors import NewerVersion, StoreDamaged
from agenthost.stores.secrets import FileSecrets, MemorySecrets
from agenthost.testing.secrets import VALUE, SecretsSuite


class TestFileSecrets(SecretsSuite):
    @pytest.fixture
    def secrets(self, tmp_path: Path) -> FileSecrets:
        return FileSecrets(tmp_path / "home")


class TestMemorySecrets(SecretsSuite):
    @pytest.fixture
    def secrets(self) -> MemorySecrets:
        return MemorySecrets()


async def test_nothing_on_disk_shows_the_value_and_only_the_owner_may_read(tmp_path: Path) -> None:
    await FileSecrets(tmp_path).set("a", VALUE)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert VALUE.encode() not in path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["secret.key", "secrets.json", "secrets.lock"]


async def test_another_object_on_the_same_home_reads_it(tmp_path: Path) -> None:
    await FileSecrets(tmp_path).set("a", VALUE)
    assert await FileSecrets(tmp_path).get("a") == VALUE


async def test_reading_an_empty_home_writes_nothing(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "home")
    assert await secrets.names() == [] and await secrets.get("a") is None
    assert not (tmp_path / "home").exists()


async def test_many_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    objects = [FileSecrets(tmp_path) for _ in range(4)]
    await asyncio.gather(*[objects[n % 4].set(f"n{n}", f"value-{n}") for n in range(24)])
    assert {name: await objects[0].get(name) for name in await objects[0].names()} == {
        f"n{n}": f"value-{n}" for n in range(24)
    }


async def test_a_wrong_key_is_told_and_nothing_is_sealed_with_it(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", VALUE)
    before = (tmp_path / "secrets.json").read_bytes()
    (tmp_path / "secret.key").write_bytes(os.urandom(32))
    with pytest.raises(StoreDamaged, match="not the key that sealed it.*backup"):
        await secrets.get("a")
    with pytest.raises(StoreDamaged, match="not the key"):
        await secrets.set("b", "x")
    assert (tmp_path / "secrets.json").read_bytes() == before


async def test_a_missing_key_is_told_and_no_new_one_is_made(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", VALUE)
    (tmp_path / "secret.key").unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        await secrets.get("a")
    with pytest.raises(StoreDamaged, match="missing"):
        await secrets.set("b", "x")
    assert not (tmp_path / "secret.key").exists()


async def test_a_short_key_is_told(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", VALUE)
    (tmp_path / "secret.key").write_bytes(b"")
    with pytest.raises(StoreDamaged, match="0 bytes where 32"):
        await secrets.get("a")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"secrets": {"a": 1}}', b"\xff\xfe"])
async def test_a_damaged_file_is_told(tmp_path: Path, body: bytes) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", VALUE)
    (tmp_path / "secrets.json").write_bytes(body)
    with pytest.raises(StoreDamaged, match="damaged.*backup"):
        await secrets.names()


@pytest.mark.parametrize("sealed", ["", "AAAA", "no base 64!", "A" * 64])
async def test_a_damaged_value_is_told_and_others_are_read(tmp_path: Path, sealed: str) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", VALUE)
    await secrets.set("b", "other")
    body = json.loads((tmp_path / "secrets.json").read_bytes())
    body["secrets"]["a"] = sealed
    (tmp_path / "secrets.json").write_text(json.dumps(body))
    with pytest.raises(StoreDamaged, match="the secret 'a'"):
        await secrets.get("a")
    assert await secrets.get("b") == "other"


async def test_values_swapped_in_the_file_are_not_opened(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path)
    await secrets.set("a", "first value")
    await secrets.set("b", "second value")
    body = json.loads((tmp_path / "secrets.json").read_bytes())
    body["secrets"] = {"a": body["secrets"]["b"], "b": body["secrets"]["a"]}
    (tmp_path / "secrets.json").write_text(json.dumps(body))
    with pytest.raises(StoreDamaged):
        await secrets.get("a")


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"version": 2, "secrets": {}}')
    with pytest.raises(NewerVersion, match="upgrade"):
        await FileSecrets(tmp_path).set("a", VALUE)
