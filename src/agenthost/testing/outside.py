"""A piece of the internet on this machine: names, servers and a certificate authority for tests of granted network."""

import asyncio
import datetime
import ssl
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agenthost.sandboxes.egress.way import Way

API = "api.example.test"
OTHER = "other.example.test"
"""Another host on the same servers, as at a content delivery network."""
WIDE = "wide.example.test"
INSIDE = "inside.example.test"
"""A name whose address is this machine's, and that no setting allows."""
METADATA = "metadata.example.test"
BANNER_PORT = 2222
"""Where the server speaks first."""


class Outside:
    """`seen` are the requests that came to a server: a line each, with the Host. `asked` are the names that were
    looked up on the host's side. `files` are what the web servers give, by path."""

    def __init__(self, ca: bytes) -> None:
        self.ca = ca
        self.seen: list[str] = []
        self.asked: list[str] = []
        self.files: dict[str, bytes] = {"/": b"hello from outside"}
        self.ports: dict[int, int] = {}
        allowed = [
            f"{name}:{port}" for name in (API, OTHER, f"a.{WIDE}", f"b.{WIDE}") for port in (443, 80, BANNER_PORT)
        ]
        self.way = Way(allowed, self.resolve)

    async def resolve(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        """The names of this internet, each at a server's real port."""
        self.asked.append(host)
        if host == METADATA:
            return [("169.254.169.254", port)]
        if not host.endswith(".example.test"):
            raise OSError(f"no name {host}")
        return [("127.0.0.1", self.ports.get(port, port))]

    async def web(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request: a file, or what was sent to `/echo`."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            path = head[0].split(" ")[1].partition("?")[0]
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.seen.append(f"{head[0]} {headers.get('host', '')}")
            found = body if path == "/echo" else self.files.get(path)
            status, body = ("200 OK", found) if found is not None else ("404 Not Found", b"no such file")
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def banner(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speaks first, then says everything again in capitals."""
        try:
            writer.write(b"banner\n")
            self.seen.append("banner")
            while line := await reader.readline():
                writer.write(line.upper())
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AgentHost test authority")])
    return key, _certificate(name, key, name, key, None)


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    names: Sequence[str] | None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names is not None:
        built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    else:
        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        built = built.add_extension(signs, critical=True)
    return built.sign(signer, hashes.SHA256())


def _server_context(key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> ssl.SSLContext:
    own = ec.generate_private_key(ec.SECP256R1())
    names = [API, OTHER, f"*.{WIDE}", INSIDE, METADATA]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, API)])
    certificate = _certificate(subject, own, authority.subject, key, names)
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


@asynccontextmanager
async def outside() -> AsyncGenerator[Outside]:
    """The servers while it is entered."""
    key, authority = await asyncio.to_thread(_authority)
    context = await asyncio.to_thread(_server_context, key, authority)
    world = Outside(authority.public_bytes(serialization.Encoding.PEM))
    servers = {
        443: await asyncio.start_server(world.web, "127.0.0.1", 0, ssl=context),
        80: await asyncio.start_server(world.web, "127.0.0.1", 0),
        BANNER_PORT: await asyncio.start_server(world.banner, "127.0.0.1", 0),
    }
    world.ports = {port: server.sockets[0].getsockname()[1] for port, server in servers.items()}
    try:
        yield world
    finally:
        for server in servers.values():
            server.close()
        for server in servers.values():
            await server.wait_closed()


def trust(world: Outside, workspace: Path) -> None:
    """Put the authority's certificate into a workspace, as ca.pem."""
    (workspace / "ca.pem").write_bytes(world.ca)
