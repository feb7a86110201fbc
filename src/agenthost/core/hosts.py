"""Which hosts code in a sandbox may reach, as a manifest writes it: `api.example.com`, `*.example.com`, `host:8443`."""

import re

from msgspec import Struct

MOST_HOSTS = 100
DEFAULT_PORTS = (443, 80)

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LIKE_A_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")


class HostRule(Struct, frozen=True):
    """One entry. `name` is in lower case; with `wildcard` it stands for every name below it and not for itself."""

    name: str
    wildcard: bool
    ports: tuple[int, ...]

    def names(self, host: str) -> bool:
        """Whether it speaks of `host` (lower case, no dot at its end), whatever the port."""
        return host.endswith(f".{self.name}") if self.wildcard else host == self.name


def is_name(host: str) -> bool:
    """Whether it is a host's name in lower case, without a dot at its end, and no address."""
    labels = host.split(".")
    plain = host.isascii() and len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return plain and not _LIKE_A_NUMBER.fullmatch(labels[-1])


def read_host(entry: str) -> HostRule:
    """Raises ValueError, which says what to write instead."""
    text = entry.strip().lower()
    if "/" in text:
        raise ValueError(f"'{entry}' is more than a host; write its name alone, such as api.example.com")
    if text.count(":") > 1 or text.startswith("["):
        raise ValueError(f"'{entry}' is an address; hosts are granted by name, such as api.example.com")
    name, colon, number = text.partition(":")
    ports = DEFAULT_PORTS
    if colon:
        if not re.fullmatch(r"\d{1,5}", number) or not 0 < int(number) < 65536:
            raise ValueError(f"'{entry}' has no port from 1 to 65535 behind its colon")
        ports = (int(number),)
    wildcard = name.startswith("*.")
    name = name.removeprefix("*.").removesuffix(".")
    labels = name.split(".")
    if name == "*" or (wildcard and len(labels) < 2):
        raise ValueError(f"'{entry}' would grant too much; name the hosts, or everything below one, as *.example.com")
    if "*" in name:
        raise ValueError(f"'{entry}' has its * in another place than the beginning; write *.example.com")
    if not name.isascii() or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"'{entry}' is no host name; write one such as api.example.com (others than ASCII as xn--)")
    if _LIKE_A_NUMBER.fullmatch(labels[-1]):
        raise ValueError(f"'{entry}' is an address; hosts are granted by name, such as api.example.com")
    if labels[-1] == "localhost":
        raise ValueError(f"'{entry}' is the sandbox itself, which needs no grant; leave it out")
    return HostRule(name, wildcard, ports)
