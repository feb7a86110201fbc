"""What is granted, what is refused, and how much has gone through."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.hosts import MOST_HOSTS, is_name, read_host

MIB = 1024 * 1024


class Refused(Exception):
    """Something isn't let through. `what` is a host with its port or a name, `reason` ends the sentence."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class EgressLimits(Struct, frozen=True):
    """The most that one run may do. Sizes in bytes, times in seconds.

    `at_once` and `connections` count connections, `names` the names that get an address, `questions` what is asked of
    the name server, `looking` the look-ups in the world that go on at once. `opening` is how long a
    client may take to say whom it wants, `connect` how long the way there may take.
    """

    at_once: int = 64
    connections: int = 2000
    names: int = 1000
    questions: int = 20_000
    looking: int = 4
    traffic: int = 1024 * MIB
    opening: float = 15.0
    connect: float = 15.0


class Traffic(Struct):
    """What one run has done so far; bytes as the sandbox sees them."""

    connections: int = 0
    refused: int = 0
    sent: int = 0
    received: int = 0


class Rules:
    """The hosts that a policy grants. Raises BadInput for an entry that can't be read."""

    def __init__(self, hosts: Sequence[str]) -> None:
        if len(hosts) > MOST_HOSTS:
            raise BadInput(f"A sandbox may have at most {MOST_HOSTS} hosts. Use a wildcard such as *.example.com.")
        try:
            self._rules = [read_host(host) for host in hosts]
        except ValueError as problem:
            raise BadInput(f"A granted host can't be used: {problem}.") from problem
        self.ports = tuple(sorted({port for rule in self._rules for port in rule.ports}))

    def names(self, host: str) -> bool:
        """Whether the host is granted on any port. Below a wildcard a name is a plain one, or none."""
        return is_name(host) and any(rule.names(host) for rule in self._rules)

    def allows(self, host: str, port: int) -> bool:
        return is_name(host) and any(rule.names(host) and port in rule.ports for rule in self._rules)

    def demand(self, host: str, port: int) -> None:
        """Raises Refused where it isn't granted."""
        if not self.allows(host, port):
            reason = "this port is not granted" if self.names(host) else "not granted"
            raise Refused(f"{host}:{port}", reason)


class Refusals:
    """What was refused, each thing once, for the run's stderr and for people."""

    _MOST = 20

    def __init__(self, traffic: Traffic, tell: Callable[[str], None]) -> None:
        self._traffic = traffic
        self._tell = tell
        self._lines: dict[str, None] = {}
        self._more = 0

    def add(self, kind: str, problem: Refused) -> None:
        """`kind` is what it was: a connection, a look-up."""
        self._traffic.refused += 1
        said = f"sandbox: refused {kind} {problem.what[:300]}: {problem.reason}"
        line = "".join(sign if sign.isprintable() else "?" for sign in said)
        if line in self._lines:
            return
        if len(self._lines) >= self._MOST:
            self._more += 1
            return
        self._lines[line] = None
        self._tell(line)

    def text(self) -> str:
        """A line each; empty where nothing was refused."""
        more = [f"sandbox: refused {self._more} more times"] if self._more else []
        return "".join(f"{line}\n" for line in (*self._lines, *more))


def host_and_port(authority: str, default: int | None) -> tuple[str, int] | None:
    """`host` or `host:port` as two, in lower case and without a dot at its end; None where it can't be read."""
    name, colon, number = authority.lower().rpartition(":")
    if not colon:
        name, number = authority.lower(), str(default or "")
    if not number.isascii() or not number.isdigit() or len(number) > 5 or not 0 < int(number) < 65536:
        return None
    name = name.removesuffix(".")
    return (name, int(number)) if name and name.isascii() else None
