from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import demo
from agenthost.cli.screen import Screen
from agenthost.models import detect
from tests.cli.fakes import FakeHost
from tests.cli.recorded import ROOT, sketch_to_code

LOCAL = [
    detect.Found("ollama", "http://127.0.0.1:11434/v1", (detect.Served("qwen3"), detect.Served("llama3.2-vision")))
]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[detect.Found]:
    """What runs on this machine."""
    found: list[detect.Found] = []

    async def find(*_: Any) -> list[detect.Found]:
        return found

    monkeypatch.setattr(detect, "find", find)
    return found


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "examples" / "sketch-to-code"
    place.mkdir(parents=True)
    (place / "workflow.yaml").write_text("apiVersion: agenthost.dev/v1alpha1\nkind: Workflow\n")
    (place / "demo.playbook").write_text("name: sketch-to-code\nrules: []\n")
    (place / "sketch.png").write_bytes(b"\x89PNG")
    monkeypatch.setattr(demo, "examples", lambda: place.parent)
    for name in ("AGENTHOST_MODEL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return place


async def test_without_a_model_it_says_plainly_that_a_scripted_one_plays(
    run: Any, capsys: Any, servers: list[Any], example: Path, tmp_path: Path
) -> None:
    host = FakeHost(sketch_to_code())
    assert await run(host, "demo", "--out", str(tmp_path / "out")) == 0
    assert host.orders[0].model == f"scripted:{example}/demo.playbook"
    assert host.orders[0].inputs["sketch"].name == "sketch.png"
    out = capsys.readouterr().out
    assert "*scripted* model plays: fixed replies, written by us" in out
    assert "sandbox, the failure, the repair and the check" in out
    assert "&& python3 " in out
    assert (tmp_path / f"{ROOT}.zip").read_bytes() == b"PK zip"


async def test_only_manifests_of_the_example_are_applied(
    run: Any, capsys: Any, servers: list[Any], example: Path, tmp_path: Path
) -> None:
    taken: list[str] = []

    class Taking(FakeHost):
        async def apply(self, texts: dict[str, str], dry_run: bool = False, by: str = "") -> Any:
            taken.extend(texts)
            return await super().apply(texts, dry_run)

    await run(Taking(sketch_to_code()), "demo", "--out", str(tmp_path / "out"))
    assert [Path(name).name for name in taken] == ["workflow.yaml"]


@pytest.mark.parametrize(
    ("asked", "environ", "secrets", "model"),
    [
        ("openai:x", {"OPENAI_API_KEY": "k"}, [], "openai:x"),
        ("", {"AGENTHOST_MODEL": "ollama:y"}, [], "ollama:y"),
        ("", {"OPENAI_API_KEY": "k"}, [], ""),
        ("", {}, ["OPENAI_API_KEY"], ""),
    ],
)
async def test_a_model_that_was_asked_for_or_set_is_used(
    servers: list[Any], asked: str, environ: dict[str, str], secrets: list[str], model: str
) -> None:
    choice = await demo.choose(asked, environ, secrets, Screen())
    assert choice is not None and choice.model == model and choice.why


async def test_a_local_server_is_named_with_the_command_that_uses_it(servers: list[Any], capsys: Any) -> None:
    servers += LOCAL
    assert await demo.choose("", {}, [], Screen()) is None
    assert "AGENTHOST_MODEL=ollama:llama3.2-vision agenthost demo" in capsys.readouterr().out


async def test_a_local_server_is_used_where_the_person_agrees(
    servers: list[Any], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers += LOCAL
    monkeypatch.setattr(demo, "_agreed", lambda screen, question: "llama3.2-vision" in question)
    choice = await demo.choose("", {}, [], Screen())
    assert choice is not None and choice.model == "ollama:llama3.2-vision"
