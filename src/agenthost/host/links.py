"""Links that open one file for whoever has them, for a while: signed with a key of the home, kept nowhere."""

import base64
import binascii
import hashlib
import hmac
import os
import time
from pathlib import Path

import msgspec

from agenthost.core.api import Linked
from agenthost.core.errors import BadInput, NotFound

KEY_FILE = "links.key"
LONGEST = 30 * 86_400.0
"""Seconds that a link may be good for."""

_MARK = 32


def link_key(home: Path) -> bytes:
    """The home's key for links, made with mode 0600 where there is none. Remove the file, and every link is void."""
    file = home / KEY_FILE
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "wb") as made:
            made.write(os.urandom(32))
            made.flush()
            os.fsync(made.fileno())
    key = file.read_bytes()
    if len(key) < 32:
        raise BadInput(f"{file} holds no key; remove it to have a new one made")
    return key


def sign(key: bytes, file: Linked) -> str:
    """The secret of a link. Raises BadInput where it would be good for too long."""
    if not 0 < file.until - time.time() <= LONGEST:
        raise BadInput("a link is good for at least a second and at most 30 days")
    body = msgspec.json.encode(file)
    return base64.urlsafe_b64encode(_mark(key, body) + body).decode().rstrip("=")


def read(key: bytes, secret: str) -> Linked:
    """What a link's secret says. Raises NotFound where it isn't ours or has expired."""
    try:
        whole = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    except (ValueError, binascii.Error):
        whole = b""
    mark, body = whole[:_MARK], whole[_MARK:]
    if not hmac.compare_digest(mark, _mark(key, body)):
        raise NotFound("this host has no such link")
    file = msgspec.json.decode(body, type=Linked)
    if file.until <= time.time():
        raise NotFound("this link has expired; have a new one made")
    return file


def _mark(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"agenthost link\0" + body, hashlib.sha256)
