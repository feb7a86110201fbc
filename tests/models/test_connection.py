"""The way to a provider: base URLs, proxies, certificates, one pool for each."""

import datetime
import ipaddress
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from agenthost.core.errors import AgentHostError, BadInput, Temporary
from agenthost.models.openai.connection import Sessions, base_url, proxy_for
from agenthost.models.playbook import as_playbook
from agenthost.testing.models import asked
from agenthost.testing.openai_server.service import Service
from tests.models.conftest import KEY, Bench
from tests.models.proxy import Proxy

HELLO = {"rules": [{"reply": {"text": "Hello."}}]}


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("https://api.example/v1", "https://api.example/v1"),
        (" https://api.example/v1/ \n", "https://api.example/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("http://[::1]:8000/x/v1", "http://[::1]:8000/x/v1"),
    ],
)
def test_a_base_url_as_people_write_it(given: str, means: str) -> None:
    assert base_url(given, "OPENAI_BASE_URL") == URL(means)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("api.openai.com/v1", "must be an http:// or https:// address, such as https://api.openai.com/v1"),
        ("ftp://x/v1", "must be an http"),
        ("http://", "OPENAI_BASE_URL is"),
        ("http://x:notaport/v1", "is not a URL"),
        ("https://me:secret@x/v1", "has a user name or password in it"),
        ("https://x/v1?key=1", "Leave out what follows the path"),
        ("https://x/v1/chat/completions", "Leave out /chat/completions: give https://x/v1."),
        ("https://x/v1/responses/", "give https://x/v1."),
    ],
)
def test_a_base_url_that_can_not_be_used_says_what_to_write(given: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        base_url(given, "OPENAI_BASE_URL")
    assert words in caught.value.message
    assert "OPENAI_BASE_URL" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "setting", "environ", "proxy"),
    [
        ("https://x/v1", "", {}, None),
        ("https://x/v1", "", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://x/v1", "", {"https_proxy": "p:3128"}, "http://p:3128"),
        ("https://x/v1", "", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://x/v1", "", {"HTTP_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://x/v1", "", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("https://x/v1", "", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "y, x"}, None),
        ("https://a.x.y/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": ".x.y"}, None),
        ("https://a.x.y/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*.x.y"}, None),
        ("https://ax.y/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x.y"}, "http://p:1"),
        ("https://x:444/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x:443"}, "http://p:1"),
        ("https://x:444/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x:444"}, None),
        ("https://x/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        ("https://x/v1", "", {"HTTPS_PROXY": "http://p:1", "no_proxy": ""}, "http://p:1"),
        ("http://127.0.0.1:11434/v1", "", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://127.0.0.1:11434/v1", "http://q:2", {}, "http://q:2"),
        ("https://x/v1", "none", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://x/v1", "http://q:2", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "http://q:2"),
    ],
)
def test_which_proxy_is_used(url: str, setting: str, environ: Mapping[str, str], proxy: str | None) -> None:
    assert proxy_for(URL(url), setting, environ) == (URL(proxy) if proxy else None)


@pytest.mark.parametrize("proxy", ["socks5://p:1", "http://", "http://p:x"])
def test_a_proxy_that_is_none_says_which_setting_names_it(proxy: str) -> None:
    with pytest.raises(BadInput, match="HTTPS_PROXY is not an address of an HTTP proxy"):
        proxy_for(URL("https://x/v1"), "", {"HTTPS_PROXY": proxy})
    with pytest.raises(BadInput, match="the provider's proxy"):
        proxy_for(URL("https://x/v1"), proxy, {})


# --- certificates -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, for 127.0.0.1: its file, and a server's context."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "ca.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, folder / "key.pem")
    return file, context


async def secure(bench: Bench, context: ssl.SSLContext) -> str:
    return await bench.serve(Service(as_playbook(HELLO)).application(), ssl_context=context) + "/v1"


async def said(bench: Bench, url: str, environ: Mapping[str, str], **settings: str) -> str:
    sessions = Sessions(environ)
    try:
        model = bench.model(url, sessions=sessions, key=KEY, **settings)
        return (await model.answer(asked("?"), lambda delta: None)).text
    finally:
        await sessions.close()


async def test_a_certificate_of_nobody_known_is_refused_with_the_way_out(
    bench: Bench, authority: tuple[Path, ssl.SSLContext]
) -> None:
    with pytest.raises(AgentHostError) as caught:
        await said(bench, await secure(bench, authority[1]), {})
    assert caught.value.code == "tls"
    assert not isinstance(caught.value, Temporary)
    assert "ca-file or in SSL_CERT_FILE" in caught.value.message


async def test_a_ca_of_ones_own_is_trusted(bench: Bench, authority: tuple[Path, ssl.SSLContext]) -> None:
    url = await secure(bench, authority[1])
    assert await said(bench, url, {}, ca_file=str(authority[0])) == "Hello."
    assert await said(bench, url, {"SSL_CERT_FILE": str(authority[0])}) == "Hello."


@pytest.mark.parametrize("content", [b"not a certificate", None])
async def test_a_ca_that_can_not_be_read_names_its_setting(
    bench: Bench, authority: tuple[Path, ssl.SSLContext], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    url = await secure(bench, authority[1])
    with pytest.raises(BadInput, match="the provider's ca-file .*can't be used: .*Give a file of PEM certificates"):
        await said(bench, url, {}, ca_file=str(file))
    with pytest.raises(BadInput, match="SSL_CERT_FILE"):
        await said(bench, url, {"SSL_CERT_FILE": str(file)})


async def test_a_server_without_tls_behind_https_is_told(bench: Bench) -> None:
    url = await bench.server(HELLO)
    with pytest.raises(AgentHostError) as caught:
        await said(bench, url.replace("http:", "https:"), {})
    assert caught.value.code in ("tls", "unreachable")


# --- proxies, for real --------------------------------------------------------------------------------


async def test_a_plain_request_goes_through_the_proxy(bench: Bench) -> None:
    url = await bench.server(HELLO)
    proxy = Proxy()
    async with proxy.running() as address:
        assert await said(bench, url, {}, proxy=f"http://{address}") == "Hello."
    assert proxy.seen == [f"POST {url}/chat/completions"]


async def test_https_is_tunnelled_and_the_proxy_sees_no_more_than_the_address(
    bench: Bench, authority: tuple[Path, ssl.SSLContext]
) -> None:
    url = await secure(bench, authority[1])
    proxy = Proxy(login="me:pass word")
    async with proxy.running() as address:
        answer = await said(bench, url, {}, proxy=f"http://me:pass%20word@{address}", ca_file=str(authority[0]))
    assert answer == "Hello."
    assert proxy.seen == [f"CONNECT 127.0.0.1:{URL(url).port}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_login_is_told_apart_from_the_provider(
    bench: Bench, authority: tuple[Path, ssl.SSLContext], scheme: str
) -> None:
    url = await secure(bench, authority[1]) if scheme == "https" else await bench.server(HELLO)
    async with Proxy(login="me:right").running() as address:
        with pytest.raises(AgentHostError) as caught:
            await said(bench, url, {}, proxy=f"http://me:wrong@{address}", ca_file=str(authority[0]))
    assert caught.value.code == "auth"
    assert not isinstance(caught.value, Temporary)
    assert "The proxy refused the way to acme (407)" in caught.value.message
    assert "wrong" not in caught.value.message


async def test_a_proxy_that_can_not_reach_the_provider_is_temporary(
    bench: Bench, authority: tuple[Path, ssl.SSLContext]
) -> None:
    url = await secure(bench, authority[1])
    async with Proxy(broken=True).running() as address:
        with pytest.raises(Temporary, match="The proxy could not reach acme"):
            await said(bench, url, {}, proxy=f"http://{address}")
    with pytest.raises(Temporary, match="The proxy on the way to acme can't be reached"):
        await said(bench, url, {}, proxy=f"http://{address}")


async def test_connections_are_used_again_and_shared_by_the_models_of_a_provider(bench: Bench) -> None:
    url = await bench.server(HELLO)
    proxy = Proxy()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(proxy.running())
        for _ in range(3):
            await bench.model(url, proxy=f"http://{address}").answer(asked("?"), lambda delta: None)
        await bench.sessions.close()
    assert len(proxy.seen) == 1  # the proxy reads the first line of each connection only
