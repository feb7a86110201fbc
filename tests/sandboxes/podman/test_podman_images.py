"""Images come to Podman as they come to Docker: built from a Dockerfile, or pulled from a registry."""

from pathlib import Path

import pytest
from testbeds.engines import IMAGE
from testbeds.registry import PLAIN, serving

from agenthost.core.errors import BadInput, Permanent
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.sandboxes.docker.images import Step, build, pull
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.testing.sandboxes import shell


async def test_an_image_is_built_told_and_used(
    podman_engine: str, sandbox: Docker, workspace: Path, tmp_path: Path
) -> None:
    steps: list[Step] = []
    dockerfile = f"FROM {IMAGE}\nRUN echo ours > /greeting\nHEALTHCHECK CMD touch /tmp/healthy\nVOLUME /data\n"
    made = await build(podman_engine, f"built-{tmp_path.name.lower()}", dockerfile.encode(), steps.append)
    assert [step.doing for step in steps if step.doing.startswith("STEP")][1] == "STEP 2/4: RUN echo ours > /greeting"
    assert made.size > 1_000_000
    line = "cat /greeting; touch /data/x || ls /tmp"
    outcome = await shell(sandbox, workspace, line, SandboxPolicy(timeout=30, image=made.image))
    assert outcome.stdout == b"ours\n", outcome
    assert b"Read-only" in outcome.stderr


@pytest.mark.parametrize(
    ("name", "dockerfile", "fault", "said"),
    [
        ("fails", f"FROM {IMAGE}\nRUN exit 7\n", Permanent, "fails could not be built: .*exit status 7"),
        ("No//Name", "FROM scratch\nLABEL a=b\n", BadInput, "refuses No//Name"),
        ("empty", "nothing", Permanent, "empty could not be built|refuses empty"),
    ],
)
async def test_an_image_that_can_not_be_built_is_told(
    podman_engine: str, name: str, dockerfile: str, fault: type[Exception], said: str
) -> None:
    with pytest.raises(fault, match=said):
        await build(podman_engine, name, dockerfile.encode(), lambda _: None)


async def test_an_image_is_pulled_from_a_registry_or_why_not_is_told(podman_engine: str) -> None:
    steps: list[Step] = []
    with serving(PLAIN) as registry:
        name = f"127.0.0.1:{registry.port}/greeting:1"
        assert (await pull(podman_engine, name, steps.append)).image == name
        assert steps
        with pytest.raises(Permanent, match="could not be pulled"):
            await pull(podman_engine, f"127.0.0.1:{registry.port}/nothing", steps.append)
    with pytest.raises(BadInput, match="is no name of an image"):
        await pull(podman_engine, "No/Such//NAME", steps.append)
