"""agenthost.toml and the environment."""

from pathlib import Path

import pytest

from agenthost.core.errors import BadInput
from agenthost.host.settings import default_home, load


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert settings.folder == tmp_path and settings.work.attempts == 6 and settings.models.default == ""


def test_the_environment_stands_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "agenthost.toml").write_text('[models]\ndefault = "openai:a"\n[work]\nbackoff-most = 3\n')
    assert load(tmp_path, {}).models.default == "openai:a"
    assert load(tmp_path, {"AGENTHOST_MODEL": "openai:b"}).models.default == "openai:b"
    assert load(tmp_path, {"AGENTHOST_MODEL": ""}).models.default == "openai:a"
    assert load(tmp_path, {}).work.backoff_most == 3


def test_the_environment_names_the_sandbox(tmp_path: Path) -> None:
    assert load(tmp_path, {}).sandbox.kind == "auto"
    (tmp_path / "agenthost.toml").write_text('[sandbox]\nkind = "docker"\n')
    assert load(tmp_path, {}).sandbox.kind == load(tmp_path, {"AGENTHOST_SANDBOX": ""}).sandbox.kind == "docker"
    assert load(tmp_path, {"AGENTHOST_SANDBOX": "gvisor"}).sandbox.kind == "gvisor"


def test_the_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={"AGENTHOST_HOME": "here"}).folder == tmp_path / "here"
    assert default_home({}).name == "agenthost"
    assert default_home({"AGENTHOST_HOME": ""}) == default_home({})


def test_a_home_that_is_a_file_is_the_stores_to_report(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert load(tmp_path / "home", {}).work.attempts == 6


@pytest.mark.parametrize(
    "content, said",
    [
        (b"home = '/x'\n", "can't say where the home is; set AGENTHOST_HOME, or give --home"),
        (b"\xff\xfe", "can't be read: 'utf-8' codec"),
        (b"[work]\nbackoff = -1\n", "work.backoff: expected a number >= 0"),
        (b"work = 3\n", "work: expected a table, got a whole number"),
        (b"[tools]\na = 3\n", "tools[...]: expected a text, got a whole number"),
        (b"[models.providers.x]\nwire = 'telegraph'\n", "models.providers[...].wire: invalid enum value 'telegraph'"),
        (b"[models.names.fast]\nmodle = 'x'\n", "[models.names[...]] has no key 'modle'. Did you mean 'model'?"),
        (b"[sandbox]\nkid = 'x'\n", "[sandbox] has no key 'kid'. Did you mean 'kind'?"),
    ],
)
def test_what_can_not_be_used_is_told_with_file_and_key(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "agenthost.toml").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        load(tmp_path, {})
    assert caught.value.message.startswith(f"{tmp_path}/agenthost.toml ")
    assert said in caught.value.message, caught.value.message


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "agenthost.toml").mkdir()
    with pytest.raises(BadInput, match="can't be read"):
        load(tmp_path, {})
