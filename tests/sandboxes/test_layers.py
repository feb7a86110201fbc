"""Packages are installed once, outside, from wheels only, and mounted read-only."""

from pathlib import Path

import pytest

from agenthost.core.errors import BadInput, Permanent
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.sandboxes.layers import Target, layer_key
from agenthost.testing.packages import META, PackagesSuite, index

__all__ = ["index"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class TestBubblewrap(PackagesSuite):
    pass


async def test_a_layer_has_the_name_of_its_key_and_a_failure_leaves_none(
    sandbox: Bubblewrap, cache: Path, index: Path
) -> None:
    with pytest.raises(Permanent):
        await sandbox.prepare(SandboxPolicy(packages=("no-such-package-here",)), lambda _: None)
    assert list((cache / "layers").iterdir()) == []
    await sandbox.prepare(SandboxPolicy(packages=("greeting",)), lambda _: None)
    assert [path.name for path in (cache / "layers").iterdir()] == [layer_key(["greeting"])]


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


def test_the_key_depends_on_the_packages_and_whose_they_are() -> None:
    assert layer_key(["b>=1", "a"]) == layer_key(["a", "b >= 1", "a"])
    assert layer_key(["a"]) != layer_key(["b"])
    assert layer_key([]) == layer_key([], Target("3.12.1", "x86_64-manylinux_2_36")) == ""
    assert layer_key(["a"], Target("3.12.1", "x86_64-manylinux_2_36")) != layer_key(["a"])
    with pytest.raises(BadInput, match="address"):
        layer_key(["x @ https://example.invalid/x.whl"])
