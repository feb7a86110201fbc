"""What code in a sandbox may say to its way out, and what it can't get by it."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenthost.core.hosts import is_name
from agenthost.sandboxes.egress import hello, way
from agenthost.sandboxes.egress.egress import Egress
from agenthost.sandboxes.egress.rules import EgressLimits, Refused, Rules, host_and_port
from agenthost.sandboxes.egress.way import Way
from agenthost.sandboxes.outlet import Outlet
from agenthost.testing.outside import API, WIDE, Outside, outside

LIMITS = EgressLimits(opening=5.0, connect=5.0)


@pytest.fixture
async def world() -> AsyncIterator[Outside]:
    async with outside() as world:
        yield world


class Near:
    """One connection into an Egress, in memory: it says what is given, then hangs up, and never blocks."""

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self.pieces = list(pieces)
        self.broken = broken
        self.heard = b""
        self.closed = 0

    async def read(self, most: int = 65536) -> bytes:
        await asyncio.sleep(0)
        return self.pieces.pop(0) if self.pieces else b""

    async def write(self, data: bytes) -> None:
        if self.broken:
            raise BrokenPipeError
        self.heard += data

    async def close(self) -> None:
        self.closed += 1


def looked_up(egress: Egress, name: bytes) -> bytes:
    labels = b"".join(bytes((len(label),)) + label for label in name.split(b"."))
    return egress.answer(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1") or b""


async def nowhere(host: str, port: int) -> Sequence[tuple[str, int]]:
    raise OSError(errno.ENOENT, "nobody is asked in this test")


def proxy(egress: Egress) -> tuple[str, int]:
    return "127.0.0.1", egress.ports[-1]


# --- names ------------------------------------------------------------------------------------------

STRANGE = [b"a b", b"a\0b", b"*", b"-a", b"a@b", b"a#b", b"a/b", b"a:b", b"[", b"\n"]


@pytest.mark.parametrize("label", STRANGE)
async def test_below_a_wildcard_there_are_plain_names_alone(label: bytes) -> None:
    egress = Egress([f"*.{WIDE}"], Way(resolve=nowhere))
    assert looked_up(egress, label + b"." + WIDE.encode())[3] & 15 == 3
    assert not Rules([f"*.{WIDE}"]).allows(f"{label.decode()}.{WIDE}", 443)


@pytest.mark.parametrize(
    "target",
    [f"{'x' * 64}.{WIDE}:443", f"a..{WIDE}:443", f".{WIDE}:443", f"{'x.' * 130}{WIDE}:443", f"a.{WIDE}:000001{'9' * 5000}"],
)  # fmt: skip
async def test_a_name_that_nobody_can_look_up_is_refused_in_words(target: str) -> None:
    egress = Egress([f"*.{WIDE}"], Way())
    near = Near(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await egress.handle(near, proxy(egress))
    assert near.heard.startswith(b"HTTP/1.1 403 ") and near.closed
    assert egress.traffic.refused == 1


async def test_a_resolver_that_can_not_read_a_name_refuses() -> None:
    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        return [(host.encode("idna").decode(), port)]  # as `getaddrinfo` begins

    with pytest.raises(Refused, match="no name"):
        await Way(resolve=resolve).open("a..test", 443, 5)


@given(st.text(max_size=30), st.integers(0, 70000))
def test_no_authority_is_too_strange(text: str, port: int) -> None:
    for authority in (text, f"{text}:{port}", f"a.test:{text}"):
        found = host_and_port(authority, 80)
        assert found is None or (found[0] and 0 < found[1] < 65536)
    assert isinstance(is_name(text), bool)


async def test_there_is_a_port_for_the_proxy_whatever_is_granted() -> None:
    egress = Egress(["a.test:3128", "a.test:3129", "a.test:3130"], Way())
    assert len(set(egress.ports)) == 4


# --- addresses --------------------------------------------------------------------------------------


async def test_a_granted_name_with_this_machines_own_address_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that lets nobody in from outside doesn't stand between the machine and itself."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    monkeypatch.setattr(way, "is_public", lambda address: True)  # as a machine's address on the internet is
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        async def resolve(host: str, wanted: int) -> Sequence[tuple[str, int]]:
            return [("127.0.0.1", port)]

        with pytest.raises(Refused, match="this machine's own"):
            await Way(resolve=resolve).open("mine.test", 443, 5)
        await (await Way(["mine.test:443"], resolve).open("mine.test", 443, 5)).close()


# --- requests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("through_proxy", [True, False])
@pytest.mark.parametrize(
    "lengths",
    ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"],
)  # fmt: skip
async def test_a_request_with_two_lengths_is_not_passed_on(world: Outside, through_proxy: bool, lengths: str) -> None:
    egress = Egress([API], world.way)
    looked_up(egress, API.encode())
    target, local = (f"http://{API}/", proxy(egress)) if through_proxy else ("/", ("127.64.0.1", 80))
    smuggled = "0\r\n\r\nGET /other HTTP/1.1\r\nHost: other.test\r\n\r\n"
    near = Near(f"POST {target} HTTP/1.1\r\nHost: {API}\r\n{lengths}\r\n\r\n{smuggled}".encode())
    await egress.handle(near, local)
    assert b"hello from outside" not in near.heard
    assert b"two ways" in egress.refused()


async def test_who_hangs_up_before_the_refusal_is_still_told_of() -> None:
    egress = Egress([API], Way(resolve=nowhere))
    looked_up(egress, API.encode())
    said = {
        proxy(egress): b"CONNECT evil.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        ("127.64.0.1", 80): b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        ("127.64.0.1", 443): b"\x16\x03\x01\0\5\2\0\0\1\0",
    }
    for local, words in said.items():
        await egress.handle(Near(words, broken=True), local)
    assert egress.traffic.refused == 3


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"GET / HTTP/1.1\r\n", b"Host: api.test\r\n", b"\r\n", b"CONNECT api.test:443 HTTP/1.1\r\n", b"http://",
                 b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"Connection: content-length\r\n",
                 b"Content-Length: 3\r\n", b"\x16\x03\x01\0\5\1\0\0\1\0", b"GET http://api.test/ HTTP/1.0\r\n"]
            ),
        ),
        max_size=8,
    ),
    st.sampled_from([80, 443, 8080, 3128]),
)  # fmt: skip
def test_no_client_is_too_strange(pieces: list[bytes], port: int) -> None:
    async def go() -> None:
        egress = Egress(["api.test", "api.test:8080"], Way(resolve=nowhere), limits=LIMITS)
        looked_up(egress, b"api.test")
        near = Near(*pieces)
        await egress.handle(near, ("127.64.0.1", port))
        assert near.closed

    asyncio.run(go())


# --- greetings --------------------------------------------------------------------------------------


async def test_a_greeting_in_crumbs_is_not_read_for_ever() -> None:
    crumb = b"\x16\x03\x01\0\1"
    said = b"".join(crumb + bytes((letter,)) for letter in b"\1\0\x7f\xff" + bytes(30_000))
    with pytest.raises(hello.Unreadable, match="pieces"):
        hello.server_name(said[:600])
    egress = Egress([API], Way(resolve=nowhere))
    looked_up(egress, API.encode())
    near = Near(*(said[at : at + 1] for at in range(2000)))
    await egress.handle(near, ("127.64.0.1", 443))
    assert len(near.pieces) > 1000


# --- files ------------------------------------------------------------------------------------------


async def test_without_a_file_left_it_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            nonlocal tries
            tries += 1
            raise OSError(errno.EMFILE, "Too many open files")

    listening = Full()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for side in (listening, names):
        side.setblocking(False)
    served = Outlet(Egress([API], Way()), [listening, names])
    with socket.socket() as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, listening.getsockname())
        for _ in range(200):
            await asyncio.sleep(0.0005)
    await served.close()
    assert 1 <= tries <= 3
