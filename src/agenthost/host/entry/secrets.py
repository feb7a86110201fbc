"""Secrets that the host makes: tokens, keys, sessions, codes."""

import hashlib
import secrets

PREFIX = "ah_"
"""Every secret that we make begins so: scanners for leaked secrets can know it."""


def new_secret() -> str:
    """A new one: 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """How a secret is kept: it has 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
