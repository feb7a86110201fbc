"""How requests and answers look: eight bytes of length, a JSON head of that length, then all contents in a row."""

import json
from typing import Any

MOST_HEAD = 8 * 1024 * 1024


class BadFrame(Exception):
    """What came is no frame."""


def write(head: dict[str, Any], contents: list[bytes]) -> bytes:
    """A frame."""
    told = json.dumps(head).encode()
    return b"".join((len(told).to_bytes(8, "big"), told, *contents))


def read(body: bytes) -> tuple[dict[str, Any], memoryview]:
    """The head, and what follows it."""
    length = int.from_bytes(body[:8], "big")
    if len(body) < 8 or length > min(MOST_HEAD, len(body) - 8):
        raise BadFrame("the request is cut off, or none of ours")
    try:
        head = json.loads(body[8 : 8 + length])
    except ValueError:
        raise BadFrame("the request's head is no JSON") from None
    if not isinstance(head, dict):
        raise BadFrame("the request's head is no object")
    return head, memoryview(body)[8 + length :]
