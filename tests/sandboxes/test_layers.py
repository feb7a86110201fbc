"""Packages are installed once, outside, from wheels only, and mounted read-only."""

import asyncio
import zipfile
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput, Permanent
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.sandboxes.layers import layer_key

META = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "greeting-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "def main():\n    print('hello from a wheel')\n")
        wheel.writestr("greeting-1.0.dist-info/METADATA", META.format(name="greeting"))
        wheel.writestr("greeting-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("greeting-1.0.dist-info/entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
        wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    settings = tmp_path / "uv.toml"
    settings.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


async def test_packages_are_there_as_module_and_command(sandbox: Bubblewrap, workspace: Path, index: Path) -> None:
    policy = SandboxPolicy(timeout=30, packages=("greeting>=1",))
    for argv in (
        ("python", "-c", "import greeting; greeting.main()"),
        ("sh", "-c", "greet"),
        ("sh", "-c", "exec python -c 'import greeting; greeting.main()'"),
    ):
        outcome = await sandbox.run(SandboxRun(argv, str(workspace), policy))
        assert outcome.stdout == b"hello from a wheel\n", outcome
    without = await sandbox.run(SandboxRun(("python", "-c", "import greeting"), str(workspace)))
    assert b"ModuleNotFoundError" in without.stderr
    write = await sandbox.run(
        SandboxRun(("sh", "-c", "echo x > /opt/agenthost/packages/greeting.py"), str(workspace), policy)
    )
    assert write.exit_code != 0


async def test_a_layer_is_installed_once(sandbox: Bubblewrap, cache: Path, index: Path) -> None:
    said: list[str] = []
    await asyncio.gather(*(sandbox.prepare(SandboxPolicy(packages=("greeting",)), said.append) for _ in range(5)))
    assert said == ["installing greeting", "installed greeting"]
    assert [path.name for path in (cache / "layers").iterdir()] == [layer_key(["greeting"])]
    (index / "greeting-1.0-py3-none-any.whl").unlink()
    await sandbox.prepare(SandboxPolicy(packages=("greeting", "greeting")), said.append)
    assert len(said) == 2


async def test_what_can_not_be_installed_is_told_in_the_installers_words(
    sandbox: Bubblewrap, cache: Path, index: Path
) -> None:
    with pytest.raises(Permanent, match="no-such-package-here") as caught:
        await sandbox.prepare(SandboxPolicy(packages=("no-such-package-here",)), lambda _: None)
    assert caught.value.code == "packages"
    assert list((cache / "layers").iterdir()) == []


async def test_a_source_package_is_not_built_on_the_host(sandbox: Bubblewrap, index: Path, tmp_path: Path) -> None:
    import io
    import tarfile

    ran = tmp_path / "ran"
    files = {
        "setup.py": f"open({str(ran)!r}, 'w')\nimport setuptools; setuptools.setup(name='evil', version='1.0')",
        "PKG-INFO": META.format(name="evil"),
    }
    with tarfile.open(index / "evil-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"evil-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    with pytest.raises(Permanent):
        await sandbox.prepare(SandboxPolicy(packages=("evil",)), lambda _: None)
    assert not ran.exists()


def test_the_key_depends_on_the_packages_alone() -> None:
    assert layer_key(["b>=1", "a"]) == layer_key(["a", "b >= 1", "a"])
    assert layer_key(["a"]) != layer_key(["b"])
    assert layer_key([]) == ""
    with pytest.raises(BadInput, match="address"):
        layer_key(["x @ https://example.invalid/x.whl"])
