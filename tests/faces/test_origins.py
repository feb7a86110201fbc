"""Names, origins and proxies as an attacker would send them."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.datastructures import Headers

from agenthost.core.errors import Forbidden
from agenthost.faces.http.guard import GuardSettings
from agenthost.faces.http.origins import believe, foreign_origin, host_of, need_own_page, networks
from agenthost.faces.http.server import ServeSettings
from tests.faces.test_port import get, port, problem, sent, status

NAMES = frozenset({"desk.example", "[fe80::1]"})


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "127.0.0.1:8484",
        "[::1]:8484",
        "desk.example",
        "DESK.example:443",
        "[FE80::1]:80",
    ],
)
def test_a_name_of_ours(host: str) -> None:
    assert host_of(headers(("Host", host)), NAMES) == host.lower()


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["evil.example"],
        ["localhost", "evil.example"],  # a proxy may look at one, and we at the other
        ["localhost", "localhost"],
        ["localhost.evil.example"],
        ["evil.example:localhost"],
        ["localhost@evil.example"],
        ["evil.example@localhost"],
        ["localhost:80:80"],
        ["localhost:"],
        ["localhost:port"],
        ["localhost."],
        ["[::1]evil.example"],
        ["[::1"],
        ["::1"],
        ["[::ffff:127.0.0.1]"],
        ["127.1"],
        ["0x7f000001"],
        ["2130706433"],
        ["0.0.0.0"],
        ["127.0.0.1.nip.example"],
        ["localhost/../evil"],
        ["localhost evil"],
        ["localhost\tx"],
        ["l\u00f6calhost"],
        ["desk.example.evil.example"],
        ["x.desk.example"],
    ],
)
def test_a_name_that_is_another(hosts: list[str]) -> None:
    with pytest.raises(Forbidden) as told:
        host_of(headers(*(("Host", host) for host in hosts)), NAMES)
    assert told.value.code == "host-header"
    assert "\t" not in told.value.message


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "own"),
    [
        ("http://localhost:8484", "http", "localhost:8484", True),
        ("http://LOCALHOST:8484", "http", "localhost:8484", True),
        ("http://desk.example", "http", "desk.example:80", True),
        ("https://desk.example", "https", "desk.example:443", True),
        ("https://desk.example", "http", "desk.example", True),  # a proxy speaks TLS
        ("http://desk.example", "https", "desk.example", False),  # a plain page that somebody put in the way
        ("http://desk.example:80", "https", "desk.example", False),
        ("http://localhost:8485", "http", "localhost:8484", False),
        ("http://localhost", "http", "localhost:8484", False),
        ("http://127.0.0.1:8484", "http", "localhost:8484", False),
        ("null", "http", "localhost:8484", False),
        ("", "http", "localhost:8484", False),
        ("localhost:8484", "http", "localhost:8484", False),
        ("file://localhost:8484", "http", "localhost:8484", False),
        ("chrome-extension://localhost:8484", "http", "localhost:8484", False),
        ("http://localhost:8484/", "http", "localhost:8484", False),
        ("http://localhost:8484@evil.example", "http", "localhost:8484", False),
        ("http://evil.example", "http", "localhost:8484", False),
    ],
)
def test_a_page_is_ours_by_scheme_name_and_port(origin: str, scheme: str, host: str, own: bool) -> None:
    given = headers(("Origin", origin))
    if own:
        assert foreign_origin(given, scheme, host, frozenset()) == ""
        need_own_page(given, scheme, host, True)
    else:
        with pytest.raises(Forbidden):
            foreign_origin(given, scheme, host, frozenset())


def test_two_origins_are_none() -> None:
    twice = headers(("Origin", "http://localhost"), ("Origin", "http://localhost"))
    with pytest.raises(Forbidden):
        foreign_origin(twice, "http", "localhost", frozenset())


def test_a_named_page_elsewhere_is_let_in_and_has_no_session() -> None:
    given = headers(("Origin", "https://friend.example"))
    named = frozenset({"https://friend.example"})
    assert foreign_origin(given, "http", "localhost", named) == "https://friend.example"
    with pytest.raises(Forbidden):
        need_own_page(given, "http", "localhost", False)


PROXIES = networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "passed", "address"),
    [
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),  # nobody who may say so
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # what stands before was made up
        ("127.0.0.1", ["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9:5555"], "203.0.113.9"),
        ("127.0.0.1", ['"[2001:db8::7]:5555"'], "2001:db8::7"),
        ("127.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("127.0.0.1", ["garbage"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, garbage"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("fd00::9", ["203.0.113.9"], "203.0.113.9"),
    ],
)
def test_who_is_behind_a_proxy(peer: str, passed: list[str], address: str) -> None:
    scope: dict[str, Any] = {"client": (peer, 1), "scheme": "http"}
    believe(scope, headers(*(("X-Forwarded-For", text) for text in passed)), PROXIES)
    assert scope["client"][0] == address
    assert scope["scheme"] == "http"


@pytest.mark.parametrize(
    ("peer", "told", "scheme"),
    [
        ("127.0.0.1", ["https"], "https"),
        ("127.0.0.1", ["http"], "http"),
        ("127.0.0.1", ["https, http"], "http"),
        ("127.0.0.1", ["https", "http"], "http"),
        ("127.0.0.1", ["gopher"], "http"),
        ("203.0.113.9", ["https"], "http"),
    ],
)
def test_whether_a_proxy_speaks_tls(peer: str, told: list[str], scheme: str) -> None:
    scope: dict[str, Any] = {"client": (peer, 1), "scheme": "http"}
    believe(scope, headers(*(("X-Forwarded-Proto", text) for text in told)), PROXIES)
    assert scope["scheme"] == scheme


async def test_over_a_port_forwarded_headers_count_from_trusted_proxies_alone(tmp_path: Path) -> None:
    made_up = [f"X-Forwarded-For: 203.0.113.{n}" for n in range(5)]
    settings = ServeSettings(guard=GuardSettings(wrong_tokens=3))
    async with port(tmp_path, settings) as number:
        answers = [status(await sent(number, get("/api/v1/info", line, token="ah_no"))) for line in made_up]
        assert answers == [401, 401, 401, 429, 429]  # a header doesn't make another sender of it
        host = get("/api/v1/info", "X-Forwarded-Host: localhost", host="evil.example")
        assert problem(await sent(number, host)) == "host-header"
    (tmp_path / "two").mkdir()
    trusted = GuardSettings(wrong_tokens=3, proxies=networks(["127.0.0.1"]))
    async with port(tmp_path / "two", ServeSettings(guard=trusted)) as number:
        answers = [status(await sent(number, get("/api/v1/info", line, token="ah_no"))) for line in made_up]
        assert answers == [401] * 5
        one = [
            status(await sent(number, get("/api/v1/info", f"X-Forwarded-For: 2001:db8::{n}", token="ah_no")))
            for n in range(5)
        ]
        assert one == [401, 401, 401, 429, 429]  # who has one address of IPv6 has them all


async def test_two_names_in_one_request_are_refused(tmp_path: Path) -> None:
    async with port(tmp_path) as number:
        answer = await sent(number, get("/api/v1/info", "Host: evil.example"))
        assert status(answer) in (400, 403)
        named = get("/api/v1/info").replace(b"GET /api", b"GET http://evil.example/api")
        assert status(await sent(number, named)) in (200, 400, 401, 403, 404)


async def test_a_page_elsewhere_may_read_the_headers_that_clients_go_by(tmp_path: Path) -> None:
    friend = {"Origin": "https://friend.example"}
    settings = ServeSettings(guard=GuardSettings(origins=frozenset({"https://friend.example"})))
    async with (
        port(tmp_path, settings) as number,
        aiohttp.ClientSession(f"http://127.0.0.1:{number}", headers=friend) as client,
        client.get("/api/v1/info") as refused,
        client.get("/healthz") as found,
    ):
        for answer in (refused, found):
            told = answer.headers["Access-Control-Expose-Headers"].split(", ")
            for name in ("x-request-id", "retry-after", "etag", "location", "idempotency-replayed"):
                assert name in told
            # Beside these a page reads Content-Type and Cache-Control anyway.
            own = {name.lower() for name in answer.headers} - {"content-type", "cache-control", "vary"}
            hidden = {name for name in own - set(told) if not name.startswith("access-control-")}
            assert hidden <= {"date", "server", "connection", "x-content-type-options"}
        assert refused.status == 401
        assert refused.headers["X-Request-Id"]
