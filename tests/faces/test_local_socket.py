"""The socket file: who may use it, what stands in its way, what is left of it."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.client.client import connect
from agenthost.client.transport import Address
from agenthost.core.errors import AgentHostError, BadInput, HomeBusy, HostUnreachable
from agenthost.faces.http.server import ServeSettings, serve
from agenthost.testing.memory_host import MemoryHost


async def test_socket_has_mode_0600_in_a_new_home_of_mode_0700(tmp_path: Path) -> None:
    path = tmp_path / "new" / "home" / "host.sock"
    async with serve(MemoryHost(), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert [each.name for each in path.parent.iterdir()] == ["host.sock"]
    assert not path.exists()


async def test_a_dead_hosts_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with serve(MemoryHost(), path), connect(tmp_path, {}) as client:
        assert (await client.info()).version == "0"


async def test_a_living_host_is_not_pushed_away(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    async with serve(MemoryHost(), path), connect(tmp_path, {}) as client:
        with pytest.raises(HomeBusy, match="another host answers"):
            async with serve(MemoryHost(), path):
                pass
        assert (await client.info()).version == "0"


async def test_something_else_in_the_sockets_place_is_kept_and_named(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    path.write_text("precious")
    with pytest.raises(BadInput, match=r"host\.sock is in the way"):
        async with serve(MemoryHost(), path):
            pass
    assert path.read_text() == "precious"


async def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="AGENTHOST_HOME"):
        async with serve(MemoryHost(), tmp_path / "file" / "host.sock"):
            pass


async def test_a_home_with_a_very_long_path_works(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20) / ("longer-" * 20)
    async with serve(MemoryHost(), home / "host.sock"), connect(home, {}) as client:
        assert (await client.info()).version == "0"
        assert (home / "host.sock").is_socket()


async def test_where_no_host_is_the_client_says_so_with_exit_code_3(tmp_path: Path) -> None:
    for home in (tmp_path, tmp_path / "not-there", tmp_path / ("long-" * 20) / ("longer-" * 20)):
        async with connect(home, {}) as client:
            with pytest.raises(HostUnreachable, match="agenthost up") as caught:
                await client.info()
            assert caught.value.exit_code == 3


async def test_where_a_host_died_the_client_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "host.sock"))
    async with connect(tmp_path, {}) as client:
        with pytest.raises(HostUnreachable, match="agenthost up"):
            await client.info()
        with pytest.raises(HostUnreachable, match="agenthost up"):
            async for _ in client.follow("0000000000000000"):
                pass


async def test_another_user_is_refused_by_the_kernels_word(tmp_path: Path) -> None:
    # Whoever runs this test is not in the list, and is refused all the same when root is not either.
    async with serve(MemoryHost(), tmp_path / "host.sock", ServeSettings(users=frozenset({os.getuid() + 1}))):
        if os.getuid() == 0:
            await _as_another_user(tmp_path)
            return
        async with connect(tmp_path, {}) as client:
            with pytest.raises(AgentHostError, match="belongs to another user") as caught:
                await client.info()
        assert caught.value.code == "forbidden"


async def _as_another_user(home: Path) -> None:
    """Root opens everything on the way, so that only the kernel's word is left, and becomes nobody."""
    code = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); folder = os.open(sys.argv[1], os.O_RDONLY); os.fchdir(folder)\n"
        "os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "s.connect('host.sock'); s.settimeout(20); s.sendall(b'GET /api/v1/info HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "data = b''\n"
        "while piece := s.recv(65536): data += piece\n"
        "sys.stdout.buffer.write(data)\n"
    )
    (home / "host.sock").chmod(0o666)
    home.chmod(0o711)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-I", "-S", "-c", code, str(home)], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403")
    assert json.loads(body)["code"] == "forbidden"
    assert b"version" not in body


async def test_a_socket_that_another_host_made_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "host.sock"
    async with serve(MemoryHost(), path):
        path.unlink()
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(path))
    other.close()
    assert path.is_socket()


async def test_signal_handlers_stay_as_they_were(tmp_path: Path) -> None:
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serve(MemoryHost(), tmp_path / "host.sock"):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_cancelling_the_host_ends_serving_and_takes_the_socket_away(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def host() -> None:
        async with serve(MemoryHost(), tmp_path / "host.sock"):
            started.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group, connect(tmp_path, {}) as client:
        running = group.create_task(host())
        await started.wait()
        await client.info()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
    assert not (tmp_path / "host.sock").exists()


def test_an_address_is_said_as_people_write_it(tmp_path: Path) -> None:
    assert str(Address(socket=tmp_path / "host.sock")) == str(tmp_path / "host.sock")
    assert str(Address(url="http://127.0.0.1:8484")) == "http://127.0.0.1:8484"


async def test_an_error_inside_the_context_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="just this"):
        async with serve(MemoryHost(), tmp_path / "host.sock"):
            raise BadInput("just this")
    assert not (tmp_path / "host.sock").exists()
