"""`agenthost sandbox`, the command itself, against a real engine and a real (small) registry on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbeds.docker import IMAGE
from testbeds.registry import Registry, serving

from agenthost.cli.sandbox import dockerfile
from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings

TOP = Path(__file__).parents[2]


def command(home: Path, host: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AGENTHOST", "OPENAI"))}
    env |= {"AGENTHOST_HOME": str(home), "DOCKER_HOST": host}
    line = [sys.executable, "-m", "agenthost.cli", "sandbox", *words]
    return subprocess.run(line, env=env, text=True, capture_output=True, timeout=120, check=False)


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def name(tmp_path: Path) -> str:
    """An image's name that no other test has."""
    return "try-" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(range(1)) as registry:
        yield registry


def test_pull_fetches_an_image_and_tells_each_step(docker_engine: str, registry: Registry, tmp_path: Path) -> None:
    image = f"127.0.0.1:{registry.port}/greeting:1"
    done = command(tmp_path, docker_engine, "pull", image)
    assert done.returncode == 0, done
    assert "Pull complete" in done.stdout
    assert f"{image} is there" in done.stdout
    again = command(tmp_path, docker_engine, "pull", image, "--json")
    *steps, last = objects(again)
    assert any("up to date" in str(step["doing"]) for step in steps)
    assert (last["image"], str(last["id"])[:7]) == (image, "sha256:")


def test_pull_of_an_image_that_no_registry_has_fails(docker_engine: str, registry: Registry, tmp_path: Path) -> None:
    image = f"127.0.0.1:{registry.port}/nothing"
    done = command(tmp_path, docker_engine, "pull", image)
    assert done.returncode == 1, done
    assert "could not be pulled" in done.stderr


def test_a_bad_name_of_an_image_is_refused(docker_engine: str, tmp_path: Path) -> None:
    done = command(tmp_path, docker_engine, "pull", "No/Such//NAME")
    assert done.returncode == 2, done
    assert "is no name of an image" in done.stderr
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    done = command(tmp_path, docker_engine, "build", "--file", str(tmp_path / "Dockerfile"), "--name", "No//NAME")
    assert done.returncode == 2, done


async def test_what_the_default_dockerfile_makes_is_an_image_for_runs(docker_engine: str, tmp_path: Path) -> None:
    # Its packages come from the network, so here they are those of the tests' own image.
    steps = dockerfile().read_text().split("\n\n")
    steps[0] = ""
    (base,) = [at for at, step in enumerate(steps) if "apt-get" in step]
    steps[base] = f"FROM {IMAGE}"
    (tmp_path / "Dockerfile").write_text("\n\n".join(step for step in steps if "debian:bookworm-slim" not in step))
    image = name(tmp_path)
    done = command(tmp_path, docker_engine, "build", "--file", str(tmp_path / "Dockerfile"), "--name", image)
    assert done.returncode == 0, done
    assert "Step 1/" in done.stdout
    workspace = tmp_path / "workspaces" / "one"
    workspace.mkdir(parents=True)
    sandbox = Docker(DockerSettings(host=docker_engine, image=image, warm=0), workspace.parent, image)
    try:
        code = "import pytest, sys; open('made', 'w').write('x'); print(sys.version_info[0])"
        outcome = await sandbox.run(SandboxRun(("python", "-c", code), str(workspace), SandboxPolicy(timeout=30)))
        assert (outcome.exit_code, outcome.stdout) == (0, b"3\n"), outcome
        assert (workspace / "made").read_text() == "x"
    finally:
        await sandbox.close()


def test_build_tells_in_json_and_ends_with_the_image(docker_engine: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nLABEL made=here\n")
    done = command(
        tmp_path, docker_engine, "build", "--file", str(tmp_path / "Dockerfile"), "--name", name(tmp_path), "--json"
    )
    assert done.returncode == 0, done
    *steps, last = objects(done)
    assert str(steps[0]["doing"]).startswith("Step 1/2")
    assert last["image"] == name(tmp_path)


def test_a_step_that_fails_fails_the_build(docker_engine: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 7\n")
    done = command(tmp_path, docker_engine, "build", "--file", str(tmp_path / "Dockerfile"), "--name", name(tmp_path))
    assert done.returncode == 1, done
    assert "could not be built" in done.stderr
    assert "returned a non-zero code: 7" in done.stderr


@pytest.mark.parametrize("words", [["build"], ["pull", "debian"]])
def test_without_an_engine_it_says_how_to_get_one(tmp_path: Path, words: list[str]) -> None:
    done = command(tmp_path, f"unix://{tmp_path}/none.sock", *words)
    assert done.returncode == 2, done
    assert "There is no Docker or Podman here" in done.stderr
    assert "Start one" in done.stderr


def test_a_dockerfile_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = command(tmp_path, "", "build", "--file", str(tmp_path / "Dockerfile"))
    assert done.returncode == 2, done
    assert "Give a Dockerfile with --file" in done.stderr


def test_list_says_which_sandbox_can_be_used(docker_engine: str, tmp_path: Path) -> None:
    (tmp_path / "agenthost.toml").write_text(f'[sandbox]\nkind = "docker"\ndocker.image = "{IMAGE}"\ndocker.warm = 0\n')
    done = command(tmp_path, docker_engine, "list")
    assert done.returncode == 0, done
    assert done.stdout.startswith("yes\tsandbox")
    assert IMAGE in done.stdout


def test_list_exits_with_2_and_the_fix_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "agenthost.toml").write_text('[sandbox]\nkind = "docker"\n')
    done = command(tmp_path, f"unix://{tmp_path}/none.sock", "list", "--json")
    assert done.returncode == 2, done
    whole, *each = objects(done)[0] if isinstance(objects(done)[0], list) else objects(done)
    assert (whole["what"], whole["status"]) == ("sandbox", "fail")
    assert "docs/sandbox.md" in str(whole["fix"])
    assert {found["what"] for found in each} >= {"sandbox docker", "sandbox bubblewrap"}


def packages() -> set[str]:
    """What the default image is given."""
    text = dockerfile().read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if line.startswith("RUN apt-get")]
    words = line.partition("--no-install-recommends")[2].partition("&&")[0].split()
    assert words == sorted(words)
    return set(words)


def test_the_default_image_has_what_the_tests_image_has() -> None:
    (line,) = [
        line for line in (TOP / "scripts" / "docker.sh").read_text().splitlines() if line.startswith("PACKAGES=")
    ]
    assert set(line.removeprefix("PACKAGES=").split(",")) <= packages()


def test_the_default_image_has_what_the_docs_promise() -> None:
    page = (TOP / "docs" / "sandbox.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("The default image has ")]
    assert {word for word in line.split("`") if word in packages()} == packages()


def test_the_default_image_is_a_users_and_has_a_workspace() -> None:
    lines = dockerfile().read_text().splitlines()
    assert "FROM debian:bookworm-slim" in lines
    assert "WORKDIR /workspace" in lines
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")


def test_a_wheel_has_the_dockerfile_where_the_command_looks() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included[str(dockerfile().parent.relative_to(TOP))] == "agenthost/deploy/sandbox"
