"""A name server for one run: granted names get addresses of the run's own loopback, all others don't exist.

Nothing is asked of any other server, so that no name can carry anything out. RFC 1035 section 4; A and AAAA alone.
"""

import struct

from agenthost.sandboxes.egress.rules import Refusals, Refused, Rules

_A, _IN = 1, 1
_OK, _MALFORMED, _NOT_THERE, _NOT_DONE, _NOT_NOW = 0, 1, 3, 4, 2
_SECONDS = 60
_LONGEST = 512


class Names:
    """Names and the addresses that stand for them, 127.64.0.1 and on: at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def address(self, name: str) -> str | None:
        """The name's address, made where it has none; None where there is no room for more."""
        if (found := self._addresses.get(name)) is not None:
            return found
        number = len(self._addresses) + 1
        if number > self._most:
            return None
        address = f"127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        self._addresses[name] = address
        self._names[address] = name
        return address

    def name(self, address: str) -> str | None:
        """Who an address stands for."""
        return self._names.get(address)


class NameServer:
    """Answers datagrams, at most `most`."""

    def __init__(self, rules: Rules, names: Names, refusals: Refusals, most: int) -> None:
        self._left = most
        self._rules = rules
        self._names = names
        self._refusals = refusals

    def answer(self, datagram: bytes) -> bytes | None:
        """The answer to a question; None for what is no question at all."""
        if len(datagram) < 12:
            return None
        self._left -= 1
        if self._left < 0:
            if self._left == -1:
                self._refusals.add("to look up", Refused("more names", "this run has asked too many times"))
            return None
        number, flags, questions = struct.unpack_from("!HHH", datagram)
        if flags & 0x8000:
            return None
        if flags >> 11 & 15:
            return _reply(number, flags, b"", _NOT_DONE)
        question = _question(datagram) if questions == 1 else None
        if question is None:
            return _reply(number, flags, b"", _MALFORMED)
        name, kind, group, end = question
        asked = datagram[12:end]
        if group != _IN or not self._rules.names(name):
            if not name.endswith(".arpa"):  # a program that asks what its own address is called
                self._refusals.add("to look up", Refused(name, "not granted"))
            return _reply(number, flags, asked, _NOT_THERE)
        if kind != _A:
            return _reply(number, flags, asked, _OK)
        address = self._names.address(name)
        if address is None:
            self._refusals.add("to look up", Refused(name, "this run has looked up too many names"))
            return _reply(number, flags, asked, _NOT_NOW)
        data = bytes(int(part) for part in address.split("."))
        return _reply(number, flags, asked, _OK, struct.pack("!HHHIH", 0xC00C, _A, _IN, _SECONDS, 4) + data)


def _question(datagram: bytes) -> tuple[str, int, int, int] | None:
    """Name in lower case, type, class, and where the question ends."""
    if len(datagram) > _LONGEST * 8:
        return None
    labels: list[str] = []
    at = 12
    while at < len(datagram) and (length := datagram[at]):
        label = datagram[at + 1 : at + 1 + length]
        if length > 63 or len(label) < length or not label.isascii() or b"." in label:
            return None
        labels.append(label.decode("ascii").lower())
        at += 1 + length
    if at + 5 > len(datagram) or at - 12 > 254:
        return None
    kind, group = struct.unpack_from("!HH", datagram, at + 1)
    return ".".join(labels), kind, group, at + 5


def _reply(number: int, flags: int, question: bytes, code: int, answer: bytes = b"") -> bytes:
    # An answer, recursion wanted as asked, recursion had.
    head = 0x8080 | flags & 0x7900 | code
    return struct.pack("!6H", number, head, int(bool(question)), int(bool(answer)), 0, 0) + question + answer
