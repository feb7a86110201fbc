"""The host's key pair: made once, readable by its owner alone, good for signatures and seals."""

import asyncio
import stat
from pathlib import Path

import jwt
import pytest

from agenthost.core.errors import StoreDamaged
from agenthost.host.identity import FILE, identity


async def test_it_is_made_once_also_by_several_at_once(tmp_path: Path) -> None:
    made = await asyncio.gather(*(identity(tmp_path) for _ in range(8)))
    assert len({one.id for one in made}) == 1
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert (await identity(tmp_path)).public == made[0].public


@pytest.mark.parametrize("content", ["", "nonsense"])
async def test_a_file_that_is_no_key_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(StoreDamaged, match="back-up"):
        await identity(tmp_path)


async def test_its_tokens_verify_with_its_public_key_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = await identity(tmp_path / "a"), await identity(tmp_path / "b")
    token = one.token({"aud": "x", "task": "t"})
    claims = jwt.decode(token, jwt.PyJWK(one.public), ["EdDSA"], audience="x")
    assert claims["task"] == "t" and claims["iss"] == one.id and claims["exp"] - claims["iat"] == 300
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(other.public), ["EdDSA"], audience="x")


async def test_what_it_seals_it_alone_can_read_and_only_for_the_same_thing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = await identity(tmp_path / "a"), await identity(tmp_path / "b")
    sealed = one.seal("a secret", "t1/token")
    assert "secret" not in sealed and sealed != one.seal("a secret", "t1/token")
    assert one.unseal(sealed, "t1/token") == "a secret"
    assert one.seal("", "x") == one.unseal("", "x") == ""
    for who, what, about in ((other, sealed, "t1/token"), (one, sealed, "t2/token"), (one, sealed[:-4], "t1/token")):
        with pytest.raises(StoreDamaged):
            who.unseal(what, about)
