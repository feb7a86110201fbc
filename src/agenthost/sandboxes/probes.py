"""Looks at a service in a sandbox by HTTP, and writes down what it saw."""

import asyncio
import hashlib
import time
from collections.abc import Callable

import h11
from msgspec import Struct

from agenthost.core.commands import Probe
from agenthost.core.ports import Connection, Sandbox, SandboxService, silent
from agenthost.core.sandboxes import SandboxOutcome, SandboxRun
from agenthost.sandboxes.patterns import Endless, found

_PAUSE = 0.1
_ONE_LOOK = 10.0
_MOST_BODY = 256 * 1024
_EXCERPT = 2000


class Seen(Struct):
    """One answer: its status line, headers and body (at most 256 KiB of it; `cut` where there was more)."""

    status: int
    head: str
    body: bytes
    cut: bool


class HttpProber:
    """The port `core.ports.Prober` over any sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def probe(self, run: SandboxRun, probe: Probe, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Serve, look until it is as wanted or the time is over, end it. Exit code 0 where it was; stdout is the
        evidence, stderr the server's own with the reason behind it. Raises what `Sandbox.spawn` raises."""
        began = time.monotonic()
        service = await self._sandbox.spawn(run, tell)
        try:
            look = _Look(service, probe)
            try:
                reason = await look.until(began + probe.within)
            except Endless as problem:
                reason = str(problem)
        finally:
            ended = await service.stop()
        stderr = ended.stderr
        evidence = look.evidence(time.monotonic() - began)
        if reason:
            stderr += (b"" if not stderr or stderr.endswith(b"\n") else b"\n") + f"probe: {reason}\n".encode()
            if ended.stdout:
                evidence += "\n--- the server's stdout ---\n" + ended.stdout.decode("utf-8", "replace")
        duration = time.monotonic() - began
        return SandboxOutcome(int(bool(reason)), evidence.encode(), stderr, duration, ended.limit, ended.cut)


class _Look:
    def __init__(self, service: SandboxService, probe: Probe) -> None:
        self._service = service
        self._probe = probe
        self._seen: Seen | None = None
        self._searched: tuple[bytes, bool] | None = None
        self._tries = 0

    async def until(self, deadline: float) -> str:
        """Look again and again; why it is not as wanted, empty where it is. Raises Endless."""
        while True:
            left = deadline - time.monotonic()
            reason = await self._once(max(left, _PAUSE))
            if not reason:
                return ""
            try:
                async with asyncio.timeout(min(_PAUSE, max(left, 0))):
                    ended = await self._service.wait()
                what = f"its limit on {ended.limit} was reached" if ended.limit else f"exit code {ended.exit_code}"
                return f"the server ended before it was asked for anything ({what})" if self._seen is None else reason
            except TimeoutError:
                if time.monotonic() >= deadline:
                    return f"{reason} (waited {self._probe.within:g} s)"

    async def _once(self, left: float) -> str:
        self._tries += 1
        where = f"http://127.0.0.1:{self._probe.port}{self._probe.path}"
        try:
            async with asyncio.timeout(min(left, _ONE_LOOK)):
                connection = await self._service.connect(self._probe.port)
                try:
                    self._seen = await get(connection, self._probe.port, self._probe.path)
                finally:
                    await connection.close()
        except TimeoutError:
            return f"{where} does not answer: the connection is made, and nothing comes back"
        except ConnectionRefusedError:
            return f"nothing listens on port {self._probe.port} of 127.0.0.1"
        except OSError as problem:
            return f"{where} hung up ({problem.strerror or problem})"
        except h11.RemoteProtocolError as problem:
            return f"{where} does not answer with HTTP ({problem})"
        return await self._judged(where, self._seen)

    async def _judged(self, where: str, seen: Seen) -> str:
        if seen.status != self._probe.status:
            return f"{where} answered with the status {seen.status}, not {self._probe.status}"
        if self._probe.body and not await self._matches(seen.body):
            return f"the body of {where} has nothing that matches {self._probe.body!r}"
        return ""

    async def _matches(self, body: bytes) -> bool:
        """Whether the body has what is wanted; one that is as it was isn't searched again."""
        if self._searched is None or self._searched[0] != body:
            self._searched = body, await found(self._probe.body, body)
        return self._searched[1]

    def evidence(self, seconds: float) -> str:
        """What was seen last, for the journal."""
        asked = f"GET http://127.0.0.1:{self._probe.port}{self._probe.path}"
        tries = "once" if self._tries == 1 else f"{self._tries} times"
        if self._seen is None:
            return f"{asked}: asked {tries} in {seconds:.1f} s, never answered\n"
        seen = self._seen
        size = f"{len(seen.body)} bytes" + (" and more" if seen.cut else "")
        text = seen.body.decode("utf-8", "replace")
        excerpt = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}\n[{len(text) - _EXCERPT} characters more]"
        digest = hashlib.sha256(seen.body).hexdigest()
        return f"{asked}: asked {tries} in {seconds:.1f} s\n{seen.head}\nbody: {size}, sha256 {digest}\n\n{excerpt}\n"


async def get(connection: Connection, port: int, path: str) -> Seen:
    """One GET. Raises OSError and h11.RemoteProtocolError."""
    client = h11.Connection(h11.CLIENT)
    headers = [("Host", f"127.0.0.1:{port}"), ("User-Agent", "agenthost"), ("Accept", "*/*"), ("Connection", "close")]
    request = client.send(h11.Request(method="GET", target=path, headers=headers)) or b""
    await connection.write(request + (client.send(h11.EndOfMessage()) or b""))
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            data = await connection.read()
            if not data and head is None:
                raise OSError("without an answer")
            client.receive_data(data)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif head is not None and isinstance(event, h11.EndOfMessage):
            return Seen(head.status_code, _head(head), bytes(body), False)
        if head is not None and len(body) > _MOST_BODY:
            return Seen(head.status_code, _head(head), bytes(body[:_MOST_BODY]), True)


def _head(response: h11.Response) -> str:
    version, reason = response.http_version.decode("ascii"), response.reason.decode("latin-1")
    lines = [f"HTTP/{version} {response.status_code} {reason}".rstrip()]
    return "\n".join(
        [*lines, *(f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in response.headers)]
    )
