"""The conformance suite of packages in a sandbox: every sandbox that installs them passes it.

Subclass `PackagesSuite` in a test module, import the fixture `index`, and give the fixtures `sandbox` (ready to run,
with a cache of its own) and `workspace` (an empty folder that it accepts).
"""

import asyncio
import zipfile
from pathlib import Path

import pytest

from agenthost.core.errors import Permanent
from agenthost.core.ports import Sandbox
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun

META = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_POLICY = SandboxPolicy(timeout=30, packages=("greeting>=1",))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only index: `greeting`, and a `pytest` that is none."""
    folder = tmp_path / "index"
    folder.mkdir()
    greeting = "def main():\n    print('hello from a wheel')\n"
    _wheel(folder, "greeting", greeting, "[console_scripts]\ngreet = greeting:main\n")
    _wheel(folder, "pytest", "print('another pytest')\n", "")
    settings = tmp_path / "uv.toml"
    settings.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_NO_CACHE", "1")
    return folder


def _wheel(folder: Path, name: str, code: str, commands: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", code)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", META.format(name=name))
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", _WHEEL)
        wheel.writestr(f"{name}-1.0.dist-info/entry_points.txt", commands)
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


class PackagesSuite:
    """What a sandbox must do for a policy with packages."""

    async def test_packages_are_there_as_module_and_command(
        self, sandbox: Sandbox, workspace: Path, index: Path
    ) -> None:
        for argv in (
            ("python", "-c", "import greeting; greeting.main()"),
            ("sh", "-c", "greet"),
            ("sh", "-c", "exec python -c 'import greeting; greeting.main()'"),
            ("sh", "-c", "PYTHONPATH=/nowhere python -c 'import greeting; greeting.main()'"),
        ):
            outcome = await sandbox.run(SandboxRun(argv, str(workspace), _POLICY))
            assert outcome.stdout == b"hello from a wheel\n", outcome
        without = await sandbox.run(SandboxRun(("python", "-c", "import greeting"), str(workspace)))
        assert b"ModuleNotFoundError" in without.stderr
        line = "echo x > /opt/agenthost/packages/greeting.py"
        write = await sandbox.run(SandboxRun(("sh", "-c", line), str(workspace), _POLICY))
        assert write.exit_code != 0

    async def test_a_run_may_bring_another_version_of_what_is_there(
        self, sandbox: Sandbox, workspace: Path, index: Path
    ) -> None:
        policy = SandboxPolicy(timeout=30, packages=("pytest",))
        outcome = await sandbox.run(SandboxRun(("python", "-c", "import pytest"), str(workspace), policy))
        assert outcome.stdout == b"another pytest\n", outcome

    async def test_packages_are_installed_once(self, sandbox: Sandbox, workspace: Path, index: Path) -> None:
        said: list[str] = []
        await asyncio.gather(*(sandbox.prepare(SandboxPolicy(packages=("greeting",)), said.append) for _ in range(5)))
        assert said == ["installing greeting", "installed greeting"]
        (index / "greeting-1.0-py3-none-any.whl").unlink()
        await sandbox.prepare(SandboxPolicy(packages=("greeting", "greeting")), said.append)
        assert len(said) == 2

    async def test_what_can_not_be_installed_is_told_in_the_installers_words(
        self, sandbox: Sandbox, index: Path
    ) -> None:
        with pytest.raises(Permanent, match="no-such-package-here") as caught:
            await sandbox.prepare(SandboxPolicy(packages=("no-such-package-here",)), lambda _: None)
        assert caught.value.code == "packages"
