"""What Podman is other than Docker: how it is known and found, its runtimes, what it leaves, and one of an ordinary user."""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import urlencode

import aiodocker
import pytest
from testbeds.asking import ask
from testbeds.engines import IMAGE

from agenthost.core.sandboxes import SandboxPolicy, SandboxRun
from agenthost.sandboxes.docker.engine import places, reach
from agenthost.sandboxes.docker.meeting import meet
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.testing.sandboxes import POLICY, python, shell


def folder(engine: str) -> Path:
    return Path(engine.removeprefix("unix://")).parent


def containers(engine: str, home: str) -> list[object]:
    query = urlencode({"all": "1", "filters": json.dumps({"label": [f"agenthost.home={home}"]})})
    return json.loads(ask(folder(engine), "GET", f"/v1.41/containers/json?{query}")[1])


async def test_podman_is_told_from_docker(podman_engine: str, docker_engine: str) -> None:
    for engine, podman in ((podman_engine, True), (docker_engine, False)):
        docker = aiodocker.Docker(url=engine)
        try:
            assert await meet(docker) is podman
            assert docker.api_version.startswith("v1.")
        finally:
            await docker.close()


async def test_podmans_socket_of_an_ordinary_user_is_found(
    podman_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "podman" / "podman.sock"
    link.parent.mkdir()
    link.symlink_to(podman_engine.removeprefix("unix://"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert f"unix://{link}" in places("")
    assert places(podman_engine) == [podman_engine]
    docker = await reach(f"unix://{link}")
    await docker.close()


async def test_another_runtime_than_podmans_own_is_refused(podman_engine: str, workspace: Path) -> None:
    """Its Docker API would take the name and ignore it: no kernel of its own where `runsc` was asked for."""
    sandbox = Docker(
        DockerSettings(host=podman_engine, image=IMAGE, warm=0, runtime="runsc"), workspace.parent, "other"
    )
    try:
        said = await sandbox.available()
        assert not said.available
        assert "runs every container with crun, not runsc" in said.detail
    finally:
        await sandbox.close()


@pytest.mark.parametrize("runtime", ["", "crun"])
async def test_containers_have_podmans_own_runtime(podman_engine: str, workspace: Path, runtime: str) -> None:
    home = f"test-{os.getpid()}-{id(workspace)}"
    sandbox = Docker(DockerSettings(host=podman_engine, image=IMAGE, warm=0, runtime=runtime), workspace.parent, home)
    try:
        assert (await shell(sandbox, workspace, "id -u")).stdout == b"60321\n"
        (made,) = await asyncio.to_thread(containers, podman_engine, home)
        assert isinstance(made, dict)
        about = json.loads(
            (
                await asyncio.to_thread(
                    ask, folder(podman_engine), "GET", f"/v4.0.0/libpod/containers/{made['Id']}/json"
                )
            )[1]
        )
        assert about["OCIRuntime"] == "crun"
    finally:
        await sandbox.close()
    assert await asyncio.to_thread(containers, podman_engine, home) == []


async def test_only_what_is_emptied_between_runs_can_be_written(sandbox: Docker, workspace: Path) -> None:
    """Podman would put writable memory on /run and /var/tmp of a read-only root; crun leaves a place of cgroups of version 1."""
    line = "find / -xdev -writable -type d 2>/dev/null; for d in $(cut -d' ' -f5 /proc/self/mountinfo); do test -d $d -a -w $d && echo $d; done"
    writable = set((await shell(sandbox, workspace, line)).stdout.decode().split())
    assert writable <= {"/workspace", "/tmp", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"}
    kept = [place for place in writable if place not in ("/workspace", "/dev/mqueue")]
    line = "; ".join(
        f"mkdir -p {place}/left/deep; touch {place}/left/deep/file; chmod 0 {place}/left" for place in kept
    )
    assert (await shell(sandbox, workspace, line)).exit_code == 0
    said = await shell(sandbox, workspace, f"find {' '.join(kept)} -name left; id -u")
    assert (said.stdout, said.stderr) == (b"60321\n", b"")


async def test_nothing_of_a_container_is_left(podman_engine: str, workspace: Path) -> None:
    home = f"test-{os.getpid()}-{id(workspace)}"
    before = json.loads((await asyncio.to_thread(ask, folder(podman_engine), "GET", "/volumes"))[1])["Volumes"] or []
    sandbox = Docker(DockerSettings(host=podman_engine, image=IMAGE, warm=1), workspace.parent, home)
    try:
        assert (await python(sandbox, workspace, "print(1)")).stdout == b"1\n"
        (container,) = [
            each for each in await asyncio.to_thread(containers, podman_engine, home) if isinstance(each, dict)
        ][:1]
        volume = next(mount["Name"] for mount in container["Mounts"] if mount["Destination"] == "/workspace")
    finally:
        await sandbox.close()
    assert await asyncio.to_thread(containers, podman_engine, home) == []
    after = json.loads((await asyncio.to_thread(ask, folder(podman_engine), "GET", "/volumes"))[1])["Volumes"] or []
    assert volume not in [each["Name"] for each in after]
    assert volume not in [each["Name"] for each in before]


async def test_podman_of_an_ordinary_user_works_where_it_can_limit_and_is_refused_where_not(
    rootless_engine: str, workspace: Path
) -> None:
    info = json.loads((await asyncio.to_thread(ask, folder(rootless_engine), "GET", "/info"))[1])
    assert info["Rootless"] is True
    home = f"test-{os.getpid()}-{id(workspace)}"
    sandbox = Docker(DockerSettings(host=rootless_engine, image=IMAGE, warm=0), workspace.parent, home)
    try:
        said = await sandbox.available()
        if info["CgroupVersion"] == "1":
            assert not said.available
            assert "can't limit memory and processes" in said.detail
            assert "cgroups v2" in said.detail
            return
        assert said.available, said
        done = await sandbox.run(SandboxRun(("sh", "-c", "id -u; touch made"), str(workspace), POLICY))
        assert (done.exit_code, done.stdout) == (0, b"60321\n")
        bomb = await shell(
            sandbox, workspace, "for n in $(seq 60); do sleep 5 & done", SandboxPolicy(timeout=20, processes=20)
        )
        assert b"fork" in bomb.stderr.lower()
    finally:
        await sandbox.close()
