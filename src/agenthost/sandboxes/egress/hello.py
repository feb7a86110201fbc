"""Whom a TLS client says it wants: the server name of its first message (RFC 8446 section 4.1.2, RFC 6066 section 3)."""

HANDSHAKE = 22
MOST = 32 * 1024
# Records that a greeting may be cut into: it is read again with each piece that comes, and clients cut it in a few.
_MOST_RECORDS = 64
_CLIENT_HELLO = 1
_SERVER_NAME, _ENCRYPTED_HELLO = 0, 0xFE0D  # RFC 9849


class Unreadable(Exception):
    """Not a client's first message, or one that hides whom it wants; the text says which."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise Unreadable("its TLS greeting is malformed")
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """What stands behind its own length, which has `size` bytes."""
        return self.take(self.number(size))

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)


def server_name(data: bytes) -> str | None:
    """The name, in lower case; None while more bytes are needed. Raises Unreadable."""
    message = bytearray()
    at = records = 0
    while at + 5 <= len(data):
        records += 1
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != HANDSHAKE or data[at + 1] != 3 or not 0 < length <= 16384:
            raise Unreadable("it does not begin with a TLS greeting")
        if records > _MOST_RECORDS:
            raise Unreadable("its TLS greeting comes in too many pieces")
        message += data[at + 5 : at + 5 + length]
        if len(message) >= 4:
            if message[0] != _CLIENT_HELLO:
                raise Unreadable("it does not begin with a TLS greeting")
            size = int.from_bytes(message[1:4], "big")
            if size > MOST:
                raise Unreadable("its TLS greeting is too long")
            if len(message) >= 4 + size:
                return _name(bytes(message[4 : 4 + size]))
        at += 5 + length
    if len(data) > MOST or (data and data[0] != HANDSHAKE):
        raise Unreadable("it does not begin with a TLS greeting")
    return None


def _name(body: bytes) -> str:
    reader = _Reader(body)
    reader.take(34)  # version, random
    reader.block(1)  # session
    reader.block(2)  # cipher suites
    reader.block(1)  # compression
    if reader.over:
        raise Unreadable("its TLS greeting names no server")
    extensions = _Reader(reader.block(2))
    names: list[str] = []
    while not extensions.over:
        kind, content = extensions.number(2), extensions.block(2)
        if kind == _ENCRYPTED_HELLO:
            raise Unreadable(
                "its TLS greeting is encrypted (ECH), so that nobody can tell whom it wants; turn that off"
            )
        if kind == _SERVER_NAME:
            names += _listed(content)
    if len(names) != 1:
        raise Unreadable("its TLS greeting names no server")
    return names[0]


def _listed(content: bytes) -> list[str]:
    entries = _Reader(_Reader(content).block(2))
    names: list[str] = []
    while not entries.over:
        kind, name = entries.number(1), entries.block(2)
        if kind != 0 or not name.isascii():
            raise Unreadable("its TLS greeting is malformed")
        names.append(name.decode("ascii").lower().removesuffix("."))
    return names
