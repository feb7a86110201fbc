"""The way out on the host's side: names, addresses, greetings, requests; no sandbox."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.errors import BadInput
from agenthost.sandboxes.egress import hello
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.handling import MOST, Handling
from agenthost.sandboxes.egress.rules import EgressLimits, Refused, Rules, host_and_port
from agenthost.sandboxes.egress.way import Way, is_public
from agenthost.sandboxes.sockets import SocketConnection
from agenthost.testing.outside import API, BANNER_PORT, INSIDE, OTHER, WIDE, Outside, outside


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


def question(name: str, kind: int = 1, group: int = 1, flags: int = 0x0100, more: bytes = b"") -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode("latin-1") for label in name.split("."))
    return (
        struct.pack("!6H", 77, flags, 1, 0, 0, int(bool(more)))
        + labels
        + b"\0"
        + struct.pack("!HH", kind, group)
        + more
    )


def told(answer: bytes | None) -> tuple[int, str]:
    """The code of an answer, and its address where it has one."""
    assert answer is not None
    number, flags, _, answers = struct.unpack_from("!4H", answer)
    assert number == 77 and flags & 0x8000
    return flags & 15, ".".join(str(part) for part in answer[-4:]) if answers else ""


# --- names ------------------------------------------------------------------------------------------


async def test_granted_names_get_addresses_of_their_own_and_keep_them() -> None:
    egress = Egress([API, f"*.{WIDE}"], Way())
    assert told(egress.answer(question(API))) == (0, "127.64.0.1")
    assert told(egress.answer(question(f"a.{WIDE}"))) == (0, "127.64.0.2")
    assert told(egress.answer(question(API.upper()))) == (0, "127.64.0.1")
    # with EDNS, as musl and Go ask
    assert told(egress.answer(question(API, more=b"\0\0\x29\x10\0\0\0\0\0\0\0"))) == (0, "127.64.0.1")
    assert egress.refused() == b""


async def test_other_names_do_not_exist_and_other_kinds_have_no_answer() -> None:
    egress = Egress([API], Way())
    for kind in (28, 5, 15, 16, 64, 65, 255):
        assert told(egress.answer(question(API, kind))) == (0, "")
    assert told(egress.answer(question(API, group=3))) == (3, "")
    for name in (OTHER, f"x.{API}", "example.test", "test", "1.0.64.127.in-addr.arpa"):
        assert told(egress.answer(question(name))) == (3, "")
    assert OTHER.encode() in egress.refused()
    assert b"arpa" not in egress.refused()


async def test_names_are_bounded() -> None:
    egress = Egress([f"*.{WIDE}"], Way(), limits=EgressLimits(names=300))
    found = {told(egress.answer(question(f"n{n}.{WIDE}"))) for n in range(310)}
    assert len(found) == 301
    assert (2, "") in found
    assert b"too many names" in egress.refused()


async def test_what_is_no_question_gets_no_answer_or_an_error() -> None:
    egress = Egress([API], Way())
    assert egress.answer(b"") is None
    assert egress.answer(question(API)[:11]) is None
    assert egress.answer(question(API, flags=0x8100)) is None  # an answer
    assert told(egress.answer(question(API, flags=0x2900)))[0] == 4  # an update
    assert told(egress.answer(question(API)[:-1]))[0] == 1
    assert (
        told(egress.answer(struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1"))[0] == 1
    )  # points at itself
    assert told(egress.answer(question(".".join(["x" * 60] * 5))))[0] == 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_datagram_is_too_strange(datagram: bytes) -> None:
    async def go() -> None:
        egress = Egress([API], Way())
        for one in (datagram, datagram[:2] + question(API)[2:12] + datagram):
            answer = egress.answer(one)
            assert answer is None or len(answer) <= len(one) + 16

    asyncio.run(go())


async def test_what_is_refused_is_told_once_bounded_and_in_one_line() -> None:
    lines: list[str] = []
    egress = Egress([API], Way(), lines.append)
    for _ in range(3):
        egress.answer(question("evil\n\x1b[31m.test"))
    assert lines == ["sandbox: refused to look up evil??[31m.test: not granted"]
    for n in range(100):
        egress.answer(question(f"n{n}.test"))
    text = egress.refused().decode()
    assert len(lines) == 20
    assert text.splitlines()[-1] == "sandbox: refused 81 more times"
    assert egress.traffic.refused == 103


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "192.0.0.192", "168.63.129.16", "192.88.99.1", "3fff::1", "2001:20::1", "198.18.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
        "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1", "example.com", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "2001:4860:4860::8888"]
)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


class Answering:
    """A resolver that says something else each time."""

    def __init__(self, *answers: Sequence[tuple[str, int]]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        self.asked += 1
        return self.answers.pop(0)


async def test_a_resolver_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was looked at is the one that is connected to: the name is looked up once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connected: list[object] = []

        async def connect(side: socket.socket, address: object) -> None:
            connected.append(address)

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect, raising=False)
        resolver = Answering([("93.184.216.34", port)], [("127.0.0.1", port)])
        way = Way((), resolver)
        await (await way.open("rebind.test", port, 5)).close()
        assert (connected, resolver.asked) == ([("93.184.216.34", port)], 1)
        with pytest.raises(Refused, match="not a public one"):
            await way.open("rebind.test", port, 5)
        assert len(connected) == 1


async def test_of_several_addresses_only_public_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[object] = []

    async def connect(side: socket.socket, address: object) -> None:
        connected.append(address)
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect, raising=False)
    mixed = [("127.0.0.1", 443), ("93.184.216.34", 443), ("::ffff:10.0.0.1", 443), ("2606:2800:220:1::1", 443)]
    with pytest.raises(Refused, match="can't be reached"):
        await Way((), Answering(mixed)).open("mixed.test", 443, 5)
    assert connected == [("93.184.216.34", 443), ("2606:2800:220:1::1", 443)]


async def test_private_hosts_are_allowed_by_name_and_port_alone(world: Outside) -> None:
    near = Way(["git.lan:8443"], Answering([("127.0.0.1", world.ports[80])], [("127.0.0.1", world.ports[80])]))
    await (await near.open("git.lan", 8443, 5)).close()
    with pytest.raises(Refused, match="under \\[network\\] private"):
        await near.open("git.lan", 443, 5)
    for entry in ("*.lan", "10.0.0.1", "a/b"):
        with pytest.raises(BadInput, match="private"):
            Way([entry])


async def test_a_server_that_does_not_answer_is_told() -> None:
    async def never(host: str, port: int) -> Sequence[tuple[str, int]]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(Refused, match="does not answer"):
        await Way((), never).open("slow.test", 443, 0.01)
    with pytest.raises(Refused, match="no address"):
        await Way((), Answering([])).open("none.test", 443, 5)


def test_rules_say_what_is_not_granted() -> None:
    rules = Rules(["a.test", "*.b.test:8443"])
    assert rules.ports == (80, 443, 8443)
    rules.demand("a.test", 443)
    rules.demand("x.b.test", 8443)
    for host, port, reason in (
        ("a.test", 8443, "this port is not granted"),
        ("x.b.test", 443, "this port"),
        ("b.test", 8443, "not granted"),
    ):
        with pytest.raises(Refused, match=reason):
            rules.demand(host, port)


@pytest.mark.parametrize(
    ("text", "found"),
    [("a.test:8443", ("a.test", 8443)), ("A.test", ("a.test", 80)), ("a.test.", ("a.test", 80)), ("[::1]:80", ("[::1]", 80)),
     ("a.test:x", None), ("a.test:", None), (":80", None), ("a.test:99999", None), ("", None), ("a:1:2:3333333333", None)],
)  # fmt: skip
def test_an_authority_is_read(text: str, found: object) -> None:
    assert host_and_port(text, 80) == found


# --- greetings ----------------------------------------------------------------------------------------


def greeting(name: str | None, **options: object) -> bytes:
    """What OpenSSL says first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    for key, value in options.items():
        setattr(context, key, value)
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(come, go, server_hostname=name).do_handshake()
    return go.read()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_of_a_greeting_is_read_however_it_is_cut(version: ssl.TLSVersion) -> None:
    said = greeting("Api.Example.Test", maximum_version=version)
    assert hello.server_name(said) == "api.example.test"
    assert all(hello.server_name(said[:count]) is None for count in range(len(said)))
    body = said[5:]
    pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
    records = b"".join(b"\x16\x03\x01" + struct.pack("!H", len(piece)) + piece for piece in pieces)
    assert hello.server_name(records) == "api.example.test"


def changed(said: bytes, kind: int, to: int) -> bytes:
    """A greeting in which an extension is of another kind."""
    at = said.index(struct.pack("!HH", kind, 0), 80)
    return said[:at] + struct.pack("!H", to) + said[at + 2 :]


def test_greetings_that_hide_their_name_are_refused() -> None:
    with pytest.raises(hello.Unreadable, match="names no server"):
        hello.server_name(greeting(None))
    with pytest.raises(hello.Unreadable, match="encrypted"):
        hello.server_name(changed(greeting(API), 0x0017, 0xFE0D))
    for said in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x02" + b"\0" * 50,
        b"\x16\x03\x01\0\0" * 3,
        b"\x16\x03\x01\0\4\2\0\0\0",
    ):
        with pytest.raises(hello.Unreadable):
            hello.server_name(said)
    with pytest.raises(hello.Unreadable):
        hello.server_name(
            b"\x16\x03\x01\x40\0" + b"\1\0\xff\xff" + b"\0" * 16380 + b"\x16\x03\x01\x40\0" + b"\0" * 16384
        )


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(0, 400))
def test_no_greeting_is_too_strange(noise: bytes, at: int) -> None:
    said = greeting(API)
    for one in (b"\x16\x03\x01" + noise, said[:at] + noise + said[at + len(noise) :]):
        try:
            found = hello.server_name(one)
        except hello.Unreadable:
            continue
        assert found is None or found.isascii()


# --- connections ----------------------------------------------------------------------------------------


class Client:
    """One connection into an Egress, as a sandbox makes it."""

    def __init__(self, egress: Egress, address: str, port: int) -> None:
        near, far = socket.socketpair()
        for side in (near, far):
            side.setblocking(False)
        self.side = SocketConnection(near)
        self.end = near
        self.handling = asyncio.get_running_loop().create_task(egress.handle(SocketConnection(far), (address, port)))

    async def said(self, *pieces: bytes, hang_up: bool = False) -> bytes:
        """Say something; everything that comes until the end."""
        heard = bytearray()
        try:
            for piece in pieces:
                await self.side.write(piece)
                await asyncio.sleep(0)
            if hang_up:
                self.side.finish()
        except BrokenPipeError:
            pass  # it has heard enough
        try:
            while piece := await self.side.read():
                heard += piece
        except ConnectionResetError:
            pass  # it was closed before everything that was said had been read
        await self.side.close()
        await self.handling
        return bytes(heard)


REQUEST = f"GET / HTTP/1.1\r\nHost: {API}\r\n\r\n".encode()


async def test_a_request_in_small_pieces_gets_through(world: Outside) -> None:
    egress = Egress([API], world.way)
    egress.answer(question(API))
    pieces = [REQUEST[at : at + 1] for at in range(len(REQUEST))]
    assert (await Client(egress, "127.64.0.1", 80).said(*pieces)).endswith(b"hello from outside")
    assert (egress.traffic.connections, egress.traffic.refused) == (1, 0)
    assert egress.traffic.sent > 40 and egress.traffic.received > 60


async def test_headers_of_the_connection_stay_behind_and_the_rest_goes_on(world: Outside) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        world.ports[80] = server.sockets[0].getsockname()[1]
        egress = Egress([API], world.way)
        egress.answer(question(API))
        head = f"GET /a?b HTTP/1.1\r\nHost: {API}\r\nConnection: keep-alive, x-mine\r\nX-Mine: 1\r\nUpgrade: websocket\r\nProxy-Authorization: y\r\nX-Else: 2\r\n\r\n"
        assert b"204" in await Client(egress, "127.64.0.1", 80).said(head.encode())
    assert seen[0].lower().split(b"\r\n") == [
        b"get /a?b http/1.1",
        b"host: " + API.encode(),
        b"x-else: 2",
        b"connection: close",
        b"",
        b"",
    ]


async def test_a_proxy_replaces_the_host_and_refuses_what_it_does_not_know(world: Outside) -> None:
    egress = Egress([API], world.way)
    port = egress.ports[-1]
    said = await Client(egress, "127.0.0.1", port).said(f"GET http://{API}/ HTTP/1.1\r\nHost: {OTHER}\r\n\r\n".encode())
    assert said.endswith(b"hello from outside")
    assert world.seen == [f"GET / HTTP/1.1 {API}"]
    for line in (
        f"GET https://{API}/",
        f"GET ftp://{API}/",
        "GET /",
        f"CONNECT {API}",
        "CONNECT :443",
        f"CONNECT {OTHER}:443",
        f"GET http://{API}@{OTHER}/",
        f"GET http://{OTHER}?http://{API}/",
    ):
        said = await Client(egress, "127.0.0.1", port).said(f"{line} HTTP/1.1\r\nHost: {API}\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n"), line
    assert await Client(egress, "127.0.0.1", port).said(b"\x16\x03\x01 hello", hang_up=True) == b""
    assert len(world.seen) == 1


async def test_an_address_that_stands_for_nobody_leads_nowhere(world: Outside) -> None:
    egress = Egress([API], world.way)
    egress.answer(question(API))
    for address, port in (("127.0.0.1", 80), ("127.64.0.2", 80), ("10.0.0.1", 80)):
        assert await Client(egress, address, port).said() == b""
    assert await Client(egress, "127.64.0.1", 8080).said() == b""
    assert egress.traffic.refused == 4
    assert world.seen == []


async def test_a_client_that_says_nothing_in_time_is_let_go(world: Outside) -> None:
    egress = Egress([API], world.way, limits=EgressLimits(opening=0.01))
    egress.answer(question(API))
    for port in (80, 443, egress.ports[-1]):
        assert await Client(egress, "127.64.0.1", port).said() == b""
    assert egress.refused().count(b"in time") == 3


async def test_connections_and_bytes_of_a_run_are_bounded(world: Outside) -> None:
    world.files["/big"] = b"x" * 3_000_000
    egress = Egress([API], world.way, limits=EgressLimits(connections=2, traffic=1_000_000))
    egress.answer(question(API))
    said = await Client(egress, "127.64.0.1", 80).said(REQUEST.replace(b" / ", b" /big "))
    assert 0 < len(said) <= 1_000_000
    assert b"has moved its 0 MiB" in egress.refused()
    await Client(egress, "127.64.0.1", 80).said(REQUEST)
    await Client(egress, "127.64.0.1", 80).said(REQUEST)
    assert b"too many connections" in egress.refused()


async def test_more_connections_than_may_be_at_once_wait(world: Outside) -> None:
    egress = Egress([f"{API}:{BANNER_PORT}"], world.way, limits=EgressLimits(at_once=2))
    egress.answer(question(API))
    clients = [Client(egress, "127.64.0.1", BANNER_PORT) for _ in range(5)]
    for client in clients[:2]:
        assert await client.side.read() == b"banner\n"
    assert world.seen == ["banner"] * 2
    for client in clients[:2]:
        await client.said(hang_up=True)
    for client in clients[2:]:
        assert await client.said(b"x\n", hang_up=True) == b"banner\nX\n"


async def test_tls_and_http_are_held_to_the_name_on_other_ports_too(world: Outside) -> None:
    egress = Egress([f"{API}:{BANNER_PORT}"], world.way)
    egress.answer(question(API))
    said = await Client(egress, "127.64.0.1", BANNER_PORT).said(greeting(OTHER))
    assert OTHER.upper().encode() not in said and greeting(OTHER)[:20].upper() not in said
    said = await Client(egress, "127.64.0.1", BANNER_PORT).said(f"GET / HTTP/1.1\r\nHost: {OTHER}\r\n\r\n".encode())
    assert OTHER.upper().encode() not in said
    assert egress.traffic.refused == 2


@pytest.mark.parametrize("port", [80, BANNER_PORT])
@pytest.mark.parametrize(
    "request_line",
    [
        f"GET / HTTP/1.1\r\nHost: {OTHER}",
        f"get / HTTP/1.1\r\nHost: {OTHER}",
        f"FETCH / http/1.1\r\nHost: {OTHER}",
        f"\r\n\n\r\nGET / HTTP/1.1\r\nHost: {OTHER}",
        f" GET / HTTP/1.1\r\nHost: {OTHER}",
        f"GET\t/ HTTP/1.1\r\nHost: {OTHER}",
        f"GET http://{OTHER}/ HTTP/1.1\r\nHost: {API}",
        f"GET //{OTHER}/ HTTP/1.1\r\nHost: {OTHER}",
        f"GET / HTTP/1.1\r\nHost: {API}\r\nHost: {OTHER}",
        f"GET / HTTP/1.1\r\nHost: {OTHER}\r\nHost: {API}",
        f"GET / HTTP/1.1\r\nHost : {OTHER}\r\nHost: {API}",
        f"GET / HTTP/1.1\r\nHost:\r\n {OTHER}",
        f"GET / HTTP/1.1\r\nHost: {API}@{OTHER}",
        f"GET / HTTP/1.1\r\nHost: {API}:80:{OTHER}",
        f"GET / HTTP/1.1\r\nHost: {OTHER}/{API}",
        f"CONNECT {OTHER}:443 HTTP/1.1\r\nHost: {API}",
        "PRI * HTTP/2.0",
    ],
)
async def test_no_request_for_another_host_gets_through(world: Outside, port: int, request_line: str) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        world.ports[port] = server.sockets[0].getsockname()[1]
        egress = Egress([f"{API}:{port}"], world.way)
        egress.answer(question(API))
        for pieces in ([request_line + "\r\n\r\n"], list(request_line + "\r\n\r\n")):
            await Client(egress, "127.64.0.1", port).said(*(piece.encode() for piece in pieces), hang_up=True)
    assert b"".join(heard) == b""
    assert egress.traffic.refused == 2


async def test_other_protocols_pass_on_other_ports_byte_by_byte(world: Outside) -> None:
    egress = Egress([f"{API}:{BANNER_PORT}"], world.way)
    egress.answer(question(API))
    for said in (
        b"ssh-2.0-openssh debian\r\n",
        b"ehlo x\r\n",
        b"\0\0\1 bytes\n",
        b'{"a": 1}\n',
        b"*1\r\n$4\r\nping\r\n",
    ):
        pieces = [said[at : at + 1] for at in range(len(said))]
        assert await Client(egress, "127.64.0.1", BANNER_PORT).said(*pieces, hang_up=True) == b"banner\n" + said.upper()
    assert egress.refused() == b""


async def test_whoever_cancels_leaves_nothing_open(world: Outside, recwarn: pytest.WarningsRecorder) -> None:
    egress = Egress([f"{API}:{BANNER_PORT}"], world.way)
    egress.answer(question(API))
    client = Client(egress, "127.64.0.1", BANNER_PORT)
    assert await client.side.read() == b"banner\n"
    client.handling.cancel()
    await asyncio.wait([client.handling])
    assert await client.side.read() == b""
    await client.side.close()


async def test_a_server_that_can_not_be_had_is_told_in_the_clients_protocol(world: Outside) -> None:
    egress = Egress([INSIDE], world.way)
    egress.answer(question(INSIDE))
    said = await Client(egress, "127.64.0.1", 80).said(f"GET / HTTP/1.1\r\nHost: {INSIDE}\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n") and b"not a public one" in said
    said = await Client(egress, "127.64.0.1", 443).said(greeting(INSIDE))
    assert said == bytes((21, 3, 3, 0, 2, 2, 49))
    with pytest.raises(ssl.SSLError, match="ACCESS_DENIED"):
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ssl.create_default_context().wrap_bio(come, go, server_hostname=INSIDE)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        come.write(said)
        client.do_handshake()


async def test_a_back_end_hears_when_there_is_room_again_and_nothing_stays_open(world: Outside) -> None:
    egress = Egress([f"{API}:{BANNER_PORT}"], world.way)
    egress.answer(question(API))
    freed: list[int] = []
    handling = Handling(egress, lambda: freed.append(1))
    ends: list[SocketConnection] = []
    while not handling.full:
        near, far = socket.socketpair()
        for side in (near, far):
            side.setblocking(False)
        ends.append(SocketConnection(near))
        handling.take(SocketConnection(far), ("127.64.0.1", BANNER_PORT))
    assert len(ends) == MOST
    assert await ends[0].read() == b"banner\n"
    ends[0].finish()
    assert await ends[0].read() == b""
    while not freed:
        await asyncio.sleep(0.01)
    assert not handling.full
    await handling.close()
    assert len(freed) == 1
    for end in ends[1:]:
        while await end.read():
            pass
    for end in ends:
        await end.close()


# --- bounds over all runs ------------------------------------------------------------------------------


async def test_connections_of_all_runs_are_bounded_together_and_who_waits_is_told(world: Outside) -> None:
    way = Way(["b.test:80"], Answering(*[[("127.0.0.1", world.ports[80])]] * 9), most=2)
    told: list[str] = []
    first, second = [await way.open("b.test", 80, 5, told.append) for _ in range(2)]
    assert told == []
    third = asyncio.get_running_loop().create_task(way.open("b.test", 80, 5, told.append))
    given_up = asyncio.get_running_loop().create_task(way.open("b.test", 80, 5, told.append))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not third.done() and len(told) == 2
    assert "waits for one of the 2 connections" in told[0]
    await first.close()
    await first.close()  # gives one place back
    await (await third).close()
    given_up.cancel()
    await asyncio.wait([given_up])
    if not given_up.cancelled():
        await given_up.result().close()
    with pytest.raises(Refused):
        await Way((), Answering([]), most=2).open("none.test", 80, 5)
    fourth = await way.open("b.test", 80, 5)
    fifth = asyncio.get_running_loop().create_task(way.open("b.test", 80, 5))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not fifth.done()
    await second.close()
    await fourth.close()
    await (await fifth).close()


async def test_one_that_fails_takes_no_place_for_good() -> None:
    way = Way((), Answering(*[[]] * 5), most=1)
    for _ in range(5):
        with pytest.raises(Refused):
            await asyncio.wait_for(way.open("none.test", 80, 5), 5)


async def test_questions_to_the_name_server_are_bounded() -> None:
    egress = Egress([API], Way(), limits=EgressLimits(questions=3))
    answers = [egress.answer(question(API)) for _ in range(6)]
    assert [answer is None for answer in answers] == [False] * 3 + [True] * 3
    assert egress.refused().count(b"asked too many times") == 1
    assert egress.traffic.refused == 1


async def test_look_ups_of_one_run_are_bounded_at_once() -> None:
    going, most = 0, 0

    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.01)
        going -= 1
        return []

    egress = Egress([API], Way(resolve=resolve), limits=EgressLimits(looking=3))
    await asyncio.gather(*(egress._out(API, 443) for _ in range(10)), return_exceptions=True)
    assert most == 3


async def test_the_machines_search_domains_are_for_private_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int) -> list[tuple[str, int]]:
        asked.append(host)
        return []

    monkeypatch.setattr("agenthost.sandboxes.egress.way._look_up", look_up)
    way = Way(["git:443"])
    for host, port in (("git", 443), ("git", 80), ("api.test", 443)):
        with pytest.raises(Refused, match="no address"):
            await way.open(host, port, 5)
    await way.close()
    assert asked == ["git", "git.", "api.test."]
