"""How often something may be tried: counted for each name over a time that slides, in bounded memory."""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from agenthost.core.errors import Temporary


def network_of(address: str) -> str:
    """What counts as one sender: an IPv4 address, or an IPv6 /64, of which one customer has all addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class Tries:
    """At most `most` within `within` seconds for each name. Of more than `names` names the one that was quiet for longest is forgotten."""

    def __init__(
        self, most: int, within: float, names: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._within = within
        self._names = names
        self._clock = clock
        self._tried: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tried)

    def wait(self, name: str) -> float:
        """Seconds until the next try is allowed; 0 where it is now."""
        times = self._tried.get(name)
        if times is None:
            return 0.0
        now = self._clock()
        while times and times[0] <= now - self._within:
            times.popleft()
        if not times:
            del self._tried[name]
            return 0.0
        return times[0] + self._within - now if len(times) >= self._most else 0.0

    def count(self, name: str) -> None:
        """One more try of that name."""
        times = self._tried.setdefault(name, deque(maxlen=self._most))
        times.append(self._clock())
        self._tried.move_to_end(name)
        if len(self._tried) > self._names:
            self._tried.popitem(last=False)

    def take(self, name: str, what: str) -> None:
        """Count a try. Raises Temporary, with the time to wait, where there were too many."""
        if (wait := self.wait(name)) > 0:
            raise too_many(what, wait)
        self.count(name)

    def forgive(self, name: str) -> None:
        """Take the last try back: it wasn't a wrong one."""
        times = self._tried.get(name)
        if times:
            times.pop()
            if not times:
                del self._tried[name]


def too_many(what: str, wait: float) -> Temporary:
    """That something was tried too often."""
    return Temporary(f"{what}; wait {max(1, round(wait))} seconds", code="too-many", delay=wait)
