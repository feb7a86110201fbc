"""Granted network in bubblewrap: the suite, real programs, and what hostile code tries."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agenthost.core.errors import BadInput
from agenthost.core.sandboxes import SandboxPolicy
from agenthost.sandboxes.bubblewrap import Bubblewrap
from agenthost.testing.egress import EgressSuite, ServiceSuite, ask
from agenthost.testing.outside import API, OTHER, Outside, outside, trust
from agenthost.testing.sandboxes import python, shell

POLICY = SandboxPolicy(hosts=(API,), timeout=30)


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


@pytest.fixture
async def sandbox(cache: Path, workspaces: Path, world: Outside) -> AsyncIterator[Bubblewrap]:
    sandbox = Bubblewrap(cache, workspaces, way=world.way)
    said = await sandbox.available()
    if not said.available:
        await sandbox.close()
        pytest.skip(f"no sandbox here: {said.detail}; {said.fix}")
    yield sandbox
    await sandbox.close()


class TestGrantedNetwork(EgressSuite):
    pass


class TestServices(ServiceSuite):
    pass


async def test_curl_gets_through_with_and_without_the_proxy(
    sandbox: Bubblewrap, workspace: Path, world: Outside
) -> None:
    trust(world, workspace)
    if (await shell(sandbox, workspace, "curl --version")).exit_code != 0:
        pytest.skip("no curl here")
    line = f"curl -sS --cacert ca.pem https://{API}/ && curl -sS --noproxy '*' --cacert ca.pem https://{API}/"
    outcome = await shell(sandbox, workspace, line, POLICY)
    assert outcome.stdout == b"hello from outside" * 2, outcome
    fronting = f"curl -sS --noproxy '*' --cacert ca.pem --connect-to {OTHER}:443:{API}:443 https://{OTHER}/"
    assert (await shell(sandbox, workspace, fronting, POLICY)).exit_code != 0
    assert len(world.seen) == 2


async def test_git_clones_from_a_granted_host(
    sandbox: Bubblewrap, workspace: Path, world: Outside, tmp_path: Path
) -> None:
    trust(world, workspace)
    if (await shell(sandbox, workspace, "git --version")).exit_code != 0:
        pytest.skip("no git here")
    repository = tmp_path / "it.git"
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    env = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (
        ("init", "-q", "--bare", "-b", "main", "."),
        ("update-ref", "refs/heads/main", "COMMIT"),
        ("update-server-info",),
    ):
        repository.mkdir(exist_ok=True)
        if "COMMIT" in words:
            tree = _git(repository, env, "mktree", stdin="")
            words = (*words[:-1], _git(repository, env, "commit-tree", tree, "-m", "the first one"))
        _git(repository, env, *words)
    for file in repository.rglob("*"):
        if file.is_file():
            world.files[f"/it.git/{file.relative_to(repository)}"] = file.read_bytes()
    line = f"git -c http.sslCAInfo=/workspace/ca.pem clone -q https://{API}/it.git && git -C it log --format=%s"
    outcome = await shell(sandbox, workspace, line, POLICY)
    assert outcome.stdout == b"the first one\n", outcome


def _git(folder: Path, env: dict[str, str], *words: str, stdin: str | None = None) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=env, input=stdin, capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_raw_and_packet_sockets_are_refused_with_hosts_too(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import socket
for family, kind in ((2, socket.SOCK_RAW), (17, socket.SOCK_RAW), (16, socket.SOCK_RAW), (10, socket.SOCK_RAW)):
    try: socket.socket(family, kind); print('made')
    except OSError: print('refused')
"""
    assert (await python(sandbox, workspace, code, POLICY)).stdout == b"refused\n" * 4


async def test_the_sockets_of_the_way_out_can_not_be_taken_over(sandbox: Bubblewrap, workspace: Path) -> None:
    code = """
import os, socket
print(sorted(os.listdir('/proc/self/fd'))[:3])
for kind, address in ((socket.SOCK_STREAM, ('0.0.0.0', 443)), (socket.SOCK_STREAM, ('127.64.0.1', 443)), (socket.SOCK_DGRAM, ('127.0.0.1', 53))):
    for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        s = socket.socket(socket.AF_INET, kind)
        if option: s.setsockopt(socket.SOL_SOCKET, option, 1)
        try: s.bind(address); s.listen() if kind == socket.SOCK_STREAM else None; print('taken', address, option)
        except OSError: pass
"""
    outcome = await python(sandbox, workspace, code, POLICY)
    assert outcome.stdout == b"['0', '1', '2']\n", outcome


async def test_a_flood_of_connections_leaves_the_host_its_descriptors(
    sandbox: Bubblewrap, workspace: Path, world: Outside
) -> None:
    code = f"""
import socket, time
kept = []
for n in range(600):
    try: s = socket.create_connection(('{API}', 443), 1); kept.append(s)
    except OSError: break
open('/workspace/full', 'w').close()
time.sleep(30)
"""
    import asyncio

    from agenthost.core.sandboxes import SandboxRun
    from agenthost.testing.sandboxes import begun

    before = len(os.listdir("/proc/self/fd"))
    service = await sandbox.spawn(SandboxRun(("python", "-c", code), str(workspace), POLICY))
    await begun(workspace / "full")
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) < before + 200
    await service.stop()
    assert len(os.listdir("/proc/self/fd")) <= before + 8  # spare runs may have been made


async def test_runs_with_hosts_leave_no_descriptor_behind(sandbox: Bubblewrap, workspace: Path, world: Outside) -> None:
    trust(world, workspace)
    await ask(sandbox, workspace, f"ask(directly, 'https://{API}/')", POLICY)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await ask(sandbox, workspace, f"ask(directly, 'https://{API}/'); ask(directly, 'https://{OTHER}/')", POLICY)
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_hosts_that_can_not_be_read_are_refused(sandbox: Bubblewrap, workspace: Path) -> None:
    for host in ("*", "10.0.0.1", "https://x.example.test/", "localhost"):
        with pytest.raises(BadInput, match="granted host"):
            await shell(sandbox, workspace, "true", SandboxPolicy(hosts=(host,)))
