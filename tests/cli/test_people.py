"""`agenthost people` and `agenthost keys` on a home, with a host that runs and without one; where a host may listen."""

import io
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agenthost.cli import keys, people
from agenthost.cli.connect import HomeDoor
from agenthost.cli.screen import Screen
from agenthost.cli.serving import Listening, served
from agenthost.client.client import Client
from agenthost.client.transport import Address
from agenthost.core.access import DeedFilter
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, Unauthenticated
from agenthost.host.host import open_host
from agenthost.host.settings import load

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AGENTHOST_URL", raising=False)
    made = tmp_path / "home"
    made.mkdir()
    (made / "agenthost.toml").write_text("[a2a]\nenabled = false\n[mcp]\nenabled = false\n")
    return made


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    async def ran(*words: str, typed: str = "") -> Any:
        verb = {"people": people, "keys": keys}[words[0]]
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        args = verb.parser(words[0]).parse_args([*words[1:], "--json"])
        assert await verb.run(args, HomeDoor(str(home)), Screen(json=True)) == 0
        out = capsys.readouterr().out
        return json.loads(out.splitlines()[-1]) if out else None  # a host in this process logs too

    return ran


async def everything(run: Run) -> None:
    """A person from their beginning to their end."""
    added = await run("people", "add", "ann", "--name", "Ann Lee", "--password", typed="three words and one\n")
    assert (added["id"], added["role"], added["password"]) == ("ann", "user", True)
    assert [person["id"] for person in await run("people", "list")] == ["ann", "owner"]
    changed = await run("people", "change", "ann", "--role", "operator")
    assert changed["role"] == "operator"
    assert (await run("people", "change", "ann", "--disable"))["disabled"] is True
    assert "disabled" not in await run("people", "change", "ann", "--enable")
    assert (await run("people", "password", "ann", "--none")) == {"id": "ann", "password": False}
    link = await run("people", "link", "ann")
    assert re.search(r"/sign-in\?code=ah_[\w-]{43}$", link["url"])
    made = await run("keys", "new", "laptop", "--person", "ann", "--rights", "read,work", "--lasts", "90d")
    assert made["secret"].startswith("ah_") and made["key"]["rights"] == ["read", "work"]
    assert [key["id"] for key in await run("keys", "list", "--person", "ann")] == [made["key"]["id"]]
    await run("keys", "revoke", made["key"]["id"], "--person", "ann")
    assert await run("keys", "list", "--person", "ann") == []
    await run("people", "remove", "ann")
    assert [person["id"] for person in await run("people", "list")] == ["owner"]


async def test_people_and_keys_without_a_host_that_runs(run: Run) -> None:
    await everything(run)


async def test_people_and_keys_of_a_host_that_runs(run: Run, home: Path) -> None:
    async with HomeDoor(str(home)).serve(None, 0):
        await everything(run)


async def test_who_comes_by_a_key_may_what_it_may(run: Run, home: Path) -> None:
    await run("people", "add", "ann")
    secret = (await run("keys", "new", "--person", "ann"))["secret"]
    async with (
        HomeDoor(str(home)).serve(None, 0) as host,
        Client(Address(url=host.url, token=secret)) as client,
    ):
        admin = client.admin()
        assert (await admin.whoami()).person.id == "ann"
        for refused in (admin.people(), admin.person("owner"), admin.keys("owner")):
            with pytest.raises(Forbidden):
                await refused
        (mine,) = await admin.keys()
        assert mine.current
        await admin.revoke_key(mine.id)
        with pytest.raises(Unauthenticated):
            await admin.whoami()


@pytest.mark.parametrize(
    "words",
    [
        ("people", "change", "ann"),
        ("people", "change", "nobody", "--enable"),
        ("people", "add", "Not An Id"),
        ("people", "add", "eve", "--password"),
        ("people", "remove", "owner"),
        ("keys", "new", "--rights", "read,everything"),
        ("keys", "new", "--lasts", "forever"),
        ("keys", "new", "--lasts", "0d"),
        ("keys", "revoke", "k1"),
    ],
)
async def test_what_cant_be_done_says_what_to_do(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(AgentHostError) as told:
        await run(*words)
    assert told.value.exit_code == 2 and len(told.value.message) > 20


async def test_a_secret_is_in_no_word_of_the_command(run: Run) -> None:
    with pytest.raises(SystemExit):
        await run("people", "add", "eve", "--password=three words and one")


# --- where a host may listen ---


async def listened(home: Path, toml: str, wanted: Listening) -> str:
    rest = "" if "[a2a]" in toml else "[a2a]\nenabled = false\n"
    (home / "agenthost.toml").write_text(toml + rest + "[mcp]\nenabled = false\n")
    host = await open_host(load(home, {}))
    try:
        async with served(host, home / "s.sock", wanted) as url:
            return url
    finally:
        await host.close()


class Elsewhere(socket.socket):
    """Listens on loopback, and says that it listens at another address: tests reach nothing beyond."""

    bound = ""

    def getsockname(self) -> Any:
        return (self.bound, super().getsockname()[1])


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def listens(address: str) -> None:
        def listen(host: str, port: int) -> socket.socket:
            made = Elsewhere(socket.AF_INET, socket.SOCK_STREAM)
            made.bind(("127.0.0.1", 0))
            made.listen()
            made.setblocking(False)
            made.bound = address
            return made

        monkeypatch.setattr("agenthost.cli.serving.listen", listen)

    return listens


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
async def test_on_every_address_a_host_listens_only_where_it_is_meant(
    home: Path, bound: Callable[[str], None], address: str
) -> None:
    bound(address)
    with pytest.raises(BadInput, match="listens on every address .* set `public = true`"):
        await listened(home, "", Listening(address, 0))
    with pytest.raises(BadInput, match="has to know its names"):
        await listened(home, "[http]\npublic = true\n", Listening(address, 0))
    url = await listened(home, '[http]\npublic = true\nhosts = ["desk.example"]\n', Listening(address, 0))
    assert url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("127.lan.example", "192.168.1.5"),
        ("localhost", "192.168.1.5"),
        ("192.168.1.5", "192.168.1.5"),
        ("::1", "fd00::5%eth0"),
    ],
)
async def test_a_name_is_judged_by_the_address_that_it_means(
    home: Path, bound: Callable[[str], None], name: str, address: str
) -> None:
    bound(address)
    with pytest.raises(BadInput, match="set `public = true`"):
        await listened(home, "", Listening(name, 0))
    assert await listened(home, "[http]\npublic = true\n", Listening(name, 0))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
async def test_on_loopback_a_host_listens_as_it_is(home: Path, address: str) -> None:
    assert (await listened(home, "", Listening(address, 0))).startswith("http://")


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ('[http]\ncertificate = "/nowhere.pem"\n', "both `certificate` and `key`"),
        ('[http]\ncertificate = "/nowhere.pem"\nkey = "/nowhere.pem"\n', "no file"),
        ('[http]\nproxies = ["nowhere"]\n', "addresses or networks"),
        ('[a2a]\ngrpc-port = 50051\ngrpc-host = "0.0.0.0"\n', "grpc-host '0.0.0.0' may be reached from elsewhere"),
        ('[a2a]\ngrpc-port = 50051\ngrpc-host = "desk.lan"\n', "grpc-host 'desk.lan' may be reached from elsewhere"),
        ('[oidc.work]\nissuer = "https://id.example"\nclient-id = "x"\nalgorithms = ["none"]\n', "of public keys"),
        ('[oidc.work]\nissuer = "https://id.example"\n', "client-id"),
        ("[access]\npassword-least = 4\n", "password-least"),
    ],
)
async def test_settings_that_cant_be_are_refused_with_their_place(home: Path, toml: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        await listened(home, toml, Listening("127.0.0.1", 0))


async def test_sign_ins_at_the_hosts_machine_are_in_the_audit_log(run: Run, home: Path) -> None:
    await run("people", "add", "ann")
    await run("people", "link", "ann")
    host = await open_host(load(home, {}))
    try:
        log = await host.accounts.deeds(DeedFilter())
    finally:
        await host.close()
    assert [(deed.what, deed.person, deed.via) for deed in log] == [
        ("session.link", "owner", "socket"),
        ("person.add", "owner", "socket"),
    ]
