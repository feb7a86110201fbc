"""One POST to an address that somebody gave, by the host's guarded way out, and what came of it."""

import ipaddress
from email.utils import parsedate_to_datetime
from time import time

from msgspec import Struct

from agenthost.core.errors import BadInput, Permanent, Temporary, Unusable
from agenthost.host.outgoing import Outgoing, parts_of
from agenthost.sandboxes.egress.way import is_public

MOST_ANSWER = 64 * 1024
"""Bytes that are read of an answer; what it says beyond its status is for nobody."""

MOST_URL = 2048


class Outcome(Struct, frozen=True):
    """What came of a try. `status` is 0 where there was no answer; `wait`: seconds that the other side asks for."""

    status: int
    reason: str = ""
    wait: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the other side has it."""
        return 200 <= self.status < 300


class Sender:
    """Sends. `timeout`: seconds that one try may take."""

    def __init__(self, outgoing: Outgoing, timeout: float) -> None:
        self._outgoing = outgoing
        self._timeout = timeout

    def check(self, url: str) -> None:
        """Raise BadInput for a URL that is never called. Whether its name stands for a public address is seen at each try."""
        try:
            _, host, port = parts_of(url)
        except Permanent as error:
            raise Unusable(f"a webhook's url can't be used: {error.message}") from error
        if len(url) > MOST_URL:
            raise Unusable(f"a webhook's url has at most {MOST_URL:,} characters")
        if _is_address(host) and not is_public(host):
            raise Unusable(
                f"{host} is not a public address; webhooks go to public ones, or to hosts whose name and port "
                f"([network] private = ['HOST:{port}']) the settings name"
            )

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """POST, and what came of it. Raises nothing but what ends the caller."""
        try:
            self.check(url)
            status, told = await self._outgoing.exchange(url, headers, body, MOST_ANSWER, self._timeout)
        except (BadInput, Permanent, Temporary) as error:
            return Outcome(0, error.message[:500])
        if 200 <= status < 300:
            return Outcome(status)
        if 300 <= status < 400:
            return Outcome(
                status, f"it answered {status}, and redirects are not followed; give the address it stands for"
            )
        return Outcome(status, f"it answered {status}", _seconds(told.get("retry-after", "")))


def _seconds(text: str) -> float:
    """What a Retry-After asks for (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
