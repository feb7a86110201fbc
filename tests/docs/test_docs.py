"""The documentation can't lie: generated pages are fresh, manifests in it are valid, links lead to files."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from agenthost.cli.main import main
from agenthost.core.lifecycle import LIFECYCLE
from agenthost.host.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
BLOCKS = [
    pytest.param(kind, text, id=f"{page.name}-{index}")
    for page in PAGES
    for index, (kind, text) in enumerate(
        re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_and_the_lifecycle_are_documented_as_they_are() -> None:
    assert reference().stale() == [], "run: .venv/bin/python scripts/reference.py"
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert all(f"`{state}`" in page for state, after in LIFECYCLE.items() if after)


def test_every_variable_that_is_read_is_documented() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    read: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        read |= set(re.findall(r"\bAGENTHOST_[A-Z]+\b", text))
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", text))
    assert len(read) > 6
    assert {name for name in read - {"PATH"} if f"`{name}`" not in page} == set()


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_a_block_is_what_it_says(kind: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "toml":
        msgspec.convert(tomllib.loads(text), Settings)
    elif kind == "yaml":
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
        if all("kind" in one and "metadata" in one for one in documents):
            file = tmp_path / "manifest.yaml"
            file.write_text(text, encoding="utf-8")
            code = main(["--home", str(tmp_path / "home"), "validate", "-f", str(file)])
            assert code == 0, capsys.readouterr().out
    else:
        assert kind in ("sh", "console", "mermaid", "text", "json", "python", "http")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (DOCS / link).exists(), link
    written = {"bench/latest.json"}
    for name in re.findall(r"`((?:src|tests|scripts|bench|docs|examples)/[\w./-]+)`", text):
        assert name in written or (ROOT / name).exists(), name


def test_the_modules_that_the_architecture_names_are_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "agenthost"
    named = set(re.findall(r"`((?:core|engine|programs|stores|models|host|cli|testing|faces)/[\w./]+)`", text))
    assert len(named) > 8
    assert {name for name in named if not (source / name).exists()} == set()
    floors = set(re.findall(r"^\|[^|]*\| `([\w/]+)` \|", text, re.MULTILINE))
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    assert packages == {name.partition("/")[0] for name in floors}
