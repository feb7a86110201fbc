"""The conformance suites of granted network and of services: every sandbox that offers them passes them.

Subclass them in a test module and give the fixtures `sandbox` (ready to run, made with `world.way`), `workspace` (an
empty folder that it accepts) and, for `EgressSuite`, `world` (`agenthost.testing.outside.outside`).
"""

import asyncio
from pathlib import Path

import pytest

from agenthost.core.ports import Connection, Sandbox, SandboxService
from agenthost.core.sandboxes import SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.testing.outside import API, BANNER_PORT, INSIDE, METADATA, OTHER, WIDE, Outside, trust
from agenthost.testing.sandboxes import going_on, python, shell

POLICY = SandboxPolicy(hosts=(API, f"*.{WIDE}", INSIDE, METADATA, f"{API}:{BANNER_PORT}"), timeout=30)

# Asks for a URL. `directly` is without the proxy that the environment names.
ASK = """
import ssl, sys, urllib.error, urllib.request as u
trusted = u.HTTPSHandler(context=ssl.create_default_context(cafile='/workspace/ca.pem'))
directly = u.build_opener(u.ProxyHandler({}), trusted)
proxied = u.build_opener(trusted)
def ask(opener, url, **more):
    try: print(opener.open(u.Request(url, **more), timeout=20).read()[:200].decode())
    except urllib.error.HTTPError as e: print('FAILED', e.code, e.read().decode().strip())
    except OSError as e: print('FAILED', e)
"""


async def ask(sandbox: Sandbox, workspace: Path, code: str, policy: SandboxPolicy = POLICY) -> SandboxOutcome:
    """Run code behind ASK; it must not crash."""
    outcome = await python(sandbox, workspace, ASK + code, policy)
    assert outcome.exit_code == 0, outcome
    return outcome


async def reach(service: SandboxService, port: int) -> Connection:
    """A connection to a port of a service, once it listens."""
    for _ in range(1000):
        try:
            return await service.connect(port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
    raise AssertionError(f"nothing ever listened on {port}: {await service.stop()}")


async def everything(connection: Connection) -> bytes:
    """What comes until the end; closes the connection."""
    said = bytearray()
    while piece := await connection.read():
        said += piece
    await connection.close()
    return bytes(said)


class EgressSuite:
    """What a sandbox with hosts granted must do and must not let through."""

    @pytest.fixture(autouse=True)
    def trusted(self, world: Outside, workspace: Path) -> None:
        trust(world, workspace)

    async def test_a_granted_host_is_reached_by_https(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        code = f"ask(directly, 'https://{API}/'); ask(proxied, 'https://{API}/')"
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout == b"hello from outside\n" * 2, outcome
        assert outcome.stderr == b""
        assert world.seen == [f"GET / HTTP/1.1 {API}"] * 2

    async def test_a_granted_host_is_reached_by_http(self, sandbox: Sandbox, workspace: Path) -> None:
        big = "data=b'x' * 300_000, method='POST'"
        code = (
            f"ask(directly, 'http://{API}/'); ask(proxied, 'http://{API}/?q')\n"
            f"for o in (directly, proxied): print(len(o.open(u.Request('http://{API}/echo', {big})).read()))"
        )
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout.split(b"\n") == [b"hello from outside"] * 2 + [b"300000"] * 2 + [b""], outcome

    async def test_names_below_a_wildcard_are_reached_and_itself_is_not(
        self, sandbox: Sandbox, workspace: Path
    ) -> None:
        code = (
            f"ask(directly, 'https://a.{WIDE}/'); ask(proxied, 'https://b.{WIDE}/'); ask(directly, 'https://{WIDE}/')"
        )
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout.count(b"hello from outside") == 2, outcome
        assert f"refused to look up {WIDE}".encode() in outcome.stderr

    async def test_another_host_is_refused_and_the_run_is_told(
        self, sandbox: Sandbox, workspace: Path, world: Outside
    ) -> None:
        told: list[str] = []
        code = (
            ASK
            + f"ask(directly, 'https://{OTHER}/'); ask(proxied, 'https://{OTHER}/'); ask(proxied, 'http://{OTHER}/')"
        )
        outcome = await sandbox.run(SandboxRun(("python", "-c", code), str(workspace), POLICY), told.append)
        assert outcome.stdout.count(b"FAILED") == 3, outcome
        lines = outcome.stderr.decode().splitlines()
        assert f"sandbox: refused to look up {OTHER}: not granted" in lines
        assert f"sandbox: refused connection to {OTHER}:443: not granted" in lines
        assert f"sandbox: refused connection to {OTHER}:80: not granted" in lines
        assert set(lines) <= set(told)
        assert (world.seen, world.asked) == ([], [])  # not even its name left the machine

    async def test_another_port_is_refused(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        code = f"ask(proxied, 'http://{API}:8080/'); ask(directly, 'http://{API}:8080/')"
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout.count(b"FAILED") == 2, outcome
        assert f"{API}:8080: this port is not granted" in outcome.stderr.decode()
        assert world.asked == []

    async def test_addresses_are_not_reached(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        code = f"""
import socket
for family, address in ((2, '169.254.169.254'), (2, '10.0.0.1'), (2, '8.8.8.8'), (10, 'fe80::1'), (10, '2001:4860:4860::8888')):
    for port in (80, 443, 53, {world.ports[80]}):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(family, kind); s.settimeout(2)
            try: s.connect((address, port)); s.send(b'x'); print('reached', address, port)
            except OSError: pass
for address in ('8.8.8.8', '127.0.0.1', '127.64.0.1', '[::1]', '0x7f.1', '2130706433'):
    ask(proxied, f'http://{{address}}/') if address[:3] != '127' else ask(u.build_opener(), f'http://{{address}}/')
"""
        outcome = await ask(sandbox, workspace, code)
        assert b"reached" not in outcome.stdout, outcome
        assert outcome.stdout.count(b"FAILED") == 6, outcome
        assert world.seen == []

    async def test_services_of_the_host_are_not_reached(
        self, sandbox: Sandbox, workspace: Path, world: Outside
    ) -> None:
        code = f"import socket\nfor p in {sorted(world.ports.values())}:\n  try: socket.create_connection(('127.0.0.1', p), 3); print('reached')\n  except OSError as e: print('FAILED', e)"
        assert (await ask(sandbox, workspace, code)).stdout.count(b"FAILED") == len(world.ports)
        assert world.seen == []

    async def test_a_name_that_leads_to_a_private_address_is_refused(
        self, sandbox: Sandbox, workspace: Path, world: Outside
    ) -> None:
        code = "\n".join(
            f"ask({how}, 'https://{name}/')" for how in ("directly", "proxied") for name in (INSIDE, METADATA)
        )
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout.count(b"FAILED") == 4, outcome
        assert b"its address 127.0.0.1 is not a public one" in outcome.stderr
        assert b"its address 169.254.169.254 is not a public one" in outcome.stderr
        assert b"[network] private" in outcome.stderr
        assert world.seen == []

    async def test_names_that_are_not_granted_carry_nothing_out(
        self, sandbox: Sandbox, workspace: Path, world: Outside
    ) -> None:
        code = """
import socket
for name in ('secret.attacker.test', 'x' * 60 + '.' + 'y' * 60 + '.com', 'a.api.example.test', 'example.test', '\\n.test'):
    for family in (socket.AF_INET, socket.AF_INET6):
        try: print('found', socket.getaddrinfo(name, 443, family))
        except (OSError, UnicodeError): print('none')
"""
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout == b"none\n" * 10
        assert world.asked == []

    async def test_tls_for_another_server_is_cut_off(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        code = f"""
import socket
for name in ('{OTHER}', None, 'a.{WIDE}'):
    context = ssl.create_default_context(cafile='ca.pem'); context.check_hostname = False
    try: context.wrap_socket(socket.create_connection(('{API}', 443)), server_hostname=name); print('through')
    except OSError as e: print('FAILED')
    s = socket.create_connection(('127.0.0.1', int(u.getproxies()['https'].rpartition(':')[2])))
    s.sendall(b'CONNECT {API}:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); s.recv(1000)
    try: context.wrap_socket(s, server_hostname=name); print('through')
    except OSError as e: print('FAILED')
"""
        outcome = await ask(sandbox, workspace, code)
        assert outcome.stdout == b"FAILED\n" * 6, outcome
        assert f"asks for another server, '{OTHER}'" in outcome.stderr.decode()
        assert world.seen == []

    async def test_http_for_another_host_is_cut_off(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        code = f"""
import socket
def say(data, host='{API}', port=80):
    s = socket.create_connection((host, port)); s.settimeout(20); s.sendall(data)
    said = b''
    try:
        while piece := s.recv(1000): said += piece
    except OSError: pass
    print(said.partition(b'\\r\\n')[0].decode() or 'nothing')
say(b'GET / HTTP/1.1\\r\\nHost: {OTHER}\\r\\n\\r\\n')
say(b'GET / HTTP/1.1\\r\\nHost: {API}\\r\\nHost: {OTHER}\\r\\n\\r\\n')
say(b'GET / HTTP/1.0\\r\\n\\r\\n')
say(b'GET / HTTP/1.1\\r\\nHost: {API}\\r\\n\\r\\nGET /second HTTP/1.1\\r\\nHost: {OTHER}\\r\\n\\r\\n')
say(b'POST / HTTP/1.1\\r\\nHost: {API}\\r\\nContent-Length: 3\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET /smuggled HTTP/1.1\\r\\nHost: {OTHER}\\r\\n\\r\\n')
say(b'nonsense\\r\\n\\r\\n')
say(b'GET / HTTP/1.1\\r\\nHost: {API}\\r\\n\\r\\n', port=443)
"""
        outcome = await ask(sandbox, workspace, code)
        first, double, none, once, smuggled, nonsense, tls = outcome.stdout.decode().splitlines()
        assert first == double == "HTTP/1.1 403 Forbidden" or double == "nothing", outcome
        assert none == "HTTP/1.1 403 Forbidden"
        assert once == "HTTP/1.1 200 OK"
        assert smuggled in ("nothing", "HTTP/1.1 200 OK")
        assert (nonsense, tls) == ("nothing", "nothing")
        assert not any(OTHER in line or "second" in line or "smuggled" in line for line in world.seen), world.seen

    async def test_a_server_that_speaks_first_is_heard(self, sandbox: Sandbox, workspace: Path) -> None:
        code = f"""
import socket
s = socket.create_connection(('{API}', {BANNER_PORT})); f = s.makefile('rw')
print(f.readline(), end=''); f.write('one\\ntwo\\n'); f.flush(); s.shutdown(socket.SHUT_WR); print(f.read(), end='')
"""
        assert (await ask(sandbox, workspace, code)).stdout == b"banner\nONE\nTWO\n"

    async def test_a_run_without_hosts_has_no_way_out(self, sandbox: Sandbox, workspace: Path, world: Outside) -> None:
        await ask(
            sandbox, workspace, f"ask(directly, 'https://{API}/')"
        )  # a run that has hosts leaves nothing to the next
        assert world.seen
        world.seen.clear()
        outcome = await ask(
            sandbox, workspace, f"ask(directly, 'https://{API}/'); print(u.getproxies())", SandboxPolicy()
        )
        assert b"FAILED" in outcome.stdout
        assert outcome.stdout.endswith(b"{}\n")
        assert world.seen == []

    async def test_runs_at_once_have_hosts_of_their_own(
        self, sandbox: Sandbox, workspace: Path, world: Outside
    ) -> None:
        other = workspace.parent / f"{workspace.name}-other"
        other.mkdir()
        trust(world, other)
        code = f"ask(directly, 'https://{API}/'); ask(directly, 'https://{OTHER}/')"
        mine, theirs = await asyncio.gather(
            ask(sandbox, workspace, code, SandboxPolicy(hosts=(API,))),
            ask(sandbox, other, code, SandboxPolicy(hosts=(OTHER,))),
        )
        assert mine.stdout.startswith(b"hello from outside\nFAILED")
        assert theirs.stdout.startswith(b"FAILED")
        assert theirs.stdout.endswith(b"hello from outside\n")

    async def test_many_connections_at_once_get_through(self, sandbox: Sandbox, workspace: Path) -> None:
        code = f"""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(20) as pool:
    found = list(pool.map(lambda n: directly.open('https://{API}/').read(), range(60)))
print(found.count(b'hello from outside'))
"""
        assert (await ask(sandbox, workspace, code)).stdout == b"60\n"

    async def test_a_service_reaches_granted_hosts_too(self, sandbox: Sandbox, workspace: Path) -> None:
        code = ASK + f"ask(directly, 'https://{API}/'); ask(directly, 'https://{OTHER}/')"
        service = await sandbox.spawn(SandboxRun(("python", "-c", code), str(workspace), POLICY))
        outcome = await service.wait()
        assert outcome.stdout.startswith(b"hello from outside\nFAILED")
        assert f"refused to look up {OTHER}" in outcome.stderr.decode()


SERVE = """
import socket, threading
def serve(connection):
    with connection:
        while data := connection.recv(65536): connection.sendall(data.upper())
listener = socket.create_server(('127.0.0.1', 8000))
open('/workspace/up', 'w').close()
while True: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class ServiceSuite:
    """What a sandbox must do with runs that go on and serve ports."""

    async def serving(self, sandbox: Sandbox, workspace: Path, policy: SandboxPolicy) -> SandboxService:
        return await sandbox.spawn(SandboxRun(("python", "-c", SERVE), str(workspace), policy))

    async def test_a_port_is_reached_by_the_host(self, sandbox: Sandbox, workspace: Path) -> None:
        service = await self.serving(sandbox, workspace, SandboxPolicy())
        try:
            first, second = await reach(service, 8000), await reach(service, 8000)
            await second.write(b"two")
            await first.write(b"one")
            assert (await first.read(), await second.read()) == (b"ONE", b"TWO")
            await first.close()
            await second.close()
        finally:
            outcome = await service.stop()
        assert (outcome.exit_code, outcome.limit) == (137, "")
        assert await service.wait() == outcome
        assert await service.stop() == outcome

    async def test_much_goes_both_ways(self, sandbox: Sandbox, workspace: Path) -> None:
        service = await self.serving(sandbox, workspace, SandboxPolicy())
        connection = await reach(service, 8000)
        content = b"abcdefgh" * 100_000

        async def write() -> None:
            for at in range(0, len(content), 100_000):
                await connection.write(content[at : at + 100_000])

        said = bytearray()
        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            while len(said) < len(content):
                piece = await connection.read()
                assert piece, "it hung up"
                said += piece
        await connection.close()
        await service.stop()
        assert bytes(said) == content.upper()

    async def test_a_port_where_nothing_listens_refuses(self, sandbox: Sandbox, workspace: Path) -> None:
        service = await self.serving(sandbox, workspace, SandboxPolicy())
        await (await reach(service, 8000)).close()
        with pytest.raises(ConnectionRefusedError):
            await service.connect(8001)
        await service.stop()
        with pytest.raises(ConnectionRefusedError):
            await service.connect(8000)

    async def test_a_service_that_ends_by_itself_tells_its_outcome(self, sandbox: Sandbox, workspace: Path) -> None:
        run = SandboxRun(("sh", "-c", "echo out; echo crashed >&2; exit 3"), str(workspace), SandboxPolicy())
        service = await sandbox.spawn(run)
        outcome = await service.wait()
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, b"out\n", b"crashed\n")
        assert (await service.stop()).exit_code == 3
        with pytest.raises(ConnectionRefusedError):
            await service.connect(8000)

    async def test_the_time_of_the_policy_counts_for_it(self, sandbox: Sandbox, workspace: Path) -> None:
        service = await self.serving(sandbox, workspace, SandboxPolicy(timeout=1.5))
        connection = await reach(service, 8000)
        assert (await service.wait()).limit == "time"
        try:
            assert await everything(connection) == b""
        except ConnectionResetError:
            pass  # an end too

    async def test_stopping_ends_everything_it_started(self, sandbox: Sandbox, workspace: Path) -> None:
        line = "(setsid sh -c 'while :; do echo x >> beat; sleep 0.02; done' >/dev/null 2>&1 &) ; while :; do sleep 1; done"
        service = await sandbox.spawn(SandboxRun(("sh", "-c", line), str(workspace), SandboxPolicy()))
        await going_on(workspace / "beat")
        await service.stop()
        beats = (workspace / "beat").stat().st_size
        assert beats > 0
        await asyncio.sleep(0.3)
        assert (workspace / "beat").stat().st_size == beats

    async def test_two_services_and_runs_at_once_do_not_meet(self, sandbox: Sandbox, workspace: Path) -> None:
        other = workspace.parent / f"{workspace.name}-other"
        other.mkdir()
        first = await self.serving(sandbox, workspace, SandboxPolicy())
        second = await self.serving(sandbox, other, SandboxPolicy())
        for service in (first, second):
            await (await reach(service, 8000)).close()
        folder = workspace.parent / f"{workspace.name}-third"
        folder.mkdir()
        said = await shell(
            sandbox, folder, "python -c 'import socket; socket.create_connection((\"127.0.0.1\", 8000), 2)'"
        )
        assert b"ConnectionRefusedError" in said.stderr
        await first.stop()
        await (await reach(second, 8000)).close()
        await second.stop()
