"""A container's life in an engine: whose it is, how it may end, and what images may be."""

import asyncio
import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiodocker
import pytest
from aiodocker.containers import DockerContainer
from testbeds.docker import DOCKER, IMAGE
from testbeds.engines import base_of_run, folder_of
from testbeds.engines import end as end_engine
from testbeds.engines import engine as own_engine

from agenthost.core.errors import Temporary, Unavailable
from agenthost.core.sandboxes import MIB, SandboxPolicy, SandboxRun
from agenthost.sandboxes import owners
from agenthost.sandboxes.attached.pool import size_of
from agenthost.sandboxes.docker.container import HOME_LABEL, OWNER_LABEL, Make, config
from agenthost.sandboxes.docker.ends import labelled, why_it_ended
from agenthost.sandboxes.docker.engine import Engine
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
from agenthost.testing.sandboxes import python, shell


@pytest.fixture
async def docker(docker_engine: str) -> AsyncIterator[aiodocker.Docker]:
    async with aiodocker.Docker(url=docker_engine) as docker:
        yield docker


@pytest.fixture
def home(tmp_path: Path) -> str:
    return f"home-{os.getpid()}-{tmp_path.name}"


def owner(alive: bool) -> tuple[str, subprocess.Popen[str]]:
    """How a process tells of itself; it waits to be ended, or has ended."""
    code = "from agenthost.sandboxes import owners; print(owners.this().label, flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    label = process.stdout.readline().strip()
    if not alive:
        process.kill()
        process.wait()
    return label, process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


async def container_of(docker: aiodocker.Docker, home: str, owner: str) -> str:
    body = {"Image": IMAGE, "Cmd": ["sleep", "300"], "Labels": {HOME_LABEL: home, OWNER_LABEL: owner}}
    container = await docker.containers.create(body)
    await container.start()
    return container.id


async def ids(docker: aiodocker.Docker, home: str) -> set[str]:
    return {container.id for container, _ in await labelled(docker, HOME_LABEL, home)}


async def test_what_is_left_of_dead_hosts_goes_and_what_living_ones_have_stays(
    docker_engine: str, docker: aiodocker.Docker, home: str
) -> None:
    dead, was = await asyncio.to_thread(owner, False)
    alive, other = await asyncio.to_thread(owner, True)
    elsewhere = alive.replace(alive.split()[0], "another-host", 1)
    reborn = alive.rsplit(" ", 1)[0] + " 12345"  # its pid is somebody else's by now
    kept = [await container_of(docker, home, label) for label in (alive, elsewhere)]
    kept.append(await container_of(docker, f"{home}-other", dead))
    gone = [await container_of(docker, home, label) for label in (dead, reborn, "")]
    engine = Engine(docker_engine, IMAGE, home, "runc")
    try:
        await engine.open()
        assert await ids(docker, home) == set(kept[:2])
        await engine.close()
        assert await ids(docker, home) == set(kept[:2])  # what it hasn't made, it doesn't remove
        assert await ids(docker, f"{home}-other") == {kept[2]}
    finally:
        for id in kept + gone:
            try:
                await docker.containers.container(id).delete(force=True)
            except aiodocker.DockerError:
                pass
        end(was)
        end(other)


def test_a_process_knows_itself_and_no_other() -> None:
    label = owners.this().label
    assert not owners.gone(label)
    assert owners.gone(label.rsplit(" ", 1)[0] + " 1")
    assert owners.gone("")
    assert not owners.gone("some-other-machine b s 1 1")


async def test_a_killed_hosts_container_ends_by_itself(
    docker_engine: str, docker: aiodocker.Docker, home: str, workspaces: Path, workspace: Path
) -> None:
    code = f"""
import asyncio
from pathlib import Path
from agenthost.core.sandboxes import SandboxRun
from agenthost.sandboxes.docker.sandbox import Docker
from agenthost.sandboxes.docker.settings import DockerSettings
async def main():
    sandbox = Docker(DockerSettings(host={docker_engine!r}, image={IMAGE!r}, warm=0, runtime="runc"), Path({str(workspaces)!r}), {home!r})
    await sandbox.run(SandboxRun(("true",), {str(workspace)!r}))
    print("ran", flush=True)
    await sandbox.run(SandboxRun(("sleep", "100"), {str(workspace)!r}))
asyncio.run(main())
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert host.stdout is not None
    with host.stdout:
        assert await asyncio.to_thread(host.stdout.readline) == b"ran\n"
        assert len(await ids(docker, home)) == 1
        host.kill()
        host.wait()
    for _ in range(600):
        if not await ids(docker, home):
            break
        await asyncio.sleep(0.05)
    assert await ids(docker, home) == set()


@pytest.fixture
async def mine(docker_engine: str, home: str, workspaces: Path) -> AsyncIterator[Docker]:
    sandbox = Docker(DockerSettings(host=docker_engine, image=IMAGE, warm=0, runtime="runc"), workspaces, home)
    yield sandbox
    await sandbox.close()


async def test_a_container_that_is_killed_is_a_temporary_failure_and_the_next_run_works(
    docker: aiodocker.Docker, home: str, mine: Docker, workspace: Path
) -> None:
    (workspace / "kept").write_text("x")
    assert (await shell(mine, workspace, "ls")).stdout == b"kept\n"
    run = asyncio.get_running_loop().create_task(shell(mine, workspace, "sleep 60"))
    await asyncio.sleep(0.5)
    (id,) = await ids(docker, home)
    await docker.containers.container(id).kill()
    with pytest.raises(Temporary, match="ended during this run") as caught:
        await run
    assert caught.value.code == "sandbox"
    assert (await shell(mine, workspace, "ls")).stdout == b"kept\n"
    assert id not in await ids(docker, home)


async def test_memory_in_files_of_two_places_ends_the_run_for_memory(mine: Docker, workspace: Path) -> None:
    """Each may hold as much as the policy says, both together not; should the kernel end the first process too, it is told the same."""
    policy = SandboxPolicy(timeout=30, memory=48 * MIB, disk=64 * MIB)
    line = "head -c 60M /dev/zero > /tmp/a & head -c 60M /dev/zero > /dev/shm/b & wait; sleep 20"
    for _ in range(2):
        outcome = await shell(mine, workspace, line, policy)
        assert outcome.limit == "memory", outcome
    assert (await python(mine, workspace, "print(1)", policy)).stdout == b"1\n"


async def first(docker: aiodocker.Docker, code: str) -> DockerContainer:
    """A container as rooms are, with another first process; started."""
    body = config(Make(IMAGE, "/usr/bin:/bin", {}), size_of(SandboxPolicy(memory=64 * MIB)))
    body |= {"Entrypoint": ["python3", "-c", code], "Volumes": {}}
    container = await docker.containers.create(body)
    await container.start()
    return container


async def test_why_a_container_ended_is_known_when_it_is_removed_already(docker: aiodocker.Docker) -> None:
    greedy = await first(docker, "kept = []\nwhile True: kept.append(b'x' * 1_000_000)")
    patient = await first(docker, "import time; time.sleep(100)")
    await patient.kill()
    for container in (greedy, patient):
        for _ in range(600):
            try:
                await container.show()
            except aiodocker.DockerError:
                break
            await asyncio.sleep(0.05)
    assert await why_it_ended(patient) == ""
    assert await why_it_ended(greedy) == "memory"


async def test_an_engine_that_starts_again_costs_the_run_and_no_more(
    docker_engine: str, workspaces: Path, workspace: Path
) -> None:
    folder = folder_of(base_of_run(), DOCKER)
    address = await asyncio.to_thread(own_engine, DOCKER, folder, os.getpid())
    sandbox = Docker(DockerSettings(host=address, image=IMAGE, warm=0, runtime="runc"), workspaces, "restarts")
    try:
        (workspace / "kept").write_text("x")
        assert (await shell(sandbox, workspace, "ls")).stdout == b"kept\n"
        run = asyncio.get_running_loop().create_task(shell(sandbox, workspace, "sleep 100"))
        await asyncio.sleep(0.5)
        os.kill(int((folder / "keeper.pid").read_text()), signal.SIGHUP)
        with pytest.raises(Temporary):
            await run
        for _ in range(300):
            try:
                outcome = await shell(sandbox, workspace, "ls")
                break
            except (Unavailable, Temporary):  # it isn't back yet, or goes just now
                await asyncio.sleep(0.2)
        else:
            pytest.fail("the engine didn't come back")
        assert outcome.stdout == b"kept\n"
    finally:
        await sandbox.close()
        await asyncio.to_thread(end_engine, folder)


# --- images --------------------------------------------------------------------------------------


async def image(docker: aiodocker.Docker, changes: Sequence[str], files: dict[str, str]) -> str:
    """The tests' image, changed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    body: dict[str, Any] = {"Image": IMAGE, "Cmd": ["true"]}
    container = await docker.containers.create(body)
    try:
        await container.put_archive("/", packed.getvalue())
        return (await container.commit(changes=list(changes)))["Id"]
    finally:
        await container.delete(force=True)


def of(image: str, **more: Any) -> SandboxPolicy:
    return SandboxPolicy(timeout=30, image=image, **more)


async def test_an_image_with_a_user_an_entrypoint_and_variables_of_its_own(
    docker: aiodocker.Docker, mine: Docker, workspace: Path
) -> None:
    changes = [
        "USER nobody", 'ENTRYPOINT ["/bin/false"]', "WORKDIR /srv", "ENV GREETING=hello", "ENV PATH=/opt/own:/usr/bin:/bin",
        "VOLUME /data", "HEALTHCHECK --interval=1s CMD touch /tmp/healthy",
    ]  # fmt: skip
    name = await image(docker, changes, {"opt/own/own": "#!/bin/sh\necho own", "data/given": "given"})
    line = "id -u; echo $GREETING $HOME; own; pwd; ls /data; touch /data/x || ls /tmp; touch made"
    outcome = await shell(mine, workspace, line, of(name))
    assert outcome.exit_code == 0, outcome
    assert outcome.stdout.decode().splitlines() == ["60321", "hello /tmp", "own", "/workspace"]
    assert b"Read-only file system" in outcome.stderr or b"Permission denied" in outcome.stderr
    assert (workspace / "made").exists()


@pytest.mark.parametrize(
    ("changes", "files", "said"),
    [
        (["ENV PATH=/nothing/here"], {}, "no python3"),
        (["ENV PATH=/opt/old"], {"opt/old/python3": "#!/bin/sh\nexec /usr/bin/python3 -c \"import sys; sys.version_info = (3, 8, 18)\n$2\""}, "it is Python 3.8"),
        (["ENV PATH=/opt/odd"], {"opt/odd/python3": "#!/bin/sh\necho no python at all >&2; exit 3"}, "no python at all"),
        (["LABEL is=odd"], {"workspace/theirs": "x"}, "isn't empty in its image"),
    ],
)  # fmt: skip
async def test_an_image_that_can_not_be_used_is_told_with_the_reason(
    docker: aiodocker.Docker, mine: Docker, workspace: Path, changes: list[str], files: dict[str, str], said: str
) -> None:
    name = await image(docker, changes, files)
    with pytest.raises(Unavailable, match=said) as caught:
        await shell(mine, workspace, "true", of(name))
    assert "3.9" in str(caught.value) or "workspace" in str(caught.value)


async def test_an_image_and_a_runtime_that_are_not_there_are_told(
    docker_engine: str, mine: Docker, workspaces: Path, workspace: Path
) -> None:
    with pytest.raises(Unavailable, match="agenthost sandbox pull nobody/nothing"):
        await shell(mine, workspace, "true", of("nobody/nothing"))
    other = Docker(DockerSettings(host=docker_engine, image=IMAGE, runtime="no-such"), workspaces, "x")
    with pytest.raises(Unavailable, match="no runtime no-such, only .*runc"):
        await shell(other, workspace, "true")
    await other.close()
    away = Docker(DockerSettings(host="unix:///nowhere.sock", image=IMAGE), workspaces, "x")
    with pytest.raises(Unavailable, match="There is no Docker or Podman here"):
        await away.run(SandboxRun(("true",), str(workspace)))
    await away.close()


async def test_a_host_without_its_engine_says_so_and_closes(
    docker_engine: str, mine: Docker, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket is gone as it is while an engine restarts."""
    path = Path(docker_engine.removeprefix("unix://"))
    link = workspace.parent.parent / "e.sock"
    link.symlink_to(path)
    monkeypatch.chdir(link.parent)
    sandbox = Docker(
        DockerSettings(host="unix://e.sock", image=IMAGE, warm=0, runtime="runc"), workspace.parent, "restarts"
    )
    try:
        assert (await shell(sandbox, workspace, "echo 1")).stdout == b"1\n"
        link.unlink()
        assert (await shell(sandbox, workspace, "echo 2")).stdout == b"2\n"  # a warm run asks nobody
        other = workspace.parent / "other"
        other.mkdir()
        with pytest.raises(Unavailable, match="Cannot connect"):
            await shell(sandbox, other, "true")
        link.symlink_to(path)
        assert (await shell(sandbox, other, "echo 3")).stdout == b"3\n"
    finally:
        if not link.exists():
            link.symlink_to(path)
        await sandbox.close()
