"""Who this host is to others: an ed25519 key pair in the home, made at its first use."""

import asyncio
import base64
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agenthost.core.errors import StoreDamaged

FILE = "host.key"
_NONCE = 12  # NIST SP 800-38D: 96 bits, drawn at random for each value


class Identity:
    """A host's key pair: signs, shows its public half, seals what only this host is to read."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._x = base64url(raw)
        # RFC 7638: the thumbprint over the members that are required of an OKP key (RFC 8037), in this order.
        self.id = base64url(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{self._x}"}}'.encode()).digest())
        secret = key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        self._seal = AESGCM(HKDF(SHA256(), 32, None, b"agenthost seal").derive(secret))

    @property
    def public(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517, RFC 8037)."""
        return {"kty": "OKP", "crv": "Ed25519", "x": self._x, "kid": self.id, "alg": "EdDSA", "use": "sig"}

    def jws(self, payload: bytes, **header: str) -> tuple[str, str]:
        """A signature over `payload` (RFC 7515): its protected header and the signature, both in base64url."""
        head = {"alg": "EdDSA", "kid": self.id, **header}
        protected = base64url(msgspec.json.encode(head))
        return protected, base64url(self._key.sign(f"{protected}.{base64url(payload)}".encode()))

    def token(self, claims: dict[str, Any], seconds: float = 300.0) -> str:
        """A JSON Web Token (RFC 7519) of this host, good for so many seconds."""
        now = int(time.time())
        payload = msgspec.json.encode({"iss": self.id, "iat": now, "exp": now + int(seconds), **claims})
        protected, signature = self.jws(payload, typ="JWT")
        return f"{protected}.{base64url(payload)}.{signature}"

    def seal(self, text: str, about: str) -> str:
        """A text that only this host can read again. `about` says what it belongs to, and must be said again."""
        if not text:
            return ""
        nonce = os.urandom(_NONCE)
        return base64url(nonce + self._seal.encrypt(nonce, text.encode(), about.encode()))

    def unseal(self, sealed: str, about: str) -> str:
        """What was sealed. Raises StoreDamaged."""
        if not sealed:
            return ""
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            return self._seal.decrypt(raw[:_NONCE], raw[_NONCE:], about.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise StoreDamaged(
                f"what was sealed for '{about}' can't be read with this host's key ({FILE} in the home); was it replaced?"
            ) from error


def base64url(raw: bytes) -> str:
    """RFC 7515 section 2: base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def identity(home: Path) -> Identity:
    """The identity of a home. Raises StoreDamaged where its key can't be read."""
    return await asyncio.to_thread(_load, home / FILE)


def _load(file: Path) -> Identity:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        text = _make(file)
    try:
        key = serialization.load_pem_private_key(text, None)
    except ValueError as error:
        raise _damaged(file) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _damaged(file)
    return Identity(key)


def _make(file: Path) -> bytes:
    """Make a key. Whoever comes first makes it; the others read that one."""
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    new = file.with_name(f".{file.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(new, file)
        except FileExistsError:
            return file.read_bytes()
    finally:
        new.unlink()
    return text


def _damaged(file: Path) -> StoreDamaged:
    return StoreDamaged(f"{file} is no ed25519 key in PEM; put it back from a back-up, or remove it for a new identity")
