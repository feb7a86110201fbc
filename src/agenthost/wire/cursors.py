"""Where a page of a list ended, as clients give it back: opaque, so that what is in it may change."""

import base64
import binascii

from agenthost.core.errors import NotFound


def encode_cursor(place: str | int) -> str:
    """A cursor after a place; empty for none."""
    return base64.urlsafe_b64encode(f"1{place}".encode()).decode().rstrip("=") if place else ""


def decode_cursor(cursor: str) -> str:
    """The place that a cursor is after, empty for none. Raises NotFound where nobody made it."""
    if not cursor:
        return ""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        text = ""
    if not text.startswith("1"):
        raise _unknown()
    return text[1:]


def encode_change(updated: float, task: str) -> str:
    """A cursor after a task in the order of changes."""
    return encode_cursor(f"{updated!r} {task}")


def decode_change(cursor: str) -> tuple[float, str]:
    """Its `updated` and its id; 0 and nothing for none. Raises NotFound where nobody made it."""
    if not cursor:
        return 0.0, ""
    at, _, task = decode_cursor(cursor).partition(" ")
    try:
        return float(at), task
    except ValueError:
        raise _unknown() from None


def decode_number(cursor: str) -> int:
    """The same for places that are numbers; 0 for none."""
    text = decode_cursor(cursor)
    if text and not (text.isdecimal() and text.isascii() and len(text) < 19):
        raise _unknown()
    return int(text or "0")


def _unknown() -> NotFound:
    return NotFound("there is no page there: this cursor isn't the `next` of another page")
